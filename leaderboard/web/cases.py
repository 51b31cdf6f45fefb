"""A run case by case: its findings, cases and containers, each by the page; its masks, logs and numbers as files.

Only for readers to whom the phase shows single cases: for everybody else there is nothing at these addresses.
"""

import base64
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from evaluation import CATEGORIES
from leaderboard.board.disclosure import Disclosure
from leaderboard.core import blobs, database
from leaderboard.core.text import storable
from leaderboard.models import Run, Submission
from leaderboard.progress import cases as case_lines
from leaderboard.progress import containers
from leaderboard.progress.findings import Findings
from leaderboard.progress.results import results_of
from leaderboard.web.submissions import find_submission

PER_PAGE = 25
GONE = 410
WHOLE_LOG = 1 << 30  # characters: as many as there are


@dataclass(frozen=True)
class _Shown:
    """A run whose cases its reader may see."""

    submission: Submission
    run: Run
    disclosure: Disclosure

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        about = {"submission": self.submission, "run": self.run, "disclosure": self.disclosure}
        return render(request, template, {**about, **context})

    def file_name(self, what: str) -> str:
        """How a file of this run is called where it is saved."""
        return f"submission-{self.submission.pk}-{what}"


def _shown(request: HttpRequest, pk: int) -> _Shown:
    submission, disclosure = find_submission(request, pk)
    run = submission.latest_run
    if run is None or not disclosure.shows_cases:
        raise Http404
    return _Shown(submission, run, disclosure)


# --- pages ------------------------------------------------------------------------------------------------------------


@login_required
@require_safe
@never_cache
def findings(request: HttpRequest, pk: int) -> HttpResponse:
    """The findings of a run, the worst first; of a category or a case if one is asked for."""
    shown = _shown(request, pk)
    asked = {name: storable(request.GET.get(name, "")) for name in ("category", "case")}
    if asked["category"] and asked["category"] not in CATEGORIES:
        raise Http404
    page: Page[Any] = Paginator(cast(Any, Findings(shown.run, **asked)), PER_PAGE).get_page(request.GET.get("page"))
    kept = {name: value for name, value in asked.items() if value}
    context = {
        "page": page,
        "asked": asked,
        "categories": [(code, category.label) for code, category in CATEGORIES.items()],
        "link_before_page": f"?{urlencode({**kept, 'page': ''})}",
    }
    return shown.page(request, "submissions/findings_page.html", context)


@login_required
@require_safe
@never_cache
def cases(request: HttpRequest, pk: int) -> HttpResponse:
    """The cases of a run, the worst first, with their masks."""
    shown = _shown(request, pk)
    page = Paginator(case_lines.cases_of(shown.run), PER_PAGE).get_page(request.GET.get("page"))
    return shown.page(request, "submissions/cases_page.html", {"page": page, "cases": case_lines.lines_of(page)})


@login_required
@require_safe
@never_cache
def logs(request: HttpRequest, pk: int) -> HttpResponse:
    """The containers of a run, the last one first, and the log of one of them."""
    shown = _shown(request, pk)
    page = Paginator(containers.containers_of(shown.run), PER_PAGE).get_page(request.GET.get("page"))
    lines = [containers.ContainerLine.of(row) for row in page]
    log = containers.log_of(shown.run, request.GET.get("open", ""))
    return shown.page(request, "submissions/logs_page.html", {"page": page, "containers": lines, "log": log})


# --- files ------------------------------------------------------------------------------------------------------------


@login_required
@require_safe
@never_cache
def log(request: HttpRequest, pk: int, batch: int, attempt: int) -> HttpResponse:
    """What was kept of a container's log, as it was printed."""
    shown = _shown(request, pk)
    found = containers.log_of(shown.run, f"{batch}-{attempt}", characters=WHOLE_LOG)
    if found is None:
        raise Http404
    name = shown.file_name(f"log-{batch}-{attempt}.txt")
    database.let_go()  # as before a mask
    return HttpResponse(found.text, content_type="text/plain; charset=utf-8", headers=_attachment(name))


@login_required
@require_safe
@never_cache
def results(request: HttpRequest, pk: int) -> HttpResponse:
    """All numbers of the run as JSON."""
    shown = _shown(request, pk)
    found = results_of(shown.run, shown.disclosure)
    database.let_go()  # as before a mask
    return JsonResponse(found, headers=_attachment(shown.file_name("results.json")), json_dumps_params={"indent": 1})


@login_required
@require_safe
@never_cache
def mask(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """The mask that the run wrote for the case of this name, byte for byte.

    What is in it is the program's: it is handed out as a file to keep, never as something to show.
    """
    shown = _shown(request, pk)
    case = shown.run.cases.filter(case__name=storable(name)).exclude(output="").only("output", "output_bytes").first()
    if case is None:
        raise Http404
    try:
        file = blobs.outputs.path(case.output).open("rb")
    except FileNotFoundError:
        return render(request, "submissions/gone.html", {"submission": shown.submission, "name": name}, status=GONE)
    answer = FileResponse(file, as_attachment=True, filename=name, content_type="application/gzip")
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(case.output.partition(':')[2])).decode()}:"
    database.let_go()  # a file may take long to go out
    return answer


def _attachment(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or "attachment",
        "X-Content-Type-Options": "nosniff",
    }
