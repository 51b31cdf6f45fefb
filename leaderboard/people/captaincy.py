"""Who captains a team. A captain offers it, the other one accepts; until then there is a way back.

An organiser can set a captain at once: of a team whose captain is away, say.
"""

from django.db import transaction

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Handover, Team, User
from leaderboard.people import team_mails
from leaderboard.people.team_locks import check_captain, lock_team, membership_of, other_member
from leaderboard.people.team_mails import named

NONE_OFFERED = "Nobody hands the team over at present: it was accepted, declined or taken back meanwhile."


@transaction.atomic
def offer(captain: User, team: Team, member_id: int) -> None:
    """Offer the captaincy to another member, who is asked. Only the captain may; one at a time."""
    team = lock_team(team)
    check_captain(captain, team, "hand the team over")
    membership = other_member(captain, team, member_id)
    pending = Handover.objects.filter(team=team).select_related("to").first()
    if pending:
        raise Refused(f"You offered it to {named(pending.to)}. Take that back first.")
    if not membership.user.is_active:
        raise Refused("This person cannot sign in any more, and could not accept.")
    Handover.objects.create(team=team, offered_by=captain, to=membership.user, offered_at=clock.now())
    audit.record(Actor.person(captain), "offer captaincy", team, after=_who(membership.user))
    team_mails.tell(
        [membership.user],
        f"{named(captain)} wants to hand the team “{team}” over to you",
        f"{named(captain)} asks you to be the captain of the team “{team}”. A captain invites and removes members.",
        "Accept or decline it on the team’s page. Until you accept, nothing changes.",
    )


@transaction.atomic
def accept(user: User, team: Team) -> None:
    """Become the captain, as the present one offered."""
    team = lock_team(team)
    pending = _pending(user, team)
    membership_of(user, team)
    _change(team, pending.offered_by, user, Actor.person(user), "accept captaincy")
    team_mails.tell(
        team_mails.members_of(team, but=[user]),
        f"{named(user)} is the captain of the team “{team}”",
        f"{named(pending.offered_by)} handed the team “{team}” over: {named(user)} is its captain now.",
    )


@transaction.atomic
def decline(user: User, team: Team) -> None:
    """Do not become the captain."""
    team = lock_team(team)
    pending = _pending(user, team)
    pending.delete()
    audit.record(Actor.person(user), "decline captaincy", team, before=_who(user))
    team_mails.tell(
        [pending.offered_by],
        f"{named(user)} does not want to be the captain of the team “{team}”",
        f"{named(user)} declined. You go on as the captain of the team “{team}”, and can ask somebody else.",
    )


@transaction.atomic
def take_back(captain: User, team: Team) -> None:
    """Undo an offer that is not accepted yet."""
    team = lock_team(team)
    check_captain(captain, team, "take this back")
    pending = Handover.objects.filter(team=team).select_related("to").first()
    if pending is None:
        raise Refused(NONE_OFFERED)
    pending.delete()
    audit.record(Actor.person(captain), "take captaincy back", team, before=_who(pending.to))
    team_mails.tell(
        [pending.to],
        f"{named(captain)} goes on as the captain of the team “{team}”",
        f"{named(captain)} took it back that you become the captain of the team “{team}”. There is nothing to do.",
    )


@transaction.atomic
def set_captain(team: Team, user: User, *, by: Actor, why: str = "") -> None:
    """Make a member the captain, as an organiser decides."""
    team = lock_team(team)
    if not team.memberships.filter(user=user).exists():
        raise Refused(f"{named(user)} is not in the team.")
    present = team.memberships.filter(is_captain=True).select_related("user").first()
    if present and present.user_id == user.pk:
        return
    _change(team, present.user if present else None, user, by, "make captain", why)
    team_mails.tell(
        team_mails.members_of(team),
        f"{named(user)} is the captain of the team “{team}”",
        f"The organisers made {named(user)} the captain of the team “{team}”.",
    )


def forget(team: Team, user: User) -> None:
    """Undo an offer to somebody who is in the team no more."""
    Handover.objects.filter(team=team, to=user).delete()


def _pending(user: User, team: Team) -> Handover:
    pending = Handover.objects.filter(team=team, to=user).select_related("offered_by").first()
    # Who offered it is the captain still: whatever changes that removes the offer.
    if pending is None:
        raise Refused(NONE_OFFERED)
    return pending


def _change(team: Team, old: User | None, new: User, by: Actor, action: str, why: str = "") -> None:
    Handover.objects.filter(team=team).delete()
    team.memberships.filter(is_captain=True).update(is_captain=False)
    team.memberships.filter(user=new).update(is_captain=True)
    before = {"captain": audit.described(old), "user_id": old.pk} if old else {}
    audit.record(by, action, team, before=before, after={"captain": audit.described(new), "user_id": new.pk}, why=why)


def _who(user: User) -> dict[str, object]:
    return {"member": audit.described(user), "user_id": user.pk}
