"""Case sets at the desk: what imports did, what a set is, and what differs from the one before.

Nothing here reads volumes or masks: all of it is rows that the control service wrote, and pictures of public cases.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.board.half import ShownHalf
from leaderboard.challenge import case_pictures, downloads, import_story
from leaderboard.challenge.case_files import uses_of
from leaderboard.challenge.case_set_facts import CaseSetFacts, difference, set_before
from leaderboard.challenge.casesets.problems import Group, Remark
from leaderboard.charts.counts import binned, counts_plot
from leaderboard.charts.picture import About, Picture
from leaderboard.core import blobs
from leaderboard.desk.acts.cases import ACTS
from leaderboard.models import CasePicture, CaseSet, CaseSetImport
from leaderboard.web.context import instant_of, person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import offers_of
from leaderboard.web.desk.tabs import tabs

SETS_PER_PAGE = 20
PICTURES_PER_PAGE = 12
IMPORTS = 8
REFRESH_SECONDS = 5
SHAPE_EDGES = (64, 128, 256, 384, 512, 768, 1024)
SPACING_EDGES = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5)
SIZE_EDGES = (0.01, 0.1, 1, 10, 100, 1000)
AXES = (("h", 0, "H"), ("w", 1, "W"), ("d", 2, "D"))


class Story(NamedTuple):
    """An import as it is shown: its row, how it stands in a word, and what it found, in groups."""

    row: CaseSetImport
    level: str
    word: str
    refused: list[str]
    problems: list[tuple[Group, list[Remark]]]
    warnings: list[tuple[Group, list[Remark], bool]]
    notes: list[tuple[Group, list[Remark]]]


@never_cache
@require_safe
@for_viewers
def case_sets(request: HttpRequest) -> HttpResponse:
    """All sets, the newest first, and the latest imports: also those that were refused, or are under way."""
    rows = CaseSet.objects.select_related("mends").prefetch_related("phases")
    counted = rows.annotate(count=Count("cases")).order_by("-pk")
    stories = _stories(CaseSetImport.objects.select_related("case_set")[:IMPORTS])
    context = {
        "tabs": tabs("desk_cases"),
        "page": Paginator(counted, SETS_PER_PAGE).get_page(request.GET.get("page")),
        "stories": stories,
        "is_under_way": any(one.word == "Under way" for one in stories),
        "refresh_seconds": REFRESH_SECONDS,
    }
    return render(request, "desk/case_sets.html", context)


@never_cache
@require_safe
@for_viewers
def case_set(request: HttpRequest, name: str) -> HttpResponse:
    """A set: what its import did, what it is, what differs, who uses it."""
    found = get_object_or_404(CaseSet.objects.select_related("mends"), name=name)
    facts, before = CaseSetFacts(found), set_before(found)
    pictures = CasePicture.objects.filter(case__case_set=found).select_related("case").order_by("case__name")
    context = {
        "tabs": tabs("desk_cases"),
        "case_set": found,
        "facts": facts,
        "stories": _stories(found.imports.filter(outcome=CaseSetImport.Outcome.IMPORTED)[:1]),
        "plots": _plots(facts),
        "difference": difference(facts, CaseSetFacts(before)) if before else None,
        "half": ShownHalf.of(Viewer(Reader.ORGANISER, instant_of(request)).of_half(found)),
        "phases": found.phases.order_by("opens_at"),
        "terms": downloads.present_terms(found),
        "uses": uses_of(found),
        "offers": offers_of(ACTS, found, person_of(request)),
        "pictures": _pictures(request, found, pictures),
    }
    return render(request, "desk/case_set.html", context)


def _pictures(request: HttpRequest, found: CaseSet, pictures: Any) -> Any:
    """A page of them; None where there are none to be shown."""
    if not case_pictures.shown(found):
        return None
    return Paginator(pictures, PICTURES_PER_PAGE).get_page(request.GET.get("page"))


@never_cache
@require_safe
@for_viewers
def picture(_request: HttpRequest, name: str, pk: int) -> HttpResponse:
    """Slices of a public case, as an image."""
    pictures = CasePicture.objects.exclude(picture="").select_related("case__case_set")
    found = get_object_or_404(pictures, case__case_set__name=name, case=pk)
    if not case_pictures.shown(found.case.case_set):
        raise Http404
    try:
        content = blobs.pictures.path(found.picture).read_bytes()
    except FileNotFoundError as error:
        raise Http404 from error
    return HttpResponse(content, content_type="image/png")


def _stories(rows: Any) -> list[Story]:
    found = list(rows)
    at_work = import_story.at_work(found)
    return [_story(row, is_at_work=row.pk in at_work) for row in found]


def _story(row: CaseSetImport, *, is_at_work: bool) -> Story:
    level, word = _state(row, is_at_work=is_at_work)
    refused = [one["text"] for one in row.problems if not one["group"]]
    problems = import_story.kept(one for one in row.problems if one["group"])
    warnings = [(group, some, group.key in row.accepted) for group, some in import_story.kept(row.warnings)]
    return Story(row, level, word, refused, problems, warnings, import_story.kept(row.notes))


def _state(row: CaseSetImport, *, is_at_work: bool) -> tuple[str, str]:
    if row.ended_at is None:
        return ("run", "Under way") if is_at_work else ("warn", "Broken off")
    if row.outcome == CaseSetImport.Outcome.REFUSED:
        return "bad", "Refused"
    return "ok", row.get_outcome_display()


def _plots(facts: CaseSetFacts) -> Sequence[Picture]:
    categories = [(f"{one.code} {one.words}", one.findings) for one in facts.categories]
    plots = [counts_plot(About("categories", "Findings of each category"), categories, ("Category", "Findings"))]
    for key, axis, letter in AXES:
        shapes, spacings = facts.along(axis)
        of_shape = About(f"shape-{key}", f"Shape along {letter}")
        plots.append(counts_plot(of_shape, binned(shapes, SHAPE_EDGES, "voxels"), ("Voxels", "Cases")))
        of_spacing = About(f"spacing-{key}", f"Spacing along {letter}")
        plots.append(counts_plot(of_spacing, binned(spacings, SPACING_EDGES, "mm"), ("Spacing", "Cases")))
    sizes = binned(facts.sizes_ml, SIZE_EDGES, "mL")
    return [*plots, counts_plot(About("sizes", "Size of findings"), sizes, ("Size", "Findings"))]
