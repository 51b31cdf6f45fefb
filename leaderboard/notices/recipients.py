"""Who gets a notice: at the main address, if it is confirmed and takes mail, unless the person stopped the kind."""

from typing import NamedTuple

from allauth.account.models import EmailAddress
from django.db.models import QuerySet
from django.db.models.functions import Lower

from leaderboard.models import NoticeKind, NoticeStop, Phase, RefusedAddress, Team, User


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
