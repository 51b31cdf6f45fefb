"""How a person's account ends: at once, with everything that says who it was. What the team did stays the team's."""

from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from leaderboard.core import audit, outbox
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Membership, User
from leaderboard.people import personal_data, roles, sessions, sign_in, team_mails, teams
from leaderboard.people.team_locks import lock_team


def end_account(user: User) -> None:
    """Delete one's own account; Refused while somebody else depends on it. Asked again, it has ended already."""
    _end(user, Actor.person(user))


@transaction.atomic
def end_on_request(user: User, *, by: Actor, why: str = "") -> None:
    """Delete a person's account as they asked the organisers to; Refused likewise, and for who organises.

    Why, and what stays, is recorded without a name.
    """
    if by.user is not None and by.user.pk == user.pk:
        raise Refused("Delete your own account on its page.")
    if user.current_role is not None:
        raise Refused("This person has a role at the desk: an owner takes that away first.")
    _end(user, by, why, after={"stays": sorted(set(personal_data.STAYS.values()))})


@transaction.atomic
def _end(user: User, by: Actor, why: str = "", after: audit.State | None = None) -> None:
    roles.keep_an_owner()
    if own := Membership.objects.filter(user=user).select_related("team").first():
        lock_team(own.team)  # before the person, as whoever joins does
    if User.objects.select_for_update().filter(pk=user.pk).first() is None:
        return
    user.refresh_from_db()
    roles.refuse_last_owner(user)
    _leave(user)
    let_go(user)
    audit.record(by, "delete account", user, after=after, why=why)
    audit.forget(user)
    user.delete()


@transaction.atomic
def export_on_request(user: User, *, by: Actor, why: str = "") -> dict[str, Any]:
    """Everything that is kept of a person, as they asked the organisers for it. That it was handed out is recorded."""
    found = personal_data.of(user)
    audit.record(by, "export personal data", user, after={"parts": sorted(found)}, why=why)
    return found


def let_go(user: User) -> None:
    """Remove what names a person, and does not go with the account's row by itself; whoever deletes that."""
    for address in {user.email, *EmailAddress.objects.filter(user=user).values_list("email", flat=True)}:
        sign_in.forgive(address)
    for rows in personal_data.by_address(user):
        rows.delete()
    sessions.end_all(user)
    LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)).delete()
    outbox.forget(user.name)


def why_not(user: User) -> str:
    """What keeps the account from ending; empty if nothing does."""
    try:
        roles.refuse_last_owner(user)
        _refuse_captain_of_others(user)
    except Refused as refusal:
        return str(refusal)
    return ""


def _refuse_captain_of_others(user: User) -> None:
    own = Membership.objects.filter(user=user, is_captain=True).first()
    if own and own.team.memberships.exclude(pk=own.pk).exists():
        raise Refused(f"Make somebody else captain of the team “{own.team}” first.")


def _leave(user: User) -> None:
    """The team goes on without the person; or ends, if nobody else is in it."""
    own = Membership.objects.filter(user=user).select_related("team").first()
    if own is None:
        return
    team = lock_team(own.team)
    _refuse_captain_of_others(user)
    own.delete()
    audit.record(Actor.person(user), "leave team", team)
    if team.memberships.exists():
        team_mails.tell_of_leaving(user, team, named_as="Somebody whose account is deleted")
        return
    team.drafts.all().delete()  # nobody could reach them any more; their files go with the next round of retention
    teams.end_team(team, user)
