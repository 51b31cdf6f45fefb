"""The outbox: every message of the site is a row first, written in the transaction that causes it, and sent after.

Django's mail goes through `EmailBackend` here, so nothing is sent past it, and no page waits for a mail server: one
that is slow, stopped or refuses costs nobody a thread, and no answer's time tells whether something was sent. A control
worker sends a message right after the commit. What it left, because it is at work on an image or the server was away, a
thread of the sweeper's process sends (so no sweep waits for a mail server). One process sends at a time: a server that
hangs occupies one.

    the server takes it                   sent, once
    4xx, or 5xx that is about us          tried again for two days, after pauses from half a minute to an hour
    5xx about the message or its address  given up; of an address that is refused for good, a mark stays (`refusals`)
    5xx to one after another              tried again as after 4xx: a server that refuses all says nothing of anybody
    it would not be true any more         given up unsent: what it says has an end (`true_until`), as a deadline has
    the server is away                    tried again within two minutes, nothing else within half a minute

A message may come twice if we die, or lose the database, between the server's yes and our commit, or if that yes is
lost on its way to us; never else. It has one name (Message-ID) then, by which its receiver can tell. Notices (mails
that have a kind) wait for what somebody waits for: a link to confirm, or to choose a new password.

What a message says ends with it (it may hold a link that is as good as a password), and is in no log, no message to a
worker and no backup. Who it was for, when, and what became of it stays for a month, in the administration.
"""

import logging
import math
import re
import smtplib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import Case, Count, Max, Min, Q, QuerySet, Value, When

from leaderboard.core import clock, locks, refusals, task_queue
from leaderboard.core.mail_message import message_of
from leaderboard.core.text import one_line, pattern_of
from leaderboard.models import OutgoingMail

logger = logging.getLogger(__name__)
State = OutgoingMail.State

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
LONGEST_PAUSE_AWAY = timedelta(minutes=2)  # so that an hour without a mail server costs no message more than that
TRIED_FOR = timedelta(days=2)
KEPT = timedelta(days=30)
AWAY_SECONDS = 30.0
LATE = timedelta(minutes=2)  # a message that was not sent by then is late, and pages say so
PERMANENT = 500
CLOSING = 421  # the server is about to hang up, whatever it was asked
SIGN_IN_FIRST = frozenset({503, 530, 535, 538})  # said to a recipient, too
_CODED = re.compile(r"5\d\d[ -]+(5\.\d+\.\d+)\b")
# RFC 3463: the address, but for the sender's (7, 8); the mailbox, unless it is full (2). Some say 5.4.1 of no address.
_OF_ADDRESS = re.compile(r"5\.1\.(?![78]$)|5\.2\.(?!2$)|5\.4\.1$")
TOO_LATE = "it was too late for what it says"
MANY_REFUSALS = 3  # one after another, each to somebody else: then it is not about them
_away_until = 0.0  # on the monotonic clock


# --- writing ----------------------------------------------------------------------------------------------------------


class EmailBackend(BaseEmailBackend):
    """Django's way to send: writes the message down, for each address a row of its own."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write down messages of plain text. How many."""
        for message in email_messages:
            _refuse_what_would_be_lost(message)
            about = {"sender": message.from_email, "subject": message.subject, "body": message.body}
            write([OutgoingMail(to=to, **about) for to in message.recipients()])
        return len(email_messages)


def write(mails: Sequence[OutgoingMail]) -> None:
    """Write messages down, to be sent from now on. One knock is enough: whoever hears it sends what is due."""
    at = clock.now()
    for mail in mails:
        mail.created_at = mail.due_at = at
    written = OutgoingMail.objects.bulk_create(mails)
    if written:
        task_queue.enqueue_mail(written[0].pk)


def _refuse_what_would_be_lost(message: EmailMessage) -> None:
    others = (message.cc, message.bcc, message.reply_to, message.attachments, message.extra_headers)
    alternatives = message.alternatives if isinstance(message, EmailMultiAlternatives) else ()
    if any(others) or alternatives or message.content_subtype != "plain":
        raise ValueError("The outbox keeps plain text to addresses, and nothing else yet.")


def forget_old() -> None:
    """Remove what ended long ago, and what code of before left of what ended."""
    OutgoingMail.objects.exclude(state=State.WAITING).exclude(unsubscribe="").update(unsubscribe="")
    OutgoingMail.objects.filter(ended_at__lt=clock.now() - KEPT).delete()


def shorten_pauses(at: datetime) -> None:
    """The clock was set back to this instant: nothing waits for longer than it would have to."""
    OutgoingMail.objects.filter(state=State.WAITING, due_at__gt=at + LONGEST_PAUSE).update(due_at=at)


def forget(name: str) -> None:
    """Name a person no more in the subjects of messages to others, which are kept for a time after they were sent."""
    if not name:
        return
    pattern = pattern_of([name])
    for mail in OutgoingMail.objects.exclude(state=State.WAITING).filter(subject__contains=name).only("subject"):
        mail.subject = pattern.sub("somebody", mail.subject)
        mail.save(update_fields=["subject"])


def take_back(to: str, chosen: Callable[[OutgoingMail], bool]) -> None:
    """Remove those of the messages to an address that wait and say what is over; one that is being sent goes on."""
    waiting = OutgoingMail.objects.select_for_update().filter(state=State.WAITING, to=to).order_by("pk")
    OutgoingMail.objects.filter(pk__in=[mail.pk for mail in waiting if chosen(mail)]).delete()


def due() -> int:
    """How many messages wait to be sent now; not those that are put off."""
    return OutgoingMail.objects.filter(state=State.WAITING, due_at__lte=clock.now()).count()


def waiting_since(*, with_notices: bool) -> datetime | None:
    """When the oldest message was written that waits for the mail server; one that is refused itself does not."""
    waiting = OutgoingMail.objects.filter(state=State.WAITING)
    if not with_notices:  # which wait for all others
        waiting = waiting.filter(kind="")
    refused = Q(is_refused=True)
    found = waiting.aggregate(oldest=Min("created_at", filter=~refused), refused=Count("pk", filter=refused))
    everybody = _refused_since(waiting.filter(refused)) if found["refused"] >= MANY_REFUSALS else None
    return min(filter(None, [found["oldest"], everybody]), default=None)


def _refused_since(refused: QuerySet[OutgoingMail]) -> datetime | None:
    """When the oldest of those was written that came after the last that was sent, if they are to several addresses."""
    last = OutgoingMail.objects.filter(state=State.SENT).aggregate(at=Max("ended_at"))["at"]
    since = refused.filter(created_at__gt=last) if last else refused
    found = since.aggregate(addresses=Count("to", distinct=True), at=Min("created_at"))
    return found["at"] if found["addresses"] >= MANY_REFUSALS else None


def late_since(at: datetime) -> datetime | None:
    """Since when messages wait that people wait for, if that is longer than it should be."""
    since = waiting_since(with_notices=False)
    return since if since and since < at - LATE else None


# --- sending ----------------------------------------------------------------------------------------------------------


def send_due(*, for_seconds: float = math.inf) -> None:
    """Send what is due, one by one; nothing if another process does so, or the server was away a moment ago."""
    end = time.monotonic() + for_seconds
    with locks.working_on("outbox", "") as mine:
        while mine and _away_until <= time.monotonic() < end and _send_next():
            pass


def send_in_background() -> None:
    """Send what is due until this process ends; a database that is away is waited for."""
    threading.Thread(target=_send_on, name="outbox", daemon=True).start()


def _send_on() -> None:
    while True:
        try:
            send_due()
        except DatabaseError as error:
            logger.warning("no message is sent, the database is away: %s", error)
        except Exception:
            logger.exception("sending messages failed")
        finally:
            connection.close()
        time.sleep(settings.SWEEP_SECONDS)


def _send_next() -> bool:
    """Send one message that is due; whether there was one.

    `send_due` lets one process send at a time; no row is locked meanwhile, so that nobody waits for a mail server who
    takes a message back, or deletes an account.
    """
    global _away_until
    mail = _next()
    if mail is None:
        return False
    if mail.true_until and mail.true_until <= clock.now():
        _drop(OutgoingMail.objects.filter(pk=mail.pk, state=State.WAITING), TOO_LATE)
        return True
    failure = _deliver(mail)
    if failure and failure.is_away:
        _away_until = time.monotonic() + AWAY_SECONDS
    if failure and failure.is_final and _refuses_everybody(mail.to):
        failure = failure._replace(is_final=False, is_of_address=False)
    _note(mail.pk, failure)
    if failure and failure.is_of_address:  # of its own: whoever holds one row of an address wants no other
        drop_notices([mail.to], kind="", why="the address was refused")
    return True


def _next() -> OutgoingMail | None:
    """What is due for longest, notices last; but to one address in the order in which messages were written.

    Pauses lose that order: what was tried while the server was away is due later than what was not.
    """
    due = OutgoingMail.objects.filter(state=State.WAITING, due_at__lte=clock.now())
    notices_last = Case(When(kind="", then=Value(0)), default=Value(1))
    longest = due.order_by(notices_last, "due_at", "pk").first()
    return longest and due.filter(to=longest.to).order_by(notices_last, "pk").first()


@transaction.atomic
def _note(mail_id: int, failure: "Failure | None") -> None:
    """What became of a message that was tried, unless it is gone; one that was dropped meanwhile may have been sent."""
    mail = OutgoingMail.objects.select_for_update().filter(pk=mail_id).first()
    if mail is None:
        return
    mail.tries += 1
    if failure is None:
        _end(mail, State.SENT)
    elif mail.state == State.WAITING:
        _put_off(mail, failure)
    mail.save()


class Failure(NamedTuple):
    """Why a message was not sent: in words, and what that means for it and for others."""

    words: str
    is_refused: bool = False  # it was this very message, or its address
    is_final: bool = False
    is_away: bool = False  # others need not be tried now
    is_of_address: bool = False  # nothing more need be sent there


def _deliver(mail: OutgoingMail) -> Failure | None:
    """Hand a message to the real mail server; None when it took it."""
    try:
        get_connection(settings.EMAIL_TRANSPORT).send_messages([message_of(mail)])
    except Exception as error:  # noqa: BLE001  whatever a transport raises: no other message may wait for this one
        return failure_of(error)
    return None


def failure_of(error: Exception) -> Failure:
    """What an error of SMTP or of the network says. A 5xx about us (password, sender) is for an operator to mend."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
        return _of_recipient(_answered(code, words, about_us=code in SIGN_IN_FIRST), code)
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code, error.smtp_error, about_us=not isinstance(error, smtplib.SMTPDataError))
    # smtplib's other errors are of the network's kind, too.
    return Failure(_bare(f"{type(error).__name__}: {error}"), is_away=isinstance(error, OSError))


def _of_recipient(failure: Failure, code: int) -> Failure:
    """What is not about the address is against us (a policy, our name, our sender), or passes, as a full mailbox does.

    Both are asked again, and hold up nobody: whose address it is could otherwise do that to all.
    """
    if failure.is_away or code < PERMANENT:
        return failure
    coded = _CODED.match(failure.words)
    if coded and not _OF_ADDRESS.match(coded[1]):
        return failure._replace(is_final=False)
    return failure._replace(is_of_address=True)


def _answered(code: int, words: bytes | str, *, about_us: bool) -> Failure:
    said = words.decode(errors="replace") if isinstance(words, bytes) else words
    is_away = about_us or code == CLOSING
    return Failure(
        _bare(f"{code} {said}"), is_refused=not is_away, is_final=code >= PERMANENT and not is_away, is_away=is_away
    )


def _bare(words: str) -> str:
    """Words of a mail server, on one line and without addresses of pages: some repeat what offends them."""
    return re.sub(r"\S+://\S+", "(a link)", one_line(words))[:300]


def _put_off(mail: OutgoingMail, failure: Failure) -> None:
    mail.answer, mail.is_refused = failure.words, failure.is_refused
    now = clock.now()
    if failure.is_of_address:
        refusals.note(mail.to, failure.words, now)
    if failure.is_final or now - mail.created_at > TRIED_FOR:
        logger.warning("%s was given up after %s tries", mail, mail.tries)
        _end(mail, State.GIVEN_UP)
    else:
        longest = LONGEST_PAUSE_AWAY if failure.is_away else LONGEST_PAUSE
        mail.due_at = now + min(longest, FIRST_PAUSE * (1 << min(mail.tries - 1, 10)))
        logger.info("%s was not sent, try %s", mail, mail.tries)


def _refuses_everybody(to: str) -> bool:
    """Whether the server took nothing lately, whoever it was for: settings are wrong, and can be mended."""
    tried = OutgoingMail.objects.exclude(ended_at=None).filter(tries__gt=0).exclude(to=to).order_by("-ended_at", "-pk")
    last = tried.values_list("to", "state", "is_refused")[:MANY_REFUSALS]
    return len({to for to, state, refused in last if state == State.GIVEN_UP and refused}) == MANY_REFUSALS


def _end(mail: OutgoingMail, state: State) -> None:
    mail.state, mail.ended_at, mail.body, mail.unsubscribe = state, clock.now(), "", ""


def drop_notices(to: Iterable[str], *, kind: str, why: str) -> None:
    """Send no more of what waits: notices (of a kind; of any where it is empty) to addresses. Waits for no mail server.

    The one that is being sent at this moment still goes.
    """
    waiting = OutgoingMail.objects.filter(state=State.WAITING, to__in=list(to))
    _drop(waiting.filter(kind=kind) if kind else waiting.exclude(kind=""), why)


def drop_notices_with(words: str, *, kind: str, why: str) -> None:
    """Likewise of what has these words in it, whoever it is for."""
    _drop(OutgoingMail.objects.filter(state=State.WAITING, kind=kind, body__contains=words), why)


def drop(mails: QuerySet[OutgoingMail], why: str) -> None:
    """Send these no more, as far as they wait still."""
    _drop(mails.filter(state=State.WAITING), why)


@transaction.atomic
def _drop(mails: QuerySet[OutgoingMail], why: str) -> None:
    for mail in mails.select_for_update().order_by("pk"):
        mail.answer = why
        _end(mail, State.GIVEN_UP)
        mail.save()
