"""Viewers see everything and change nothing, whatever address they send something to: but for their own account."""

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from leaderboard.states import Role
from leaderboard.web.context import person_of

READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# One's own account and looks. Hosts and programs say by a token who they are: there the session counts for nothing.
OPEN = ("/account/", "/theme/", "/admin/login/", "/admin/logout/", "/worker/v1/", "/api/v1/")
WORDS = "You are a viewer here: you see everything, and change nothing but your own account."


class ViewersChangeNothing:
    """Refuses what a viewer sends, before anybody reads it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_view: object) -> None:
        """Refuse it in words, as every page does that somebody may not ask for."""
        if request.method in READING or request.path_info.startswith(OPEN):
            return
        if request.user.is_authenticated and person_of(request).current_role == Role.VIEWER:
            raise PermissionDenied(WORDS)
