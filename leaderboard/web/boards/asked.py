"""What an address of a board asks for, and addresses of boards."""

from typing import ClassVar, NamedTuple
from urllib.parse import urlencode

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse

from leaderboard.board.filters import ENTRIES, SOURCES, Filters
from leaderboard.board.ranking import SORT_KEYS
from leaderboard.board.versions import latest_tag
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import BoardVersion, Phase, Submission
from leaderboard.web.boards.columns import as_told
from leaderboard.web.context import frame_of, instant_of

MAIN = Submission.Track.MAIN


class Asked(NamedTuple):
    """Which board, ranked by which findings, in which order; which rows and columns of it are shown."""

    track: str
    group: str = ALL
    sort: str = "rank"
    source: str = ""
    entry: str = ""
    columns: str = ""

    @property
    def filters(self) -> Filters:
        """What its rows have to be."""
        return Filters(self.source, self.entry)


def phase_of(request: HttpRequest, slug: str) -> Phase:
    """The phase that an address names, if its reader may know of it."""
    return get_object_or_404(frame_of(request).phases.select_related("case_set"), slug=slug)


def asked_of(request: HttpRequest, *, track: str) -> Asked:
    """What an address asks for; what there is not is not found."""
    told = request.GET
    try:
        columns = as_told(told.getlist("columns"))
    except KeyError as unknown:
        raise Http404 from unknown
    source, entry = told.get("source", ""), told.get("entry", "")
    asked = Asked(track, told.get("group", ALL), told.get("sort", "rank"), source, entry, columns)
    if track not in Submission.Track.values or asked.group not in GROUPS or asked.sort not in SORT_KEYS:
        raise Http404
    if source not in {"", *SOURCES} or entry not in {"", *ENTRIES}:
        raise Http404
    return asked


def board_tag(request: HttpRequest, slug: str, track: str = "", **_: object) -> str | None:
    """Names the version of the board that shows, for `same_for_visitors`; None where there is none yet."""
    return latest_tag(slug, track or request.GET.get("track", MAIN), instant_of(request))


def address_of(phase: Phase, version: BoardVersion) -> str:
    """Where a version can be read for ever."""
    return reverse("board_version", args=[phase.slug, version.track, version.number])


class Address:
    """Links to the same board with one thing changed. What is as it would be anyway stays out of the address."""

    _USUAL: ClassVar[dict[str, str | int]] = {
        "track": MAIN,
        "group": "all",
        "sort": "rank",
        "source": "",
        "entry": "",
        "columns": "",
        "page": 1,
        "after": 1,
        "masks": 1,
        "open": "",
    }

    def __init__(self, path: str, now: dict[str, str | int]) -> None:
        self._path = path
        self._now = now

    def with_(self, **changes: str | int) -> str:
        """The address with these changes."""
        told = {key: value for key, value in {**self._now, **changes}.items() if value != self._USUAL[key]}
        return f"{self._path}{'?' if told else ''}{urlencode(told, safe=',')}"
