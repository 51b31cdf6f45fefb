"""What people are told by mail about the safety of their account: each change of what lets somebody in.

Nobody can switch these off, nor use them up (they are in no count of mail_limits). They go to the main address as it
was before the change, and are written in the transaction of the change where that is ours.
"""

from collections.abc import Mapping
from typing import NamedTuple

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from leaderboard.core import clock
from leaderboard.core.text import instant, one_line, sanitised
from leaderboard.models import ApiToken, User
from leaderboard.people.team_mails import FOOTER


class Change(NamedTuple):
    """The subject, and what happened, as a template of its details."""

    subject: str
    words: str


# By the names that allauth gives to them.
CHANGES: Mapping[str, Change] = {
    "password_changed": Change(
        "Your password was changed", "The password of your account was changed. Its sessions elsewhere are ended."
    ),
    "password_reset": Change(
        "Your password was changed",
        "A new password was chosen for your account, by the link of a message to you. Its sessions are ended.",
    ),
    "password_set": Change("Your account has a password", "Your account got a password. It had none."),
    "email_changed": Change(
        "Your email address was changed", "The main address of your account was {from_email} and is now {to_email}."
    ),
    "email_deleted": Change(
        "An email address was removed", "The address {deleted_email} was removed from your account."
    ),
    "totp_activated": Change(
        "An authenticator app was added", "An authenticator app was added to your account. It is asked for from now on."
    ),
    "totp_deactivated": Change(
        "An authenticator app was removed",
        "The authenticator app was removed from your account. It is asked for no more.",
    ),
    "recovery_codes_generated": Change(
        "New recovery codes were made",
        "New recovery codes were made for your account. Older ones do not work any more.",
    ),
    "webauthn_added": Change("A passkey was added", "A passkey was added to your account. It lets in whoever has it."),
    "webauthn_removed": Change("A passkey was removed", "A passkey was removed from your account."),
    "account_connected": Change(
        "ORCID was connected", "An ORCID iD was connected to your account, and signs in to it."
    ),
    "account_disconnected": Change("ORCID was disconnected", "ORCID does not sign in to your account any more."),
    "factors_removed": Change(
        "Your second factors were removed",
        "An organiser removed the second factors of your account: the password alone lets in until you add new ones.",
    ),
    "role_set": Change(
        "Your role was changed",
        "An owner of the challenge changed your role among those who run it. It is now: {role}.",
    ),
    "password_of_organisers": Change("Your password was changed", "An organiser changed the password of your account."),
}
_UNKNOWN = Change("Your account was changed", "How somebody signs in to your account was changed.")
_OF_PASSWORDS = frozenset({"password_changed", "password_reset", "password_set", "password_of_organisers"})


def tell_of(kind: str, person: User, details: Mapping[str, object] | None = None, *, to: str = "") -> None:
    """Tell somebody of one of the CHANGES; at the main address unless another one is named."""
    change = CHANGES.get(kind, _UNKNOWN)
    words = change.words.format_map({name: sanitised(str(value)) for name, value in (details or {}).items()})
    ends_no_token = kind in _OF_PASSWORDS and person.api_tokens.exists()
    _send(to or person.email, change.subject, words, *(_on_tokens() if ends_no_token else ()))


def tell_of_token(token: ApiToken) -> None:
    """Tell somebody of a new token, by its name, what it may do and for how long; not the token."""
    labels = dict(ApiToken.Scope.choices)
    may = "; ".join(str(labels[scope]) for scope in token.scopes)
    until = f"until {instant(token.expires_at)}" if token.expires_at else "until it is revoked"
    _send(
        token.user.email,
        "An API token was made",
        f"An API token was made for your account, named “{one_line(token.name)}”. It may do this, {until}: {may}.",
        f"Revoke it: {_address('tokens')}",
    )


def _on_tokens() -> tuple[str, str]:
    said = "API tokens of your account go on working: a new password ends none. Revoke those that others may have."
    return said, f"Look at your tokens: {_address('tokens')}"


def _send(to: str, subject: str, *paragraphs: str) -> None:
    if not to:
        return
    if_not = "If it was not you: choose a new password, end all sessions, revoke API tokens, and write to"
    body = [
        *(*paragraphs, f"This was on {instant(clock.now())}."),
        f"{if_not} {settings.CONTACT_EMAIL}.",
        f"Look at your account: {_address('account')}",
        FOOTER,
    ]
    EmailMessage(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}", "\n\n".join(body), to=[to]).send()


def _address(name: str) -> str:
    return f"{settings.SITE_URL}{reverse(name)}"
