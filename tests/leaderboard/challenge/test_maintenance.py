"""A pause for maintenance: nothing new starts, and nobody loses by it."""

from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.challenge import maintenance
from leaderboard.challenge.maintenance import HELD_UP
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.journey import pipeline, scheduling
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import AuditEntry, Batch, Draft, Maintenance, Phase, Run, Submission
from leaderboard.operations import retention
from leaderboard.processes import sweeper
from leaderboard.states import BatchState, RunState
from leaderboard.submissions import drafts
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast, gpu_host, masks, seen

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORDS = "A larger disk."


def begin(*, hours: float = 1) -> Maintenance:
    maintenance.begin_now(Maintenance(), ends_at=clock.now() + hours * HOUR, words=WORDS, by=BY, why="It is full.")
    return Maintenance.objects.latest("pk")


def lasting(begins_at: datetime, ends_at: datetime) -> Maintenance:
    return Maintenance.objects.create(begins_at=begins_at, ends_at=ends_at, words=WORDS)


@pytest.mark.django_db(transaction=True)
def test_what_runs_is_brought_to_its_end_and_nothing_new_starts(team, host):
    phase = cast.phase()
    masks.give_references(masks.cube())
    first = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(first))
    waiting = cast.submit_checked(team, phase).runs.get()
    pause = begin()
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    gpu_host.score_reported(first)
    pipeline.fill_slots()
    assert Run.objects.get(pk=waiting.pk).state == RunState.QUEUED
    assert not Batch.objects.filter(run=first, state=BatchState.WAITING, notified_at__isnull=False).exists()
    with pytest.raises(LeaseLost):
        gpu_host.claim(host, gpu_host.waiting(first))
    estimate = seen.by_team(waiting.submission).estimate
    assert estimate is not None
    assert "pause for maintenance" in estimate.none
    maintenance.end(pause, by=BY)
    pipeline.fill_slots()
    assert gpu_host.claim(host, gpu_host.waiting(first))


def test_submissions_are_taken_meanwhile(team):
    begin()
    assert cast.submit_checked(team, cast.phase()).runs.get().state == RunState.QUEUED


class TestDeadlines:
    def test_one_that_lies_in_it_or_soon_after_is_moved_by_its_length(self, team):
        phase = cast.phase(closes_at=clock.now() + 20 * HOUR)
        before = phase.closes_at
        pause = begin(hours=3)
        phase.refresh_from_db()
        assert phase.closes_at - before == pause.ends_at - pause.begins_at
        assert AuditEntry.objects.filter(action="change phase", why__contains="pause for maintenance").count() == 1
        maintenance.end(pause, by=BY)
        assert Phase.objects.get().closes_at == phase.closes_at, "teams were told"

    def test_one_that_is_far_away_or_over_stays(self):
        far = cast.phase(closes_at=clock.now() + 9 * DAY)
        over = cast.phase(far.case_set, slug="over", closes_at=clock.now() - HOUR)
        begin(hours=3)
        assert [Phase.objects.get(pk=one.pk).closes_at for one in (far, over)] == [far.closes_at, over.closes_at]

    def test_begun_earlier_than_planned_it_moves_them_by_what_it_is_longer(self):
        at = clock.now()
        phase = cast.phase(closes_at=at + 12 * HOUR)
        maintenance.plan(Maintenance(), begins_at=at + 2 * HOUR, ends_at=at + 3 * HOUR, words=WORDS, by=BY)
        maintenance.begin_early(Maintenance.objects.get(), by=BY, why="now")
        moved = Phase.objects.get(pk=phase.pk).closes_at - phase.closes_at
        assert abs(moved - 3 * HOUR) < timedelta(minutes=1)

    def test_one_that_was_before_it_and_is_in_it_now_is_moved_by_its_whole_length(self):
        at = clock.now()
        phase = cast.phase(closes_at=at + HOUR)
        maintenance.plan(Maintenance(), begins_at=at + 2 * HOUR, ends_at=at + 3 * HOUR, words=WORDS, by=BY)
        assert Phase.objects.get(pk=phase.pk).closes_at == phase.closes_at
        maintenance.begin_early(Maintenance.objects.get(), by=BY, why="now")
        moved = Phase.objects.get(pk=phase.pk).closes_at - phase.closes_at
        assert abs(moved - 3 * HOUR) < timedelta(minutes=1)

    def test_post_challenge_runs_begin_no_earlier_than_it(self):
        deadline = clock.now() + 20 * HOUR
        cast.phase(closes_at=deadline, post_challenge_opens_at=deadline)
        begin(hours=3)
        phase = Phase.objects.get()
        assert phase.post_challenge_opens_at == phase.closes_at > deadline
        phase.full_clean()


class TestQuotas:
    """What a pause kept a team from using of a day, it has the day after."""

    NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)

    @pytest.fixture
    def phase(self) -> Phase:
        return cast.phase(runs_per_day=2, runs_total=10, opens_at=self.NOON - 9 * DAY, closes_at=self.NOON + 9 * DAY)

    def left(self, team, phase) -> int:
        return quota_of(team, phase, self.NOON).today_left

    def test_of_a_day_with_a_pause_the_rest_is_kept_for_the_next(self, team, phase):
        yesterday = self.NOON - DAY
        assert self.left(team, phase) == 2
        lasting(yesterday, yesterday + HELD_UP)
        assert self.left(team, phase) == 4
        used = cast.submit(team, phase)
        Submission.objects.filter(pk=used.pk).update(quota_day=yesterday.date())
        assert self.left(team, phase) == 3

    def test_a_short_one_a_cancelled_one_and_one_of_another_day_keep_nothing(self, team, phase):
        yesterday = self.NOON - DAY
        lasting(yesterday, yesterday + HELD_UP / 2)
        lasting(yesterday - DAY, yesterday - DAY + 2 * HELD_UP)
        cancelled = lasting(yesterday + 3 * HOUR, yesterday + 6 * HOUR)
        Maintenance.objects.filter(pk=cancelled.pk).update(cancelled_at=yesterday)
        assert self.left(team, phase) == 2

    def test_only_what_of_it_lies_in_the_day_counts(self, team, phase):
        midnight = self.NOON.replace(hour=0) - DAY
        lasting(midnight - 5 * HOUR, midnight + HELD_UP / 2)
        assert self.left(team, phase) == 2
        Maintenance.objects.update(ends_at=midnight + HELD_UP)
        assert self.left(team, phase) == 4


def test_drafts_and_uploads_grow_no_older_meanwhile(team, alice):
    at = clock.now()
    made = drafts.begin(alice, team, cast.phase(), {})
    Draft.objects.filter(pk=made.pk).update(changed_at=at - drafts.FORGOTTEN_AFTER - HOUR)
    pause = lasting(at - 5 * HOUR, at - 3 * HOUR)
    retention.tidy()
    assert Draft.objects.exists()
    pause.delete()
    retention.tidy()
    assert not Draft.objects.exists()


def test_time_before_and_after_leaves_pauses_out():
    at = datetime(2026, 9, 12, 12, tzinfo=UTC)
    lasting(at - 3 * HOUR, at - HOUR)
    lasting(at - 7 * HOUR, at - 6 * HOUR)
    assert maintenance.long_before(at, 4 * HOUR) == at - 6 * HOUR
    assert maintenance.long_before(at, 5 * HOUR) == at - 8 * HOUR
    assert maintenance.long_after(at - 8 * HOUR, 4 * HOUR) == at - 3 * HOUR
    assert maintenance.long_after(at - 8 * HOUR, 5 * HOUR) == at
    assert maintenance.long_before(at, HOUR / 2) == at - HOUR / 2


@pytest.mark.django_db(transaction=True)
def test_a_host_that_is_silent_meanwhile_loses_nothing(team, host, settings):
    order = gpu_host.claim(host, gpu_host.waiting(cast.submit_checked(team, cast.phase()).runs.get()))
    batch = Batch.objects.filter(pk=order["batch"])
    pause = begin()
    batch.update(lease_until=clock.now() - HOUR)
    sweeper._outage_at = -1e9
    sweeper.sweep()
    assert batch.get().state == BatchState.LEASED
    Maintenance.objects.filter(pk=pause.pk).update(begins_at=clock.now() - 3 * HOUR, ends_at=clock.now() - 2 * HOUR)
    sweeper.sweep()
    assert batch.get().state != BatchState.LEASED


class TestDecisions:
    @pytest.mark.parametrize(
        ("begins", "ends", "says"),
        [(-1, 2, "begun already"), (2, 2, "ends after"), (3, 2, "ends after"), (1, 99, "3 days at most")],
    )
    def test_what_makes_no_sense_is_refused(self, begins, ends, says):
        at = clock.now()
        with pytest.raises(Refused, match=says):
            maintenance.plan(Maintenance(), begins_at=at + begins * HOUR, ends_at=at + ends * HOUR, words=WORDS, by=BY)

    def test_two_do_not_overlap(self):
        begin(hours=2)
        at = clock.now()
        with pytest.raises(Refused, match="There is one from"):
            maintenance.plan(Maintenance(), begins_at=at + HOUR, ends_at=at + 3 * HOUR, words=WORDS, by=BY)
        maintenance.plan(Maintenance(), begins_at=at + 3 * HOUR, ends_at=at + 4 * HOUR, words=WORDS, by=BY)

    def test_each_is_possible_once(self):
        at = clock.now()
        maintenance.plan(Maintenance(), begins_at=at + HOUR, ends_at=at + 2 * HOUR, words=WORDS, by=BY)
        planned = Maintenance.objects.get()
        with pytest.raises(Refused, match="does not last"):
            maintenance.end(planned, by=BY)
        maintenance.begin_early(planned, by=BY, why="now")
        for decision in (maintenance.cancel, maintenance.begin_early):
            with pytest.raises(Refused, match="has begun"):
                decision(planned, by=BY, why="again")
        maintenance.end(planned, by=BY)
        assert not maintenance.is_on(clock.now())
        actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
        assert [*actions] == ["plan pause", "begin pause", "end pause"]

    def test_the_order_of_the_queue_is_as_it_was(self, team):
        phase = cast.phase()
        runs = [cast.submit_checked(team, phase).runs.get().pk for _ in range(2)]
        begin()
        assert [run.pk for run in scheduling.queue()] == runs
