"""How accounts work here, where that differs from allauth: who may try a password, who is in, which mail is sent."""

import logging
import secrets
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.utils import get_next_redirect_url
from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from leaderboard.models import User
from leaderboard.people import account_mails, addresses, mail_limits, sign_in
from leaderboard.people.throttle import TooSoon
from leaderboard.web.accounts.clients import address_of, device_of, remember_device
from leaderboard.web.context import frame_of

logger = logging.getLogger(__name__)

TOO_SOON = "too_soon"


def not_yet(refusal: TooSoon) -> forms.ValidationError:
    """A refusal for a form; the view says it in the response's status, too."""
    return forms.ValidationError(str(refusal), code=TOO_SOON, params={"seconds": refusal.seconds})


class Adapter(DefaultAccountAdapter):
    """Named in the settings."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": (
            "This email address and this password do not belong together. If you have just registered: open the link "
            "in our message first."
        ),
        "incorrect_password": "This is not your password.",
        "enter_current_password": "This is not your password.",
    }

    def get_client_ip(self, request: HttpRequest) -> str:
        """The client's address; that of nobody for a client at our own socket, which may sign in, too."""
        try:
            address: str = super().get_client_ip(request)
        except PermissionDenied:
            return "0.0.0.0"  # noqa: S104  nothing is bound to it
        return address

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Not before the instant that organisers may have set."""
        return frame_of(request).registration_opens_at is None

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the try before the password is looked at."""
        email = credentials.get("email") or ""
        try:
            self.password_try = sign_in.count_try(email, address_of(request), device_of(request, email))
        except TooSoon as refusal:
            raise not_yet(refusal) from None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Whose password it is, if that person may come in; everybody else is the same nobody."""
        user: User | None = super().authenticate(request, **credentials)
        typed = credentials.get("email") or ""
        if user is None or addresses.is_pending(user) or (typed and not addresses.owns(user, typed)):
            return None
        self.password_try.was_right()
        return user

    def post_login(self, request: HttpRequest, user: User, **details: Any) -> HttpResponse:
        """Know the device from now on."""
        response: HttpResponse = super().post_login(request, user, **details)
        typed = details.get("email") or ""
        remember_device(request, response, typed if addresses.owns(user, typed) else user.email)
        return response

    def send_account_already_exists_mail(self, email: str) -> None:
        """To the owner of an account that somebody tried to make again; no quicker than making one."""
        User().set_password(secrets.token_urlsafe())
        super().send_account_already_exists_mail(email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Put it into the outbox, unless the address had enough of these lately. No answer tells which it was."""
        try:
            with transaction.atomic():
                mail_limits.count(template_prefix, email)
                super().send_mail(template_prefix, email, context)
        except TooSoon:
            logger.info("not sent, there were enough of these to one address: %s", template_prefix)

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """What lets somebody in was changed: in our words, whatever was sent before."""
        account_mails.tell_of(template_prefix.rpartition("/")[2], user, context, to=email or "")

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        """The link of the message, which leads to where the person was going, in whichever browser it is opened."""
        url: str = super().get_email_confirmation_url(request, emailconfirmation)
        target = get_next_redirect_url(request)
        return f"{url}?{urlencode({'next': target})}" if target else url
