"""The rules of scheduling played ahead: pure, in seconds."""

from math import inf

import pytest

from leaderboard.journey.forecast import UNKNOWN, Pace, Slot, Times, Work, forecast, line_up

PACE = Pace(canary=10, case=1, scoring=5)


def work(key: int, team: int = 0, *, cases: int = 21, pace: Pace = PACE, **more) -> Work:
    """A run of twenty-one cases that waits: a canary of 10 s, scored 5 s later, and two batches of 10 s."""
    return Work(key, team, (key,), more.pop("gpus", 0), cases, more.pop("batch_size", 10), pace, **more)


def played(*works: Work, slots: tuple[Slot, ...] = (Slot(0),), turns=()) -> dict[int, Times]:
    return forecast(works, slots, tuple(turns))


def test_a_run_alone_takes_its_canary_its_batches_and_its_scores():
    assert played(work(1)) == {1: Times(0, 10 + 5 + 20 + 5)}


def test_the_canary_of_another_run_fills_the_time_in_which_the_first_is_scored():
    times = played(work(1), work(2, team=1))
    assert times[2].start == 10
    assert times[1] == Times(0, 20 + 10 + 10 + 10 + 5)  # from then on they take turns


def test_a_batch_is_not_interrupted_and_the_next_slot_goes_to_the_team_that_has_none():
    busy = work(1, cases=40, began=True, needs_canary=False), work(2, cases=40, began=True, needs_canary=False)
    slots = Slot(0, key=1, free_in=7), Slot(0, key=2, free_in=9)
    times = played(*busy, work(3, team=1), slots=slots)
    assert times[3].start == 7


def test_teams_start_in_turns_and_who_was_served_last_waits():
    works = [work(number, team=number % 2) for number in range(4)]
    assert line_up(works, [(0, 1)]) == [1, 0, 3, 2]
    assert line_up([*works, work(9, team=1, began=True)], []) == [0, 1, 2, 3]
    starts = played(*works, turns=[(0, 1)])
    assert sorted(starts, key=lambda key: starts[key].start) == [1, 0, 3, 2]


def test_slots_that_are_left_over_help():
    run = work(1, cases=40, began=True, needs_canary=False)
    assert played(run)[1].finish == 40 + 5
    assert played(run, slots=(Slot(0), Slot(0)))[1].finish == 20 + 5


def test_long_runs_are_played_in_few_containers_and_take_as_long():
    times = played(work(1, cases=3001, batch_size=1))
    assert times[1].finish == pytest.approx(10 + 5 + 3000 + 5)


def test_what_nobody_could_measure_ends_never_and_neither_starts_what_waits_for_it():
    times = played(work(1, pace=UNKNOWN), work(2, team=1))
    assert times == {1: Times(0, inf), 2: Times(inf, inf)}


def test_a_run_takes_the_smallest_slot_that_has_its_gpus():
    times = played(work(1, gpus=1), work(2, team=1, gpus=2), slots=(Slot(2), Slot(1)))
    assert (times[1].start, times[2].start) == (0, 0)
    assert played(work(1, gpus=4), slots=(Slot(2),))[1] == Times(inf, inf)


def test_a_host_that_takes_nothing_more_ends_what_it_has():
    run = work(1, cases=0, began=True, needs_canary=False)
    times = played(run, work(2, team=1), slots=(Slot(0, key=1, free_in=7, closing=True),))
    assert times == {1: Times(0, 7 + 5), 2: Times(inf, inf)}


def test_an_image_is_checked_before_its_run_starts():
    assert played(work(1, ready_in=100))[1].start == 100


def test_a_run_that_waits_for_its_last_scores_finishes_without_a_slot():
    assert played(work(1, cases=0, began=True, needs_canary=False), slots=())[1].finish == 5
