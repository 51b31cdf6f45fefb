"""Personal tokens of the API: made, known again, revoked.

A token is `rexg_pat_`, 30 random letters and digits, and 6 more that are their checksum (CRC-32 in base 62): scanners
of published code know one without asking us, and a mistyped one costs no question to the database. It is shown once;
what is kept is its SHA-256, which is enough for what nobody can guess.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import transaction

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.database import the_one
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line
from leaderboard.models import ApiAnswer, ApiToken, User
from leaderboard.people import account_mails
from leaderboard.people.sign_in import lacks_second_factor

PREFIX = "rexg_pat_"
MOST_OF_ONE = 20
ANSWERS_KEPT = timedelta(days=1)
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECKSUM = 30, 6
_FORM = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECKSUM}}})")


def compose(random: str) -> str:
    """The token of 30 random letters and digits."""
    number, checksum = zlib.crc32(random.encode()), ""
    for _ in range(_CHECKSUM):
        number, rest = divmod(number, len(_ALPHABET))
        checksum = _ALPHABET[rest] + checksum
    return f"{PREFIX}{random}{checksum}"


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue(person: User, *, name: str, scopes: Iterable[str], days: int | None = None) -> tuple[ApiToken, str]:
    """A new token of this person, and its text, which cannot be read again. Raises Refused.

    days: after how many it expires; None: never.
    """
    name, chosen = one_line(name), [scope for scope in ApiToken.Scope.values if scope in set(scopes)]
    if not 1 <= len(name) <= 60:
        raise Refused("Name the token in 1 to 60 characters: by what will use it.")
    if not chosen:
        raise Refused("Choose what the token may do.")
    text = compose("".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM)))
    with transaction.atomic():
        User.objects.select_for_update().get(pk=person.pk)  # so that two at once are counted
        if person.api_tokens.count() >= MOST_OF_ONE:
            raise Refused(f"You have {MOST_OF_ONE} tokens already. Revoke one that is not used.")
        if person.api_tokens.filter(name__iexact=name).exists():  # a form that was sent again, or two of a name
            raise Refused(f"You have a token “{name}” already. Give this one another name, or revoke that one.")
        now = clock.now()
        expires_at = now + timedelta(days=days) if days else None
        token = ApiToken.objects.create(
            user=person, name=name, scopes=chosen, token_hash=hash_of(text), created_at=now, expires_at=expires_at
        )
        audit.record(Actor.person(person), "make token", token, after={"scopes": chosen, "expires_at": expires_at})
        account_mails.tell_of_token(token)
    return token, text


def find(text: str, at: datetime) -> ApiToken | None:
    """The token with this text that is good at this instant, with its person; None for every other text."""
    form = _FORM.fullmatch(text)
    if form is None or compose(form[1]) != text:
        return None
    known = the_one(ApiToken.objects.select_related("user").filter(token_hash=hash_of(text), user__is_active=True))
    return None if known is None or is_over(known, at) or lacks_second_factor(known.user) else known


def is_over(token: ApiToken, at: datetime) -> bool:
    """Whether the token has expired."""
    return token.expires_at is not None and token.expires_at <= at


def note_use(token: ApiToken, at: datetime) -> None:
    """Remember the day on which it was used: once a day, and not when, so that nothing follows a person's hours."""
    today = at.astimezone(UTC).date()
    if token.last_used_on != today:
        ApiToken.objects.filter(pk=token.pk).update(last_used_on=today)


@transaction.atomic
def revoke(person: User, pk: int) -> ApiToken:
    """End a token of this person, at once and for good. Raises Refused when there is none."""
    token = person.api_tokens.select_for_update().filter(pk=pk).first()
    if token is None:
        raise Refused("There is no such token: it was revoked.")
    audit.record(Actor.person(person), "revoke token", token, before={"scopes": token.scopes})
    token.delete()
    return token


def forget_answers() -> None:
    """Remove the answers that nobody can ask for again."""
    ApiAnswer.objects.filter(at__lt=clock.now() - ANSWERS_KEPT).delete()
