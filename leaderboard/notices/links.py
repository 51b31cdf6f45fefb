"""Signed addresses in messages. They work without signing in, and nobody can make one but this server."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.urls import reverse

from leaderboard.models import NoticeKind, User

_STOP = signing.Signer(salt="rexg.notices.stop", sep=".")
_WORKS = "rexg.notices.works"
WORKS_SECONDS = 3 * 24 * 3600


def stop_url(user_id: int, kind: str) -> str:
    """Where a person stops notices of a kind. It does nothing else and is valid for ever, as old messages are."""
    return settings.SITE_URL + reverse("notices_stop", args=[_STOP.sign(f"{user_id}-{kind}")])


def read_stop(token: str) -> tuple[User, NoticeKind] | None:
    """Whose notices of which kind an address stops; None for one that is not ours, or of an account that is gone."""
    try:
        number, _, kind = _STOP.unsign(token).partition("-")
        user = User.objects.filter(pk=int(number)).first()
        return (user, NoticeKind(kind)) if user else None
    except (signing.BadSignature, ValueError):
        return None


def works_url(address: EmailAddress) -> str:
    """Where an address that was refused is confirmed again, by whoever reads messages there."""
    token = signing.dumps([address.pk, address.email], salt=_WORKS)
    return settings.SITE_URL + reverse("address_works", args=[token])


def read_works(token: str) -> EmailAddress | None:
    """The address that is confirmed; None for a link that is too old, or not ours, or of an address that is gone."""
    try:
        number, email = signing.loads(token, salt=_WORKS, max_age=WORKS_SECONDS)
    except (signing.BadSignature, ValueError):
        return None
    return EmailAddress.objects.filter(pk=number, email=email).first()
