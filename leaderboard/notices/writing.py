"""From the words of a notice to a message for each recipient, in the outbox."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.urls import reverse

from leaderboard.core import outbox
from leaderboard.core.mail_message import SIGNATURE
from leaderboard.core.text import one_line, sanitised
from leaderboard.models import Announcement, NoticeKind, OutgoingMail
from leaderboard.notices.links import stop_url
from leaderboard.notices.recipients import Recipient


class Notice(NamedTuple):
    """What is told, and why its recipients are (“You get this because ...”); not sent when it is not true any more."""

    kind: NoticeKind
    subject: str
    paragraphs: Sequence[str]
    because: str
    true_until: datetime | None = None


def write(notice: Notice, to: Iterable[Recipient], announcement: Announcement | None = None) -> int:
    """Put it into the outbox, for each recipient a message of their own. How many. Call in the cause's transaction."""
    mails = [mail_of(notice, one) for one in to]
    for mail in mails:
        mail.announcement = announcement
    outbox.write(mails)
    return len(mails)


def mail_of(notice: Notice, to: Recipient) -> OutgoingMail:
    """The message for one recipient, not written yet."""
    stop = stop_url(to.user_id, notice.kind)
    return OutgoingMail(
        kind=notice.kind,
        unsubscribe=stop,
        true_until=notice.true_until,
        to=to.email,
        sender=settings.DEFAULT_FROM_EMAIL,
        subject=one_line(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{notice.subject}"),
        body=sanitised("\n\n".join([*filter(None, notice.paragraphs), _small_print(notice, stop)])),
    )


def _small_print(notice: Notice, stop: str) -> str:
    return SIGNATURE + "\n\n".join(
        [
            f"You get this because {notice.because}.",
            f"Stop messages about {notice.kind.label.lower()}: {stop}",
            f"Choose what you are told: {settings.SITE_URL}{reverse('notices')}",
            "ReXGrounding Challenge, MICCAI 2026",
        ]
    )
