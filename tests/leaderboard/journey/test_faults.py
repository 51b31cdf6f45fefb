"""Every known way to die, from what the host saw to what the team reads and what it is charged.

The rows go the whole way: the verdict on an ending, the report as JSON, the worker API over HTTP, the rows, the page's
view. How the host comes to see these endings is in tests/containers (sandbox/test_run, host/test_recovery and
host/test_host_faults).
"""

import json
import uuid
from typing import Any

import pytest
import redis
from celery import Celery
from django.db import connection
from django.test import Client
from redis.backoff import NoBackoff
from redis.retry import Retry

from containers.protocol.reports import Blob, ContainerReport, Fault, Report, case_reports, fault_report
from containers.protocol.verdicts import CASE_FAILURES, FAULTS, Ending, classify
from leaderboard.celery import app
from leaderboard.core import blobs, clock, events, task_queue
from leaderboard.journey import faults, pipeline, reasons
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Attempt, Batch, Host, Run, Submission
from leaderboard.processes import sweeper
from leaderboard.states import BatchState, RunState
from tests.leaderboard import cast, gpu_host, masks, seen

pytestmark = pytest.mark.django_db(transaction=True)

GPU_MESSAGE = 'could not select device driver "" with capabilities: [[gpu]]'
GPU_GONE = "OCI runtime create failed: nvidia-container-cli: device error: GPU-1: unknown device: unknown"
NO_PROGRAM = 'OCI runtime create failed: runc create failed: exec: "/nope": stat /nope: no such file: unknown'
NO_SPACE = "error creating overlay mount to /var/lib/docker/overlay2/1: no space left on device"


@pytest.fixture
def run() -> Run:
    """A run over five public cases whose canary waits for the one slot of a host."""
    phase = cast.phase(cast.case_set(5), cases_are_public=True)
    cast.host()
    masks.give_references(masks.cube())
    return cast.submit_checked(cast.team_of(cast.person("Alice")), phase).runs.get()


@pytest.fixture
def api() -> Client:
    return Client(headers={"Authorization": f"Bearer {cast.TOKEN}"}, raise_request_exception=False)


def post(api: Client, path: str, body: dict[str, Any]) -> Any:
    return api.post(f"/worker/v1/batches/{path}", json.dumps(body), content_type="application/json")


def claim(api: Client, run: Run) -> dict[str, Any]:
    answer = post(api, f"{gpu_host.waiting(run).pk}/claim", {"key": str(uuid.uuid4()), "slot": "slot0"})
    assert answer.status_code == 200
    order: dict[str, Any] = answer.json()
    return order


def names(order: dict[str, Any]) -> list[str]:
    return [case["name"] for case in order["cases"]]


def judged(order: dict[str, Any], ending: Ending) -> dict[str, Any]:
    """The report of a host that saw this ending and found no mask, as containers/sandbox/run.py puts it together."""
    verdict = classify(ending)
    if verdict.fault and ending.exit_code is None:
        return fault_report(order["fence"], names(order), Fault(verdict.fault, ending.start_error)).to_json()
    fault = Fault(verdict.fault, "seen") if verdict.fault else None
    cases = case_reports(names(order), {}, verdict, appeared_seconds=(), ended_seconds=1.0)
    return Report(order["fence"], cases, ContainerReport(ending.exit_code, ending.oom_killed, 1.0), fault).to_json()


def finished(order: dict[str, Any]) -> dict[str, Any]:
    """The report of a container that did its work."""
    mask = gpu_host.finished(order, 0, masks.nifti(masks.cube()))["output"]
    found = {names(order)[0]: Blob(**mask)}
    cases = case_reports(names(order), found, classify(Ending(0)), appeared_seconds=(1.0,), ended_seconds=1.0)
    return Report(order["fence"], cases, ContainerReport(0, False, 1.0)).to_json()


def is_charged() -> bool:
    return Submission.objects.get().charged


# --- theirs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (Ending(0), "missing"),
        (Ending(1), "crashed"),
        (Ending(134), "crashed"),  # SIGABRT
        (Ending(139), "crashed"),  # SIGSEGV
        (Ending(143), "crashed"),  # SIGTERM
        (Ending(137), "killed"),  # SIGKILL, and the engine saw no lack of memory
        (Ending(1, oom_killed=True), "out_of_memory"),
        (Ending(137, timeout="timed_out"), "timed_out"),
        (Ending(137, timeout="startup_timed_out"), "startup_timed_out"),
        (Ending(1, output_full=True), "output_full"),
        (Ending(153), "file_too_large"),  # SIGXFSZ
        (Ending(127), "could_not_start"),
        (Ending(None, start_error=NO_PROGRAM), "could_not_start"),
        (Ending(None, start_error="No command specified"), "could_not_start"),
    ],
)
def test_what_is_theirs_costs_the_case_and_is_told_with_advice(api, run, ending, told):
    order = claim(api, run)
    assert post(api, f"{order['batch']}/report", judged(order, ending)).json() == {"accepted": True}
    gpu_host.score_reported(run)
    run.refresh_from_db()
    view = seen.by_team(run.submission)
    lost = run.cases.get(position=0)
    assert (lost.reason_code, lost.result["dice"]) == (told, 0)
    assert view.headline == "1 case lost"
    assert reasons.FAILURES[told].title in view.reason
    assert view.advice == reasons.FAILURES[told].advice
    assert (run.state, is_charged()) == (RunState.CANARY, True)


# --- ours -------------------------------------------------------------------------------------------------------------


OURS = [
    (Ending(137, holder_alive=False), "engine_restarted"),
    (Ending(0, holder_alive=False), "engine_restarted"),
    (Ending(1, gpu_fault="gpu_lost"), "gpu_lost"),
    (Ending(137, timeout="timed_out", gpu_fault="gpu_lost"), "gpu_lost"),
    (Ending(None, start_error=GPU_MESSAGE), "no_gpu_runtime"),
    (Ending(None, start_error=GPU_GONE), "gpu_lost"),
    (Ending(None, start_error=NO_SPACE), "disk_full"),
    (Ending(None, start_error="No such image: sha256:12"), "image_unavailable"),
    (
        Ending(None, start_error='invalid mount config for type "bind": bind source path does not exist: /x'),
        "input_unavailable",
    ),
    (Ending(None, start_error="unknown or invalid runtime name: runsc"), "internal"),
    (Ending(None, start_error="words that no engine has said before"), "internal"),
]


def test_what_is_ours_costs_nothing_and_is_tried_again(api, run, settings):
    """As often as it comes: one run meets it all."""
    settings.MAX_FAULTS = len(OURS) + 1
    order = claim(api, run)
    for ending, code in OURS:
        assert post(api, f"{order['batch']}/report", judged(order, ending)).json() == {"accepted": True}
        assert_ours(run, code)
        order = goes_on_with(api, run, order)


def test_every_fault_that_a_host_can_name_is_ours(api, run, settings):
    """One run meets them all, one after the other."""
    settings.MAX_FAULTS = len(FAULTS) + 1
    order = claim(api, run)
    for code in sorted(FAULTS):
        cases = () if code == "order_unreadable" else names(order)  # it could not read them
        said = fault_report(order["fence"], cases, Fault(code, f"{code}, as the host saw it")).to_json()
        assert post(api, f"{order['batch']}/report", said).json() == {"accepted": True}
        assert_ours(run, code)
        assert Attempt.objects.get(fence=order["fence"]).detail == f"{code}, as the host saw it"
        order = goes_on_with(api, run, order)


def test_a_worker_that_was_killed_with_its_machine_is_our_fault(api, run):
    order = claim(api, run)
    Batch.objects.update(lease_until=clock.now())
    sweeper.sweep()
    assert_ours(run, "host_lost")
    goes_on_with(api, run, order)
    assert post(api, f"{order['batch']}/report", judged(order, Ending(1))).status_code == 409  # back from the dead


def test_a_reference_that_cannot_be_read_is_our_fault(api, run):
    order = claim(api, run)
    post(api, f"{order['batch']}/report", finished(order))
    reference = blobs.references.path(run.cases.get(position=0).case.reference)
    away = reference.rename(reference.with_suffix(".away"))
    gpu_host.score_reported(run)
    assert_ours(run, "scoring")
    away.rename(reference)
    faults.resume(Run.objects.get(pk=run.pk))
    gpu_host.score_reported(run)
    assert run.cases.get(position=0).result["dice"] == pytest.approx(1.0)


def assert_ours(run: Run, code: str) -> None:
    """The run waits, nothing is charged, no case is lost, and the team reads that it is not to blame: no more."""
    run.refresh_from_db()
    view = seen.by_team(run.submission)
    assert (run.state, run.reason_code, is_charged()) == (RunState.HALTED, code, False)
    assert view.headline == reasons.INTERRUPTED.title
    assert reasons.INTERRUPTED.means in view.reason
    assert not run.cases.filter(reason_code__gt="").exists()
    assert view.failed == 0


def goes_on_with(api: Client, run: Run, order: dict[str, Any]) -> dict[str, Any]:
    """After the pause the same cases are run again, and the run is charged again; the order to do so."""
    Run.objects.update(retry_at=clock.now())
    sweeper.sweep()
    assert is_charged()
    again = claim(api, run)
    assert (names(again), again["fence"]) == (names(order), order["fence"] + 1)
    return again


def test_what_a_team_reads_has_words_for_every_code():
    assert set(CASE_FAILURES) <= set(reasons.FAILURES)
    assert not set(FAULTS) & set(reasons.FAILURES)


def test_a_report_that_names_no_case_needs_a_fault(api, run):
    order = claim(api, run)
    said = fault_report(order["fence"], (), Fault("internal", "")).to_json() | {"fault": None}
    assert post(api, f"{order['batch']}/report", said).status_code == 400


# --- the database and the broker --------------------------------------------------------------------------------------


def test_a_database_that_goes_away_while_a_report_comes_in_takes_all_of_it_later(api, run, monkeypatch):
    order = claim(api, run)
    end_attempt = pipeline._end_attempt

    def lose_the_connection(*arguments):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(pipeline, "_end_attempt", lose_the_connection)
    said = finished(order)
    assert post(api, f"{order['batch']}/report", said).status_code == 503  # the host asks again until it is answered
    connection.close()  # as at a request's end; the tests' client does not
    assert Batch.objects.get().state == BatchState.LEASED
    assert not run.cases.exclude(outcome="").exists()
    monkeypatch.setattr(pipeline, "_end_attempt", end_attempt)
    assert post(api, f"{order['batch']}/report", said).json() == {"accepted": True}
    gpu_host.score_reported(run)
    assert run.cases.get(position=0).result["dice"] == pytest.approx(1.0)
    assert is_charged()


@pytest.fixture
def no_broker(monkeypatch):
    """A broker that refuses every connection, until called."""
    away = Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=False)
    away.conf.broker_transport_options = app.conf.broker_transport_options
    away.conf.task_queues = app.conf.task_queues
    monkeypatch.setattr(task_queue, "app", away)
    monkeypatch.setattr(task_queue, "_away_until", 0.0)
    monkeypatch.setattr(events, "connection", lambda: redis.Redis(port=1, retry=Retry(NoBackoff(), 0)))

    def back() -> None:
        monkeypatch.undo()
        monkeypatch.setattr(task_queue, "_away_until", 0.0)

    return back


def test_a_broker_that_is_away_loses_nothing(api, run, no_broker, settings):
    order = claim(api, run)
    assert post(api, f"{order['batch']}/report", finished(order)).json() == {"accepted": True}
    assert (Batch.objects.get().state, is_charged()) == (BatchState.REPORTED, True)
    no_broker()
    sweeper.sweep()  # a process's first round asks for more than later ones
    queue = events.connection()
    before = queue.llen(f"{settings.INSTANCE}:scoring")
    Batch.objects.update(notified_at="2020-01-01T00:00Z")
    sweeper.sweep()
    assert queue.llen(f"{settings.INSTANCE}:scoring") == before + 1
    gpu_host.score_reported(run)
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_a_gpu_host_that_is_revoked_ends_its_batch_as_a_lost_one(api, run):
    order = claim(api, run)
    Host.objects.update(revoked_at=clock.now())
    assert post(api, f"{order['batch']}/report", judged(order, Ending(1))).status_code == 401
    Batch.objects.update(lease_until=clock.now())
    sweeper.sweep()
    assert_ours(run, "host_lost")
    with pytest.raises(LeaseLost):
        gpu_host.report(Host.objects.get(), order, [gpu_host.lost(order, 0)])
