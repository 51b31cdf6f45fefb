"""Who wants to be told when registration opens: an address is asked for, confirmed by a link, told once, and let go.

    asked for      a message with a link goes there, whoever typed it; no answer tells whether the address was known
    confirmed      whoever opened the link pressed the button there: fetching a link alone, as scanners do, is none
    told           once, when registration has opened: the message and the note that it was written are one transaction
    let go         at once when its owner says so, with what waits to be sent to it; otherwise as `forget_old` says

Every message has a link, and the headers of RFC 8058, by which a mail program takes the address off at a press.
"""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from leaderboard.core import audit, clock, outbox
from leaderboard.core.audit import Actor
from leaderboard.core.text import csv_cell
from leaderboard.models import OutgoingMail, PreRegistration, Registration
from leaderboard.people import mail_limits, registration
from leaderboard.people.sign_in import normalised
from leaderboard.people.throttle import TooSoon

UNCONFIRMED_KEPT = timedelta(days=7)
KEPT_AFTER_TOLD = timedelta(days=30)
AT_ONCE = 50  # messages about the opening; others, as for signing up, go between them
KIND = "pre-registration"


@transaction.atomic
def ask(email: str) -> None:
    """Send a link to this address by which its owner confirms it; or word that it is confirmed.

    Nothing is sent, and nobody is told so, where the address had enough of these messages lately.
    """
    try:
        mail_limits.count(KIND, email)
    except TooSoon:
        return
    at = clock.now()
    row, _ = PreRegistration.objects.get_or_create(email=normalised(email), defaults={"asked_at": at})
    if row.confirmed_at is None:
        row.asked_at = at
        row.save(update_fields=["asked_at"])
    _write(row, "confirmed_before" if row.confirmed_at else "confirm")


def find(link_key: UUID) -> PreRegistration | None:
    """Whose link this is, as long as it leads anywhere."""
    row = PreRegistration.objects.filter(link_key=link_key).first()
    is_late = row is not None and row.confirmed_at is None and row.asked_at < clock.now() - UNCONFIRMED_KEPT
    return None if is_late else row


def confirm(link_key: UUID) -> bool:
    """The owner of the address has pressed the button; False where the link leads nowhere any more."""
    row = find(link_key)
    if row is not None:
        PreRegistration.objects.filter(pk=row.pk, confirmed_at=None).update(confirmed_at=clock.now())
    return row is not None


@transaction.atomic
def unsubscribe(link_key: UUID) -> None:
    """Let the address go, with what waits to be sent there. Also where it has gone already: asking twice is fine."""
    row = PreRegistration.objects.select_for_update().filter(link_key=link_key).first()
    if row is not None:
        _take_back(row)
        row.delete()


@transaction.atomic
def take_off(row: PreRegistration, *, by: Actor, why: str = "") -> None:
    """The same by an organiser, whom the owner asked: a decision, which is recorded without the address."""
    audit.record(by, "take off pre-registration", row, before=audit.state_of(row), why=why)
    unsubscribe(row.link_key)


@transaction.atomic
def tell_that_it_opened() -> None:
    """Write to some of those who wait for it, if registration is open and the outbox is not full of messages."""
    waiting = PreRegistration.objects.filter(confirmed_at__isnull=False, told_at=None)
    if not waiting.exists() or not registration.is_open(clock.now()) or outbox.due() >= AT_ONCE:
        return
    chosen = list(waiting.select_for_update(skip_locked=True).order_by("pk")[:AT_ONCE])
    for row in chosen:
        _write(row, "opened")
    PreRegistration.objects.filter(pk__in=[row.pk for row in chosen]).update(told_at=clock.now())


def forget_old() -> None:
    """Let go addresses that nobody confirmed, and those that were told some time ago."""
    at = clock.now()
    PreRegistration.objects.filter(confirmed_at=None, asked_at__lt=at - UNCONFIRMED_KEPT).delete()
    PreRegistration.objects.filter(told_at__lt=at - KEPT_AFTER_TOLD).delete()


def counts() -> dict[str, int]:
    """How many addresses there are: that wait for their owner, are confirmed, and of these were told."""
    rows = PreRegistration.objects
    return {
        "unconfirmed": rows.filter(confirmed_at=None).count(),
        "confirmed": rows.exclude(confirmed_at=None).count(),
        "told": rows.exclude(told_at=None).count(),
    }


@transaction.atomic
def export(*, by: Actor, why: str = "") -> str:
    """The confirmed addresses as a table for spreadsheets: a decision of somebody, which is recorded."""
    rows = list(PreRegistration.objects.exclude(confirmed_at=None).order_by("pk"))
    target, _ = Registration.objects.get_or_create(pk=1)
    audit.record(by, "export pre-registrations", target, after={"addresses": len(rows)}, why=why)
    lines = [f"{csv_cell(row.email)},{row.confirmed_at:%Y-%m-%dT%H:%M:%SZ}" for row in rows]
    return "\r\n".join(["email,confirmed_at", *lines, ""])


# --- messages ---------------------------------------------------------------------------------------------------------

SUBJECTS = {
    "confirm": "Confirm your pre-registration",
    "confirmed_before": "You are pre-registered",
    "opened": "Registration is open",
}


def _take_back(row: PreRegistration) -> None:
    """Send nothing of what waits: the address is let go, or is told something newer."""
    unsubscribe = _address("pre_registration_unsubscribe", row)
    outbox.take_back(row.email, lambda mail: mail.unsubscribe == unsubscribe)


def _write(row: PreRegistration, what: str) -> None:
    _take_back(row)
    unsubscribe = _address("pre_registration_unsubscribe", row)
    context = {
        "site": settings.SITE_URL,
        "confirm": _address("pre_registration_confirm", row),
        "unsubscribe": unsubscribe,
        "sign_up": settings.SITE_URL + reverse("account_signup"),
        "days": UNCONFIRMED_KEPT.days,
    }
    mail = OutgoingMail(
        to=row.email,
        sender=settings.DEFAULT_FROM_EMAIL,
        subject=f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{SUBJECTS[what]}",
        body=render_to_string(f"pre_registration/email/{what}.txt", context),
        unsubscribe=unsubscribe,
    )
    outbox.write([mail])


def _address(name: str, row: PreRegistration) -> str:
    return settings.SITE_URL + reverse(name, args=[row.link_key])
