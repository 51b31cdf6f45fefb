"""A change of which teams are told as it is made: the words to begin with, and the message, sent with the change.

The message is in the outbox in the transaction that changes something: nobody is told of what did not come about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.models import Announcement, Phase
from leaderboard.notices import announcing

Audience = Announcement.Audience
LONGEST_SUBJECT = Announcement._meta.get_field("subject").max_length or 0
LONGEST_BODY = Announcement._meta.get_field("body").max_length or 0
REASON = "(your reason)"
AT_LEAST = timedelta(days=2)  # a line stands, and until the deadline


@dataclass(frozen=True)
class Message:
    """What is told, to whom, and where: by mail, as a line on every page, or both."""

    subject: str
    body: str
    audience: str = Audience.TEAMS
    by_mail: bool = True
    on_site: bool = False

    def as_draft(self, phase: Phase, why: str) -> Announcement:
        """The announcement, not saved: with the reason below, and where the phase is seen. Raises Refused."""
        told = Announcement(
            subject=storable(self.subject.strip()),
            body="\n\n".join([storable(self.body.strip()), f"The organisers write: {why.strip()}", _button(phase)]),
            audience=self.audience,
            phase=phase if self.audience == Audience.TEAMS else None,
            of_phase=phase,
            by_mail=self.by_mail,
            on_site=self.on_site,
            shown_until=max(phase.closes_at, clock.now() + AT_LEAST) if self.on_site else None,
        )
        if not 0 < len(told.subject) <= LONGEST_SUBJECT or len(told.body) > LONGEST_BODY:
            raise Refused(f"A message has a subject of up to {LONGEST_SUBJECT} characters, and {LONGEST_BODY} in all.")
        return told


def of_policies(phase: Phase, changes: Sequence[tuple[str, str, str]], *, keeps_limits: bool = False) -> Message:
    """What to begin with when policies change: each with its label, what it was, and what it is."""
    lines = [f"• {label}: {after} (before: {before})" for label, before, after in changes]
    keeps = "What was handed in before keeps the wider limits with which it was accepted." if keeps_limits else ""
    what = f"{changes[0][0][0].lower()}{changes[0][0][1:]}" if len(changes) == 1 else f"{len(changes)} changes"
    body = [f"The organisers changed the {phase.name}:", "\n".join(lines), keeps]
    is_for_teams = phase.submissions.exists()
    return Message(
        f"The {phase.name}: {what}"[:LONGEST_SUBJECT],
        "\n\n".join(filter(None, body)),
        Audience.TEAMS if is_for_teams else Audience.ALL,
    )


@transaction.atomic
def tell(message: Message, phase: Phase, *, why: str, by: Actor) -> Announcement:
    """Send it. Call in the transaction of what it tells. Raises Refused where it would reach nobody."""
    told = message.as_draft(phase, why)
    told.save()
    announcing.send(told, by=by, why=why)
    told.refresh_from_db()
    return told


def _button(phase: Phase) -> str:
    return f"See the phase: {settings.SITE_URL}{reverse('board', args=[phase.slug])}"
