"""What is new in a version of a board: who came, who left, of whom another run counts, and which rules are others.

Ranks that move because somebody else's do are not told one by one.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from leaderboard.models import BoardRow, BoardVersion

Change = dict[str, Any]
RULES = {
    "counting": "which run counts",
    "publication": "what is published before the reveal",
    "masks_are_ranked": "whether masks are ranked",
    "cases_are_public": "whether the cases are public",
    "closes_at": "the deadline",
}


class _Ranked(NamedTuple):
    """A row among those that are ranked; organisers' own teams have no rank."""

    submission: int
    rank: int | None
    name: str


def find_changes(before: BoardVersion | None, version: BoardVersion) -> list[Change]:
    """What a version says that the one before did not."""
    if before is None:
        return []
    return [*_of_rules(before, version), *_of_rows(before, version)]


def _of_rules(before: BoardVersion, version: BoardVersion) -> Iterator[Change]:
    if before.rules.get("anonymous") and not version.rules.get("anonymous"):
        yield {"what": "named"}
    if version.is_revealed and not before.is_revealed:
        yield {"what": "revealed"}
    if version.evaluation_version != before.evaluation_version:
        yield {"what": "evaluation version", "to": version.evaluation_version}
    yield from ({"what": "rule", "rule": name} for name in RULES if version.rules.get(name) != before.rules.get(name))


def _of_rows(before: BoardVersion, version: BoardVersion) -> Iterator[Change]:
    old, new = (
        dict(zip(one.rows, one.ranks, strict=False)) for one in (before, version)
    )  # those with a rank are first
    told = BoardRow.objects.in_bulk(old.keys() ^ new.keys())
    gone, come = (
        {told[row].shown["team"][0]: _ranked(told[row], rank) for row, rank in ranks.items() if row in told}
        for ranks in (old, new)
    )
    for team, entry in come.items():
        if team not in gone:
            yield {"what": "entered", "team": entry.name, "rank": entry.rank}
        elif gone[team].submission != entry.submission:
            yield {"what": "run", "team": entry.name, "rank": entry.rank, "from": gone[team].rank}
        elif (gone[team].rank is None) != (entry.rank is None):
            yield {"what": "whose", "team": entry.name, "rank": entry.rank}
    yield from ({"what": "left", "team": gone[team].name} for team in gone if team not in come)


def _ranked(row: BoardRow, rank: int | None) -> _Ranked:
    return _Ranked(row.submission_id, rank, row.shown["team"][1])


def in_words(change: Change) -> str:
    """A change as a line of a list."""
    rank = change.get("rank")
    match change["what"]:
        case "revealed":
            return "The full result was revealed."
        case "named":
            return "The teams are named."
        case "evaluation version":
            mended = ", on mended references" if "-r" in change["to"] else ""
            return f"Scored by evaluation version {change['to']}{mended}."
        case "rule":
            return f"Another rule: {RULES[change['rule']]}."
        case "entered":
            return f"{change['team']} entered {f'at rank {rank}' if rank else 'without a rank'}."
        case "whose" if rank:
            return f"{change['team']} is no team of the organisers any more: rank {rank}."
        case "whose":
            return f"{change['team']} is marked as a team of the organisers, and has no rank."
        case "left":
            return f"{change['team']} left the board."
    if rank is None:
        return f"Another run of {change['team']} is shown, without a rank."
    moved = "" if change["from"] in (rank, None) else f", before it was {change['from']}"
    return f"Another run of {change['team']} counts: rank {rank}{moved}."
