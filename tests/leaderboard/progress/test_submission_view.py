"""What a team may see of its own run."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.journey import decisions, lifecycle
from leaderboard.models import Attempt, Case, Phase, RunCase, Submission, Team
from tests.leaderboard import cast, gpu_host, masks, seen

pytestmark = pytest.mark.django_db(transaction=True)


def start(host, **policies):
    """A run on four cases whose canary has crashed, so that there is something to hide."""
    phase = cast.phase(cast.case_set(4), **policies)
    for case in Case.objects.all():
        masks.give_reference(case, masks.cube())
    submission = cast.submit_checked(cast.team_of(cast.person("Alice")), phase)
    run = submission.runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0)], exit_code=1)
    gpu_host.score_reported(run)
    return submission


def test_on_hidden_cases_a_team_sees_neither_cases_nor_counts_nor_logs(host):
    view = seen.by_team(start(host))
    assert (view.cells, view.batches, view.cases, view.log) == ((), (), (), None)
    assert (view.findings, view.tables, view.hints, view.done, view.failed) == ((), (), (), None, None)
    assert view.warnings == ()


def test_on_hidden_cases_progress_moves_in_steps_and_lags_by_a_minute(host):
    submission = start(host)
    assert seen.by_team(submission).percent == 0
    RunCase.objects.filter(position=0).update(decided_at=clock.now() - timedelta(minutes=2))
    assert seen.by_team(submission).percent == 25


def test_on_hidden_cases_the_reason_of_a_lost_case_is_not_told_while_the_run_goes_on(host):
    view = seen.by_team(start(host))
    assert view.headline == ""
    assert "crash" not in str(view.history).lower()


def test_on_hidden_cases_the_instant_of_a_runs_end_is_not_told(host, monkeypatch):
    now = clock.now().replace(second=0, microsecond=0) + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: now)
    submission = start(host, max_failures_in_row=1)
    assert submission.stage == "failed"
    during = seen.by_team(submission)
    assert (during.state, during.finished, during.headline, during.figures) == ("queued", False, "", None)
    assert "Failed" not in str(during.history)
    assert seen.by_organiser(submission).state == "failed"
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=58))
    assert seen.by_team(submission) == during
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=60))
    assert seen.by_team(submission).state == "failed"


def test_on_hidden_cases_a_cancelled_run_is_shown_at_once(host):
    submission = start(host)
    decisions.cancel(submission, by=cast.OPERATOR)
    assert seen.by_team(submission).state == "cancelled"


def test_on_public_cases_a_team_sees_everything(host):
    view = seen.by_team(start(host, cases_are_public=True))
    assert view.cells == ["f", "", "", ""]
    assert view.cases == ()  # the table of cases is shown when the run has ended
    assert view.log is not None
    assert view.log.text == "hello\ufffdworld"
    assert view.failed == 1
    assert view.headline == "1 case lost"


def test_on_public_cases_a_team_reads_what_became_of_each_case_when_the_run_has_ended(host):
    submission = start(host, cases_are_public=True)
    decisions.cancel(submission, by=cast.OPERATOR)
    lost = seen.by_team(submission).cases[0]
    assert (lost.status, lost.reason) == ("failed", "Your program ended with an error")
    assert (lost.dice, lost.findings, lost.seconds) == (0.0, 1, 1.0)
    assert lost.seen_as.endswith(".nii.gz")
    assert lost.seen_as != lost.name


def test_an_organiser_sees_everything_of_a_hidden_run(host):
    view = seen.by_organiser(start(host))
    assert view.cells[0] == "f"
    assert view.log


def test_a_failed_run_tells_whose_fault_it_was_and_what_to_do(host):
    submission = start(host, max_failures_in_row=1)
    cast.let_a_minute_pass()
    view = seen.by_team(submission)
    assert view.kind == "bad"
    assert view.headline == (
        "Your program ended before it had written a mask that counts, on every case that was tried"
    )
    assert view.fault.startswith("The image’s")
    assert view.advice
    assert view.finished


def test_on_hidden_cases_the_cause_comes_without_exit_code_and_times_without_seconds(host):
    submission = start(host, max_failures_in_row=1)
    cast.let_a_minute_pass()
    view = seen.by_team(submission)
    assert "exit code" not in view.reason
    assert {(event.at.second, event.at.microsecond) for event in view.history[:-1]} == {(0, 0)}
    assert "exit code 1" in seen.by_team(start_public(host)).reason


def start_public(host):
    Submission.objects.all().delete()
    Phase.objects.update(cases_are_public=True)
    submission = cast.submit_checked(Team.objects.get(), Phase.objects.get())
    order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    gpu_host.report(host, order, [gpu_host.lost(order, 0)], exit_code=1)
    return submission


def finish(submission, host):
    """All further cases get a perfect mask; the submission as it is a minute later."""
    run = submission.runs.get()
    while run.batches.filter(state="waiting").exists():
        order = gpu_host.claim(host, gpu_host.waiting(run))
        cases = [gpu_host.finished(order, n, masks.nifti(masks.cube())) for n in range(len(order["cases"]))]
        gpu_host.report(host, order, cases)
        gpu_host.score_reported(run)
    cast.let_a_minute_pass()
    return Submission.objects.get(pk=submission.pk)


@pytest.mark.parametrize(
    ("publication", "in_public_half", "headline"),
    [("everything", False, "1 case lost"), ("half", True, "1 case lost"), ("half", False, ""), ("nothing", True, "")],
)
def test_a_scored_hidden_run_tells_of_the_losses_that_are_published_and_not_why(
    host, publication, in_public_half, headline
):
    submission = start(host, publication=publication, max_failures_in_row=9)
    Case.objects.update(in_public_half=True)
    lost = RunCase.objects.get(reason_code="crashed")
    Case.objects.filter(pk=lost.case_id).update(in_public_half=in_public_half)
    view = seen.by_team(finish(submission, host))
    assert (view.word, view.headline) == ("Scored", headline)
    assert view.reason == ("It counts with Dice 0. On hidden cases the reason is not told." if headline else "")


def test_scores_are_withheld_where_nothing_is_published(host):
    submission = finish(start(host, publication="nothing", max_failures_in_row=9), host)
    assert seen.by_team(submission).word == "Scored"
    assert seen.by_team(submission).figures is None
    figures = seen.by_organiser(submission).figures
    assert figures is not None
    assert figures.dice == pytest.approx(0.75)


def test_a_second_try_by_our_fault_is_told_apart_from_a_first_one(host):
    submission = start(host, cases_are_public=True)
    order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    RunCase.objects.filter(position=1).update(tries=1)
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    assert seen.by_team(submission).cells[1] == "y"
    assert Attempt.objects.count() == 2


def test_a_run_that_no_machine_can_take_says_so():
    cast.host(gpus=0)
    submission = cast.submit_checked(cast.team_of(cast.person("Alice")), cast.phase(gpus=1))
    assert "No machine that fits is connected" in seen.by_team(submission).now


def test_a_cancelled_run_is_not_shown_as_going_on(host):
    submission = start(host)
    decisions.cancel(submission, by=cast.OPERATOR)
    assert "cur" not in {step.state for step in seen.by_team(submission).steps}


def test_a_check_that_begins_while_the_page_is_made_is_not_told_beside_the_state_of_before():
    submission = cast.submit(cast.team_of(cast.person("Alice")), cast.phase(cases_are_public=True))
    lifecycle.move(Submission.objects.get(pk=submission.pk), "validating")
    before = seen.by_team(submission)
    assert (before.word, "Checking the image" in [event.text for event in before.history]) == ("Received", False)
    submission.refresh_from_db()
    now = seen.by_team(submission)
    assert (now.word, now.history[0].text) == ("Checking the image", "Checking the image")
