"""Once more who one is, before an act that nobody takes back: by the second factor, of whoever has one."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import app_settings
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import suspend_request
from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from leaderboard.people.sign_in import has_second_factor
from leaderboard.web.context import person_of

View = Callable[..., HttpResponse]


def factor_required(enabled: Callable[[HttpRequest], bool]) -> Callable[[View], View]:
    """A view before which people prove who they are, where `enabled` says so; a password does not do for a factor."""

    def decorated(view: View) -> View:
        by_any: View = reauthentication_required(enabled=enabled)(view)

        @wraps(view)
        def wrapped(request: HttpRequest, **named: Any) -> HttpResponse:
            if not enabled(request) or not has_second_factor(person_of(request)):
                return by_any(request, **named)
            if _proved_lately(request):
                return view(request, **named)
            asked: HttpResponse = suspend_request(request, redirect_to=reverse(_way(request)))
            return asked

        return wrapped

    return decorated


def _proved_lately(request: HttpRequest) -> bool:
    records = get_authentication_records(request, person_of(request))
    at = [one["at"] for one in records if one["method"] == "mfa" and one.get("reauthenticated")]
    return bool(at and time.time() - at[-1] < app_settings.REAUTHENTICATION_TIMEOUT)


def _way(request: HttpRequest) -> str:
    """By a code, of whoever has an app; else by a passkey."""
    by_code = Authenticator.objects.filter(user=person_of(request), type=Authenticator.Type.TOTP).exists()
    return "mfa_reauthenticate" if by_code else "mfa_reauthenticate_webauthn"
