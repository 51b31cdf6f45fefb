"""GPU hours foreseen: pure arithmetic."""

from dataclasses import replace

import pytest

from leaderboard.operations.capacity.model import DRAWS, Season, TeamSoFar, Verdict, foresee
from tests.bench.capacity import simulated

DAY = 86_400.0
SEASON = Season(
    left=7 * DAY,
    length=28 * DAY,
    teams=[TeamSoFar(runs=3, left=7, hours=1.0)] * 20,
    open_hours=5.0,
    gpus=4,
)


def test_the_same_facts_give_the_same_numbers():
    assert foresee(SEASON) == foresee(replace(SEASON))
    assert DRAWS >= 200


def test_without_any_run_that_ended_nothing_is_foreseen():
    assert foresee(replace(SEASON, teams=[TeamSoFar(0, 10, None)] * 20)) is None
    assert foresee(replace(SEASON, teams=[])) is None


def test_no_team_gets_more_than_it_has_left_and_what_is_over_goes_to_the_others():
    few = foresee(replace(SEASON, teams=[TeamSoFar(3, 1, 1.0)] * 20, open_hours=0.0))
    assert few is not None
    assert few.runs <= 20
    assert few.high <= 20
    spent, free = TeamSoFar(10, 0, 1.0), TeamSoFar(3, 50, 1.0)
    alone = foresee(replace(SEASON, teams=[free] * 10))
    beside = foresee(replace(SEASON, teams=[free] * 10 + [spent] * 10))
    assert alone is not None
    assert beside is not None
    assert beside.runs > alone.runs, "whoever has handed in so much tells of a larger season"


def test_a_team_without_a_run_is_taken_to_be_as_the_middle():
    known = foresee(SEASON)
    partly = foresee(replace(SEASON, teams=[TeamSoFar(3, 7, None)] * 9 + [TeamSoFar(3, 7, 1.0)] * 11))
    assert known is not None
    assert partly is not None
    assert partly.hours == pytest.approx(known.hours)


def test_a_later_rush_of_last_time_makes_more_to_come():
    early = foresee(replace(SEASON, rush=[[20 * DAY, 25 * DAY]] * 20))
    late = foresee(replace(SEASON, rush=[[1 * DAY, 0.2 * DAY]] * 20))
    assert early is not None
    assert late is not None
    assert late.runs > 3 * early.runs


def test_it_rises_to_the_deadline_and_the_interval_holds_it():
    found = foresee(SEASON)
    assert found is not None
    hours = [step.hours for step in found.steps]
    assert hours == sorted(hours)
    assert hours[0] == SEASON.open_hours
    assert all(step.low <= step.hours <= step.high for step in found.steps)
    assert (found.steps[-1].hours, found.steps[-1].there) == (found.hours, found.there)


def test_what_is_there_is_less_by_pauses():
    whole, paused = foresee(SEASON), foresee(replace(SEASON, pauses=[(-3600.0, 7200.0), (DAY, DAY + 3600)]))
    assert whole is not None
    assert paused is not None
    assert whole.there == 4 * 7 * 24
    assert whole.there - paused.there == 4 * 3


def test_whether_it_fits_and_how_late_it_gets():
    fits, short = foresee(SEASON), foresee(replace(SEASON, open_hours=4000.0))
    assert fits is not None
    assert short is not None
    assert (fits.verdict, fits.late_hours) == (Verdict.FITS, 0.0)
    assert short.verdict == Verdict.SHORT
    assert short.late_hours == pytest.approx((short.hours - short.there) / 4, rel=0.01)
    none = foresee(replace(SEASON, gpus=0))
    assert none is not None
    assert (none.verdict, none.late_hours) == (Verdict.SHORT, float("inf"))


def test_in_simulated_seasons_it_is_as_near_as_the_documents_say():
    asked = [one for one in simulated(40, 80, 28 * DAY, 10) if one.days == 7]
    errors = sorted(one.error for one in asked)
    assert errors[len(errors) // 2] < 0.4
    assert sum(one.is_within for one in asked) / len(asked) > 0.8
