"""The rules of scheduling played ahead: pure, in seconds."""

from math import inf

import pytest

from leaderboard.hosts.slots import Slot
from leaderboard.journey.forecast import UNKNOWN, Pace, SlotState, Times, Work, forecast, line_up

PACE = Pace(canary=10, case=1, scoring=5)


def work(key: int, team: int = 0, *, cases: int = 21, pace: Pace = PACE, **more) -> Work:
    """A run of twenty-one cases that waits: a canary of 10 s, scored 5 s later, and two batches of 10 s."""
    needs = more.pop("gpus", 0), more.pop("public", True), more.pop("weights", False)
    return Work(key, team, (key,), *needs, cases, more.pop("batch_size", 10), pace, **more)


def slot(gpus: int = 0, serves: str = "every", **more) -> SlotState:
    return SlotState(Slot(gpus, serves, more.pop("weights", False)), **more)


def played(*works: Work, slots: tuple[SlotState, ...] = (slot(),), turns=()) -> dict[int, Times]:
    return forecast(works, slots, tuple(turns))


def test_a_run_alone_takes_its_canary_its_batches_and_its_scores():
    assert played(work(1)) == {1: Times(0, 10 + 5 + 20 + 5)}


def test_the_canary_of_another_run_fills_the_time_in_which_the_first_is_scored():
    times = played(work(1), work(2, team=1))
    assert times[2].start == 10
    assert times[1] == Times(0, 20 + 10 + 10 + 10 + 5)  # from then on they take turns


def test_a_batch_is_not_interrupted_and_the_next_slot_goes_to_the_team_that_has_none():
    busy = work(1, cases=40, began=True, needs_canary=False), work(2, cases=40, began=True, needs_canary=False)
    slots = slot(key=1, free_in=7), slot(key=2, free_in=9)
    times = played(*busy, work(3, team=1), slots=slots)
    assert times[3].start == 7


def test_teams_start_in_turns_and_who_was_served_last_waits():
    works = [work(number, team=number % 2) for number in range(4)]
    assert line_up(works, [((0, True), 1)]) == [1, 0, 3, 2]
    assert line_up([*works, work(9, team=1, began=True)], []) == [0, 1, 2, 3]
    starts = played(*works, turns=[((0, True), 1)])
    assert sorted(starts, key=lambda key: starts[key].start) == [1, 0, 3, 2]


def test_slots_that_are_left_over_help():
    run = work(1, cases=40, began=True, needs_canary=False)
    assert played(run)[1].finish == 40 + 5
    assert played(run, slots=(slot(), slot()))[1].finish == 20 + 5


def test_long_runs_are_played_in_few_containers_and_take_as_long():
    times = played(work(1, cases=3001, batch_size=1))
    assert times[1].finish == pytest.approx(10 + 5 + 3000 + 5)


def test_what_nobody_could_measure_ends_never_and_neither_starts_what_waits_for_it():
    times = played(work(1, pace=UNKNOWN), work(2, team=1))
    assert times == {1: Times(0, inf), 2: Times(inf, inf)}


def test_a_run_takes_the_smallest_slot_that_has_its_gpus():
    times = played(work(1, gpus=1), work(2, team=1, gpus=2), slots=(slot(2), slot(1)))
    assert (times[1].start, times[2].start) == (0, 0)
    assert played(work(1, gpus=4), slots=(slot(2),))[1] == Times(inf, inf)


def test_a_slot_of_a_host_for_one_kind_of_cases_counts_for_that_kind_alone():
    public, hidden = work(1, team=1), work(2, team=2, public=False)
    assert played(public, hidden, slots=(slot(serves="public"),)) == {1: Times(0, 40), 2: Times(inf, inf)}
    assert played(public, hidden, slots=(slot(serves="hidden"),)) == {1: Times(inf, inf), 2: Times(0, 40)}
    # Who may go elsewhere leaves the host for every phase to others, whoever comes first.
    assert {one.start for one in played(public, hidden, slots=(slot(), slot(serves="public"))).values()} == {0}
    # A team's run for which there is no slot doesn't keep its next one, or another team's, waiting.
    mine = [work(3, team=1, public=False), work(4, team=1), work(5, team=2)]
    assert [one.start for one in played(*mine, slots=(slot(serves="public"),)).values()] == [inf, 0, 10]


def test_what_is_not_scored_waits_behind_what_is_and_costs_its_team_no_turn():
    tries = [work(1, team=1, kind="try_out"), work(2, team=2, kind="try_out")]
    works = [work(0, team=1, kind="post_challenge"), *tries, work(3, team=1), work(4, team=2)]
    turns = [((2, False), 1), ((1, False), 2), ((2, True), 3)]
    assert line_up(works, turns) == [3, 4, 2, 1, 0]
    starts = played(*works, turns=turns)
    assert sorted(starts, key=lambda key: starts[key].start) == [3, 4, 2, 1, 0]
    # A scored run that could go faster leaves its second slot to a try-out, and no post-challenge run.
    busy = work(5, cases=40, began=True, needs_canary=False)
    for kind, start in (("try_out", 0), ("post_challenge", 10)):
        assert played(busy, work(6, team=1, kind=kind), slots=(slot(), slot()))[6].start >= start
    assert played(busy, work(6, team=1, kind="try_out"), slots=(slot(), slot()))[6].start == 0


def test_a_run_with_weights_goes_to_hosts_that_can_mount_them_and_spares_these_to_it():
    plain, heavy = work(1), work(2, team=1, weights=True)
    both = (slot(weights=True), slot())
    assert {one.start for one in played(plain, heavy, slots=both).values()} == {0}
    assert played(heavy, slots=(slot(),))[2] == Times(inf, inf)


def test_a_host_that_takes_nothing_more_ends_what_it_has():
    run = work(1, cases=0, began=True, needs_canary=False)
    times = played(run, work(2, team=1), slots=(slot(key=1, free_in=7, closing=True),))
    assert times == {1: Times(0, 7 + 5), 2: Times(inf, inf)}


def test_an_image_is_checked_before_its_run_starts():
    assert played(work(1, ready_in=100))[1].start == 100


def test_a_run_that_waits_for_its_last_scores_finishes_without_a_slot():
    assert played(work(1, cases=0, began=True, needs_canary=False), slots=())[1].finish == 5
