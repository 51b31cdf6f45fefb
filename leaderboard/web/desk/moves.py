"""How a board would change, as pages of the desk show it: ranks as lines, and the largest changes with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaderboard.board.comparison import Difference
from leaderboard.charts.picture import About, Picture
from leaderboard.charts.scales import signed_axis_for
from leaderboard.charts.slope import End, Moving, slope
from leaderboard.core.text import sanitised

LISTED = 50  # changes of a board
_DRAWN = ("ranked", "unranked")


def shown_board(board: Mapping[str, Any], ways: tuple[str, str]) -> dict[str, Any]:
    """A board's changes, as `BoardPreview.as_json` tells them: the largest first, and its order before and after."""
    teams = [_change(one) for one in board["teams"]]
    largest = sorted(teams, key=lambda one: (-abs(one["by"].value if one["by"] else 0.0), one["name"]))
    changed = [one for one in largest if one["moved"] or one["another_run"] or (one["by"] and one["by"].value)]
    reaches = [end for one in changed if one["by"] for end in (one["by"].value, *(one["by"].ends or ()))]
    name = f"{board['track']}-{board['reader']}"
    return {
        **board,
        "name": name,
        "ways": ways,
        "largest": changed[:LISTED],
        "left_out": len(changed[LISTED:]),
        "furthest": signed_axis_for(reaches).furthest,
        "is_told_apart": sum(bool(one["by"] and one["by"].value and not one["by"].is_open) for one in changed),
        "picture": _picture(name, ways, teams),
    }


def _change(one: Mapping[str, Any]) -> dict[str, Any]:
    """A team's change; what was decided before there were intervals has none."""
    before, after = one["before"] or {}, one["after"] or {}
    ends = one.get("interval")
    by = Difference(after["dice"] - before["dice"], tuple(ends) if ends else None) if before and after else None
    return {
        **one,
        "before": before,
        "after": after,
        "by": by,
        "moved": bool(before) != bool(after) or before.get("rank") != after.get("rank"),
        "another_run": bool(before and after) and before["submission"] != after["submission"],
    }


def _picture(name: str, ways: tuple[str, str], teams: Sequence[Mapping[str, Any]]) -> Picture | None:
    moving = [
        Moving(sanitised(one["name"]), _end(one["before"]), _end(one["after"]))
        for one in teams
        if one["listed"] in _DRAWN
    ]
    return (
        slope(About(f"moves-{name}", f"Ranks {ways[0].lower()} and {ways[1].lower()}"), ways, moving)
        if moving
        else None
    )


def _end(standpoint: Mapping[str, Any]) -> End | None:
    return End(standpoint.get("rank"), standpoint["dice"]) if standpoint else None
