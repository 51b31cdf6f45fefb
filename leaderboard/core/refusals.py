"""Addresses that a mail server refused for good: marked, so that people are told, and left alone by notices.

Messages about an account still go there: one of them confirms the address again, and the mark goes.
"""

from collections.abc import Iterable
from datetime import datetime

from allauth.account.models import EmailAddress
from django.db.models import Exists, OuterRef

from leaderboard.models import RefusedAddress


def note(email: str, answer: str, at: datetime) -> None:
    """Mark an address."""
    RefusedAddress.objects.update_or_create(email=email.lower(), defaults={"refused_at": at, "answer": answer})


def forgive(email: str) -> None:
    """Take the mark away: a message has reached the address."""
    RefusedAddress.objects.filter(email__iexact=email).delete()


def forget_strangers() -> None:
    """Remove the marks of addresses that no account has."""
    known = EmailAddress.objects.filter(email__iexact=OuterRef("email"))
    RefusedAddress.objects.exclude(Exists(known)).delete()


def refused_among(emails: Iterable[str]) -> set[str]:
    """Those of the addresses that are marked, in small letters."""
    wanted = {email.lower() for email in emails}
    return set(RefusedAddress.objects.filter(email__in=wanted).values_list("email", flat=True))
