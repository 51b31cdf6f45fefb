"""What may be changed of a phase while it runs."""

from datetime import timedelta
from typing import Any

import pytest

from leaderboard.challenge import mid_phase
from leaderboard.challenge.phases import close_now, drop_phase, open_now, reveal_now, save_phase
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.hosts import orders
from leaderboard.journey import planning
from leaderboard.models import AuditEntry, Batch, CaseSet, Phase, Submission
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def changed(phase: Phase, **fields: object) -> None:
    """Save it with other values."""
    new = Phase.objects.get(pk=phase.pk)
    for name, value in fields.items():
        setattr(new, name, value)
    save_phase(new, by=cast.OPERATOR, why="for the test")


def open_phase(cases: CaseSet | None = None, **fields: Any) -> Phase:
    """Open since yesterday, for nine days more."""
    now = clock.now()
    return cast.phase(cases, **{"opens_at": now - DAY, "closes_at": now + 9 * DAY, **fields})


def closed_phase(**fields: Any) -> Phase:
    now = clock.now()
    return cast.phase(**{"opens_at": now - 9 * DAY, "closes_at": now - DAY, **fields})


# --- times ------------------------------------------------------------------------------------------------------------


def test_a_deadline_moves_later_and_earlier_with_a_days_notice():
    phase = open_phase()
    now = clock.now()
    changed(phase, closes_at=now + 12 * DAY)
    changed(phase, closes_at=now + 2 * DAY)
    with pytest.raises(Refused, match="24 hours from now"):
        changed(phase, closes_at=now + timedelta(hours=23))
    assert Phase.objects.get().closes_at == now + 2 * DAY


def test_a_deadline_moves_never_to_before_what_was_accepted(team):
    phase = open_phase()
    submission = cast.submit(team, phase)
    Phase.objects.update(opens_at=clock.now() - 9 * DAY, closes_at=clock.now() - DAY)
    phase.refresh_from_db()
    Submission.objects.filter(pk=submission.pk).update(accepted_at=phase.closes_at - timedelta(hours=1))
    with pytest.raises(Refused, match="1 run was accepted after that"):
        changed(phase, closes_at=phase.closes_at - timedelta(hours=2))


def test_a_drafts_deadline_is_free():
    phase = open_phase(is_draft=True)
    changed(phase, closes_at=clock.now() + timedelta(hours=1))


def test_a_closed_phase_can_be_opened_again_and_that_is_warned_of():
    old = closed_phase()
    new = Phase.objects.get()
    new.closes_at = clock.now() + DAY
    assert any("opens again" in one for one in mid_phase.warnings(old, new, clock.now()))
    changed(old, closes_at=new.closes_at)


def test_nothing_opens_in_the_past():
    now = clock.now()
    phase = cast.phase(opens_at=now + DAY, closes_at=now + 9 * DAY)
    with pytest.raises(Refused, match="That instant has passed"):
        changed(phase, opens_at=now - timedelta(hours=1))
    with pytest.raises(Refused, match="That instant has passed"):
        changed(open_phase(phase.case_set, slug="draft", is_draft=True), is_draft=False)


def test_an_opening_is_put_off_until_runs_came(team):
    phase = open_phase()
    later = clock.now() + DAY
    changed(phase, opens_at=later)
    Phase.objects.update(opens_at=clock.now() - DAY)
    cast.submit(team, phase)
    with pytest.raises(Refused, match="runs were handed in since"):
        changed(phase, opens_at=later)


def test_a_phase_opens_closes_and_is_revealed_at_a_press(team):
    now = clock.now()
    phase = cast.phase(opens_at=now + DAY, closes_at=now + 9 * DAY, is_draft=True)
    open_now(Phase.objects.get(), by=cast.OPERATOR, why="All is set.")
    phase.refresh_from_db()
    assert not phase.is_draft
    assert now - timedelta(seconds=1) <= phase.opens_at <= clock.now()
    with pytest.raises(Refused, match="opened"):
        open_now(Phase.objects.get(), by=cast.OPERATOR)
    cast.submit(team, phase)
    with pytest.raises(Refused, match="once the phase has closed"):
        reveal_now(Phase.objects.get(), by=cast.OPERATOR, why="Now.")
    with pytest.raises(Refused, match="Say why"):
        close_now(Phase.objects.get(), by=cast.OPERATOR, why=" ")
    close_now(Phase.objects.get(), by=cast.OPERATOR, why="The hall closes.")
    phase.refresh_from_db()
    assert phase.closes_at <= clock.now() + timedelta(seconds=1)
    Phase.objects.update(closes_at=clock.now())
    with pytest.raises(Refused, match="is not open"):
        close_now(Phase.objects.get(), by=cast.OPERATOR, why="Again.")
    reveal_now(Phase.objects.get(), by=cast.OPERATOR, why="The talk begins.")
    with pytest.raises(Refused, match="is out since"):
        reveal_now(Phase.objects.get(), by=cast.OPERATOR, why="Again.")
    actions = list(AuditEntry.objects.order_by("pk").filter(target_type="phase").values_list("action", flat=True))
    assert actions == ["open phase", "close phase", "reveal phase"]


def test_a_press_takes_back_nothing_that_was_changed_since_the_page_was_read():
    as_it_was_read = cast.phase(runs_per_day=2)
    Phase.objects.update(runs_per_day=7)
    close_now(as_it_was_read, by=cast.OPERATOR, why="The hall closes.")
    assert Phase.objects.get().runs_per_day == 7


def test_a_draft_in_which_nobody_has_anything_can_be_dropped(team):
    with pytest.raises(Refused, match="Only a draft"):
        drop_phase(open_phase(), by=cast.OPERATOR)
    draft = cast.phase(Phase.objects.get().case_set, slug="draft", is_draft=True)
    drop_phase(draft, by=cast.OPERATOR)
    assert [one.slug for one in Phase.objects.all()] == ["test"]
    assert AuditEntry.objects.get(action="drop phase").before == {"slug": "draft", "name": "Phase draft"}


# --- what was accepted keeps its limits ------------------------------------------------------------------------------


def test_what_was_accepted_keeps_its_limits_and_has_wider_ones(team):
    phase = open_phase(case_seconds=120, memory_bytes=8 << 30, cpus=4, runs_per_day=9)
    first = cast.submit_checked(team, phase)
    changed(phase, case_seconds=90, cpus=2)
    second = cast.submit_checked(team, phase)
    changed(phase, case_seconds=60, memory_bytes=16 << 30)
    limits = [orders.limits(Submission.objects.get(pk=one.pk)) for one in (first, second)]
    assert [(one["case_seconds"], one["cpus"]) for one in limits] == [(120.0, 4.0), (90.0, 2.0)]
    assert [one["memory_bytes"] for one in limits] == [16 << 30] * 2
    changed(phase, case_seconds=100)
    assert [Submission.objects.get(pk=one.pk).limit("case_seconds") for one in (first, second)] == [120, 100]
    third = cast.submit_checked(team, phase)
    assert third.kept_limits is None
    assert third.limit("cpus") == 2


def test_the_order_for_a_host_has_the_limits_of_when_it_was_accepted(team, host):
    phase = open_phase(startup_seconds=300)
    submission = cast.submit_checked(team, phase)
    planning.plan(submission.runs.get())
    changed(phase, startup_seconds=100)
    assert orders.order(Batch.objects.get(run__submission=submission))["limits"]["startup_seconds"] == 300.0


def test_the_number_of_gpus_stays_while_runs_wait_or_work(team):
    phase = open_phase()
    submission = cast.submit_checked(team, phase)
    with pytest.raises(Refused, match="1 run waits or works with 0 GPUs"):
        changed(phase, gpus=1)
    submission.runs.update(state="scored", ended_at=clock.now())
    changed(phase, gpus=1)


# --- counting, cases, categories, quotas ------------------------------------------------------------------------------


def test_which_run_counts_changes_until_the_deadline(team):
    phase = open_phase()
    cast.submit_checked(team, phase)
    changed(phase, counting="best")
    Phase.objects.update(closes_at=clock.now())
    with pytest.raises(Refused, match="The deadline is over"):
        changed(phase, counting="last")


def test_cases_and_categories_stay_once_something_was_handed_in(team):
    phase = open_phase()
    changed(phase, show_categories=True)
    others = cast.case_set(name="others")
    changed(phase, case_set=others)
    cast.submit_checked(team, phase)
    with pytest.raises(Refused, match="do not compare"):
        changed(phase, show_categories=False)
    with pytest.raises(Refused, match="handed in on these cases"):
        changed(phase, case_set=cast.case_set(name="more"))


def test_a_total_is_never_below_what_a_team_has_used(team):
    phase = open_phase(runs_total=10, runs_per_day=10)
    for _ in range(3):
        cast.submit_checked(team, phase)
    changed(phase, runs_total=3)
    with pytest.raises(Refused, match="has used 3 of its runs already"):
        changed(phase, runs_total=2)
    changed(phase, runs_per_day=1)


def test_hidden_cases_are_not_made_public_by_editing():
    phase = closed_phase()
    with pytest.raises(Refused, match="an act of its own"):
        changed(phase, cases_are_public=True)
    changed(cast.phase(cast.case_set(name="open"), slug="open", cases_are_public=True), description="They were.")
