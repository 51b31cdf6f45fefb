"""A host that is stopped: what it ran goes on elsewhere."""

import pytest

from leaderboard.journey import pipeline, stopping
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Attempt, AuditEntry, Batch, Host, Run, Submission
from leaderboard.states import BatchState, RunState
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)
BY, WHY = cast.OPERATOR, "Its fan is broken."


def test_its_batches_are_given_back_and_go_on_elsewhere(team, host):
    submission = cast.submit_checked(team, cast.phase())
    masks.give_references(masks.cube())
    run = submission.runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    before = Run.objects.get(pk=run.pk).state
    other = cast.host("gpu-2", token="another")
    stopping.stop(host, by=BY, why=WHY)
    batch = Batch.objects.get(pk=order["batch"])
    assert (batch.state, batch.notified_at is not None) == (BatchState.WAITING, True), "another was told"
    attempt = Attempt.objects.get()
    assert (attempt.fault, attempt.ended_at is not None) == ("host_stopped", True)
    found = Run.objects.get(pk=run.pk)
    assert (found.state, found.faults) == (before, 0)
    assert before != RunState.HALTED
    assert Submission.objects.get().charged
    with pytest.raises(LeaseLost):
        pipeline.heartbeat(host, batch.pk, fence=order["fence"], done=0)
    again = gpu_host.claim(other, batch)
    gpu_host.report(other, again, [gpu_host.finished(again, 0, masks.nifti(masks.cube()))])
    actions = dict(AuditEntry.objects.filter(target_type="host").values_list("action", "why"))
    assert actions == {"drain": WHY, "stop": WHY}


def test_a_host_without_work_drains_only(host):
    stopping.stop(host, by=BY, why=WHY)
    assert Host.objects.get().draining
    assert [*AuditEntry.objects.values_list("action", flat=True)] == ["drain"]
