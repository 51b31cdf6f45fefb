"""Phases, what a team has left in them, and their boards."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from leaderboard.api.operations import operation
from leaderboard.api.paging import Page, PageNumber, PerPage, page_of
from leaderboard.api.problems import Problem
from leaderboard.api.schemas.challenge import BoardRowOut, PhaseOut, QuotaOut, ReferenceRowOut, ScoresOut
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.exports import reference_as_json
from leaderboard.board.reading import read_board
from leaderboard.board.references import references_of
from leaderboard.board.rows import Row
from leaderboard.challenge import phases
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import Phase
from leaderboard.web import kinds
from leaderboard.web.context import frame_of, instant_of

router = Router(tags=["Challenge"])
Track = Literal["main", "overall"]
Order = Literal["rank", "hit_rate", "instance_f1", "distance_f1", "team", "date"]
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
    page: PageNumber = 1,
    per_page: PerPage = 25,
) -> dict[str, Any]:
    """The board of a phase as everybody sees it: what counts, then masks that stand apart and post-challenge runs.

    Organisers' own teams stand between the others, without a rank.
    """
    phase = get_object_or_404(frame_of(request).phases.select_related("case_set"), slug=slug)
    board = read_board(phase, track, instant_of(request), group=group, sort=sort, opened=True)
    return page_of(request, response, board.everything, (page, per_page), make=_row)


@operation(router, "GET", "/phases/{slug:slug}/references", scope="", answers=list[ReferenceRowOut])
def list_references(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """Results from elsewhere that the board of a phase shows apart, without a rank; the highest Dice first."""
    phase = get_object_or_404(frame_of(request).phases, slug=slug)
    return [{**reference_as_json(one), "numbers": one.by_group} for one in references_of(phase)]


def _phase(phase: Phase, at: datetime) -> dict[str, Any]:
    limits = {"cases_per_container": phase.batch_size}
    for name in ("case_seconds", "startup_seconds", "gpus", "memory_bytes", "max_archive_bytes"):
        limits[name] = getattr(phase, name)
    limits |= {"max_unpacked_bytes": phase.max_unpacked_bytes, "max_masks_bytes": phase.max_masks_bytes}
    names = ("slug", "name", "description", "opens_at", "closes_at", "cases_are_public", "counting", "publication")
    asked = ("revealed_at", "commitment", "commitment_text", "pdf", "show_submitters")
    kept = ("is_draft", "embargo_until", "anonymous_until_reveal")
    return {
        **{name: getattr(phase, name) for name in (*names, *asked, *kept)},
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


def _row(row: Row) -> dict[str, Any]:
    names = (*ScoresOut.model_fields, "listed", "rank", "affiliation", "algorithm", "entry", "lost_cases", "runs")
    return {
        **{name: getattr(row, name) for name in names},
        "team": row.team.name,
        "team_slug": row.team.slug,
        "submitted_on": row.date.date(),
        "groups": row.opened.groups,
    }
