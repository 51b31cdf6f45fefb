"""Runs per day and in total: by the database's clock, whoever else is in a hurry, and given back when they must be."""

import os
import time
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone as django_timezone

from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, faults, pipeline
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Host, Phase, Submission
from leaderboard.states import RunState, SubmissionState
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.journey.test_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)

ALWAYS: dict[str, Any] = {"opens_at": datetime(2000, 1, 1, tzinfo=UTC), "closes_at": datetime(2100, 1, 1, tzinfo=UTC)}


@pytest.fixture
def at(monkeypatch):
    """Sets the database's clock."""

    def set_to(instant: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: instant)

    return set_to


def used(team, phase) -> tuple[int, int]:
    quota = quota_of(team, phase, clock.now())
    return quota.today_used, quota.total_used


# --- days -------------------------------------------------------------------------------------------------------------


def test_a_day_ends_at_midnight_utc_to_the_microsecond(team, at):
    phase = cast.phase(runs_per_day=1, **ALWAYS)
    midnight = datetime(2026, 8, 2, tzinfo=UTC)
    at(midnight - timedelta(microseconds=1))
    cast.submit(team, phase)
    with pytest.raises(Refused, match="next day begins on Aug 2, 2026 00:00 UTC"):
        cast.submit(team, phase)
    at(midnight)
    cast.submit(team, phase)
    assert [one.quota_day for one in Submission.objects.order_by("pk")] == [date(2026, 8, 1), date(2026, 8, 2)]


def test_on_the_last_day_no_new_one_is_promised(team, at):
    closes_at = datetime(2026, 8, 2, tzinfo=UTC)
    phase = cast.phase(runs_per_day=1, **{**ALWAYS, "closes_at": closes_at})
    at(closes_at - timedelta(hours=2))
    cast.submit(team, phase)
    quota = quota_of(team, phase, clock.now())
    assert (quota.today_left, quota.total_left, quota.renews_at) == (0, 9, None)
    with pytest.raises(Refused, match="closes before the next day begins, on Aug 2, 2026 00:00 UTC"):
        cast.submit(team, phase)
    phase.closes_at += timedelta(microseconds=1)
    assert quota_of(team, phase, clock.now()).renews_at == closes_at


@pytest.mark.parametrize(
    ("per_day", "total", "left"), [(0, 9, (0, 8)), (2, 1, (0, 0)), (5, 3, (2, 2)), (2, 0, (0, 0)), (3, 9, (2, 8))]
)
def test_no_more_is_left_today_than_in_all_and_never_less_than_none(team, per_day, total, left):
    phase = cast.phase()
    cast.submit(team, phase)
    phase.runs_per_day, phase.runs_total = per_day, total
    quota = quota_of(team, phase, clock.now())
    assert (quota.today_left, quota.total_left) == left


@pytest.mark.parametrize(
    ("zone", "day"),  # the days on which clocks change somewhere
    [
        ("Pacific/Kiritimati", "2026-03-29"),
        ("Pacific/Marquesas", "2026-10-25"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
    ],
)
def test_a_day_has_24_hours_wherever_the_server_stands(team, at, monkeypatch, zone, day):
    monkeypatch.setitem(os.environ, "TZ", zone)
    time.tzset()
    try:
        phase = cast.phase(runs_per_day=24, runs_total=99, **ALWAYS)
        begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
        for hour in range(26):
            at(begin + timedelta(hours=hour, minutes=30))
            cast.submit(team, phase)
        days = Submission.objects.order_by("pk").values_list("quota_day", flat=True)
        assert list(days) == [begin.date()] * 24 + [begin.date() + timedelta(days=1)] * 2
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_instant_in_another_zone_is_counted_on_its_day_in_utc(team, at):
    phase = cast.phase(**ALWAYS)
    at(datetime(2026, 8, 1, 22, tzinfo=timezone(timedelta(hours=-5))))
    assert cast.submit(team, phase).quota_day == date(2026, 8, 2)


def test_a_web_server_whose_clock_is_wrong_changes_nothing(team, monkeypatch):
    phase = cast.phase(runs_per_day=1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    year = timedelta(days=365)
    monkeypatch.setattr(django_timezone, "now", lambda: now + year)
    monkeypatch.setattr(time, "time", lambda: (now + year).timestamp())
    submission = cast.submit(team, phase)
    assert abs(submission.accepted_at - now) < timedelta(minutes=5)
    assert submission.quota_day == submission.accepted_at.date()
    with pytest.raises(Refused, match="of today"):
        cast.submit(team, phase)


def test_a_new_day_does_not_give_back_what_counts_in_total(team, at):
    phase = cast.phase(runs_per_day=1, runs_total=2, **ALWAYS)
    for day in (1, 2):
        at(datetime(2026, 8, day, 12, tzinfo=UTC))
        cast.submit(team, phase)
    at(datetime(2026, 8, 3, 12, tzinfo=UTC))
    with pytest.raises(Refused, match="all of its 2 runs"):
        cast.submit(team, phase)


def test_a_phase_counts_its_own_runs_and_a_team_its_own(team):
    first, second = cast.phase(runs_per_day=1), cast.phase(cast.case_set(1, name="other"), slug="more", runs_per_day=1)
    cast.submit(team, first)
    cast.submit(team, second)
    cast.submit(cast.team_of(cast.person("Charlie")), first)
    assert used(team, first) == (1, 1)


# --- the deadline -----------------------------------------------------------------------------------------------------


def test_the_last_microsecond_counts_and_the_deadline_itself_does_not(team, at):
    phase = cast.phase(runs_per_day=9, **ALWAYS)
    deadline = phase.closes_at
    at(deadline - timedelta(microseconds=1))
    cast.submit(team, phase)
    at(deadline)
    with pytest.raises(Refused, match="closed on"):
        cast.submit(team, phase)


def test_what_was_accepted_before_the_deadline_runs_and_counts(team):
    phase = cast.phase(cast.case_set(2))
    masks.give_references(masks.cube())
    submission = cast.submit(team, phase)
    Phase.objects.update(closes_at=clock.now())  # while the image waits for its check
    submission.phase.refresh_from_db()
    image = cast.submit_checked(cast.team_of(cast.person("Charlie")), cast.phase(phase.case_set, slug="later")).image
    assert image is not None
    Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.VALIDATING)
    pipeline.accept(submission, image)
    host, run = cast.host(), submission.runs.get()
    pipeline.fill_slots()
    while run.cases.filter(outcome="").exists():
        order = gpu_host.claim(host, gpu_host.waiting(run))
        gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
        gpu_host.score_reported(run)
    run.refresh_from_db()
    assert run.state == RunState.SCORED
    assert Submission.objects.get(pk=submission.pk).charged


# --- given back, and taken again --------------------------------------------------------------------------------------


def test_what_we_interrupt_is_given_back_and_counts_again_when_it_goes_on(team):
    phase, host = cast.phase(runs_per_day=1), cast.host()
    run = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
    assert used(team, phase) == (0, 0)
    faults.resume(run)
    assert used(team, phase) == (1, 1)
    with pytest.raises(Refused, match="of today"):
        cast.submit(team, phase)


def test_a_run_that_was_given_back_may_be_used_and_the_first_one_goes_on_all_the_same(team):
    phase, host = cast.phase(runs_per_day=1), cast.host()
    run = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
    cast.submit(team, phase)
    faults.resume(run)
    run.refresh_from_db()
    assert run.state == RunState.QUEUED
    assert used(team, phase) == (2, 2)  # one more than a day has: never the team's loss
    with pytest.raises(Refused):
        cast.submit(team, phase)


def test_a_run_that_goes_on_the_next_day_counts_on_its_own_day(team, at):
    phase, host = cast.phase(runs_per_day=1, **ALWAYS), cast.host()
    run = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
    at(clock.now() + timedelta(days=1))
    faults.resume(run)
    assert used(team, phase) == (0, 1)


def test_a_check_that_breaks_down_is_given_back_until_it_is_tried_again(team):
    phase = cast.phase(runs_per_day=1)
    submission = cast.submit(team, phase)
    Submission.objects.update(state=SubmissionState.VALIDATING)
    submission.refresh_from_db()
    assert faults.begin_check(submission)
    faults.halt_submission(submission)
    assert used(team, phase) == (0, 0)
    faults.retry_image(submission)
    assert used(team, phase) == (1, 1)


def test_organisers_run_again_at_nobodys_cost(alice, team):
    phase, host = cast.phase(cast.case_set(1), max_failures_in_row=1), cast.host()
    run = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0)], exit_code=1)
    again = decisions.run_again(run.submission, by=Actor.person(alice))
    pipeline.fill_slots()
    order = gpu_host.claim(host, gpu_host.waiting(again))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
    assert used(team, phase) == (1, 1)


# --- at the same instant ----------------------------------------------------------------------------------------------


def test_many_uploads_at_the_limit_take_exactly_what_is_left(team):
    phase = cast.phase(runs_per_day=5, runs_total=3)
    outcomes = at_once(*[lambda: cast.submit(team, phase)] * 10)
    assert sum(isinstance(outcome, Submission) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 7
    assert used(team, phase) == (3, 3)


def test_two_teams_do_not_wait_for_each_others_quota(team):
    phase, rivals = cast.phase(runs_per_day=1), cast.team_of(cast.person("Charlie"))
    outcomes = at_once(*[lambda: cast.submit(team, phase), lambda: cast.submit(rivals, phase)] * 3)
    assert sum(isinstance(outcome, Submission) for outcome in outcomes) == 2


def test_a_cancellation_and_the_first_claim_agree_on_the_charge(alice, team):
    phase, host = cast.phase(cast.case_set(1), runs_per_day=99, runs_total=99), cast.host()
    for _ in range(6):
        run = cast.submit_checked(team, phase).runs.get()
        batch = gpu_host.waiting(run)
        claimed, cancelled = at_once(
            partial(gpu_host.claim, host, batch), partial(decisions.cancel, run.submission, by=Actor.person(alice))
        )
        assert cancelled is None
        assert isinstance(claimed, dict | LeaseLost), claimed
        assert Submission.objects.get(pk=run.submission_id).charged == isinstance(claimed, dict)


def test_a_cancellation_and_a_fault_of_ours_do_not_stand_in_each_others_way(alice, team):
    phase, host = cast.phase(cast.case_set(1), runs_per_day=99, runs_total=99), cast.host()
    for _ in range(8):
        run = cast.submit_checked(team, phase).runs.get()
        order = gpu_host.claim(host, gpu_host.waiting(run), key=uuid.uuid4())
        lost = [gpu_host.lost(order, 0, "untouched", None)]
        reported, cancelled = at_once(
            partial(gpu_host.report, host, order, lost, fault="internal"),
            partial(decisions.cancel, run.submission, by=Actor.person(alice)),
        )
        assert cancelled is None, cancelled
        assert reported is None or isinstance(reported, LeaseLost), reported
        run.refresh_from_db()
        assert run.state == RunState.CANCELLED
        # interrupted by us before it was cancelled: not charged; cancelled while it ran: charged
        assert Submission.objects.get(pk=run.submission_id).charged == isinstance(reported, LeaseLost)


def test_a_cancellation_and_the_end_of_the_check_do_not_stand_in_each_others_way(alice, team):
    phase = cast.phase(cast.case_set(1), runs_per_day=99, runs_total=99)
    image = cast.submit_checked(team, phase).image
    assert image is not None
    for _ in range(6):
        submission = cast.submit(team, phase)
        Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.VALIDATING)
        mine = Submission.objects.get(pk=submission.pk)
        outcomes = at_once(
            partial(pipeline.accept, mine, image),
            partial(decisions.cancel, submission, by=Actor.person(alice)),
        )
        assert outcomes == [None, None]
        submission.refresh_from_db()
        assert submission.stage == "cancelled"
        assert not submission.charged
        assert not Host.objects.exists()
