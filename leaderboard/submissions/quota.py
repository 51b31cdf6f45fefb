"""What a team has used of its runs in a phase, by the UTC day of the database's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q

from leaderboard.models import Phase, Submission, Team
from leaderboard.states import RunState, SubmissionState


@dataclass(frozen=True)
class Quota:
    """A team's runs in a phase: used and allowed, today (UTC) and in total.

    `next_day` is when a new day begins, `closes_at` when the phase takes no more.
    """

    today_used: int
    today_limit: int
    total_used: int
    total_limit: int
    next_day: datetime
    closes_at: datetime

    @property
    def total_left(self) -> int:
        """How many runs are left in all; an organiser may have lowered the limit below what was used."""
        return max(0, self.total_limit - self.total_used)

    @property
    def today_left(self) -> int:
        """How many runs can still be handed in today: no more than are left in all."""
        return min(max(0, self.today_limit - self.today_used), self.total_left)

    @property
    def renews_at(self) -> datetime | None:
        """When the runs of a new day can be handed in; None when the phase closes before."""
        return self.next_day if self.next_day < self.closes_at else None


def quota_of(team: Team, phase: Phase, at: datetime) -> Quota:
    """What the team has used of its runs, by the UTC day of the database's clock."""
    [(_, quota)] = quotas_of(team, [phase], at)
    return quota


def quotas_of(team: Team, phases: Sequence[Phase], at: datetime) -> list[tuple[Phase, Quota]]:
    """The same for several phases, in their order: one question for all."""
    at = at.astimezone(UTC)
    tomorrow = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    charged = Submission.objects.filter(team=team, phase__in=phases, charged=True).order_by().values_list("phase")
    counts = charged.annotate(today=Count("pk", filter=Q(quota_day=at.date())), total=Count("pk"))
    used = {phase: (today, total) for phase, today, total in counts}
    found = []
    for phase in phases:
        today, total = used.get(phase.pk, (0, 0))
        found.append((phase, Quota(today, phase.runs_per_day, total, phase.runs_total, tomorrow, phase.closes_at)))
    return found


def refused_today(team: Team, phase: Phase, at: datetime) -> int:
    """How many of the team's uploads came to nothing on this UTC day without being charged, by the team's doing."""
    of_today = Submission.objects.filter(team=team, phase=phase, charged=False, quota_day=at.astimezone(UTC).date())
    ended = (SubmissionState.REJECTED, SubmissionState.CANCELLED)
    return of_today.filter(Q(state__in=ended) | Q(runs__state=RunState.CANCELLED)).values("pk").distinct().count()
