"""Second factors: allauth's pages and forms with this site's counts of tries, and its record of what people change.

A code is six digits, so tries are counted as those of a password are (people/sign_in.py). Counts are the account's own:
whoever tries codes knows the password already, and a new password by email makes nothing of it good.
"""

from typing import Any

import qrcode
from allauth.core import context
from allauth.mfa import signals
from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.base import forms as base_forms
from allauth.mfa.base import views as base_views
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.totp import views as totp_views
from django.db import transaction
from django.dispatch import receiver
from qrcode.image.svg import SvgPathFillImage

from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.models import User
from leaderboard.people import sign_in
from leaderboard.people.throttle import TooSoon
from leaderboard.web.accounts.adapter import not_yet
from leaderboard.web.accounts.clients import address_of, device_of
from leaderboard.web.accounts.views import SaysHowLong

KINDS = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}


class Adapter(DefaultMFAAdapter):
    """Named in the settings."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "add_email_blocked": "Remove your second factors before you add another address.",
        "incorrect_code": "This code is not right, or was used before.",
        "unverified_email": "Confirm your email address first: open the link in the message that we sent you.",
    }

    def build_totp_svg(self, url: str) -> str:
        """The key as a picture on white: cameras read it in a dark theme, too."""
        picture: str = qrcode.make(url, image_factory=SvgPathFillImage).to_string(encoding="unicode")
        return picture

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002  allauth's name
        """What a new passkey is called unless its owner says otherwise."""
        known = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {known + 1}"


class CountsTries:
    """A form with a code: each try is counted before the code is looked at, and no code is taken twice."""

    user: User

    def clean_code(self) -> str:
        """The code, if it may be tried and is right."""
        request = context.request
        try:
            tried = sign_in.count_code(self.user, address_of(request), device_of(request, self.user.email))
        except TooSoon as refusal:
            raise not_yet(refusal) from None
        code: str = super().clean_code()  # type: ignore[misc]
        if not sign_in.take_code(self.user, code):
            raise get_adapter().validation_error("incorrect_code")
        tried.was_right()
        return code


class AuthenticateForm(CountsTries, base_forms.AuthenticateForm):
    """Signing in: the code after the password."""


class ReauthenticateForm(CountsTries, base_forms.ReauthenticateForm):
    """Confirming that it is you, by a code."""


class ActivateTOTPForm(CountsTries, totp_forms.ActivateTOTPForm):
    """The first code of a new authenticator app."""


class AuthenticateView(SaysHowLong, base_views.AuthenticateView):
    """Sign in: the second factor."""


class ReauthenticateView(SaysHowLong, base_views.ReauthenticateView):
    """Confirm that it is you, by a code."""


class ActivateTOTPView(SaysHowLong, totp_views.ActivateTOTPView):
    """Add an authenticator app."""


@receiver(signals.authenticator_added)
def _record_added(user: User, authenticator: Authenticator, **_details: Any) -> None:
    _record(user, f"add {KINDS[authenticator.type]}")


@receiver(signals.authenticator_removed)
def _record_removed(user: User, authenticator: Authenticator, **_details: Any) -> None:
    _record(user, f"remove {KINDS[authenticator.type]}")


@receiver(signals.authenticator_reset)
def _record_renewed(user: User, authenticator: Authenticator, **_details: Any) -> None:
    _record(user, f"renew {KINDS[authenticator.type]}")


@transaction.atomic
def _record(user: User, action: str) -> None:
    audit.record(Actor.person(user), action, user)
