"""Phases, what a team has left in them, and their boards."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from leaderboard.api.operations import operation
from leaderboard.api.paging import Page, PageNumber, PerPage, page_of
from leaderboard.api.problems import Problem
from leaderboard.api.schemas.case_numbers import CaseNumbersOut, FindingNumbersOut
from leaderboard.api.schemas.challenge import BoardRowOut, PhaseOut, QuotaOut, ReferenceRowOut, ScoresOut
from leaderboard.board.case_exports import export_of
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.exports import order_as_json, reference_as_json
from leaderboard.board.reading import board_of, version_of
from leaderboard.board.references import references_of
from leaderboard.board.rows import Board, Row
from leaderboard.challenge import phases
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import BoardVersion, Phase
from leaderboard.web import kinds
from leaderboard.web.context import frame_of, instant_of

router = Router(tags=["Challenge"])
Track = Literal["main", "overall"]
Order = Literal["rank", "hit_rate", "instance_f1", "distance_f1", "team", "date"]
Version = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="A version of the board by its number; else the present one.")
]
NO_TEAM = "You are in no team. Found one, or join one."


@operation(router, "GET", "/phases", scope="", answers=list[PhaseOut])
def list_phases(request: HttpRequest) -> list[dict[str, Any]]:
    """All phases with their dates and limits, the one that closes first first."""
    now = instant_of(request)
    return [_phase(phase, now) for phase in frame_of(request).phases.select_related("case_set")]


@operation(router, "GET", "/phases/{slug:slug}", scope="", answers=PhaseOut)
def get_phase(request: HttpRequest, slug: str) -> dict[str, Any]:
    """One phase."""
    return _phase(
        get_object_or_404(frame_of(request).phases.select_related("case_set"), slug=slug), instant_of(request)
    )


@operation(router, "GET", "/phases/{slug:slug}/quota", answers=list[QuotaOut])
def get_quota(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """What your team has left in a phase, of each kind that it takes now."""
    phase, team, now = (
        get_object_or_404(frame_of(request).phases, slug=slug),
        frame_of(request).team,
        instant_of(request),
    )
    if team is None:
        raise Problem(404, NO_TEAM)
    return [_quota(kind) for kind in kinds.offered(team, phase, now)]


@operation(router, "GET", "/phases/{slug:slug}/board", scope="", answers=Page[BoardRowOut])
def get_board(
    request: HttpRequest,
    response: HttpResponse,
    slug: str,
    track: Track = "main",
    group: Annotated[str, Query(pattern=f"^({'|'.join(GROUPS)})$")] = ALL,
    sort: Order = "rank",
    version: Version = None,
    page: PageNumber = 1,
    per_page: PerPage = 25,
) -> dict[str, Any]:
    """The board of a phase as everybody sees it: what counts, then masks that stand apart and post-challenge runs.

    Organisers' own teams stand between the others, without a rank. `Board-Version` of the answer says which it is.
    """
    phase = get_object_or_404(frame_of(request).phases.select_related("case_set"), slug=slug)
    found = _version(phase, track, version, instant_of(request))
    if found:
        response["Board-Version"] = str(found.number)
    board = board_of(phase, track, found, group=group, sort=sort, opened=True)
    return page_of(request, response, board.everything, (page, per_page), make=partial(_row, board))


@operation(router, "GET", "/phases/{slug:slug}/cases", scope="", answers=CaseNumbersOut)
def get_case_numbers(request: HttpRequest, slug: str, track: Track = "main", version: Version = None) -> HttpResponse:
    """The numbers of single cases of all rows of a board: of public cases, and of hidden ones once published."""
    return _file(request, slug, track, version, "cases.json")


@operation(router, "GET", "/phases/{slug:slug}/findings", scope="", answers=FindingNumbersOut)
def get_finding_numbers(
    request: HttpRequest, slug: str, track: Track = "main", version: Version = None
) -> HttpResponse:
    """The numbers of single findings of all rows of a board, likewise."""
    return _file(request, slug, track, version, "findings.json")


@operation(router, "GET", "/phases/{slug:slug}/references", scope="", answers=list[ReferenceRowOut])
def list_references(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """Results from elsewhere that the board of a phase shows apart, without a rank; the highest Dice first."""
    phase = get_object_or_404(frame_of(request).phases, slug=slug)
    return [{**reference_as_json(one), "numbers": one.by_group} for one in references_of(phase)]


def _version(phase: Phase, track: str, number: int | None, at: datetime) -> BoardVersion | None:
    """The version of this number, or the present one, if there is any yet. Raises Http404."""
    found = version_of(phase, track, at, number)
    if found is None and number is not None:
        raise Http404
    return found


def _file(request: HttpRequest, slug: str, track: str, number: int | None, name: str) -> HttpResponse:
    """The pages' own file, byte for byte."""
    phase = get_object_or_404(frame_of(request).phases.select_related("case_set"), slug=slug)
    found = _version(phase, track, number, instant_of(request))
    export = export_of(Disclosure.to_public(phase, instant_of(request)), found, name) if found else None
    if export is None:
        raise Http404
    try:
        return HttpResponse(export.text(), content_type=export.content_type)
    except LookupError:
        raise Http404 from None


def _phase(phase: Phase, at: datetime) -> dict[str, Any]:
    limits = {"cases_per_container": phase.batch_size}
    for name in ("case_seconds", "startup_seconds", "gpus", "memory_bytes", "max_archive_bytes"):
        limits[name] = getattr(phase, name)
    limits |= {"max_unpacked_bytes": phase.max_unpacked_bytes, "max_masks_bytes": phase.max_masks_bytes}
    names = ("slug", "name", "description", "opens_at", "closes_at", "cases_are_public", "counting", "publication")
    asked = ("commitment", "commitment_text", "pdf", "show_submitters")
    instants = ("revealed_at", "cases_published_at", "findings_published_at")
    kept = ("is_draft", "embargo_until", "anonymous_until_reveal")
    return {
        **{name: getattr(phase, name) for name in (*names, *asked, *instants, *kept)},
        "half_commitment": Disclosure.to_public(phase, at).half_commitment,
        "is_open": phase.opens_at <= at < phase.closes_at,
        "takes_post_challenge_runs": phases.takes_post_challenge(phase, at),
        "takes": [name for name, takes in (("images", phase.takes_images), ("masks", phase.takes_masks)) if takes],
        "try_outs": phases.offers_try_outs(phase),
        "try_out_required": phases.requires_try_out(phase, at),
        "limits": {**limits, "cpus": float(phase.cpus)},
    }


def _quota(kind: kinds.Kind) -> dict[str, Any]:
    quota = kind.quota
    names = ("today_limit", "today_used", "today_left", "total_used", "renews_at")
    return {
        **{name: getattr(quota, name) for name in names},
        "kind": str(kind.value),
        "total_limit": quota.total_limit if quota.has_total else None,
        "total_left": quota.total_left if quota.has_total else None,
        "refusal": kind.refusal,
    }


def _row(board: Board, row: Row) -> dict[str, Any]:
    names = (
        *ScoresOut.model_fields,
        "listed",
        "rank",
        "affiliation",
        "algorithm",
        "entry",
        "lost_cases",
        "runs",
        "seconds_per_case",
    )
    return {
        **{name: getattr(row, name) for name in names},
        **order_as_json(board, row),
        "team": row.team.name,
        "team_slug": row.team.slug,
        "submitted_on": row.date.date(),
        "groups": row.opened.groups,
    }
