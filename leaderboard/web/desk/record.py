"""The record of decisions: searched, read by the page, taken along as a file."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from leaderboard.core import record_search, verification
from leaderboard.core.audit import Actor
from leaderboard.core.record_search import Search
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import Change
from leaderboard.desk.acts.record import ACTS
from leaderboard.people.roles import has_role
from leaderboard.states import Role
from leaderboard.web.context import person_of
from leaderboard.web.desk.access import for_organisers, for_viewers
from leaderboard.web.desk.acts import offers_of
from leaderboard.web.desk.tabs import tabs

ENTRIES_PER_PAGE = 30
FORMS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


@never_cache
@require_safe
@for_viewers
def record(request: HttpRequest) -> HttpResponse:
    """What people decided, the latest first, with what it was before and after."""
    problem = ""
    try:
        asked = Search.of(request.GET)
    except Refused as refusal:
        asked, problem = Search(), str(refusal)
    page = Paginator(asked.entries(), ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    parameters = asked.parameters
    context: dict[str, Any] = {
        "tabs": tabs("record"),
        "asked": asked,
        "is_asked": bool(parameters),
        "problem": problem,
        "page": page,
        "entries": [(entry, Change.of(entry).fields) for entry in page],
        "checked": (checked := verification.latest()),
        "offers": offers_of(ACTS, checked, person_of(request)),
        "may_export": has_role(person_of(request), Role.ORGANISER),
        "exports": [(form, f"{reverse('record_export', args=[form])}?{urlencode(parameters)}") for form in FORMS],
        "link_before_page": f"?{urlencode({**parameters, 'page': ''})}",
    }
    return render(request, "desk/record.html", context)


@never_cache
@require_POST
@for_organisers
def record_export(request: HttpRequest, form: str) -> HttpResponse | StreamingHttpResponse:
    """What the search of the address finds, as a file. It names people: this is recorded."""
    if form not in FORMS:
        raise Http404
    try:
        asked = Search.of(request.GET)
    except Refused as unreadable:
        raise Http404 from unreadable
    text = record_search.export(asked, by=Actor.person(person_of(request)), form=form)
    answer = StreamingHttpResponse(text, content_type=FORMS[form])
    name = content_disposition_header(as_attachment=True, filename=f"record.{form}")
    answer["Content-Disposition"] = name or "attachment"
    return answer
