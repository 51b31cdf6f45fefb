"""A run in which no case has a mask that could be scored has failed: with however many cases.

In whatever way: web/test_failed_run.py has the ways to lose a case, each with its run and its page.
"""

import pytest

from containers.protocol.reports import SLOW_TO_EXIT
from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.core import clock
from leaderboard.journey import pipeline
from leaderboard.journey.failure_kinds import AFTER_A_MASK, DIFFERENT, FailureKind, LostCase, common_kind
from leaderboard.journey.reasons import KINDS
from leaderboard.models import Run, Standing, Submission
from leaderboard.processes import sweeper
from leaderboard.progress.organiser_view import everything
from leaderboard.scores import scoring
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast, gpu_host, masks, seen
from tests.leaderboard.failing import run_to_the_end

pytestmark = pytest.mark.django_db(transaction=True)


def start(team, cases: int, **policies) -> Run:
    phase = cast.phase(cast.case_set(cases), **policies)
    masks.give_references(masks.cube())
    return cast.submit_checked(team, phase).runs.get()


@pytest.mark.parametrize(("cases", "batch_size"), [(1, 25), (4, 1), (8, 25)])
def test_a_run_that_loses_every_case_fails_whatever_its_number_of_cases(team, host, cases, batch_size):
    run = start(team, cases, batch_size=batch_size, max_failures_in_row=5)
    run_to_the_end(host, run, lambda _: "crash at once")
    assert run.state == "failed"
    assert run.reason_code == ("no_usable_mask" if cases < 5 else "failures_in_row")
    assert run.reason == f"{KINDS[FailureKind.ENDED_AT_ONCE].said}."
    assert not run.standings.exists()
    assert run.cases.exclude(outcome="").count() == min(cases, 5)
    assert not run.batches.filter(state__in=("waiting", "leased", "reported")).exists()
    assert quota_of(team, run.submission.phase, clock.now()).total_used == 1


def test_a_score_that_comes_late_changes_neither_the_run_that_failed_nor_what_is_told_of_it(team, host, monkeypatch):
    run = start(team, 4, batch_size=1, max_failures_in_row=2)
    orders = [gpu_host.claim(host, gpu_host.waiting(run))]
    gpu_host.report(host, orders[0], [gpu_host.finished(orders[0], 0, b"no mask")])
    late = run.batches.get(is_canary=True)
    score = scoring.score

    def meanwhile_it_fails(cases, until):
        for scored in score(cases, until=until):
            run.cases.filter(position__in=(1, 2)).update(
                outcome="failed", reason_code="timed_out", decided_at=clock.now(), result={"status": "failed"}
            )
            pipeline.recheck(run)
            yield scored

    monkeypatch.setattr(scoring, "score", meanwhile_it_fails)
    pipeline.score_batch(late.pk)
    run.refresh_from_db()
    assert (run.state, run.failure_kind) == ("failed", FailureKind.TIME)
    assert run.cases.get(position=0).result is None
    late.refresh_from_db()
    assert late.state == "dropped"


def test_the_kind_is_decided_once_and_for_runs_of_a_server_of_before_by_the_sweeper(team, host):
    run = start(team, 2)
    run_to_the_end(host, run, lambda _: "crash at once")
    assert run.failure_kind == FailureKind.ENDED_AT_ONCE
    run.cases.update(reason_code="timed_out")
    assert seen.by_organiser(run.submission).headline.startswith(KINDS[FailureKind.ENDED_AT_ONCE].said)
    Run.objects.update(failure_kind="")
    before = seen.by_organiser(run.submission)
    assert before.headline.startswith(KINDS[FailureKind.TIME].said)
    sweeper.sweep()
    run.refresh_from_db()
    assert run.failure_kind == FailureKind.TIME
    assert seen.by_organiser(run.submission) == before


def test_different_ways_in_one_run_are_different_errors(team, host):
    run = start(team, 4, max_failures_in_row=9)
    ways = ["crash at once", "no mask", "wrong shape", "slow"]
    run_to_the_end(host, run, lambda position: ways[position])
    assert (run.state, run.reason_code, run.failure_kind) == ("failed", "no_usable_mask", DIFFERENT)
    assert run.reason == "No case has a mask that could be scored; different errors."


def test_one_mask_is_enough_to_be_scored(team, host):
    run = start(team, 4, max_failures_in_row=9)
    run_to_the_end(host, run, lambda position: "mask" if position == 2 else "crash at once")
    assert run.state == "scored"
    assert run.standings.get(scope="all").lost_cases == 3


def test_failures_in_a_row_after_a_mask_end_the_run_as_before(team, host):
    run = start(team, 8, batch_size=1)
    run_to_the_end(host, run, lambda position: "mask" if position == 0 else "crash at once")
    assert (run.state, run.reason_code, run.failure_kind) == ("failed", "failures_in_row", AFTER_A_MASK)
    assert run.reason == "Too many cases in a row failed."


@pytest.mark.parametrize("counting", ["last", "best"])
def test_a_failed_run_does_not_displace_the_good_one(team, host, counting):
    run = start(team, 2, counting=counting)
    run_to_the_end(host, run, lambda _: "mask")
    again = cast.submit_checked(team, run.submission.phase).runs.get()
    run_to_the_end(host, again, lambda _: "crash at once")
    cast.let_a_minute_pass()
    [row] = seen.board_by_public(run.submission.phase).rows
    assert row.submission == run.submission_id


@pytest.mark.parametrize(("counting", "publication"), [("last", "half"), ("best", "everything")])
def test_a_run_of_before_that_was_scored_without_a_mask_keeps_its_state_and_does_not_count(
    team, host, counting, publication
):
    run = start(team, 4, counting=counting, publication=publication)
    run_to_the_end(host, run, lambda _: "mask")
    old = cast.submit_checked(team, run.submission.phase).runs.get()
    scored_by_a_server_of_before(old, run)
    cast.let_a_minute_pass()
    [row] = seen.board_by_public(run.submission.phase).rows
    assert row.submission == run.submission_id
    alone = cast.submit_checked(cast.team_of(cast.person("Dora")), run.submission.phase).runs.get()
    scored_by_a_server_of_before(alone, run)
    cast.let_a_minute_pass()
    assert [row.submission for row in seen.board_by_organiser(run.submission.phase).rows] == [run.submission_id]
    alone.refresh_from_db()
    assert alone.state == "scored"
    view = seen.by_organiser(alone.submission)
    assert view.headline == "No case has a mask that could be scored"
    assert "does not count" in view.reason


def scored_by_a_server_of_before(run: Run, like: Run) -> None:
    """All cases lost, and the rows as they were then."""
    at = clock.now()
    lost = {"outcome": "missing", "reason_code": "missing", "result": {"status": "missing", "dice": 0.0}}
    run.cases.update(decided_at=at, scored_at=at, **lost)
    for standing in like.standings.all():
        numbers = {"dice": 0.9, "lost_cases": standing.cases}  # the best there is, if it counted
        fields = ("scope", "evaluation_version", "cases", "summary", "groups")
        Standing.objects.create(run=run, **{name: getattr(standing, name) for name in fields}, **numbers)
    Run.objects.filter(pk=run.pk).update(state="scored", started_at=at, ended_at=at)


def test_on_the_public_half_alone_all_cases_may_be_lost_and_the_run_counts(team, host):
    run = start(team, 4, publication="half", max_failures_in_row=9)
    in_half = dict(run.cases.values_list("position", "case__in_public_half"))
    run_to_the_end(host, run, lambda position: "crash at once" if in_half[position] else "mask")
    assert (run.state, run.standings.get(scope="half").lost_cases) == ("scored", 2)
    cast.let_a_minute_pass()
    assert [row.submission for row in seen.board_by_public(run.submission.phase).rows] == [run.submission_id]


def test_a_run_that_an_upgrade_met_while_its_last_masks_were_scored_fails_as_well(team, host):
    run = start(team, 1)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, b"no mask")])
    run.refresh_from_db()
    assert run.state == "scoring"
    gpu_host.score_reported(run)
    run.refresh_from_db()
    assert (run.state, run.reason_code) == ("failed", "no_usable_mask")
    pipeline.recheck(run)  # the sweeper, once too often
    assert run.history.filter(batch=None, to_state="failed").count() == 1


def test_organisers_read_the_kind_and_every_exit_code_from_the_command_line(team, host):
    run = start(team, 2)
    run_to_the_end(host, run, lambda _: "segmentation fault")
    told = everything(Submission.objects.get(), Disclosure(Reader.ORGANISER, run.submission.phase, clock.now()))
    assert (told["state"], told["runs"][0]["reason"]) == ("failed", f"{KINDS[FailureKind.ENDED_LATER].said}.")
    assert {one["container"]["exit_code"] for one in told["runs"][0]["attempts"]} == {139}


# --- the canary -----------------------------------------------------------------------------------------------------


SLOW_BEFORE = (
    "All cases were done, but the program did not end well: The case took longer than the time limit per case."
)


@pytest.mark.parametrize("said", [SLOW_TO_EXIT, SLOW_BEFORE])
def test_a_mask_of_a_first_case_whose_program_did_not_exit_in_time_counts(team, host, said):
    run = start(team, 2)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    good = [gpu_host.finished(order, 0, masks.nifti(masks.cube()))]
    gpu_host.report(host, order, good, exit_code=137, warnings=[said])
    gpu_host.score_reported(run)
    run.refresh_from_db()
    assert (run.state, run.cases.get(position=0).outcome) == ("running", "finished")


@pytest.mark.parametrize(("exit_code", "told"), [(1, "crashed"), (139, "crashed"), (137, "killed")])
def test_a_mask_of_a_first_case_whose_program_ended_badly_does_not_and_says_how(team, host, exit_code, told):
    run = start(team, 2)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    good = [gpu_host.finished(order, 0, masks.nifti(masks.cube()))]
    gpu_host.report(host, order, good, exit_code=exit_code, seconds=7.5)
    case = run.cases.get(position=0)
    assert (case.outcome, case.reason_code, case.seconds) == ("failed", told, 7.5)


@pytest.mark.parametrize(
    ("reason", "exit_code", "told"), [("out_of_memory", 137, "killed"), ("output_full", 153, "file_too_large")]
)
def test_what_a_host_of_before_reports_is_told_in_the_words_of_today(team, host, reason, exit_code, told):
    run = start(team, 2)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, reason=reason)], exit_code=exit_code)
    assert run.cases.get(position=0).reason_code == told


# --- the kinds ------------------------------------------------------------------------------------------------------


def test_there_are_eight_kinds_and_each_has_its_words():
    assert len(FailureKind) == 8
    assert set(KINDS) == set(FailureKind)
    assert len({why.said for why in KINDS.values()}) == 8


def test_a_kind_is_common_only_if_all_share_it():
    at_once, later = LostCase("crashed", 0.999, ""), LostCase("crashed", 1.0, "")
    assert common_kind([at_once, at_once]) is FailureKind.ENDED_AT_ONCE
    assert common_kind([later, LostCase("crashed", None, "")]) is FailureKind.ENDED_LATER
    assert common_kind([at_once, later]) is None
    assert common_kind([]) is None
