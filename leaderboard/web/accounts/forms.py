"""allauth's forms with what this site adds: limits by network address, and the same answer whoever has an account."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.app_settings import EmailVerificationMethod
from allauth.core import context
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from leaderboard.models import User
from leaderboard.people import addresses, sign_in, throttle
from leaderboard.people.throttle import Limit, TooSoon
from leaderboard.web.accounts.adapter import not_yet
from leaderboard.web.accounts.clients import address_of, device_of

# A seminar's room registers from one address.
ASKED_FROM_ONE_ADDRESS = Limit(free=20, first_seconds=60, longest_seconds=3600, forget_seconds=300)
SENTENCE = "There were too many of these from your network. Wait {wait}, then try again."


def _count_by_address(kind: str) -> None:
    key = throttle.key_of(kind, address_of(context.request))
    try:
        throttle.count({key: ASKED_FROM_ONE_ADDRESS}, sentence=SENTENCE)
    except TooSoon as refusal:
        raise not_yet(refusal) from None


class LoginForm(allauth_forms.LoginForm):
    """Signing in. Who has been in before gets in without a confirmed address, and is told what it is needed for."""

    def clean(self) -> dict[str, Any]:
        """Accounts that wait for their first confirmation are nobody to the adapter; for others it is no condition."""
        cleaned: dict[str, Any] = super().clean()
        if login := getattr(self, "_login", None):
            login.email_verification = EmailVerificationMethod.OPTIONAL
        return cleaned


class SignupForm(allauth_forms.SignupForm):
    """Registering."""

    def clean_email(self) -> str:
        """An address that somebody else merely added is free."""
        addresses.let_go_of_strangers(self.cleaned_data["email"])
        email: str = super().clean_email()
        return email

    def clean(self) -> dict[str, Any]:
        """Count what would make an account or send a message."""
        cleaned: dict[str, Any] = super().clean()
        if not self.errors:
            _count_by_address("sign-up")
        return cleaned

    def try_save(self, request: HttpRequest) -> tuple[Any, Any]:
        """Of two who register with one address at the same instant the second one is answered like one who is late."""
        try:
            with transaction.atomic():
                saved: tuple[Any, Any] = super().try_save(request)
        except IntegrityError:
            self.account_already_exists = True
            saved = super().try_save(request)
        return saved


class SentenceCase:
    """A form of allauth's whose labels are written as all others here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            field.label = str(field.label).capitalize()


class ResetPasswordKeyForm(SentenceCase, allauth_forms.ResetPasswordKeyForm):
    """Choosing a new password by the link of a message."""


class SetPasswordForm(SentenceCase, allauth_forms.SetPasswordForm):
    """Setting the first password of an account that was made without one."""


class ChangePasswordForm(SentenceCase, allauth_forms.ChangePasswordForm):
    """Changing the password: the present one is tried as at the door."""

    def clean_oldpassword(self) -> str:
        """Count the try before the password is looked at."""
        request = context.request
        try:
            tried = sign_in.count_try(self.user.email, address_of(request), device_of(request, self.user.email))
        except TooSoon as refusal:
            raise not_yet(refusal) from None
        password: str = super().clean_oldpassword()
        tried.was_right()
        return password


class ResetPasswordForm(allauth_forms.ResetPasswordForm):
    """Asking for a new password."""

    def clean_email(self) -> str:
        """A link goes to confirmed addresses and to the main one, never to one that somebody merely added."""
        email: str = super().clean_email()
        self.users: list[User] = [user for user in self.users if addresses.owns(user, email)]  # of those allauth found
        return email

    def clean(self) -> dict[str, Any]:
        """Count what would send a message."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            _count_by_address("reset")
        return cleaned
