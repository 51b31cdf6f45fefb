"""The addresses of boards, below /leaderboard/."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from leaderboard.models import Submission
from leaderboard.web.boards import (
    badges,
    board,
    categories,
    certainty,
    compare,
    files,
    history,
    reveal,
    runs,
    versions,
)


class Track(StringConverter):
    """One of the tracks that there are."""

    regex = "|".join(Submission.Track.values)


class FileName(StringConverter):
    """A name with its type; what has none is a page, to whose address a slash may be missing."""

    regex = r"[a-z]+\.(?:csv|json)"


register_converter(Track, "track")
register_converter(FileName, "file")

# The views that a board has beside its table; each version has them, too.
_VIEWS = {
    "certainty": certainty.board_certainty,
    "categories": categories.board_categories,
    "compare": compare.board_compare,
    "runs": runs.board_runs,
}

urlpatterns = [
    path("", board.leaderboard, name="leaderboard"),
    path("<slug:slug>/", board.board, name="board"),
    path("<slug:slug>/board.csv", board.board_csv, name="board_csv"),
    path("<slug:slug>/half.txt", reveal.board_half, name="board_half"),
    path("<slug:slug>/<track:track>/shake-up/", reveal.board_shake_up, name="board_shake_up"),
    path("<slug:slug>/<track:track>/versions/", versions.board_versions, name="board_versions"),
    path("<slug:slug>/<track:track>/versions/<int:number>/", board.board_version, name="board_version"),
    path("<slug:slug>/<track:track>/versions/<int:number>/<file:name>", files.board_file, name="board_file"),
    path("<slug:slug>/<track:track>/badge/<slug:team>.svg", badges.board_badge, name="board_badge"),
    path("<slug:slug>/<track:track>/history/", history.board_history, name="board_history"),
    path("<slug:slug>/<track:track>/feed.atom", versions.board_feed, name="board_feed"),
    *(path(f"<slug:slug>/<track:track>/{name}/", view, name=f"board_{name}") for name, view in _VIEWS.items()),
    *(
        path(f"<slug:slug>/<track:track>/versions/<int:number>/{name}/", view, name=f"board_{name}_version")
        for name, view in _VIEWS.items()
    ),
]
