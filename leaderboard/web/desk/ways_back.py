"""Where people go on after an act: where they came from, to the page of what they acted on, or to the list of these."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from leaderboard.desk import kinds
from leaderboard.desk.acting import Kind

_LISTS: Mapping[str, str] = {
    kinds.RUN.name: "desk_runs",
    kinds.PHASE.name: "desk_phases",
    kinds.HOST.name: "desk_hosts",
    kinds.NEW_HOST.name: "desk_hosts",
    kinds.PAUSE.name: "desk_hosts",
    kinds.NEW_PAUSE.name: "desk_hosts",
    kinds.TEAM.name: "desk_teams",
    kinds.MEMBERSHIP.name: "desk_teams",
    kinds.APPROVAL.name: "desk_teams",
    kinds.DOUBLE.name: "desk_doubles",
    kinds.PERSON.name: "desk_people",
    kinds.OBJECTION.name: "desk",
    kinds.CASE_SET.name: "desk_cases",
    kinds.ANNOUNCEMENT.name: "desk_messages",
    kinds.RECORD.name: "record",
}
_PAGES: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    kinds.RUN.name: ("desk_run", lambda run: run.pk),
    kinds.PHASE.name: ("desk_phase", lambda phase: phase.slug),
    kinds.HOST.name: ("desk_host", lambda host: host.name),
    kinds.TEAM.name: ("desk_team", lambda team: team.slug),
    kinds.MEMBERSHIP.name: ("desk_team", lambda member: member.team.slug),
    kinds.APPROVAL.name: ("desk_team", lambda approval: approval.team.slug),
    kinds.DOUBLE.name: ("desk_double", lambda double: double.pk),
    kinds.PERSON.name: ("desk_person", lambda person: person.pk),
    kinds.OBJECTION.name: ("desk_run", lambda objection: objection.decision.submission_id),
    kinds.CASE_SET.name: ("desk_case_set", lambda case_set: case_set.name),
    kinds.ANNOUNCEMENT.name: ("desk_message", lambda announcement: announcement.pk),
}


def asked_from(request: HttpRequest) -> str:
    """The page of the desk from which people came to an act: as its address says, else as their browser does."""
    told = request.GET.get("next", "")
    if told and url_has_allowed_host_and_scheme(told, allowed_hosts=None):
        return told
    came = urlsplit(request.headers.get("Referer", ""))
    is_of_desk = came.path.startswith(reverse("desk")) and not came.path.startswith(_acts())
    if came.netloc != request.get_host() or not is_of_desk:
        return ""
    return came._replace(scheme="", netloc="", fragment="").geturl()


def _acts() -> str:
    return reverse("act", args=["any"]).removesuffix("any/")


def page_of(kind: Kind, rows: Sequence[Model]) -> str:
    """Where one thing stands; of many, and of those that have no page, their list."""
    if len(rows) != 1 or kind.name not in _PAGES:
        return list_of(kind)
    name, key_of = _PAGES[kind.name]
    return reverse(name, args=[key_of(rows[0])])


def list_of(kind: Kind) -> str:
    """Where all things of a kind stand: what is left to go to where an act deletes the thing."""
    return reverse(_LISTS[kind.name])


def is_gone(kind: Kind, rows: Sequence[Model]) -> bool:
    """Whether the one thing that was acted on is there no more."""
    if len(rows) != 1 or kind.is_new:
        return False
    return rows[0].pk is None or not type(rows[0])._default_manager.filter(pk=rows[0].pk).exists()
