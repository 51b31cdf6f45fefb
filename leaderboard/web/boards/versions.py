"""The versions of a board, with what changed from one to the next: as a page, and as a feed."""

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import require_safe

from leaderboard.board.changes import in_words
from leaderboard.board.versions import shown_versions
from leaderboard.core.text import one_line, xml_text
from leaderboard.models import BoardVersion, Phase, Submission
from leaderboard.web.boards.asked import address_of, phase_of
from leaderboard.web.conditional import unless_unchanged
from leaderboard.web.context import instant_of

VERSIONS_PER_PAGE = 25
IN_FEED = 30


@require_safe
def board_versions(request: HttpRequest, slug: str, track: str) -> HttpResponse:
    """All versions of a board, the newest first, each with what is new in it."""
    phase = phase_of(request, slug)
    page = Paginator(_told(phase, track, request), VERSIONS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "phase": phase,
        "track": Submission.Track(track),
        "tracks": Submission.Track.choices,
        "page": page,
        "versions": [(one, address_of(phase, one), [in_words(change) for change in one.changes]) for one in page],
    }
    return render(request, "board/versions.html", context)


def _told(phase: Phase, track: str, request: HttpRequest) -> QuerySet[BoardVersion]:
    shown = shown_versions(phase, track, instant_of(request)).order_by("-number")
    return shown.only("phase", "track", "number", "visible_from", "changes", "evaluation_version").annotate(
        teams=F("ranks__len")
    )


@require_safe
def board_feed(request: HttpRequest, slug: str, track: str) -> HttpResponseBase:
    """The newest versions of a board with what is new in them, for readers of feeds."""
    phase = phase_of(request, slug)
    name = one_line(f"ReXGrounding Challenge: leaderboard, {phase.name}, {Submission.Track(track).label} track")
    listed = settings.SITE_URL + reverse("board_versions", args=[phase.slug, track])
    made = Atom1Feed(
        title=xml_text(name),
        link=listed,
        feed_url=settings.SITE_URL + reverse("board_feed", args=[phase.slug, track]),
        description="",
        author_name="The ReXGrounding Challenge",
        language="en",
    )
    versions = list(_told(phase, track, request)[:IN_FEED])
    for version in versions:
        address = settings.SITE_URL + address_of(phase, version)
        made.add_item(
            f"Version {version.number}",
            address,
            description=xml_text(" ".join(map(in_words, version.changes)) or "The board changed."),
            unique_id=address,
            pubdate=version.visible_from,
            updateddate=version.visible_from,
        )
    changed_at = versions[0].visible_from if versions else phase.opens_at
    return unless_unchanged(request, made.writeString("utf-8").encode(), made.content_type, changed_at)
