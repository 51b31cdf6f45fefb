"""What organisers announce: written as a draft, looked at, sent once (now or at an instant), and recorded.

What is sent is in the outbox in the transaction that notes that it is sent: whoever is killed in the middle has sent
nothing, and whoever comes next sends it. A line on the pages is a row with its times, written when it is announced.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from leaderboard.core import audit, clock, outbox
from leaderboard.core.audit import Actor
from leaderboard.core.mail_message import SIGNATURE
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.models import Announcement, Membership, NoticeKind, OutgoingMail, SiteLine, User
from leaderboard.notices import ranks
from leaderboard.notices.recipients import (
    Recipient,
    everybody,
    members_of,
    members_of_affected,
    members_of_entrants,
    recipients,
)
from leaderboard.notices.writing import Notice, mail_of, write

logger = logging.getLogger(__name__)
Audience = Announcement.Audience
CHANGED = "Somebody changed this draft since you began. Look at it as it is now; what you wrote is below."
_WRITTEN = (
    *("subject", "body", "audience", "phase_id", "team_id", "affected_from", "affected_until", "by_mail", "on_site"),
    *("level", "shown_until", "occasion", "of_phase_id"),
)
_RECORDED = ("subject", "body", "audience", "phase_id", "team_id", "by_mail", "on_site", "recipients")


def mark_of(draft: Announcement) -> str:
    """Another one for each text of a draft; empty for one that is not kept yet."""
    told = audit.storable_state(draft, _WRITTEN)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16] if draft.pk else ""


@transaction.atomic
def keep(draft: Announcement, *, by: Actor, why: str = "", began_with: str = "") -> None:
    """Keep a draft, a new one or a changed one, and record it.

    `began_with` is the mark of what was changed, if it is known. Raises Refused for what was announced meanwhile, or
    changed by somebody else.
    """
    old = _locked(draft) if draft.pk else None
    if old and not old.is_draft:
        raise Refused("It is announced, and can’t be changed any more.")
    if old and began_with and began_with != mark_of(old):
        raise Refused(CHANGED)
    draft.save(update_fields=_WRITTEN if old else None)
    audit.record_change(by, f"{'change' if old else 'write'} announcement", old, draft, fields=_WRITTEN, why=why)


class Reach(NamedTuple):
    """How many people would get it by mail, of how many teams."""

    people: int
    teams: int


def recipients_of(announcement: Announcement) -> list[Recipient]:
    """Who would get it by mail now."""
    return recipients(_people(announcement), NoticeKind.ANNOUNCEMENTS) if announcement.by_mail else []


def reach_of(announcement: Announcement) -> Reach:
    """How many would get it now."""
    found = recipients_of(announcement)
    teams = Membership.objects.filter(user__in=[one.user_id for one in found]).values("team").distinct().count()
    return Reach(len(found), teams)


def _people(announcement: Announcement) -> QuerySet[User]:
    if announcement.audience == Audience.TEAM:
        return members_of(announcement.team) if announcement.team else User.objects.none()
    if announcement.affected_from and announcement.affected_until and announcement.audience == Audience.AFFECTED:
        return members_of_affected(announcement.affected_from, announcement.affected_until, announcement.phase)
    return members_of_entrants(announcement.phase) if announcement.phase else everybody()


def mail_for_preview(announcement: Announcement) -> OutgoingMail:
    """The message as somebody who gets it would read it; of several teams, as the first of them.

    Its links to stop such messages are nobody's: by those of a recipient whoever looks at it could stop theirs.
    """
    nobody = Recipient(0, "")
    [(notice, _)] = _notices(announcement, [next(iter(recipients_of(announcement)), nobody)])
    return mail_of(notice, nobody)


def preview_of(announcement: Announcement) -> str:
    """Its text as a recipient reads it, but for the addresses below the line, which are each recipient's own."""
    mail = mail_for_preview(announcement)
    return f"{mail.subject}\n\n{mail.body.partition(SIGNATURE)[0]}"


def send_to_oneself(announcement: Announcement, person: User) -> None:
    """Send it to whoever looks at it first, and to nobody else."""
    own = recipients(User.objects.filter(pk=person.pk), NoticeKind.ANNOUNCEMENTS)
    if not own:
        raise Refused("You get no announcements: confirm your address, and choose them under “Notices”.")
    write(_notice_of(announcement), own)


@transaction.atomic
def announce(announcement: Announcement, *, by: Actor, why: str = "", at: datetime | None = None) -> int | None:
    """Send it now, or have it sent at an instant to come. To how many; None where that is not known yet. May refuse."""
    if at is None or at <= clock.now():
        return send(announcement, by=by, why=why)
    row = _locked(announcement)
    _check_new(row)
    ranks.check(row)
    row.due_at = at
    row.save(update_fields=["due_at"])
    if row.on_site:
        _put_up(row, at)
    audit.record(by, "schedule announcement", row, after=audit.state_of(row, [*_RECORDED, "due_at"]), why=why)
    return None


@transaction.atomic
def send(announcement: Announcement, *, by: Actor, why: str = "") -> int:
    """Send it, and record that. To how many; Refused if it was sent before, or would reach nobody."""
    row = _locked(announcement)
    _check_new(row)
    told = _send(row)
    if not (told or row.on_site):
        raise Refused("It would reach nobody.")
    audit.record(by, "send announcement", row, after=audit.state_of(row, _RECORDED), why=why)
    return told


def _locked(announcement: Announcement) -> Announcement:
    rows = Announcement.objects.select_for_update(of=("self",)).select_related("phase", "team")
    found = rows.filter(pk=announcement.pk).first()
    if found is None:
        raise Refused("It is gone: somebody deleted it.")
    return found


def _check_new(row: Announcement) -> None:
    if row.sent_at:
        raise Refused("It was sent before. Write another one.")
    if row.cancelled_at:
        raise Refused("It was cancelled. Write another one.")
    if row.due_at:
        raise Refused(f"It is to be sent on {instant(row.due_at)} already. Cancel that first.")


def _send(row: Announcement) -> int:
    ranks.check(row)
    told = sum(write(notice, to, row) for notice, to in _notices(row, recipients_of(row)) if to)
    row.sent_at, row.recipients = clock.now(), told
    row.save(update_fields=["sent_at", "recipients"])
    if row.on_site and not row.lines.exists():
        _put_up(row, row.sent_at)
    return told


def _put_up(row: Announcement, at: datetime) -> None:
    SiteLine.objects.create(
        text=row.subject, level=row.level, announcement=row, shown_from=at, shown_until=row.shown_until
    )


def send_due() -> None:
    """Send what is due. What can't be sent any more (a reveal that was taken back) is cancelled, and logged."""
    due = Announcement.objects.filter(sent_at=None, cancelled_at=None, due_at__lte=clock.now())
    for row in due.order_by("due_at", "pk"):
        try:
            _send_one(row)
        except DatabaseError:
            raise
        except Refused as refusal:
            logger.error("announcement %s is not sent: %s", row.pk, refusal)  # noqa: TRY400  no trace is needed
            Announcement.objects.filter(pk=row.pk, sent_at=None).update(cancelled_at=clock.now())
        except Exception:
            logger.exception("announcement %s could not be sent", row.pk)  # and keeps no other waiting


@transaction.atomic
def _send_one(announcement: Announcement) -> None:
    rows = Announcement.objects.select_for_update(of=("self",), skip_locked=True).select_related("phase", "team")
    row = rows.filter(pk=announcement.pk, sent_at=None, cancelled_at=None).first()
    if row is not None:  # else another process is at it
        _send(row)


@transaction.atomic
def cancel(announcement: Announcement, *, by: Actor, why: str = "") -> None:
    """Do not send it any more, nor what of it still waits, and take its line down. Who has it, has it."""
    row = _locked(announcement)
    at = clock.now()
    waiting = OutgoingMail.objects.filter(announcement=row, state=OutgoingMail.State.WAITING)
    lines = row.lines.filter(Q(shown_until=None) | Q(shown_until__gt=at), ended_at=None)
    before = {"mails_waiting": waiting.count(), "lines": lines.count(), "due_at": None if row.sent_at else row.due_at}
    if row.cancelled_at or not any(before.values()):
        raise Refused("There is nothing of it to cancel: all of it is sent, and no line of it stands.")
    lines.update(ended_at=at)
    outbox.drop(waiting, "the organisers cancelled it")
    row.cancelled_at = at
    row.save(update_fields=["cancelled_at"])
    audit.record(by, "cancel announcement", row, before=before, after={"cancelled_at": at}, why=why)


def can_cancel(announcement: Announcement) -> bool:
    """Whether cancelling may mean something: it is to come, or was sent and a line or a mail may still stand."""
    return announcement.cancelled_at is None and not announcement.is_draft


def with_counts(rows: QuerySet[Announcement]) -> QuerySet[Any]:
    """With how many of its mails wait, were sent, and were refused or given up; mails are known for a month."""
    state = OutgoingMail.State
    return rows.annotate(
        waiting=Count("mails", filter=Q(mails__state=state.WAITING)),
        delivered=Count("mails", filter=Q(mails__state=state.SENT)),
        refused=Count("mails", filter=Q(mails__state=state.GIVEN_UP)),
    )


def _notices(announcement: Announcement, to: Iterable[Recipient]) -> Iterator[tuple[Notice, list[Recipient]]]:
    """What is told to whom: the same to all, or to each team its own ranks."""
    if not announcement.tells_ranks or announcement.phase is None:
        yield _notice_of(announcement), list(to)
        return
    for paragraphs, some in ranks.by_team(announcement.phase, to):
        yield _notice_of(announcement, *paragraphs), some


def _notice_of(announcement: Announcement, *more: str) -> Notice:
    because = "you have an account"
    if announcement.audience == Audience.TEAM:
        because = f"you are in the team {announcement.team}"
    elif announcement.audience == Audience.AFFECTED:
        because = "a run of your team was interrupted by our fault, or given back to it"
    elif announcement.phase:
        because = f"your team handed in to the {announcement.phase.name}"
    return Notice(NoticeKind.ANNOUNCEMENTS, announcement.subject, [announcement.body.strip(), *more], because)
