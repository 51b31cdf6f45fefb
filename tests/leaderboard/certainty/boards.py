"""Scores of teams on cases, as a challenge has them."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

quick = settings(max_examples=100, deadline=None)

# Few different values, so that ties and zeroes are the rule.
coarse = st.integers(0, 10).map(lambda tenths: tenths / 10)
exact = st.floats(0, 1)


def some_scores(most_teams=6, most_cases=12, values=coarse | exact):
    """Any board of at least one team and one case."""
    shapes = st.tuples(st.integers(1, most_teams), st.integers(1, most_cases))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=values))


def board(teams, cases, *, gap=0.2, lost=0.02, seed=0):
    """Scores of teams each of which is a little better than the one before, on cases some of which are hard."""
    rng = np.random.default_rng(seed)
    hard = rng.beta(2, 1, cases)
    skill = np.linspace(0, gap, teams)[:, None]
    scores = np.clip(1 - hard + skill + rng.normal(0, 0.15, (teams, cases)), 0, 1)
    return np.where(rng.random((teams, cases)) < lost, 0.0, scores)
