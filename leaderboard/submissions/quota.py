"""What a team has used of its runs in a phase, by the UTC day of the database's clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from leaderboard.models import Phase, Submission, Team
from leaderboard.states import RunState, SubmissionState


@dataclass(frozen=True)
class Quota:
    """A team's runs in a phase: used and allowed, today (UTC) and in total; `next_day` is when a new day begins."""

    today_used: int
    today_limit: int
    total_used: int
    total_limit: int
    next_day: datetime


def quota_of(team: Team, phase: Phase, at: datetime) -> Quota:
    """What the team has used of its runs, by the UTC day of the database's clock."""
    at = at.astimezone(UTC)
    charged = Submission.objects.filter(team=team, phase=phase, charged=True)
    tomorrow = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Quota(
        today_used=charged.filter(quota_day=at.date()).count(),
        today_limit=phase.runs_per_day,
        total_used=charged.count(),
        total_limit=phase.runs_total,
        next_day=tomorrow,
    )


def refused_today(team: Team, phase: Phase, at: datetime) -> int:
    """How many of the team's uploads came to nothing on this UTC day without being charged, by the team's doing."""
    of_today = Submission.objects.filter(team=team, phase=phase, charged=False, quota_day=at.astimezone(UTC).date())
    ended = (SubmissionState.REJECTED, SubmissionState.CANCELLED)
    return of_today.filter(Q(state__in=ended) | Q(runs__state=RunState.CANCELLED)).distinct().count()
