"""Beside a phase's changes: what teams are told of them, read before it is sent, and sent with the changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from leaderboard.challenge import mid_phase
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.desk.phases import Preview
from leaderboard.models import Phase
from leaderboard.notices import announcing, telling
from leaderboard.notices.telling import LONGEST_BODY, LONGEST_SUBJECT, REASON, Audience, Message
from leaderboard.web.desk.acts import WHY_CHARACTERS

_TO = {
    Audience.TEAMS: "Members of the teams that handed in to the phase",
    Audience.ALL: "Everybody with an account",
}


@dataclass(frozen=True)
class Told:
    """What was sent with the form: which fields are to change, why, and a message, written for some fields."""

    fields: Sequence[str]
    why: str
    message: Message
    written_for: frozenset[str]

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is to be told."""
        return self.message.by_mail or self.message.on_site

    @property
    def fits_its_fields(self) -> bool:
        """Whether the message was written for what is to change, and for nothing else."""
        return self.written_for == frozenset(self.fields)

    def send(self, phase: Phase, *, by: Actor) -> str:
        """Send it, with the phase as it is now, where anybody is to be told.

        Returns what came of it, in words. Raises Refused.
        """
        if not self.is_wanted:
            return ""
        sent = telling.tell(self.message, phase, why=self.why, by=by)
        line = " It stands on every page." if sent.on_site else ""
        return f" The message went to {sent.recipients or 0}.{line}" if sent.by_mail else line


def read(posted: QueryDict) -> Told:
    """What was sent with the form."""
    places, audience = posted.getlist("tell"), posted.get("audience", "")
    body = posted.get("text", "").replace("\r\n", "\n")[:LONGEST_BODY]
    return Told(
        posted.getlist("field"),
        posted.get("why", "")[:WHY_CHARACTERS],
        Message(
            posted.get("subject", "")[:LONGEST_SUBJECT],
            body,
            audience if audience in _TO else Audience.TEAMS,
            by_mail="mail" in places,
            on_site="site" in places,
        ),
        frozenset(filter(None, posted.get("written_for", "").split(","))),
    )


def shown(found: Preview, told: Told | None) -> dict[str, Any]:
    """What the template shows: the message as it would be read now, and to how many it would go."""
    changes = [one for one in found.changes if told is None or not told.fields or one.name in told.fields]
    if not changes:
        return {}
    is_kept = told is not None and told.fits_its_fields and bool(told.message.body.strip())
    message = told.message if told and is_kept else _prefilled(found, changes, told)
    return {
        "chosen": [one.name for one in changes],
        "message": message,
        "written_for": ",".join(one.name for one in changes),
        "audiences": list(_TO.items()),
        "longest_subject": LONGEST_SUBJECT,
        "longest_body": LONGEST_BODY,
        "moves_deadline": _moves_deadline(found, [one.name for one in changes]),
        **_as_read(found.after, message, told.why if told else ""),
    }


def _prefilled(found: Preview, changes: Sequence[Any], told: Told | None) -> Message:
    keeps = bool(set(mid_phase.lowered(found.before, found.after)) & {one.name for one in changes})
    written = telling.of_policies(found.before, [one[1:] for one in changes], keeps_limits=keeps)
    where = {"by_mail": told.message.by_mail, "on_site": told.message.on_site} if told else {"by_mail": False}
    return Message(written.subject, written.body, written.audience, **where)


def _as_read(phase: Phase, message: Message, why: str) -> dict[str, Any]:
    by_mail = Message(message.subject, message.body, message.audience)
    try:
        draft = by_mail.as_draft(phase, why or REASON)
    except Refused:
        return {}
    return {"as_read": announcing.preview_of(draft), "reach": announcing.reach_of(draft)}


def _moves_deadline(found: Preview, names: Sequence[str]) -> str:
    """Of a deadline that moves everybody in a team is told anyway (notices.deadlines)."""
    is_told = "closes_at" in names and not found.before.is_draft and found.made_at is not None
    is_told = is_told and found.made_at is not None and found.before.opens_at <= found.made_at
    return instant(found.after.closes_at) if is_told else ""
