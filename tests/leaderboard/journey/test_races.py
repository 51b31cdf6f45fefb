"""What happens at the same instant: real threads, each with its own connection."""

import io
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from django.db import connection, connections, transaction

from leaderboard.core import blobs, locks
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, pipeline, submitting
from leaderboard.models import AlgorithmImage, AuditEntry, Case, Draft, Phase, StateChange, Submission
from leaderboard.states import BatchState, RunState, SubmissionKind
from leaderboard.submissions import drafts, resumable
from tests.containers.intake.build import Image
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], Any]) -> Sequence[Any]:
    """What each act returned or raised, all begun together."""
    outcomes: list[Any] = [None] * len(acts)
    start = threading.Barrier(len(acts))

    def run(number: int) -> None:
        start.wait()
        try:
            outcomes[number] = acts[number]()
        except Exception as error:  # noqa: BLE001  whatever it is, the test looks at it
            outcomes[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_two_uploads_that_end_together_cannot_both_take_the_last_run():
    team, phase = cast.team_of(cast.person("Alice")), cast.phase(runs_per_day=2)
    outcomes = at_once(*[lambda: cast.submit(team, phase)] * 8)
    assert sum(isinstance(outcome, Submission) for outcome in outcomes) == 2
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 6


def test_of_two_members_who_withdraw_a_run_together_one_is_recorded():
    submission = cast.submit_checked(cast.team_of(cast.person("Alice")), cast.phase())
    withdraw = partial(decisions.withdraw, submission, by=cast.OPERATOR)
    assert at_once(withdraw, withdraw, withdraw) == [None, None, None]
    assert AuditEntry.objects.filter(action="withdraw").count() == 1


def test_a_try_out_that_is_entered_by_many_presses_at_once_is_entered_once():
    alice, phase = cast.person("Alice"), cast.phase(cases_are_public=True)
    Phase.objects.update(try_outs_on=phase)
    phase.refresh_from_db()
    tried = cast.submit_checked(cast.team_of(alice), phase, kind=SubmissionKind.TRY_OUT)
    image = blobs.images.put(io.BytesIO(b"an image"))
    AlgorithmImage.objects.update(archive=image.digest)
    outcomes = at_once(*[partial(submitting.enter, alice, tried, SubmissionKind.SCORED)] * 8)
    run = Submission.objects.get(kind=SubmissionKind.SCORED)
    assert outcomes == [run] * 8
    Submission.objects.filter(pk=run.pk).update(ticket="")  # as if today's run had been another one
    Phase.objects.update(runs_per_day=1)
    refused = at_once(*[partial(submitting.enter, alice, tried, SubmissionKind.SCORED)] * 4)
    assert {str(one)[:38] for one in refused} == {"Your team has used its 1 run of today."}
    assert not Draft.objects.exists()


def test_a_draft_that_another_member_sends_at_this_instant_is_handed_in_by_that_member():
    """What waits for a row may have read what is joined to it as it was before."""
    alice, bob = cast.person("Alice"), cast.person("Bob")
    team, phase = cast.team_of(alice, bob), cast.phase()
    words = {"track": "main", "algorithm": "Grounder", "method": cast.METHOD, "external": "none"}
    draft = drafts.begin(alice, team, phase, words)
    content = Image().saved()
    upload = resumable.begin(draft, name="image.tar", length=len(content))
    resumable.receive(upload, resumable.Piece(0, len(content), io.BytesIO(content)))
    drafts.send(draft, alice, words)
    outcomes: list[Any] = []
    handing_in = threading.Thread(target=lambda: outcomes.extend(at_once(partial(submitting.submit_draft, draft.pk))))
    with transaction.atomic():
        drafts.send(draft, bob, words)
        handing_in.start()
        wait_for_a_lock()
    handing_in.join()
    [submission] = outcomes
    assert submission.submitted_by == bob


def wait_for_a_lock() -> None:
    """Until a session of this database waits for a row."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting)
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits for a row")


def test_two_last_reports_and_a_doubled_scoring_end_the_run_once():
    host, phase = cast.host(slots=2), cast.phase(cast.case_set(5))
    for case in Case.objects.all():
        masks.give_reference(case, masks.cube())
    run = cast.submit_checked(cast.team_of(cast.person("Alice")), phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    gpu_host.score_reported(run)
    waiting = list(run.batches.filter(state=BatchState.WAITING))
    orders = [gpu_host.claim(host, batch, slot=f"slot{number}") for number, batch in enumerate(waiting)]

    def report(order: dict[str, Any]) -> None:
        cases = [gpu_host.finished(order, number, masks.nifti(masks.cube())) for number in range(len(order["cases"]))]
        gpu_host.report(host, order, cases)

    assert at_once(*[lambda order=order: report(order) for order in orders]) == [None, None]
    at_once(*[lambda batch=batch: pipeline.score_batch(batch.pk) for batch in waiting for _ in range(2)])
    run.refresh_from_db()
    assert run.state == RunState.SCORED
    assert StateChange.objects.filter(run=run, batch=None, to_state=RunState.SCORED).count() == 1


def test_only_one_worker_is_at_work_on_a_thing_and_a_finished_one_lets_go():
    inside, leave = threading.Event(), threading.Event()

    def hold() -> bool:
        with locks.working_on("test", 1) as mine:
            inside.set()
            leave.wait(10)
            return mine

    def try_meanwhile() -> bool:
        inside.wait(10)
        try:
            with locks.working_on("test", 1) as mine:
                return mine
        finally:
            leave.set()

    assert at_once(hold, try_meanwhile) == [True, False]
    with locks.working_on("test", 1) as mine:
        assert mine
