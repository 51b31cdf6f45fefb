"""What organisers announce: written as a draft, looked at, sent once, and recorded."""

from django.db import transaction

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.mail_message import SIGNATURE
from leaderboard.core.refusal import Refused
from leaderboard.models import Announcement, NoticeKind, User
from leaderboard.notices.recipients import (
    Recipient,
    everybody,
    members_of_entrants,
    recipients,
)
from leaderboard.notices.writing import Notice, mail_of, write


def recipients_of(announcement: Announcement) -> list[Recipient]:
    """Who would get it now."""
    people = members_of_entrants(announcement.phase) if announcement.phase else everybody()
    return recipients(people, NoticeKind.ANNOUNCEMENTS)


def preview_of(announcement: Announcement) -> str:
    """Its text as a recipient reads it, but for the addresses below the line, which are each recipient's own."""
    mail = mail_of(_notice_of(announcement), Recipient(0, ""))
    return f"{mail.subject}\n\n{mail.body.partition(SIGNATURE)[0]}"


def send_to_oneself(announcement: Announcement, person: User) -> None:
    """Send it to whoever looks at it first, and to nobody else."""
    own = recipients(User.objects.filter(pk=person.pk), NoticeKind.ANNOUNCEMENTS)
    if not own:
        raise Refused("You get no announcements: confirm your address, and choose them under “Notices”.")
    write(_notice_of(announcement), own)


@transaction.atomic
def send(announcement: Announcement, *, by: Actor, why: str = "") -> int:
    """Send it, and record that. To how many; Refused if it was sent before, or would reach nobody."""
    announcement = Announcement.objects.select_for_update(of=("self",)).select_related("phase").get(pk=announcement.pk)
    if announcement.sent_at:
        raise Refused("It was sent before. Write another one.")
    told = write(_notice_of(announcement), recipients_of(announcement))
    if not told:
        raise Refused("It would reach nobody.")
    announcement.sent_at, announcement.recipients = clock.now(), told
    announcement.save(update_fields=["sent_at", "recipients"])
    after = audit.state_of(announcement, ["subject", "audience", "phase_id", "recipients"])
    audit.record(by, "send announcement", announcement, after=after, why=why)
    return told


def _notice_of(announcement: Announcement) -> Notice:
    because = "you have an account"
    if announcement.phase:
        because = f"your team handed in to the {announcement.phase.name}"
    return Notice(NoticeKind.ANNOUNCEMENTS, announcement.subject, [announcement.body.strip()], because)
