"""allauth's pages where their answers differ here: how long to wait is said in the response's status, too."""

from typing import Any

from allauth.account import views as allauth_views
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.account.signals import (
    email_added,
    email_changed,
    email_confirmed,
    email_removed,
    password_changed,
    password_reset,
    password_set,
)
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from leaderboard.core import audit, outbox, refusals
from leaderboard.core.audit import Actor
from leaderboard.models import User
from leaderboard.notices.links import works_url
from leaderboard.people import addresses, mail_limits, sign_in
from leaderboard.people.throttle import TooSoon
from leaderboard.web.accounts.adapter import TOO_SOON
from leaderboard.web.accounts.clients import remember_device
from leaderboard.web.context import person_of

TOO_MANY_REQUESTS = 429
CONFIRMATION = "account/email/email_confirmation"
WORKS = "account/email/address_works"


@receiver(email_confirmed)
def _let_notices_go_there(email_address: EmailAddress, **_: Any) -> None:
    """A message has reached the address."""
    refusals.forgive(email_address.email)


@receiver(email_removed)
def _let_no_notice_go_there(email_address: EmailAddress, **_: Any) -> None:
    """What waits for a mail server would tell of runs whoever reads there now."""
    outbox.drop_notices([email_address.email], kind="", why="the address was removed")


_RECORDED = {
    password_changed: "change password",
    password_set: "set password",
    password_reset: "reset password",
    email_added: "add address",
    email_changed: "change address",
    email_removed: "remove address",
}


@receiver([*_RECORDED])
@transaction.atomic
def _record(signal: Any, user: Any, **_: Any) -> None:
    """What lets somebody in is changed by themselves: that it was is kept, no address and no password."""
    person = User.objects.filter(pk=user.pk).first()
    if person is not None:
        audit.record(Actor.person(person), _RECORDED[signal], person)


class SaysHowLong:
    """A page whose form may say that it is too soon."""

    def form_invalid(self, form: Any) -> HttpResponse:
        """The form with its errors; 429 and how long to wait where one of them is that."""
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        errors = [error for those in form.errors.as_data().values() for error in those]
        waits = [error.params["seconds"] for error in errors if error.code == TOO_SOON]
        if waits:
            response.status_code = TOO_MANY_REQUESTS
            response["Retry-After"] = str(max(waits))
        return response


class LoginView(SaysHowLong, allauth_views.LoginView):
    """Sign in."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With the other ways in."""
        return {**super().get_context_data(**kwargs), "offers_orcid": bool(settings.ORCID_CLIENT_ID)}


class SignupView(SaysHowLong, allauth_views.SignupView):
    """Register."""

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """The account and the message about it, or neither."""
        response: HttpResponse = super().form_valid(form)
        return response


class ReauthenticateView(SaysHowLong, allauth_views.ReauthenticateView):
    """Confirm that it is you."""


class PasswordChangeView(SaysHowLong, allauth_views.PasswordChangeView):
    """Change the password."""

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """The password and the message about it, or neither."""
        response: HttpResponse = super().form_valid(form)
        return response


class PasswordResetView(SaysHowLong, allauth_views.PasswordResetView):
    """Ask for a link to choose a new password."""


class PasswordResetFromKeyView(allauth_views.PasswordResetFromKeyView):
    """Choose a new password by the link of a message."""

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Whoever opens the message is the owner: tries of others are forgiven, and this device is known."""
        response: HttpResponse = super().form_valid(form)
        person = self.reset_user
        addresses.confirm_by_only_link(person)
        if EmailAddress.objects.filter(user=person).count() == 1:  # else it may have gone to another one
            refusals.forgive(person.email)
        sign_in.forgive(person.email)
        remember_device(self.request, response, person.email)
        return response


class EmailView(allauth_views.EmailView):
    """The addresses of an account."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With those to which nothing can be sent, and whether any is to be confirmed, for the first time or again."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        listed = [radio["emailaddress"] for radio in context["emailaddress_radios"]]
        refused = refusals.refused_among([one.email for one in listed])
        return context | {
            "refused": refused,
            "needs_confirmation": bool(refused) or not all(one.verified for one in listed),
        }

    @transaction.atomic
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """What allauth would do without a word, or too easily: send again, and make an unconfirmed one the main one."""
        email = request.POST.get("email", "").lower()
        chosen = EmailAddress.objects.filter(user=person_of(request), email=email).first()
        if chosen and "action_send" in request.POST:
            send_confirmation(request, chosen)
            return redirect("account_email")
        if chosen and "action_primary" in request.POST and not chosen.verified:
            messages.error(request, f"Confirm {chosen.email} first: open the link in the message that we sent there.")
            return redirect("account_email")
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


@login_required
@require_POST
def confirm_again(request: HttpRequest) -> HttpResponse:
    """Send the message with the link again, and back to where the button was."""
    send_confirmation(request, addresses.main_address(person_of(request)))
    target = request.POST.get("next", "")
    return redirect(target if url_has_allowed_host_and_scheme(target, allowed_hosts=None) else "team")


def send_confirmation(request: HttpRequest, address: EmailAddress) -> None:
    """Send the message with the link, and say so; or say when the next one can go."""
    kind = CONFIRMATION
    if address.verified and refusals.refused_among([address.email]):
        kind = WORKS
    elif address.verified:
        messages.success(request, f"{address.email} is confirmed.")
        return
    try:
        mail_limits.check(kind, address.email)
    except TooSoon as refusal:
        messages.warning(request, str(refusal))
    else:
        if kind == WORKS:
            get_adapter(request).send_mail(WORKS, address.email, {"works_url": works_url(address)})
        else:
            address.send_confirmation(request)
        messages.success(request, f"A message with a link to confirm {address.email} is on its way.")
