"""Who gets a notice: at the main address, if it is confirmed and takes mail, unless the person stopped the kind."""

from datetime import datetime
from typing import NamedTuple

from allauth.account.models import EmailAddress
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from leaderboard.models import (
    Attempt,
    NoticeKind,
    NoticeStop,
    Phase,
    RefusedAddress,
    RunDecision,
    StateChange,
    Submission,
    Team,
    User,
)
from leaderboard.states import RunState


class Recipient(NamedTuple):
    """A person and the address that their messages go to."""

    user_id: int
    email: str


def recipients(people: QuerySet[User], kind: NoticeKind) -> list[Recipient]:
    """Those of the people who get notices of this kind, in the order of their accounts."""
    addresses = EmailAddress.objects.filter(user__in=people, user__is_active=True, verified=True, primary=True)
    wanted = addresses.exclude(user__in=NoticeStop.objects.filter(kind=kind).values("user"))
    taken = wanted.annotate(small=Lower("email")).exclude(small__in=RefusedAddress.objects.values("email"))
    return [Recipient(*found) for found in taken.order_by("user_id").values_list("user_id", "email")]


def everybody() -> QuerySet[User]:
    """Everybody with an account."""
    return User.objects.all()


def members_of(team: Team) -> QuerySet[User]:
    """The members of a team."""
    return User.objects.filter(membership__team=team)


def members_of_teams() -> QuerySet[User]:
    """Everybody who is in a team."""
    return User.objects.filter(membership__isnull=False)


def members_of_entrants(phase: Phase) -> QuerySet[User]:
    """The members of the teams that handed in to a phase."""
    return User.objects.filter(membership__team__in=phase.submissions.values("team"))


def members_of_affected(since: datetime, until: datetime, phase: Phase | None) -> QuerySet[User]:
    """The members of the teams of which a run (in a phase, or any) was interrupted by our fault in this time.

    Or given back by organisers in it, which they do for what no fault of ours is known by itself.
    """
    during = {"at__gte": since, "at__lt": until}
    halted = StateChange.objects.filter(to_state=RunState.HALTED, batch=None, **during).values("submission")
    faulty = Attempt.objects.filter(ended_at__gte=since, ended_at__lt=until).exclude(fault="")
    given_back = RunDecision.objects.filter(kind=RunDecision.Kind.GIVEN_BACK, **during).values("submission")
    hit = Q(pk__in=halted) | Q(pk__in=faulty.values("batch__run__submission")) | Q(pk__in=given_back)
    submissions = Submission.objects.filter(hit, **({"phase": phase} if phase else {}))
    return User.objects.filter(membership__team__in=submissions.values("team"))
