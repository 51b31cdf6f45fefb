"""The journey, step by step, with masks that are scored for real."""

import uuid
from datetime import timedelta

import pytest

from evaluation.isolation import fork_server
from evaluation.isolation.fork_server import ForkServer
from leaderboard.core import blobs, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, pipeline
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Attempt, Batch, Case, Host, Phase, Run, Submission
from leaderboard.processes import sweeper
from leaderboard.states import OPEN_BATCH_STATES, BatchState, RunState, SubmissionState
from leaderboard.submissions import intake
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(team, host) -> Run:
    """A run over five cases, batches of two, whose canary waits."""
    phase = cast.phase(cast.case_set(5))
    masks.give_references(masks.cube())
    return cast.submit_checked(team, phase).runs.get()


def pass_canary(host, run) -> None:
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    gpu_host.score_reported(run)
    run.refresh_from_db()


def finish_all(host, run) -> None:
    while run.batches.filter(state=BatchState.WAITING).exists():
        order = gpu_host.claim(host, gpu_host.waiting(run))
        cases = [gpu_host.finished(order, n, masks.nifti(masks.cube())) for n in range(len(order["cases"]))]
        gpu_host.report(host, order, cases)
        gpu_host.score_reported(run)
    run.refresh_from_db()


def test_a_run_begins_with_one_case_alone(run):
    run.refresh_from_db()
    assert run.state == RunState.CANARY
    batch = run.batches.get()
    assert batch.is_canary
    assert batch.cases.count() == 1


def test_an_order_tells_nothing_but_the_case(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    entry = order["cases"][0]["entry"]
    assert set(entry) == {"name", "findings", "shape", "spacing"}
    assert entry["name"] == order["cases"][0]["name"] != run.cases.get(position=0).case.name
    assert "Alice" not in str(order)


def test_categories_are_in_the_order_only_where_the_phase_says_so(host, run):
    run.submission.phase.show_categories = True
    run.submission.phase.save()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    assert order["cases"][0]["entry"]["categories"] == {"0": "2d"}


def test_a_passed_canary_releases_all_batches_at_once(host, run):
    pass_canary(host, run)
    assert run.state == RunState.RUNNING
    waiting = run.batches.filter(state=BatchState.WAITING)
    assert [batch.cases.count() for batch in waiting] == [2, 2]


def test_a_run_whose_cases_are_all_scored_stands_on_the_board(host, run):
    pass_canary(host, run)
    finish_all(host, run)
    assert run.state == RunState.SCORED
    standing = run.standings.get(scope="all")
    assert standing.dice == pytest.approx(1.0)
    assert standing.lost_cases == 0
    assert run.standings.get(scope="half").cases == 3


def test_a_failed_canary_costs_its_case_and_the_next_case_becomes_the_canary(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0)], exit_code=1)
    gpu_host.score_reported(run)
    second = gpu_host.waiting(run)
    assert second.is_canary
    assert run.cases.get(batch=second).position == 1
    assert run.cases.get(position=0).result["dice"] == 0


def test_a_canary_that_crashes_after_writing_does_not_pass(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))], exit_code=1)
    gpu_host.score_reported(run)
    assert run.cases.get(position=0).outcome == "failed"
    assert gpu_host.waiting(run).is_canary


def test_a_canary_with_an_unreadable_mask_does_not_pass(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, b"not a mask")])
    gpu_host.score_reported(run)
    assert run.cases.get(position=0).result["status"] == "invalid"
    assert gpu_host.waiting(run).is_canary


def test_too_many_failures_in_a_row_end_the_run(host, run):
    for _ in range(3):
        order = gpu_host.claim(host, gpu_host.waiting(run))
        gpu_host.report(host, order, [gpu_host.lost(order, 0)], exit_code=1)
        gpu_host.score_reported(run)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert run.reason_code == "failures_in_row"
    assert Submission.objects.get().charged
    assert not run.standings.exists()


def test_a_crash_costs_one_case_and_the_rest_gets_a_new_container(host, run):
    pass_canary(host, run)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0), gpu_host.lost(order, 1, "untouched", None)], exit_code=1)
    assert run.batches.filter(state=BatchState.WAITING).count() == 2
    gpu_host.score_reported(run)
    finish_all(host, run)
    assert run.state == RunState.SCORED
    standing = run.standings.get(scope="all")
    assert standing.lost_cases == 1
    assert standing.dice == pytest.approx(4 / 5)


def test_missing_masks_count_as_lost(host, run):
    pass_canary(host, run)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    cases = [
        gpu_host.finished(order, 0, masks.nifti(masks.cube())),
        gpu_host.lost(order, 1, "missing", "missing"),
    ]
    gpu_host.report(host, order, cases)
    gpu_host.score_reported(run)
    finish_all(host, run)
    assert run.standings.get(scope="all").lost_cases == 1
    assert run.cases.filter(reason_code="missing").count() == 1


def test_a_repeated_claim_gets_the_same_order(host, run):
    batch, key = gpu_host.waiting(run), uuid.uuid4()
    assert gpu_host.claim(host, batch, key=key) == gpu_host.claim(host, batch, key=key)
    assert batch.attempts.count() == 1


def test_a_second_host_cannot_claim_a_leased_batch(host, run):
    batch = gpu_host.waiting(run)
    gpu_host.claim(host, batch)
    with pytest.raises(LeaseLost):
        gpu_host.claim(cast.host("gpu-2", token="other"), batch)


def test_an_image_that_no_engine_can_unpack_is_rejected_and_costs_nothing(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.refuse_image(host, order)
    submission = Submission.objects.get(pk=run.submission_id)
    assert submission.stage == SubmissionState.REJECTED
    assert submission.reason_code == "not_unpackable"
    assert "Build the image with docker build" in submission.reason
    assert not submission.charged
    assert not run.batches.filter(state__in=OPEN_BATCH_STATES).exists()
    with pytest.raises(LeaseLost):
        gpu_host.refuse_image(host, order)


def test_an_image_that_ran_before_is_not_to_blame_when_a_host_cannot_unpack_it(host, run):
    pass_canary(host, run)
    gpu_host.refuse_image(host, gpu_host.claim(host, gpu_host.waiting(run)))
    run.refresh_from_db()
    assert run.state == RunState.HALTED
    assert run.reason_code == "image_unavailable"
    assert run.submission.stage == RunState.HALTED


GPUS = {"driver": "550.54.15", "cuda": "12.4", "handover": "runtime", "devices": []}
UNMET = "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver"


def offers(host, cuda):
    Host.objects.filter(pk=host.pk).update(gpus=GPUS | {"cuda": cuda})
    host.refresh_from_db()


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (
            UNMET,
            "The image needs cuda>=12.9 (its NVIDIA_REQUIRE_... variables), and the GPU hosts have CUDA 12.4 with ",
        ),
        ("<script>", "The image needs a newer GPU driver than the hosts have"),
    ],
)
def test_an_image_for_a_newer_gpu_driver_is_rejected_with_what_it_needs_and_costs_nothing(host, run, why, told):
    offers(host, "12.4")
    gpu_host.refuse_image(host, gpu_host.claim(host, gpu_host.waiting(run)), "unmet_requirement", why)
    submission = Submission.objects.get(pk=run.submission_id)
    assert (submission.stage, submission.reason_code) == (SubmissionState.REJECTED, "unmet_requirement")
    assert submission.reason.startswith(told)
    assert "<" not in submission.reason
    assert not submission.charged


@pytest.mark.parametrize(
    ("other", "state"),
    [("12.9", RunState.HALTED), ("13", RunState.HALTED), ("12.4", RunState.CANCELLED), ("9.9", RunState.CANCELLED)],
)
def test_it_is_our_fault_while_another_host_has_the_newer_driver(host, run, other, state):
    offers(host, "12.4")
    offers(cast.host("gpu-2", token="other"), other)
    gpu_host.refuse_image(host, gpu_host.claim(host, gpu_host.waiting(run)), "unmet_requirement", UNMET)
    run.refresh_from_db()
    assert run.state == state
    if state == RunState.HALTED:
        assert (run.reason_code, Submission.objects.get(pk=run.submission_id).charged) == ("no_gpu_runtime", False)


def test_a_repeated_report_is_refused_and_changes_nothing(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    cases = [gpu_host.finished(order, 0, masks.nifti(masks.cube()))]
    gpu_host.report(host, order, cases)
    gpu_host.score_reported(run)
    before = run.cases.get(position=0).scored_at
    with pytest.raises(LeaseLost):
        gpu_host.report(host, order, cases)
    gpu_host.score_reported(run)
    assert run.cases.get(position=0).scored_at == before


def test_a_check_that_kills_its_worker_each_time_is_left_to_organisers(settings, monkeypatch):
    def die(_submission: Submission) -> None:
        raise SystemExit

    settings.MAX_FAULTS = 2
    monkeypatch.setattr(intake, "check", die)
    submission = cast.submit(cast.team_of(cast.person("Alice")), cast.phase())
    for _ in range(2):
        with pytest.raises(SystemExit):
            pipeline.validate_image(submission.pk)
    pipeline.validate_image(submission.pk)
    submission.refresh_from_db()
    assert (submission.state, submission.retry_at, submission.charged) == (SubmissionState.HALTED, None, False)


def test_a_host_that_went_silent_loses_its_batch_and_the_run_goes_on(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    Batch.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    sweeper.sweep()
    run.refresh_from_db()
    assert run.state == RunState.HALTED
    assert not Submission.objects.get().charged
    with pytest.raises(LeaseLost):
        pipeline.heartbeat(host, uuid.UUID(order["batch"]), fence=order["fence"], done=0)
    Run.objects.update(retry_at=clock.now())
    sweeper.sweep()
    again = gpu_host.claim(host, gpu_host.waiting(run))
    assert again["cases"] == order["cases"]
    assert again["fence"] == order["fence"] + 1
    assert Submission.objects.get().charged


def test_our_fault_keeps_what_is_finished_and_charges_nothing(host, run):
    pass_canary(host, run)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    cases = [
        gpu_host.finished(order, 0, masks.nifti(masks.cube())),
        gpu_host.lost(order, 1, "untouched", None),
    ]
    gpu_host.report(host, order, cases, fault="engine_restarted")
    run.refresh_from_db()
    assert run.state == RunState.HALTED
    assert run.retry_at > clock.now()
    assert not Submission.objects.get().charged
    Run.objects.update(retry_at=clock.now())
    gpu_host.score_reported(run)
    sweeper.sweep()
    finish_all(host, run)
    assert run.state == RunState.SCORED
    assert run.standings.get(scope="all").lost_cases == 0
    assert run.cases.filter(tries=2).count() == 1


def test_cancelling_stops_the_host_at_its_next_heartbeat(alice, host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    decisions.cancel(run.submission, by=Actor.person(alice))
    with pytest.raises(LeaseLost) as lost:
        pipeline.heartbeat(host, uuid.UUID(order["batch"]), fence=order["fence"], done=0)
    assert lost.value.cancelled
    assert Submission.objects.get().charged


def test_cancelling_before_the_first_container_is_free(alice, run):
    decisions.cancel(run.submission, by=Actor.person(alice))
    assert not Submission.objects.get().charged


def test_a_run_that_was_forgotten_is_found_by_the_sweeper(host, run):
    """A worker that is killed between scoring and advancing leaves a batch of which no worker is told."""
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    Batch.objects.update(notified_at=clock.now() - timedelta(minutes=1))
    sweeper.sweep()
    assert Batch.objects.filter(notified_at__gt=clock.now() - timedelta(seconds=10)).exists()


def test_organisers_can_run_a_submission_again_and_the_old_run_stays(alice, host, run):
    pass_canary(host, run)
    finish_all(host, run)
    again = decisions.run_again(run.submission, by=Actor.person(alice))
    assert again.number == 2
    assert {case.token for case in again.cases.all()}.isdisjoint(case.token for case in run.cases.all())
    run.refresh_from_db()
    assert run.state == RunState.SCORED


def test_cancelling_what_we_interrupted_does_not_charge_it(alice, host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="engine_restarted")
    decisions.cancel(run.submission, by=Actor.person(alice))
    assert not Submission.objects.get().charged


def test_cancelling_a_repeated_run_does_not_give_a_used_run_back(alice, host, run):
    pass_canary(host, run)
    finish_all(host, run)
    Host.objects.update(seen_at=None)
    decisions.run_again(run.submission, by=Actor.person(alice))
    decisions.cancel(run.submission, by=Actor.person(alice))
    assert Submission.objects.get().charged


def test_cancelling_a_run_that_has_just_ended_is_refused(alice, host, run):
    submission = Submission.objects.get()
    pass_canary(host, run)
    finish_all(host, run)
    with pytest.raises(Refused, match="nothing to cancel"):
        decisions.cancel(submission, by=Actor.person(alice))


def test_a_mask_that_our_store_lost_is_our_fault(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    blobs.outputs.path(run.cases.get(position=0).output).unlink()
    gpu_host.score_reported(run)
    run.refresh_from_db()
    assert (run.state, run.reason_code) == (RunState.HALTED, "scoring")
    assert run.cases.get(position=0).result is None


@pytest.fixture
def killed_server():
    """A fork server whose children are killed as soon as they have something to do."""
    work = "def work(requests, answers, _): answers.write(b'ready\\n'); requests.readline(); os.kill(os.getpid(), 9)"
    program = f"import os; from evaluation.isolation import forking\n{work}\nforking.main(orders, work)"
    with ForkServer(program) as server:
        yield server


def test_a_scoring_process_that_is_killed_is_our_fault_and_trying_again_helps(host, run, monkeypatch, killed_server):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    with monkeypatch.context() as machine:
        machine.setattr(fork_server, "shared", killed_server)
        gpu_host.score_reported(run)
    run.refresh_from_db()
    assert (run.state, run.reason_code, run.submission.charged) == (RunState.HALTED, "scoring", False)
    assert run.cases.get(position=0).result is None
    Run.objects.update(retry_at=clock.now())
    sweeper.sweep()
    gpu_host.score_reported(run)
    assert run.cases.get(position=0).result["status"] == "scored"


def test_a_run_that_halted_while_scoring_goes_on_without_a_free_machine(host, run):
    pass_canary(host, run)
    while run.batches.filter(state=BatchState.WAITING).exists():
        order = gpu_host.claim(host, gpu_host.waiting(run))
        cases = [gpu_host.finished(order, n, masks.nifti(masks.cube())) for n in range(len(order["cases"]))]
        gpu_host.report(host, order, cases)
    reference = blobs.references.path(Case.objects.all()[0].reference)
    hidden = reference.rename(reference.with_suffix(".away"))
    gpu_host.score_reported(run)
    run.refresh_from_db()
    assert run.state == RunState.HALTED
    hidden.rename(reference)
    Host.objects.update(seen_at=None)
    Run.objects.update(retry_at=clock.now())
    sweeper.sweep()
    gpu_host.score_reported(run)
    run.refresh_from_db()
    assert run.state == RunState.SCORED


def test_after_too_many_faults_in_a_row_people_must_look(alice, host, run, settings):
    settings.MAX_FAULTS = 2
    for _ in range(2):
        order = gpu_host.claim(host, gpu_host.waiting(run))
        gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
        Run.objects.filter(retry_at__isnull=False).update(retry_at=clock.now())
        sweeper.sweep()
    run.refresh_from_db()
    assert (run.state, run.retry_at) == (RunState.HALTED, None)
    decisions.resume(run.submission, by=Actor.person(alice))
    run.refresh_from_db()
    assert (run.state, run.faults) == (RunState.CANARY, 0)


def test_a_container_that_decided_nothing_for_no_reason_is_our_fault(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)])
    run.refresh_from_db()
    assert run.state == RunState.HALTED


def test_a_host_that_only_pretends_to_live_loses_its_batch(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    Attempt.objects.update(claimed_at=clock.now() - timedelta(hours=5))
    with pytest.raises(LeaseLost):
        pipeline.heartbeat(host, uuid.UUID(order["batch"]), fence=order["fence"], done=0)


def test_a_canary_that_our_machine_killed_after_its_mask_was_written_keeps_it(host, run):
    order = gpu_host.claim(host, gpu_host.waiting(run))
    said = [gpu_host.finished(order, 0, masks.nifti(masks.cube()))]
    gpu_host.report(host, order, said, fault="engine_restarted", exit_code=137)
    assert run.cases.get(position=0).outcome == "finished"


def test_masks_of_an_older_evaluation_are_scored_again_before_the_run_ends(host, run):
    pass_canary(host, run)
    run.cases.filter(position=0).update(evaluation_version="0", result={"status": "scored", "dice": 0.123})
    finish_all(host, run)
    assert run.cases.get(position=0).result["dice"] == pytest.approx(1.0)


def test_one_run_that_breaks_the_sweeper_does_not_stop_it(host, run, monkeypatch, caplog):
    def broken(_run):
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(pipeline, "recheck", broken)
    other = cast.submit_checked(cast.team_of(cast.person("Charlie")), Phase.objects.get())
    Host.objects.update(slots=[{"name": f"slot{n}", "gpus": []} for n in range(2)])
    sweeper.sweep()
    assert other.runs.get().state == RunState.CANARY
    assert "sweeping" in caplog.text
