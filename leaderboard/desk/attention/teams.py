"""Teams that wait for a person: to be approved, to be looked at beside another one, or without a way to reach them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Lower
from django.urls import reverse

from leaderboard.desk.acts.teams import APPROVE, NOT_A_DOUBLE, REFUSE
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import LikelyDouble, Membership, RefusedAddress, Team
from leaderboard.models.doubles import IS_OPEN
from leaderboard.people import approvals

APART = 3  # more pairs than that are one thing, with a page of its own
MOST = 20  # of a kind; the page of teams shows all


def to_approve(at: datetime) -> Iterator[Item]:
    """Teams that asked to take part in a phase for which organisers approve teams."""
    for one in approvals.waiting(at)[:MOST]:
        yield Item(
            Urgency.DEADLINE,
            "warn",
            "To approve",
            f"{one.team} asks to take part in the {one.phase}.",
            "It prepares drafts, and can’t hand in before you decide.",
            since=one.asked_at,
            acts=[(APPROVE, one), (REFUSE, one)],
            links=[("The team", reverse("desk_team", args=[one.team.slug]))],
        )


def doubles(_at: datetime) -> Iterator[Item]:
    """Teams that may be one."""
    found = list(LikelyDouble.objects.filter(IS_OPEN).select_related("first", "second"))
    if len(found) > APART:
        yield _many_doubles(found)
        return
    for one in found:
        yield Item(
            Urgency.LATER,
            "warn",
            "One group?",
            f"{one.first} and {one.second} have more in common than chance gives.",
            "One group with two teams has twice the runs. Nobody is told; look at what it is before you decide.",
            since=one.found_at,
            acts=[(NOT_A_DOUBLE, one)],
            links=[("Compare them", reverse("desk_double", args=[one.pk]))],
            looks_first=True,
        )


def _many_doubles(found: Sequence[LikelyDouble]) -> Item:
    return Item(
        Urgency.LATER,
        "warn",
        "One group?",
        f"{len(found)} pairs of teams have more in common than chance gives.",
        "One group with two teams has twice the runs. Nobody is told; look at what it is before you decide.",
        since=min(one.found_at for one in found),
        links=[("Compare them", reverse("desk_doubles"))],
        looks_first=True,
    )


def out_of_reach(_at: datetime) -> Iterator[Item]:
    """Teams none of whose members takes mail: what they are told, they do not read."""
    for team in unreachable().order_by("pk")[:MOST]:
        yield Item(
            Urgency.DEADLINE,
            "warn",
            "No mail",
            f"{team} can’t be reached: mail servers refused the addresses of all its members.",
            "What you and the site tell by mail does not arrive. Its members read on their pages how to mend it.",
            links=[("The team", reverse("desk_team", args=[team.slug]))],
        )


def unreachable() -> QuerySet[Team]:
    """Teams with members of whom each has a main address that was refused for good."""
    refused = RefusedAddress.objects.annotate(small=Lower("email")).filter(small=OuterRef("small"))
    members = Membership.objects.filter(team=OuterRef("pk")).annotate(small=Lower("user__email"))
    return Team.objects.filter(Exists(members.filter(Exists(refused)))).exclude(
        Exists(members.exclude(Exists(refused)))
    )
