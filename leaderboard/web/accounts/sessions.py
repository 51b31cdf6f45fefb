"""The sessions in which a person is signed in: since when, from where, on what kind of device; each can be ended."""

import re
from collections.abc import Mapping
from typing import NamedTuple

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
from leaderboard.people import sessions as own
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
    key = request.session.session_key
    if not UserSession.objects.filter(session_key=key).exists():  # it began before sessions were listed
        UserSession.objects.create_from_request(request)
    if request.method == "POST":
        return _end(request, str(key))
    rows = UserSession.objects.purge_and_list(person_of(request))
    shown = [Shown(row, device(row.user_agent), row.session_key == key) for row in rows]
    shown.sort(key=lambda one: (not one.is_here, -one.row.created_at.timestamp()))
    return render(request, "usersessions/usersession_list.html", {"sessions": shown})


@transaction.atomic
def _end(request: HttpRequest, key: str) -> HttpResponse:
    """End one session of the person, or all; this one itself is ended by signing out."""
    person, chosen = person_of(request), request.POST.get("session")
    if chosen is None:
        own.end_all(person, but=key)
    elif chosen.isdecimal():
        others = UserSession.objects.filter(user=person).exclude(session_key=key)
        get_adapter().end_sessions(others.filter(pk=int(chosen) % 2**63))
    audit.record(Actor.person(person), "end sessions" if chosen is None else "end session", person)
    messages.success(request, "Signed out everywhere else." if chosen is None else "Signed out there.")
    return redirect("usersessions_list")
