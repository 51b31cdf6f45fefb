"""The addresses of boards, below /leaderboard/."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

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


class FileName(StringConverter):
    """A name with its type; what has none is a page, to whose address a slash may be missing."""

    regex = r"[a-z]+\.(?:csv|json)"


register_converter(FileName, "file")

urlpatterns = [
    path("", board.leaderboard, name="leaderboard"),
    path("<slug:slug>/", board.board, name="board"),
    path("<slug:slug>/board.csv", board.board_csv, name="board_csv"),
    path("<slug:slug>/half.txt", reveal.board_half, name="board_half"),
    path("<slug:slug>/<slug:track>/shake-up/", reveal.board_shake_up, name="board_shake_up"),
    path("<slug:slug>/<slug:track>/versions/", versions.board_versions, name="board_versions"),
    path("<slug:slug>/<slug:track>/versions/<int:number>/", board.board_version, name="board_version"),
    path("<slug:slug>/<slug:track>/certainty/", certainty.board_certainty, name="board_certainty"),
    path(
        "<slug:slug>/<slug:track>/versions/<int:number>/certainty/",
        certainty.board_certainty,
        name="board_certainty_version",
    ),
    path("<slug:slug>/<slug:track>/categories/", categories.board_categories, name="board_categories"),
    path(
        "<slug:slug>/<slug:track>/versions/<int:number>/categories/",
        categories.board_categories,
        name="board_categories_version",
    ),
    path("<slug:slug>/<slug:track>/runs/", runs.board_runs, name="board_runs"),
    path("<slug:slug>/<slug:track>/versions/<int:number>/runs/", runs.board_runs, name="board_runs_version"),
    path("<slug:slug>/<slug:track>/versions/<int:number>/<file:name>", files.board_file, name="board_file"),
    path("<slug:slug>/<slug:track>/badge/<slug:team>.svg", badges.board_badge, name="board_badge"),
    path("<slug:slug>/<slug:track>/compare/", compare.board_compare, name="board_compare"),
    path(
        "<slug:slug>/<slug:track>/versions/<int:number>/compare/",
        compare.board_compare,
        name="board_compare_version",
    ),
    path("<slug:slug>/<slug:track>/history/", history.board_history, name="board_history"),
    path("<slug:slug>/<slug:track>/feed.atom", versions.board_feed, name="board_feed"),
]
