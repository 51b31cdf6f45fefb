"""Invitations to a team by mail. Whoever has the link, and an account with a confirmed address, may accept one.

The link is in the message alone: the database has a hash of its token, so that neither a backup nor an organiser can
join by it, and each message that is sent again has a link of its own. Which address an invitation went to binds nobody:
people have several. An invitation ends when it is accepted, declined or withdrawn, and expires by itself. A message
that waits in the outbox with a link that does not work any more is taken back.
"""

import hashlib
import logging
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from leaderboard.core import audit, clock, outbox
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Invitation, Membership, Team, User
from leaderboard.people import addresses, team_mails, throttle
from leaderboard.people.sign_in import normalised
from leaderboard.people.team_locks import check_captain, check_has_a_place, check_in_no_team, lock_team
from leaderboard.people.team_mails import named
from leaderboard.people.throttle import Limit, TooSoon

logger = logging.getLogger(__name__)
State = Invitation.State

VALID_FOR = timedelta(days=14)
KEPT = timedelta(days=30)  # after it ended or expired: it holds somebody's address
MOST_SENDS = 5
INVALID = (
    "This invitation is not valid: it was used or withdrawn, it is older than 14 days, or a later message has another "
    "link. Ask the team’s captain for a new one."
)
# Of one team to one address; of one person to anybody; of everybody to one address, which nobody is told.
AGAIN = Limit(free=2, first_seconds=600, longest_seconds=24 * 3600, forget_seconds=12 * 3600)
BY_ONE = Limit(free=20, first_seconds=300, longest_seconds=3600, forget_seconds=1800)
TO_ONE = Limit(free=8, first_seconds=24 * 3600, longest_seconds=24 * 3600, forget_seconds=12 * 3600)
SENTENCE = "You sent several invitations already. The next one can go in {wait}."


def open_of(team: Team) -> QuerySet[Invitation]:
    """What the team has sent and nobody has answered, also what has expired."""
    return team.invitations.filter(state=State.OPEN).select_related("invited_by")


def find(token: str, at: datetime) -> Invitation | None:
    """The invitation behind a link, if it can be accepted at this instant."""
    members = Membership.objects.filter(team=OuterRef("team"))  # nobody joins a team that nobody is in any more
    found = Invitation.objects.filter(Exists(members), token_hash=_hashed(token), state=State.OPEN, expires_at__gt=at)
    return found.select_related("team", "invited_by").first()


@transaction.atomic
def invite(captain: User, team: Team, email: str) -> Invitation:
    """Invite whoever reads an address. Only the captain may."""
    addresses.check_confirmed(captain, "invite somebody")
    team, email = lock_team(team), normalised(email)
    check_captain(captain, team, "invite somebody")
    if email in addresses.all_of(captain):  # of nobody else it is told whose an address is
        raise Refused("This is your own address, and you are in the team.")
    check_has_a_place(team)
    now = clock.now()
    earlier = open_of(team).filter(email=email).first()
    if earlier and earlier.expires_at > now:
        raise Refused("There is an open invitation to this address already: send it again, or withdraw it.")
    if earlier:
        _end(earlier, State.REVOKED, now)
    if open_of(team).count() >= settings.TEAM_MOST_MEMBERS:
        raise Refused("The team has as many open invitations as it may have members. Withdraw one first.")
    token = secrets.token_urlsafe(32)
    _count(captain, team, email)
    invitation = Invitation.objects.create(
        team=team,
        email=email,
        token_hash=_hashed(token),
        invited_by=captain,
        created_at=now,
        sent_at=now,
        expires_at=now + VALID_FOR,
    )
    audit.record(Actor.person(captain), "invite", team, after={"invitation": invitation.pk})
    _send(invitation, token)
    return invitation


@transaction.atomic
def send_again(captain: User, invitation: Invitation) -> None:
    """Send a message with a new link, which is valid for as long as a new invitation. Only the captain may."""
    team, invitation = _locked(captain, invitation, "send an invitation again")
    check_has_a_place(team)
    if invitation.sends >= MOST_SENDS:
        raise Refused(f"It was sent {MOST_SENDS} times. Give the person the team’s link instead.")
    _count(captain, team, invitation.email)
    _take_back_message(invitation)
    token, now = secrets.token_urlsafe(32), clock.now()
    invitation.token_hash, invitation.sends, invitation.invited_by = _hashed(token), invitation.sends + 1, captain
    invitation.sent_at, invitation.expires_at = now, now + VALID_FOR
    invitation.save()
    audit.record(Actor.person(captain), "send invitation again", team, after={"invitation": invitation.pk})
    _send(invitation, token)


@transaction.atomic
def revoke(captain: User, invitation: Invitation) -> None:
    """Make an invitation's link useless. Only the captain may."""
    team, invitation = _locked(captain, invitation, "withdraw an invitation")
    _end(invitation, State.REVOKED, clock.now())
    audit.record(Actor.person(captain), "withdraw invitation", team, before={"invitation": invitation.pk})


@transaction.atomic
def accept(user: User, token: str) -> Team:
    """Join the team whose captain sent the link."""
    addresses.check_confirmed(user, "join a team")
    team, invitation = _of_link(token)
    check_in_no_team(user)
    check_has_a_place(team)
    Membership.objects.create(team=team, user=user)
    invitation.accepted_by = user
    _end(invitation, State.ACCEPTED, clock.now())
    audit.record(Actor.person(user), "accept invitation", team, after={"invitation": invitation.pk})
    tell_of_new_member(user, team)
    return team


@transaction.atomic
def decline(token: str, user: User | None) -> None:
    """Say no, with an account or without one."""
    team, invitation = _of_link(token)
    _end(invitation, State.DECLINED, clock.now())
    by = Actor.person(user) if user else Actor("whoever had the link")
    audit.record(by, "decline invitation", team, before={"invitation": invitation.pk})
    captains = User.objects.filter(membership__team=team, membership__is_captain=True, is_active=True)
    team_mails.tell(
        captains,
        f"An invitation to the team “{team}” was declined",
        f"Your invitation of {invitation.email} to the team “{team}” was declined.",
    )


def tell_of_new_member(user: User, team: Team) -> None:
    """Tell the others who has joined."""
    team_mails.tell(
        team_mails.members_of(team, but=[user]),
        f"{named(user)} has joined the team “{team}”",
        f"{named(user)} has joined the team “{team}”, sees all of its runs, and can submit for it.",
        "If that is a mistake, the captain can remove members on the team’s page.",
    )


def revoke_all_by(user: User, team: Team) -> None:
    """Make useless what somebody sent who was removed from the team: it may have gone to another address of theirs."""
    own, now = addresses.all_of(user), clock.now()
    for one in team.invitations.filter(state=State.OPEN):
        if one.invited_by_id == user.pk or one.email in own:
            _end(one, State.REVOKED, now)


def revoke_all(team: Team) -> None:
    """Make useless what a team sent that nobody is in any more."""
    now = clock.now()
    for one in team.invitations.filter(state=State.OPEN):
        _end(one, State.REVOKED, now)


def forget_old() -> None:
    """Remove what ended, or expired, long ago."""
    since = clock.now() - KEPT
    Invitation.objects.filter(ended_at__lt=since).delete()
    Invitation.objects.filter(state=State.OPEN, expires_at__lt=since).delete()


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _locked(captain: User, invitation: Invitation, act: str) -> tuple[Team, Invitation]:
    """An open invitation of the captain's own team; first the team is locked, then its row."""
    team = lock_team(invitation.team)
    check_captain(captain, team, act)
    found = team.invitations.select_for_update().filter(pk=invitation.pk, state=State.OPEN).first()
    if found is None:
        raise Refused("This invitation is not open any more: it was accepted, declined or withdrawn.")
    return team, found


def _of_link(token: str) -> tuple[Team, Invitation]:
    """The same, by the link."""
    known = find(token, clock.now())
    team = Team.objects.select_for_update().filter(pk=known.team_id).first() if known else None
    found = Invitation.objects.select_for_update().filter(token_hash=_hashed(token), state=State.OPEN).first()
    if team is None or found is None or found.expires_at <= clock.now():
        raise Refused(INVALID)
    return team, found


def _end(invitation: Invitation, state: State, at: datetime) -> None:
    invitation.state, invitation.ended_at = state, at
    invitation.save(update_fields=["state", "ended_at", "accepted_by"])
    _take_back_message(invitation)


def _take_back_message(invitation: Invitation) -> None:
    """Send no message any more whose link is of no use."""
    known = invitation.token_hash
    outbox.take_back(
        invitation.email,
        lambda mail: any(_hashed(token) == known for token in team_mails.invitations_in(mail.body)),
    )


def _count(captain: User, team: Team, email: str) -> None:
    limits = {
        throttle.key_of("invitation", str(team.pk), email): AGAIN,
        throttle.key_of("invitations by", str(captain.pk)): BY_ONE,
    }
    throttle.count(limits, sentence=SENTENCE)


def _send(invitation: Invitation, token: str) -> None:
    """Put it into the outbox, unless the address had enough of these, of whatever team: no answer tells that."""
    try:
        throttle.count({throttle.key_of("invitations to", invitation.email): TO_ONE}, sentence=SENTENCE)
    except TooSoon:
        logger.info("not sent, there were enough invitations to one address: %s", invitation)
        return
    team_mails.invite(invitation, token)
