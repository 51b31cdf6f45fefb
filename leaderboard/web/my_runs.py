"""All runs of a team: the list with its pictures and its filter, as a file, some of them side by side, a note on each.

For the members of the team alone: a run of somebody else is not there. Everything is made of the lines of the list, so
that nothing here tells more of hidden cases than the list does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from leaderboard.board.comparison import METRICS, MOST
from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.core.refusal import Refused
from leaderboard.models import Phase, Submission, Team
from leaderboard.progress import comparing, exports
from leaderboard.progress.listing import STATES, Filter, Line, Runs, runs_of
from leaderboard.progress.over_time import Picture, pictures_of
from leaderboard.submissions import notes
from leaderboard.web.context import came_from, frame_of

RUNS_PER_PAGE = 25
FINDINGS_PER_PAGE = 25
KEY_DIGITS = 18  # no more than the database can hold


# --- the list ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Section:
    """A phase on a page of the list: its lines there, pictures of all its lines that fit the filter."""

    disclosure: Disclosure
    lines: Sequence[Line]
    pictures: Sequence[Picture]
    total: int

    @property
    def phase(self) -> Phase:
        return self.disclosure.phase

    @property
    def counting(self) -> list[Line]:
        """The lines that count."""
        return [line for line in self.lines if line.counts]

    @property
    def is_whole(self) -> bool:
        """Whether every run that its pictures show stands in its table, too."""
        return self.total == len(self.lines)


@login_required
@require_safe
@never_cache
def runs(request: HttpRequest) -> HttpResponse:
    """The runs of the person's team that fit the filter of the address, by phase."""
    frame = frame_of(request)
    if frame.team is None:
        return redirect("team")
    found = _runs_of(request, frame.team)
    asked = Filter.of(request.GET, found.phases)
    fitting = [line for line in found.lines if asked.fits(line)]
    page = Paginator(fitting, RUNS_PER_PAGE).get_page(request.GET.get("page"))
    kept = asked.parameters
    context = {
        "team": frame.team,
        "page": page,
        "asked": asked,
        "total": len(found.lines),
        "sections": _sections(found, fitting, page),
        "counting": [line for line in found.lines if line.counts],
        "phases": found.phases,
        "tracks": Submission.Track.choices,
        "states": [(name, words) for name, (words, _) in STATES.items()],
        "quotas": frame.quotas,
        "csv": f"{reverse('runs_csv')}?{urlencode(kept)}" if kept else reverse("runs_csv"),
        "link_before_page": f"?{urlencode({**kept, 'page': ''})}",
        "most": MOST,
        "longest_note": notes.LONGEST,
    }
    return render(request, "submissions/runs.html", context)


def _runs_of(request: HttpRequest, team: Team) -> Runs:
    return runs_of(team, Viewer(Reader.TEAM, frame_of(request).now))


def _sections(found: Runs, fitting: Sequence[Line], page: Page[Any]) -> list[_Section]:
    sections = []
    for phase, lines in groupby(cast(Sequence[Line], page), key=lambda line: line.submission.phase):
        total = sum(line.submission.phase == phase for line in fitting)
        sections.append(_Section(found.viewer.of(phase), list(lines), pictures_of(found, fitting, phase), total))
    return sections


@login_required
@require_safe
@never_cache
def table(request: HttpRequest) -> HttpResponse:
    """The runs that fit the filter, all pages of them, for a spreadsheet."""
    team = frame_of(request).team
    if team is None:
        return redirect("team")
    found = _runs_of(request, team)
    asked = Filter.of(request.GET, found.phases)
    headers = {
        "Content-Disposition": content_disposition_header(as_attachment=True, filename="my-runs.csv") or "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    text = exports.as_csv(line for line in found.lines if asked.fits(line))
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)


# --- a note -----------------------------------------------------------------------------------------------------------


@login_required
@require_POST
def note(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a note on a run of the person's own team; what is too long comes back to be shortened."""
    team = frame_of(request).team
    found = get_object_or_404(Submission.objects.only("pk", "team", "algorithm"), pk=pk)
    if team is None or found.team_id != team.pk:
        raise Http404
    back = came_from(request, reverse("submission", args=[found.pk]))
    text = request.POST.get("note", "")
    try:
        notes.write(found, text)
    except Refused as refusal:
        context = {"submission": found, "text": text, "refusal": str(refusal), "back": back}
        return render(request, "submissions/note_page.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    messages.success(request, f"The note on submission {found.pk} is kept.")
    return HttpResponseRedirect(back)


# --- side by side -----------------------------------------------------------------------------------------------------


@login_required
@require_safe
@never_cache
def compare(request: HttpRequest) -> HttpResponse:
    """The runs that the address names, side by side; what keeps some of them from it, in words."""
    team = frame_of(request).team
    if team is None:
        return redirect("team")
    found = _runs_of(request, team)
    lines = _named(request, found)
    of_phases = {phase: [line for line in lines if line.submission.phase == phase] for phase in found.phases}
    phases = [phase for phase, of_phase in of_phases.items() if of_phase]
    phase = phases[0] if phases else _with_most_scores(found)
    context = {
        "phase": phase,
        "disclosure": found.viewer.of(phase) if phase else None,
        "named": lines,
        "too_many": len(lines) > MOST,
        "apart": [(phase, _address(of_phases[phase])) for phase in phases] if len(phases) > 1 else [],
        "metric": _metric(request),
        "metrics": METRICS,
        "choices": [line for line in found.lines if line.submission.phase == phase and line.figures],
        "most": MOST,
        "places": _places([line.submission.pk for line in lines]),
    }
    if len(phases) == 1 and not context["too_many"]:
        context |= _side_by_side(request, lines, found.viewer)
    return render(request, "submissions/compare.html", context)


def _side_by_side(request: HttpRequest, lines: Sequence[Line], viewer: Viewer) -> dict[str, Any]:
    selection = comparing.select(lines, _key(request.GET.get("base", "")))
    context: dict[str, Any] = {
        "left_out": selection.left_out,
        "chosen": [line.submission.pk for line in selection.lines],
    }
    context["places"] = _places(context["chosen"])
    if len(selection.lines) < 2:
        return context
    comparison = comparing.compare(selection.lines, _metric(request), viewer)
    page = Paginator(comparison.findings, FINDINGS_PER_PAGE).get_page(request.GET.get("page"))
    kept = {"base": context["chosen"][0], "run": context["chosen"][1:], "metric": comparison.metric, "page": ""}
    return context | {
        "comparison": comparison,
        "disclosure": comparison.disclosure,
        "page": page,
        "findings": comparing.with_sentences(list(page), comparison.cases_of),
        "link_before_page": f"?{urlencode(kept, doseq=True)}",
    }


def _places(chosen: Sequence[int]) -> list[tuple[int, int | None]]:
    """What the picker's fields hold: the base, then the others."""
    return list(enumerate([*chosen, *[None] * MOST][:MOST]))


def _named(request: HttpRequest, found: Runs) -> list[Line]:
    """The lines that the address names; a run of somebody else is as unknown as one that nobody has."""
    own: dict[int | None, Line] = {line.submission.pk: line for line in found.lines}
    asked = [value for value in [*request.GET.getlist("base"), *request.GET.getlist("run")] if value]
    try:
        return list({key: own[key] for key in map(_key, asked)}.values())
    except KeyError:
        raise Http404 from None


def _key(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= KEY_DIGITS else None


def _metric(request: HttpRequest) -> str:
    asked = request.GET.get("metric", "")
    return asked if asked in METRICS else next(iter(METRICS))


def _with_most_scores(found: Runs) -> Phase | None:
    """The phase to choose from while nothing is chosen."""
    scored = [line.submission.phase for line in found.lines if line.figures]
    return max(scored, key=scored.count, default=None)


def _address(lines: Sequence[Line]) -> str:
    """Where these runs of one phase stand side by side."""
    return f"{reverse('compare')}?{urlencode({'run': [line.submission.pk for line in lines]}, doseq=True)}"
