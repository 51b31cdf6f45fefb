"""How many slots a run had by the minutes: the sums that are looked up are those of going through every span."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.progress.shares import Span, _Kind

START = datetime(2026, 9, 1, tzinfo=UTC)


def span(chance: random.Random) -> Span:
    began = START + timedelta(minutes=chance.randrange(300))
    return Span(1, False, False, began, began + timedelta(minutes=chance.randrange(-5, 90)))


def beside(run: Span, other: Span) -> float:
    return max(0.0, (min(run.ended, other.ended) - max(run.began, other.began)).total_seconds())


@pytest.mark.parametrize("seed", range(5))
def test_the_time_that_others_were_under_way_is_that_of_each(seed):
    chance = random.Random(seed)
    others = [span(chance) for _ in range(60)]
    kind = _Kind(others)
    for run in (span(chance) for _ in range(60)):
        expected = sum(beside(run, one) for one in others)
        assert kind.seconds_between(run.began, run.ended) == pytest.approx(expected)
