"""What the health page finds, and what it says to do."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.db import OperationalError
from django.db.models import F

from leaderboard.core import clock, events, process_heartbeat
from leaderboard.hosts import slots
from leaderboard.journey import pipeline
from leaderboard.models import Attempt, Batch, Host, ProcessHeartbeat, Run, RunCase
from leaderboard.operations import health
from leaderboard.operations.health import DAY, HOUR, Facts, HostFacts, Level, MailFacts, PhaseFacts, RecordFacts
from leaderboard.processes.tasks import make_board
from leaderboard.rescoring.progress import Overview
from leaderboard.submissions import uploads
from tests.leaderboard import cast, gpu_host, masks

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOST = HostFacts(
    name="gpu-1",
    version="1",
    silent_seconds=3,
    is_alive=True,
    draining=False,
    slots=2,
    busy=1,
    free_bytes=10**12,
    faults_last_hour=0,
)
PHASE = PhaseFacts(slug="test", name="Test phase", is_open=True, closes_at=NOW)
WELL = Facts(
    at=NOW,
    heartbeat_ages={"sweeper": 1.0, "control@a": 5.0, "scoring@a": 5.0},
    hosts=(HOST,),
    phases=(PHASE,),
    store_free_bytes=500 * 10**9,
    store_bytes=1000 * 10**9,
)


def levels(facts: Facts) -> dict[str, Level]:
    """The checks that are not ok."""
    return {check.name: check.level for check in health.checks(facts) if check.level}


def test_a_server_that_is_well_has_nothing_to_do():
    assert levels(WELL) == {}


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"database_answers": False}, {"database": Level.FAILING}),
        ({"uncopied": ("val",)}, {"downloads": Level.WARNING}),
        ({"record": RecordFacts(9, 60.0, ("Entry 3 is gone.",))}, {"record": Level.FAILING}),
        ({"record": RecordFacts(9, 60.0, oldest_unchained=601.0)}, {"record": Level.WARNING}),
        ({"rescoring": Overview(behind=("test",))}, {"rescoring": Level.WARNING}),
        ({"rescoring": Overview(to_decide=("test",))}, {"rescoring": Level.WARNING}),
        ({"rescoring": Overview(stuck=("test",))}, {"rescoring": Level.WARNING}),
        ({"broker_answers": False}, {"broker": Level.FAILING}),
        ({"heartbeat_ages": {**WELL.heartbeat_ages, "sweeper": 90.0}}, {"sweeper": Level.FAILING}),
        ({"heartbeat_ages": {"sweeper": 1.0, "scoring@a": 1.0}}, {"control": Level.FAILING}),
        ({"heartbeat_ages": {**WELL.heartbeat_ages, "control@b": 9000.0}}, {}),  # another machine's took over
        ({"hosts": ()}, {"hosts": Level.FAILING}),
        ({"hosts": (), "phases": ()}, {}),
        ({"hosts": (), "phases": (replace(PHASE, takes_images=False, at_work=1),)}, {}),  # masks need none
        ({"hosts": (replace(HOST, draining=True),)}, {"hosts": Level.FAILING}),
        ({"hosts": (HOST, replace(HOST, name="gpu-2", is_alive=False))}, {"silent": Level.WARNING}),
        ({"hosts": (replace(HOST, faults_last_hour=3),)}, {"silent": Level.WARNING}),
        ({"hosts": (replace(HOST, trouble="gpu0 rests after 2 x gpu_lost"),)}, {"silent": Level.WARNING}),
        ({"hosts": (HOST, replace(HOST, name="gpu-2", mute_seconds=90.0))}, {"silent": Level.WARNING}),
        ({"hosts": (replace(HOST, mute_seconds=90.0),)}, {"silent": Level.WARNING, "hosts": Level.FAILING}),
        ({"hosts": (replace(HOST, free_bytes=10 * 10**9),)}, {"host_disks": Level.WARNING}),
        ({"hosts": (replace(HOST, free_bytes=10**9),)}, {"host_disks": Level.FAILING}),
        ({"hosts": (replace(HOST, free_bytes=None),)}, {}),
        ({"oldest_image": 0.5 * HOUR}, {"images": Level.WARNING}),
        ({"oldest_image": 2 * HOUR}, {"images": Level.FAILING}),
        ({"oldest_run": 5 * HOUR}, {}),  # a long queue is no fault
        ({"oldest_run": 300.0, "run_waits_beside_free_slot": True}, {"queue": Level.FAILING}),
        ({"oldest_run": 2.0, "run_waits_beside_free_slot": True}, {}),  # it has just been called
        ({"oldest_run": 2.0, "run_fits_no_host": True}, {"queue": Level.WARNING}),
        ({"phases": (replace(PHASE, backlog_seconds=5 * DAY),)}, {"backlog": Level.WARNING}),
        ({"oldest_score": 0.25 * HOUR}, {"scores": Level.WARNING}),
        ({"oldest_score": HOUR}, {"scores": Level.FAILING}),
        ({"boards": {"Test": 30.0, "Validation": 900.0}}, {"boards": Level.WARNING}),
        ({"boards": {"Test": HOUR, "Validation": 10.0}}, {"boards": Level.FAILING}),
        ({"halted": 1, "oldest_halted": 60.0}, {"stuck": Level.WARNING}),
        ({"halted": 1, "stuck": 1}, {"stuck": Level.FAILING}),
        ({"faults_last_day": {"internal": 2}}, {}),
        ({"faults_last_day": {"internal": 2}, "faults_last_hour": 1}, {"faults": Level.WARNING}),
        ({"faults_last_day": {"internal": 20}, "faults_last_hour": 20}, {"faults": Level.FAILING}),
        ({"leases": 2, "leases_ending": 1}, {"leases": Level.WARNING}),
        ({"leases_lost_last_hour": 1}, {"leases": Level.WARNING}),
        ({"leases_lost_last_hour": 10}, {"leases": Level.FAILING}),
        ({"store_free_bytes": 100 * 10**9}, {"store": Level.WARNING}),
        ({"store_free_bytes": 10**9}, {"store": Level.FAILING}),
        ({"store_turns_uploads_away": True}, {"store": Level.FAILING}),
        ({"mails": MailFacts(waiting=9, oldest=60.0, given_up_last_hour=1)}, {}),
        ({"mails": MailFacts(waiting=9, oldest=600.0)}, {"mail": Level.WARNING}),
        ({"mails": MailFacts(waiting=9, oldest=DAY)}, {"mail": Level.FAILING}),
        ({"mails": MailFacts(waiting=9, given_up_last_hour=5, sent_last_hour=1)}, {}),  # strangers mistype addresses
        ({"mails": MailFacts(given_up_last_hour=5)}, {"mail": Level.WARNING}),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else(wrong, found):
    assert levels(replace(WELL, **wrong)) == found


def test_a_host_of_both_kinds_of_cases_is_told_while_phases_of_both_are_open():
    public = replace(PHASE, name="Validation phase", cases_are_public=True)
    both = replace(WELL, phases=(PHASE, public))
    assert levels(both)["separation"] == Level.WARNING
    assert "separation" not in levels(replace(both, phases=(PHASE, replace(public, is_open=False))))
    assert "separation" not in levels(replace(both, phases=(PHASE, replace(public, takes_images=False))))
    assert levels(replace(both, phases=(replace(PHASE, has_try_outs=True),)))["separation"] == Level.WARNING
    assert "separation" not in levels(replace(both, hosts=(replace(HOST, serves="hidden"),)))


def test_every_trouble_says_what_to_do():
    worst = replace(
        WELL,
        broker_answers=False,
        heartbeat_ages={},
        hosts=(replace(HOST, free_bytes=1), replace(HOST, name="gpu-2", is_alive=False)),
        oldest_image=DAY,
        oldest_score=DAY,
        stuck=2,
        faults_last_hour=99,
        leases_lost_last_hour=99,
        store_free_bytes=0,
        mails=MailFacts(oldest=DAY),
    )
    resting = replace(WELL, hosts=(replace(HOST, trouble="gpu0 rests after 2 x " + "x" * 900),) * 2)
    for check in (*health.checks(worst), *health.checks(resting)):
        if check.level:
            assert any(
                word in check.says.lower() for word in ("start", "look", "choose", "say which", "remove", "archive")
            ), check
            assert len(check.says) < 250


def test_the_backlog_is_shared_by_the_slots_that_take_work():
    facts = replace(WELL, phases=(replace(PHASE, backlog_seconds=1000.0),))
    assert facts.backlog_seconds == 500
    assert replace(facts, hosts=(replace(HOST, draining=True),)).backlog_seconds is None
    assert replace(WELL, hosts=()).backlog_seconds == 0


# --- the facts, from real rows ----------------------------------------------------------------------------------------

rows = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(db) -> Run:
    """A run over three cases whose canary waits for the one slot of a host."""
    phase = cast.phase(cast.case_set(3))
    cast.host()
    return cast.submit_checked(cast.team_of(cast.person("Alice")), phase).runs.get()


@rows
def test_a_busy_host_of_which_only_heartbeats_are_heard_is_in_trouble_and_gets_no_work(run):
    """Its engine hangs, and with it what says hello: so does a worker of before, which waits for its engine."""
    host, order = Host.objects.get(), gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
    Host.objects.update(hello_at=clock.now(), slots=[*host.slots, {"name": "slot1", "gpus": []}])
    assert not levels(replace(health.facts(), heartbeat_ages=WELL.heartbeat_ages, boards={}))
    assert [slot.gpus for slot in slots.free_slots(clock.now())] == [0]
    Host.objects.update(hello_at=clock.now() - timedelta(seconds=90))
    pipeline.heartbeat(host, uuid.UUID(order["batch"]), fence=order["fence"], done=0)
    found = replace(health.facts(), heartbeat_ages=WELL.heartbeat_ages)
    assert levels(found)["silent"] == Level.WARNING
    assert any("may hang" in check.says for check in health.checks(found))
    assert slots.free_slots(clock.now()) == []


@rows
def test_an_empty_server_is_looked_at_without_trouble():
    facts = health.facts()
    assert facts.broker_answers
    assert (facts.halted, facts.leases, facts.phases) == (0, 0, ())
    assert facts.store_bytes > facts.store_free_bytes > 0


@rows
def test_a_process_is_alive_by_its_beat():
    process_heartbeat.beat("control@a")
    process_heartbeat.beat("control@a")
    ProcessHeartbeat.objects.create(name="control@gone", at=clock.now() - timedelta(days=8))
    assert list(health.facts().heartbeat_ages) == ["control@a"]
    assert health.facts().heartbeat_ages["control@a"] < 30


@rows
def test_a_board_is_well_since_a_worker_looked_at_it(run, monkeypatch):
    phase = run.submission.phase
    assert health.facts().boards[phase.name] > HOUR  # since the phase opened
    make_board(str(phase.pk))
    assert health.facts().boards[phase.name] < 30
    assert health.facts().heartbeat_ages == {}
    later = clock.now() + timedelta(minutes=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    with cast.another_process_at("board", phase.pk):  # and which does not come to an end
        make_board(str(phase.pk))
    assert levels(health.facts())["boards"] == Level.WARNING


@rows
def test_work_is_counted_by_phase_with_its_age(run):
    cast.submit(run.submission.team, run.submission.phase)
    second = cast.submit_checked(run.submission.team, cast.phase(cast.case_set(2, name="more"), slug="more"))
    facts = health.facts()
    test, more = sorted(facts.phases, key=lambda phase: phase.slug, reverse=True)
    assert (test.checking, test.at_work, test.open_cases) == (1, 1, 3)
    assert (more.queued, more.open_cases) == (1, 2)
    assert facts.oldest_image is not None
    assert facts.oldest_run is not None
    assert not facts.run_waits_beside_free_slot
    assert second.stage == "queued"


@rows
def test_the_backlog_is_what_slots_were_held_for_and_not_only_the_programs_own_time(run):
    order = gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
    gpu_host.report(Host.objects.get(), order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    ago = timedelta(minutes=1)  # the average is as of the last full minute
    RunCase.objects.update(decided_at=F("decided_at") - ago)
    Attempt.objects.update(ended_at=F("ended_at") - ago, claimed_at=F("ended_at") - ago - timedelta(seconds=40))
    (phase,) = health.facts().phases
    assert (phase.open_cases, phase.backlog_seconds) == (2, 80)


@rows
def test_a_run_that_was_resumed_has_not_waited_since_it_was_submitted(run):
    Run.objects.update(created_at=clock.now() - timedelta(days=3))
    Host.objects.update(seen_at=None)
    order_time = health.facts()
    assert order_time.oldest_run is None
    Run.objects.update(state="queued")
    assert (health.facts().oldest_run or 999) < 60


@rows
def test_a_host_at_work_and_one_that_drains(run):
    gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
    Host.objects.update(draining=True, free_bytes=7)
    (host,) = health.facts().hosts
    assert (host.busy, host.slots, host.draining, host.free_bytes, host.is_alive) == (1, 1, True, 7, True)
    assert health.facts().slots == 0


@rows
def test_leases_that_end_soon_or_were_lost(run):
    gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
    assert (health.facts().leases, health.facts().leases_ending) == (1, 0)
    Batch.objects.update(lease_until=clock.now() + timedelta(seconds=2))
    assert health.facts().leases_ending == 1
    Attempt.objects.update(fault="host_lost", ended_at=clock.now() - timedelta(minutes=59))
    assert health.facts().leases_lost_last_hour == 1
    Attempt.objects.update(ended_at=clock.now() - timedelta(minutes=61))
    assert health.facts().leases_lost_last_hour == 0


@rows
def test_a_fault_of_ours_is_counted_by_its_code_and_its_host(run, settings):
    settings.MAX_FAULTS = 1
    order = gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
    gpu_host.report(Host.objects.get(), order, [gpu_host.lost(order, 0, "untouched", None)], fault="gpu_lost")
    facts = health.facts()
    assert facts.faults_last_day == {"gpu_lost": 1}
    assert (facts.faults_last_hour, facts.halted, facts.stuck) == (1, 1, 1)
    assert facts.hosts[0].faults_last_hour == 1
    assert facts.oldest_halted is not None


@rows
def test_a_mask_that_waits_for_its_scores(run):
    case = run.cases.first()
    masks.give_reference(case.case, masks.cube())
    order = gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
    gpu_host.report(Host.objects.get(), order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    RunCase.objects.exclude(outcome="").update(decided_at=clock.now() - timedelta(hours=1))
    assert (health.facts().oldest_score or 0) > 3500
    assert levels(health.facts())["scores"] == Level.FAILING


@rows
def test_uploads_in_progress_are_those_that_still_grow(store):
    (store / "incoming" / f"{uploads.PREFIX}x").write_bytes(b"part of an archive")
    (store / "incoming" / "check-of-an-image").mkdir()
    assert health.facts().uploads == 1


@rows
def test_a_broker_that_is_away_is_a_finding(monkeypatch):
    monkeypatch.setattr(events, "connection", lambda: redis.Redis(port=1, socket_connect_timeout=0.2))
    assert levels(health.facts())["broker"] == Level.FAILING


def test_a_database_that_is_away_is_a_finding(monkeypatch):
    def away():
        raise OperationalError("connection refused")

    monkeypatch.setattr(clock, "now", away)
    found = health.snapshot()
    assert [check.name for check in found.checks] == ["database"]
    assert found.level is Level.FAILING
