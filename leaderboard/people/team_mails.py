"""What people are told by mail about their team. Each message is written in the transaction that causes it.

Names that people typed go into it as one line. A person without a name is never called by an address.
"""

import re
from collections.abc import Iterable

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from leaderboard.core.text import instant, one_line, sanitised
from leaderboard.models import Invitation, Team, TeamApproval, User

FOOTER = "--\nReXGrounding Challenge, MICCAI 2026"
WHAT_JOINING_MEANS = (
    "Whoever joins sees all of the team’s runs, is named on its page, and can submit for it. One person is in one team."
)


def named(user: User | None) -> str:
    """A person in a sentence that others read."""
    return (one_line(user.name) if user else "") or "Somebody without a name"


def members_of(team: Team, *, but: Iterable[User | None] = ()) -> list[User]:
    """The team's members who may sign in, without some of them."""
    others = {user.pk for user in but if user}
    people = User.objects.filter(membership__team=team, is_active=True).exclude(pk__in=others)
    return list(people.exclude(email="").order_by("pk"))


def tell(people: Iterable[User], subject: str, *paragraphs: str) -> None:
    """Write to each of these people, with a link to the team's page."""
    _send(
        [one.email for one in people if one.email],
        subject,
        *paragraphs,
        f"Open the team’s page: {settings.SITE_URL}{reverse('team')}",
    )


def tell_of_leaving(user: User, team: Team, *, named_as: str = "") -> None:
    """Tell the others who has left."""
    words = f"{named_as or named(user)} has left the team “{team}”"
    tell(members_of(team, but=[user]), words, f"{words}. Its runs stay with the team.")


def invite(invitation: Invitation, token: str) -> None:
    """The message with the link by which somebody joins. Nobody else ever has that link."""
    team, by = invitation.team, invitation.invited_by
    inviter = named(by) + (f" ({one_line(by.affiliation)})" if by and one_line(by.affiliation) else "")
    called = f"“{one_line(team.name)}”" + (f" ({one_line(team.affiliation)})" if one_line(team.affiliation) else "")
    _send(
        [invitation.email],
        f"{named(by)} invites you to the team “{one_line(team.name)}”",
        f"{inviter} invites you to join the team {called} in the ReXGrounding Challenge.",
        WHAT_JOINING_MEANS,
        f"You can accept or decline the invitation until {instant(invitation.expires_at)}. Its link is for one person, "
        "and links of any earlier message do not work any more.",
        f"See the invitation: {settings.SITE_URL}{reverse('team_invitation', args=[token])}",
        "You need an account to accept, and can make one on the way. If you do not know who this is, do nothing.",
    )


def invitations_in(body: str) -> list[str]:
    """The tokens of the invitations that a message has links to."""
    return re.findall(reverse("team_invitation", args=["TOKEN"]).replace("TOKEN", r"([\w-]+)"), body)


def decided(approval: TeamApproval) -> None:
    """Tell a team what organisers decided about it."""
    phase, reason = one_line(approval.phase.name), sanitised(approval.reason).strip()
    why = [f"The organisers write: {reason}"] if reason else []
    if approval.state == TeamApproval.State.APPROVED:
        subject = f"Your team is approved for the {phase}"
        words = f"The organisers approved your team “{one_line(approval.team.name)}” for the {phase}. It can hand in."
    else:
        subject = f"Your team is not approved for the {phase}"
        words = (
            f"The organisers did not approve your team “{one_line(approval.team.name)}” for the {phase}. It can hand "
            f"in nothing there; drafts are kept. Questions go to {settings.CONTACT_EMAIL}."
        )
    tell(members_of(approval.team), subject, words, *why)


def _send(to: list[str], subject: str, *paragraphs: str) -> None:
    if to:
        body = "\n\n".join([*paragraphs, FOOTER])
        EmailMessage(one_line(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}"), body, to=to).send()
