"""The last evening before the deadline: everybody does everything at the same time, on a real database.

Whatever the order turns out to be, nothing deadlocks, every submission ends once, in a state that follows from the one
before, and is charged exactly if its end is the team's doing.
"""

import random
import threading
import uuid
from itertools import pairwise
from typing import Any

import pytest
from django.db import connections

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, faults, lifecycle, pipeline
from leaderboard.journey.locking import LeaseLost
from leaderboard.journey.outcomes import BadReport
from leaderboard.models import Attempt, Batch, Host, Phase, Run, StateChange, Submission, Team
from leaderboard.people import teams
from leaderboard.processes import sweeper
from leaderboard.states import ENDED, BatchState, RunState, Stage, SubmissionState
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)

THREADS, ACTS = 6, 18
EXPECTED = (Refused, LeaseLost, BadReport)


class Crowd:
    """What a thread of people, workers and hosts may do, chosen by chance."""

    def __init__(self, teams: list[Team], phase: Phase, hosts: list[Host], seed: int) -> None:
        self.teams, self.phase, self.hosts = teams, phase, hosts
        self.chance = random.Random(seed)
        self.surprises: list[BaseException] = []

    def act(self) -> None:
        acts = [self.submit, self.submit, self.check, self.check, self.cancel, self.claim, self.claim, self.report]
        acts += [self.report, self.repeat, self.resume, sweeper.sweep, self.come_and_go]
        for _ in range(ACTS):
            try:
                self.chance.choice(acts)()
            except EXPECTED:
                pass
            except Exception as surprise:  # noqa: BLE001  the test looks at it
                self.surprises.append(surprise)
        connections.close_all()

    def one(self, rows: Any) -> Any:
        found = list(rows)
        return self.chance.choice(found) if found else None

    def submit(self) -> None:
        cast.submit(self.chance.choice(self.teams), self.phase)

    def check(self) -> None:
        """A control worker reads an archive (they hold nothing: rejected), or finds a good one."""
        submission = self.one(Submission.objects.filter(state=SubmissionState.RECEIVED))
        if submission and self.chance.random() < 0.3:
            pipeline.validate_image(submission.pk)
        elif submission:
            lifecycle.move(submission, SubmissionState.VALIDATING, allowed_from={SubmissionState.RECEIVED})
            pipeline.accept(submission, cast.image())

    def cancel(self) -> None:
        if submission := self.one(Submission.objects.all()):
            decisions.cancel(submission, by=cast.OPERATOR)

    def claim(self) -> None:
        if batch := self.one(Batch.objects.filter(state=BatchState.WAITING)):
            gpu_host.claim(self.chance.choice(self.hosts), batch)

    def report(self) -> None:
        """A host reports a crash, a fault of ours, or that no engine can use the image."""
        batch = self.one(Batch.objects.filter(state=BatchState.LEASED).select_related("host"))
        what = self.chance.random()
        if batch and what < 0.6:
            crash(batch)
        elif batch and what < 0.8:
            order = order_of(batch)
            gpu_host.report(batch.host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
        elif batch:
            gpu_host.refuse_image(batch.host, order_of(batch))

    def repeat(self) -> None:
        """Messages that come twice."""
        if batch := self.one(Batch.objects.all()):
            pipeline.score_batch(batch.pk)
            pipeline.lose_lease(batch.pk)
        if submission := self.one(Submission.objects.all()):
            pipeline.validate_image(submission.pk)

    def resume(self) -> None:
        if run := self.one(Run.objects.filter(state=RunState.HALTED)):
            faults.resume(run)

    def come_and_go(self) -> None:
        team = self.chance.choice(self.teams)
        quota_of(team, self.phase, clock.now())
        person = team.memberships.filter(is_captain=False).first()
        if person:
            teams.leave_team(person.user, team)
            teams.join_team(person.user, team.join_code)


def order_of(batch: Batch) -> dict[str, Any]:
    """What a host knows of the batch that it holds. Raises LeaseLost when it is decided."""
    cases = [{"name": case.file_name} for case in batch.cases.filter(outcome="")]
    if not cases:
        raise LeaseLost(cancelled=False)
    return {"batch": str(batch.pk), "fence": batch.fence, "cases": cases}


def crash(batch: Batch) -> None:
    assert batch.host is not None
    order = order_of(batch)
    gpu_host.report(batch.host, order, [gpu_host.lost(order, 0)], exit_code=1)


def let_it_end(hosts: list[Host]) -> None:
    """Everybody but the machines has gone home."""
    for submission in Submission.objects.filter(state__in=[SubmissionState.RECEIVED, SubmissionState.VALIDATING]):
        Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.RECEIVED)
        pipeline.validate_image(submission.pk)
    for _ in range(100):
        for run in Run.objects.filter(state=RunState.HALTED):
            faults.resume(run)
        for batch in Batch.objects.filter(state=BatchState.LEASED).select_related("host"):
            crash(batch)
        for batch in Batch.objects.filter(state=BatchState.REPORTED):
            pipeline.score_batch(batch.pk)
        sweeper.sweep()
        for batch in Batch.objects.filter(state=BatchState.WAITING):
            pipeline.claim(hosts[0], batch.pk, key=uuid.uuid4(), slot="slot0")
        if all(submission.stage in ENDED for submission in Submission.objects.all()):
            return
    raise AssertionError(f"stuck: {[(one.pk, one.stage) for one in Submission.objects.all()]}")


def follows_from_what_was_before(thing: dict[str, Any]) -> bool:
    changes = list(StateChange.objects.filter(**thing).order_by("pk").values_list("from_state", "to_state"))
    return all(before[1] == after[0] for before, after in pairwise(changes))


def charges_that_are_wrong() -> list[tuple[int, Stage, bool]]:
    found = []
    for submission in Submission.objects.all():
        began = Attempt.objects.filter(batch__run__submission=submission).exists()
        changes = StateChange.objects.filter(submission=submission, batch=None).order_by("pk")
        interrupted = list(changes)[-1].from_state == RunState.HALTED
        charges: dict[Stage, bool] = {
            RunState.SCORED: True,
            RunState.FAILED: True,
            SubmissionState.REJECTED: False,
            RunState.CANCELLED: began and not interrupted,
        }
        if submission.charged != charges[submission.stage]:
            found.append((submission.pk, submission.stage, submission.charged))
    return found


@pytest.mark.parametrize("seed", [1])
def test_whatever_happens_at_once_every_submission_ends_once_and_is_charged_rightly(seed, settings):
    settings.MAX_FAULTS = 100
    phase = cast.phase(cast.case_set(2), runs_per_day=8, runs_total=99, max_failures_in_row=9)
    teams = [
        cast.team_of(cast.person(f"Captain{number}"), cast.person(f"Member{number}"), name=f"Team {number}")
        for number in range(3)
    ]
    hosts = [cast.host(f"gpu-{number}", slots=2, token=str(number)) for number in range(2)]
    crowds = [Crowd(teams, phase, hosts, seed * 1000 + number) for number in range(THREADS)]
    threads = [threading.Thread(target=crowd.act) for crowd in crowds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [surprise for crowd in crowds for surprise in crowd.surprises] == []
    let_it_end(hosts)
    assert charges_that_are_wrong() == []
    for run in Run.objects.all():
        assert follows_from_what_was_before({"run": run, "batch": None}), run
        assert run.submission.runs.count() == 1
        assert run.standings.exists() == (run.state == RunState.SCORED)
    for batch in Batch.objects.all():
        assert follows_from_what_was_before({"batch": batch})
        fences = list(batch.attempts.values_list("fence", flat=True))
        assert fences == list(range(1, batch.fence + 1))
    for submission in Submission.objects.all():
        assert follows_from_what_was_before({"submission": submission, "run": None})
    stages = [submission.stage for submission in Submission.objects.all()]
    print(sorted((stage, stages.count(stage)) for stage in set(stages)))  # pytest -s: what the storm was made of
