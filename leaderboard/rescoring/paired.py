"""By how much the Dice of a run changes on the same cases, with its 95 % interval over resamples of them."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import evaluation
from leaderboard.scores import arrays

logger = logging.getLogger(__name__)
Interval = tuple[float, float]


class Scored(NamedTuple):
    """A run (its key; None where that is not known), as an evaluation version scored it."""

    run: int | None
    version: str


def change_intervals(pairs: Sequence[tuple[Scored, Scored]], *, in_half: bool, digest: str) -> list[Interval | None]:
    """Of each pair, before and after, the interval of the change; None where single cases are not there any more.

    `in_half`: over the public half alone. `digest` is that of the case set: the resamples are those of its intervals.
    """
    known = [place for place, pair in enumerate(pairs) if all(one.run is not None for one in pair)]
    found: list[Interval | None] = [None] * len(pairs)
    if not known:
        return found
    try:
        change = _dice([pairs[place][1] for place in known]) - _dice([pairs[place][0] for place in known])
        of_half = arrays.cases_of(pairs[known[0]][1].run or 0).in_public_half
    except (LookupError, ValueError) as error:
        logger.warning("no intervals of changes: %s", error)
        return found
    means = evaluation.resampled_means(change[:, of_half] if in_half else change, seed=evaluation.seed_from(digest))
    for place, ends in zip(known, evaluation.intervals_of(means[:, 1:]), strict=True):
        found[place] = ends
    return found


def _dice(scored: Sequence[Scored]) -> NDArray[np.float64]:
    """The Dice of each case in each of these: (scored, cases). All are of one version, as those of a board are."""
    runs = list(dict.fromkeys(one.run or 0 for one in scored))
    row_of = {run: row for row, run in enumerate(runs)}
    dice = arrays.case_dice(runs, scored[0].version)
    return dice[[row_of[one.run or 0] for one in scored]]
