"""Public case sets: what there is, under which terms. Their files lie where the pages have them, for the same token."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from ninja import Router

from leaderboard.api.operations import operation
from leaderboard.api.schemas.data import CaseSetOut, TermsIn
from leaderboard.board.disclosure import DataDisclosure, downloadable_sets
from leaderboard.challenge import downloads
from leaderboard.web.context import person_of
from leaderboard.web.data.views import measured

router = Router(tags=["Data"])


@operation(router, "GET", "/data", answers=list[CaseSetOut])
def list_case_sets(request: HttpRequest) -> list[dict[str, Any]]:
    """The case sets that can be downloaded, and whether you accepted their terms."""
    return [_case_set(request, one) for one in measured(downloadable_sets())]


@operation(router, "GET", "/data/{slug:name}", answers=CaseSetOut)
def get_case_set(request: HttpRequest, name: str) -> dict[str, Any]:
    """One of them."""
    return _case_set(request, _find(name))


@operation(router, "POST", "/data/{slug:name}/terms", scope="team", answers=CaseSetOut)
def accept_terms(request: HttpRequest, name: str, said: TermsIn) -> dict[str, Any]:
    """Accept its terms, by the version that you have read."""
    found = _find(name)
    downloads.accept(person_of(request), found, str(said.version))
    return _case_set(request, found)


def _find(name: str) -> Any:
    return get_object_or_404(measured(downloadable_sets()), name=name)


def _case_set(request: HttpRequest, found: Any) -> dict[str, Any]:
    shown = DataDisclosure.of(person_of(request), found)
    folder = settings.SITE_URL + reverse("case_set", args=[found.name])
    return {
        "name": found.name,
        "cases": found.case_count,
        "bytes": (found.volumes_bytes or 0) + (found.masks_bytes or 0),
        "terms": shown.terms.text if shown.terms else "",
        "terms_version": shown.terms.version if shown.terms else None,
        "accepted_at": shown.acceptance.accepted_at if shown.acceptance else None,
        "sums_url": f"{folder}SHA256SUMS" if shown.shows_files else None,
        "dataset_url": f"{folder}dataset.json" if shown.shows_files else None,
    }
