"""What a team has used of its runs in a phase, by the UTC day of the database's clock.

What a pause for maintenance kept a team from using of a day (challenge/maintenance.py), it has the day after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, FilteredRelation, Q

from leaderboard.challenge import maintenance
from leaderboard.models import Phase, Submission, Team
from leaderboard.states import RunState, SubmissionKind, SubmissionState

UNLIMITED = 32_767  # more than a phase can allow
REFUSED_PER_RUN = 20


@dataclass(frozen=True)
class Quota:
    """A team's runs of a kind in a phase: used and allowed, today (UTC) and in total.

    Each kind has limits of its own, and takes nothing from another one's. `next_day` is when a new day begins,
    `closes_at` when the phase takes no more of the kind; None if that is not known.
    """

    today_used: int
    today_limit: int
    total_used: int
    total_limit: int
    next_day: datetime
    closes_at: datetime | None
    kind: str = SubmissionKind.SCORED

    @property
    def has_total(self) -> bool:
        """Whether there is a limit beside that of the day."""
        return self.total_limit < UNLIMITED

    @property
    def total_left(self) -> int:
        """How many are left in all; an organiser may have lowered the limit below what was used."""
        return max(0, self.total_limit - self.total_used)

    @property
    def today_left(self) -> int:
        """How many can still be handed in today: no more than are left in all."""
        return min(max(0, self.today_limit - self.today_used), self.total_left)

    @property
    def renews_at(self) -> datetime | None:
        """When those of a new day can be handed in; None when the phase closes before."""
        return self.next_day if self.closes_at is None or self.next_day < self.closes_at else None


def quota_of(team: Team, phase: Phase, at: datetime, kind: str = SubmissionKind.SCORED) -> Quota:
    """What the team has used of its runs, by the UTC day of the database's clock."""
    [(_, quota)] = quotas_of(team, [phase], at, kind)
    return quota


def quotas_of(
    team: Team, phases: Sequence[Phase], at: datetime, kind: str = SubmissionKind.SCORED
) -> list[tuple[Phase, Quota]]:
    """The same for several phases, in their order: one question for all."""
    at = at.astimezone(UTC)
    tomorrow = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    ours = Q(submissions__team=team, submissions__kind=kind, submissions__charged=True)
    day_before = at.date() - timedelta(days=1)
    counts = (
        Phase.objects.filter(pk__in=[phase.pk for phase in phases])
        .order_by()
        .annotate(ours=FilteredRelation("submissions", condition=ours))
        .values_list("pk")
        .annotate(
            today=Count("ours", filter=Q(ours__quota_day=at.date())),
            before=Count("ours", filter=Q(ours__quota_day=day_before)),
            total=Count("ours"),
            was_held_up=maintenance.held_up(day_before),
        )
    )
    used = {phase: of_phase for phase, *of_phase in counts}
    found = []
    for phase in phases:
        today, before, total, was_held_up = used[phase.pk]
        per_day, in_all = limits_of(phase, kind)
        kept = max(0, per_day - before) if was_held_up and phase.opens_at.astimezone(UTC).date() < at.date() else 0
        found.append((phase, Quota(today, per_day + kept, total, in_all, tomorrow, _closes_at(phase, kind), kind)))
    return found


def _closes_at(phase: Phase, kind: str) -> datetime | None:
    return phase.post_challenge_closes_at if kind == SubmissionKind.POST_CHALLENGE else phase.closes_at


def limits_of(phase: Phase, kind: str) -> tuple[int, int]:
    """How many runs of a kind a team has in a phase, a day and in all."""
    if kind == SubmissionKind.TRY_OUT:
        return phase.try_outs_per_day, UNLIMITED
    if kind == SubmissionKind.POST_CHALLENGE:
        return phase.post_challenge_per_day, phase.post_challenge_total
    return phase.runs_per_day, phase.runs_total


def refused_per_day(phase: Phase, kind: str = SubmissionKind.SCORED) -> int:
    """How many uploads of a team may come to nothing on a day: they are not charged, but each costs a check."""
    return REFUSED_PER_RUN * limits_of(phase, kind)[0]


def refused_today(team: Team, phase: Phase, at: datetime, kind: str = SubmissionKind.SCORED) -> int:
    """How many of the team's uploads came to nothing on this UTC day without being charged, by the team's doing."""
    of_today = Submission.objects.filter(
        team=team, phase=phase, kind=kind, charged=False, quota_day=at.astimezone(UTC).date()
    )
    ended = (SubmissionState.REJECTED, SubmissionState.CANCELLED)
    return of_today.filter(Q(state__in=ended) | Q(runs__state=RunState.CANCELLED)).values("pk").distinct().count()
