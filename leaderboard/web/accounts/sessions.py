"""The sessions in which a person is signed in: since when, from where, on what kind of device; each can be ended."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.web.context import person_of

BROWSERS = {
    "Edge": r"Edg",
    "Opera": r"OPR/",
    "Firefox": r"Firefox|FxiOS",
    "Chrome": r"Chrom(e|ium)|CriOS",
    "Safari": r"Safari",
    "curl": r"^curl",
    "A Python program": r"python",
}
"""What a User-Agent is taken for: the first whose pattern it holds. Later ones are named by those before, too."""
SYSTEMS = {
    "Android": r"Android",
    "an iPhone or iPad": r"iPhone|iPad",
    "Windows": r"Windows",
    "macOS": r"Mac OS",
    "ChromeOS": r"CrOS",
    "Linux": r"Linux",
}


class Shown(NamedTuple):
    """A session as its page shows it."""

    row: UserSession
    device: str
    is_here: bool


def device(user_agent: str) -> str:
    """The browser and the system that a User-Agent names, coarsely."""
    browser = _first(BROWSERS, user_agent) or "Another browser"
    system = _first(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(kinds: Mapping[str, str], text: str) -> str:
    return next((name for name, pattern in kinds.items() if re.search(pattern, text, re.IGNORECASE)), "")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions; end one of them, or all but this one."""
    rows = UserSession.objects.purge_and_list(person_of(request))
    key = request.session.session_key
    if request.method == "POST":
        return _end(request, [row for row in rows if row.session_key != key])
    shown = [Shown(row, device(row.user_agent), row.session_key == key) for row in rows]
    shown.sort(key=lambda one: (not one.is_here, -one.row.created_at.timestamp()))
    return render(request, "usersessions/usersession_list.html", {"sessions": shown})


@transaction.atomic
def _end(request: HttpRequest, others: list[Any]) -> HttpResponse:
    """This session itself is ended by signing out."""
    chosen = request.POST.get("session")
    ended = [row for row in others if chosen is None or str(row.pk) == chosen]
    get_adapter().end_sessions(ended)
    if ended:
        person = person_of(request)
        audit.record(Actor.person(person), "end sessions", person, after={"ended": len(ended)})
        messages.success(request, "Signed out there." if chosen else "Signed out everywhere else.")
    return redirect("usersessions_list")
