"""The board for others than browsers: JSON for scripts, a table for a terminal."""

import csv
import io
from datetime import UTC
from typing import Any

from leaderboard.board.rows import Board, Row
from leaderboard.core.text import csv_cell, printable
from leaderboard.models import BoardVersion, Phase, Submission

NUMBERS = (
    "dice",
    "dice_ci",
    "hit_rate",
    "hit_rate_ci",
    "instance_precision",
    "instance_recall",
    "instance_f1",
    "instance_f1_ci",
    "distance_precision",
    "distance_recall",
    "distance_f1",
    "distance_f1_ci",
    "lost_cases",
)


def as_json(board: Board) -> dict[str, Any]:
    """The ranked table for scripts."""
    return {
        **board.facts,
        "rows": [_row_as_json(row) for row in board.rows],
        "masks": [_row_as_json(row) for row in board.masks],
        "post_challenge": [_row_as_json(row) for row in board.after],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    """A row for scripts; one that is not ranked has no rank."""
    return {
        "rank": row.rank,
        "team": row.team.slug,
        "algorithm": row.algorithm,
        "entry": row.entry,
        "submission": row.submission,
        **{name: getattr(row, name) for name in NUMBERS},
    }


_FACTS = ("phase", "track", "findings", "cases", "evaluation_version", "version", "as_of")
_OF_ROW = ("listed", "rank", "team", "affiliation", "algorithm", "entry", "lost_cases", "runs", "submitted")
_LISTED = {"ranked": "ranked", "masks": "masks, not ranked", "post_challenge": "post-challenge, not ranked"}
SHOWN = ("dice", "hit_rate", "instance_f1", "distance_f1")
COLUMNS = (*_OF_ROW, *(f"{name}{end}" for name in SHOWN for end in ("", "_low", "_high")), *_FACTS)


def as_csv(board: Board) -> str:
    """The board's rows for spreadsheets, in its order: what its page shows, of which version, and since when.

    What is not shown is empty; numbers are as they are shown, and nobody's words are taken for a formula.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    facts = _facts(board)
    writer.writerow(COLUMNS)
    writer.writerows([*_cells(row), *facts] for row in board.everything)
    return text.getvalue()


def _facts(board: Board) -> list[str | int | None]:
    """What is the same in each row; `as_of` is the minute from which its version shows."""
    version = board.version
    as_of = f"{version.visible_from.astimezone(UTC):%Y-%m-%dT%H:%MZ}" if version else None
    of_version = [version.evaluation_version, version.number] if version else [None, None]
    return [csv_cell(board.phase.name), board.track, board.group, board.cases, *of_version, as_of]


def _cells(row: Row) -> list[str | int | None]:
    """What it shows; words of its team as a cell may hold them."""
    words = [csv_cell(one) for one in (row.team.name, row.affiliation, row.algorithm)]
    date = f"{row.date.astimezone(UTC):%Y-%m-%d}"
    numbers = (end for name in SHOWN for end in (getattr(row, name), *(getattr(row, f"{name}_ci") or (None, None))))
    return [
        *(_LISTED[row.listed], row.rank, *words, Submission.Entry(row.entry).label, row.lost_cases, row.runs, date),
        *map(_shown, numbers),
    ]


def _shown(value: float | None) -> str | None:
    """A score with the decimals of the page: more would tell apart what shares a rank there."""
    return None if value is None else f"{value:.3f}"


# What TeX would take for more than a character.
_IN_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_IN_TEX |= {character: f"\\{character}" for character in "&%$#_{}"}


def as_bibtex(phase: Phase, version: BoardVersion, url: str) -> str:
    """An entry that names a version of a board; `url` is where it stays."""
    name = "".join(_IN_TEX.get(character, character) for character in printable(phase.name))
    date = version.visible_from.astimezone(UTC)
    track = Submission.Track(version.track).label
    lines = {
        "title": f"{{{{ReXGrounding}} Challenge: leaderboard, {name}, {track} track, version {version.number}}}",
        "author": "{{The {ReXGrounding} Challenge}}",
        "year": f"{{{date:%Y}}}",
        "month": f"{date:%b}".lower(),
        "howpublished": f"{{\\url{{{url}}}}}",
        "note": f"{{Shown from {date:%Y-%m-%d %H:%M} UTC, evaluation version {version.evaluation_version}}}",
    }
    said = "".join(f"  {field:<12} = {value},\n" for field, value in lines.items())
    return f"@misc{{rexgrounding-{phase.slug}-{version.track}-v{version.number},\n{said}}}"


def as_table(board: Board) -> str:
    """The ranked table for a terminal, and below it what is not ranked: masks that stand apart, post-challenge runs."""
    apart = {"Masks that were handed in, not ranked:": board.masks, "Post-challenge runs, not ranked:": board.after}
    if not board.rows and not any(apart.values()):
        return "Nothing is published yet."
    head = f"{'Rank':>4}  {'Team':<24} {'Algorithm':<24} {'Dice':>6}  {'95 % interval':<13} "
    lines = [head + f"{'Hit rate':>8} {'Inst. F1':>8} {'Dist. F1':>8}  Lost"]
    lines += [_line(row, board.cases) for row in board.rows]
    for title, rows in apart.items():
        lines += [title, *(_line(row, board.cases) for row in rows)] if rows else []
    return "\n".join(lines)


def _line(row: Row, cases: int) -> str:
    interval = f"{row.dice_ci[0]:.3f}–{row.dice_ci[1]:.3f}" if row.dice_ci else "–"
    team, algorithm = printable(row.team.name), printable(row.algorithm)
    lost = f"{row.lost_cases} of {cases} cases" if row.lost_cases else "–"
    return (
        f"{row.rank or '–':>4}  {team:<24.24} {algorithm:<24.24} {row.dice:>6.3f}  {interval:<13} "
        f"{row.hit_rate:>8.3f} {_number(row.instance_f1)} {_number(row.distance_f1)}  {lost}"
        f"{'  masks' if row.is_of_masks else ''}"
    )


def _number(value: float | None) -> str:
    return f"{'–' if value is None else f'{value:.3f}':>8}"
