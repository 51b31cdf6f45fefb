"""Organisers without a second factor, where the settings ask for one: nothing but their own account is open to them."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from leaderboard.people.sign_in import lacks_second_factor
from leaderboard.web.context import person_of

OPEN = ("/account/", "/theme/", "/healthz", "/clock", "/privacy/", "/worker/v1/")
WORDS = "Organisers need a second factor here. Add an authenticator app or a passkey to go on."


class SecondFactorOfOrganisers:
    """Leads organisers to the page where they add one, whatever else they ask for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        if settings.STAFF_SECOND_FACTOR and not request.path_info.startswith(OPEN) and _lacks_one(request):
            messages.warning(request, WORDS)
            return redirect("mfa_index")
        return self._get_response(request)


def _lacks_one(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and lacks_second_factor(person_of(request)))
