"""A submission case by case: for readers to whom single cases are shown; for everybody else there is nothing here."""

from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from ninja import Query, Router

from evaluation import CATEGORIES
from leaderboard.api.operations import Key, operation
from leaderboard.api.paging import Page, PageNumber, PerPage, page_of
from leaderboard.api.schemas.cases import CaseOut, ContainerOut, FindingOut
from leaderboard.models import Run
from leaderboard.progress import cases as case_lines
from leaderboard.progress import containers
from leaderboard.progress.findings import Findings
from leaderboard.web import cases as files
from leaderboard.web import methods
from leaderboard.web.submissions import find_submission

router = Router(tags=["Cases"])
GZIP, TEXT, PDF = "application/gzip", "text/plain", "application/pdf"


def _run_of(request: HttpRequest, pk: int) -> Run:
    found, disclosure = find_submission(request, pk)
    if found.latest_run is None or not disclosure.shows_cases:
        raise Http404
    return found.latest_run


@operation(router, "GET", "/submissions/{int:pk}/findings", answers=Page[FindingOut])
def list_findings(
    request: HttpRequest,
    response: HttpResponse,
    pk: Key,
    category: Annotated[str, Query(pattern=f"^({'|'.join(CATEGORIES)})?$")] = "",
    case: Annotated[str, Query(description="Those of the case of this name alone.")] = "",
    page: PageNumber = 1,
    per_page: PerPage = 25,
) -> dict[str, Any]:
    """The findings of a run, the worst first; of a category or a case if one is named."""
    run = _run_of(request, pk)
    return page_of(request, response, Findings(run, category=category, case=case), (page, per_page))


@operation(router, "GET", "/submissions/{int:pk}/cases", answers=Page[CaseOut])
def list_cases(
    request: HttpRequest, response: HttpResponse, pk: Key, page: PageNumber = 1, per_page: PerPage = 25
) -> dict[str, Any]:
    """The cases of a run, the worst first."""
    found = page_of(request, response, case_lines.cases_of(_run_of(request, pk)), (page, per_page))
    return found | {"items": case_lines.lines_of(found["items"])}


@operation(router, "GET", "/submissions/{int:pk}/containers", answers=Page[ContainerOut])
def list_containers(
    request: HttpRequest, response: HttpResponse, pk: Key, page: PageNumber = 1, per_page: PerPage = 25
) -> dict[str, Any]:
    """The containers of a run that have ended, the last one first. Each has a log."""
    rows = containers.containers_of(_run_of(request, pk))
    return page_of(request, response, rows, (page, per_page), make=_container)


def _container(row: dict[str, Any]) -> dict[str, Any]:
    line = containers.ContainerLine.of(row)
    return {**vars(line), "exit": line.exit, "log_characters": line.characters}


# --- files: the pages' own, byte for byte -----------------------------------------------------------------------------


@operation(router, "GET", "/submissions/{int:pk}/logs/{int:batch}/{int:attempt}", answers=None, file=TEXT)
def get_log(request: HttpRequest, pk: Key, batch: Key, attempt: Key) -> HttpResponse:
    """What was kept of a container's log."""
    return files.log(request, pk, batch, attempt)


@operation(router, "GET", "/submissions/{int:pk}/masks/{name}", answers=None, file=GZIP, also=(410,))
def get_mask(request: HttpRequest, pk: Key, name: str) -> HttpResponseBase:
    """The mask that the run wrote for the case of this name, byte for byte."""
    return files.mask(request, pk, name)


@operation(router, "GET", "/submissions/{int:pk}/results", answers=dict[str, Any])
def get_results(request: HttpRequest, pk: Key) -> HttpResponse:
    """All numbers of the run, in the form of `python -m evaluation`."""
    return files.results(request, pk)


@operation(router, "GET", "/submissions/{int:pk}/method.pdf", answers=None, file=PDF, also=(410,))
def get_method_pdf(request: HttpRequest, pk: Key) -> HttpResponseBase:
    """The PDF of the method, for its team and organisers."""
    return methods.pdf(request, pk)
