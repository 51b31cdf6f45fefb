"""The board for others than browsers: JSON for scripts, a table for a terminal."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

from leaderboard.board import all_runs
from leaderboard.board.references import Reference
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
        "rows": [_row_as_json(board, row) for row in board.rows],
        "masks": [_row_as_json(board, row) for row in board.masks],
        "post_challenge": [_row_as_json(board, row) for row in board.after],
        "references": [reference_as_json(one) for one in board.references],
    }


def _row_as_json(board: Board, row: Row) -> dict[str, Any]:
    """A row for scripts; one that is not ranked has no rank."""
    return {
        "rank": row.rank,
        **order_as_json(board, row),
        "team": row.team.slug,
        "algorithm": row.algorithm,
        "of_organisers": row.of_organisers,
        "entry": row.entry,
        "submission": row.told_submission,
        **{name: getattr(row, name) for name in NUMBERS},
        "seconds_per_case": row.seconds_per_case,
    }


def order_as_json(board: Board, row: Row) -> dict[str, Any]:
    """How sure a row's rank is, for scripts; None where that is not known."""
    alike = board.not_told_from(row)
    return {
        "rank_interval": row.rank_interval,
        "tied_with_the_top": None if alike is None else row.tied_with_the_top,
        "not_told_from": alike,
    }


_OF_REFERENCE = ("table", "algorithm", "institution", "prompt", "training", "not_comparable", "link", "source")
_MORE_OF_REFERENCE = ("source_link", "cases", "findings")


def reference_as_json(reference: Reference) -> dict[str, Any]:
    """A reference row for scripts: never ranked, with the numbers of all groups of findings that its source gives."""
    row = reference.row
    return {
        "name": row.name,
        **{name: getattr(row, name) for name in (*_OF_REFERENCE, *_MORE_OF_REFERENCE)},
        "published_on": row.published_on and row.published_on.isoformat(),
        "source_date": row.source_date and row.source_date.isoformat(),
        "numbers": row.numbers,
    }


_FACTS = ("phase", "track", "findings", "cases", "evaluation_version", "version", "as_of")
_OF_ROW = ("listed", "rank", "team", "affiliation", "algorithm", "entry", "lost_cases", "runs", "submitted")
_LISTED = {
    "ranked": "ranked",
    "organisers": "organisers, not ranked",
    "masks": "masks, not ranked",
    "post_challenge": "post-challenge, not ranked",
    "unranked": "not ranked",
}
SHOWN = ("dice", "hit_rate", "instance_f1", "distance_f1")
_OF_NUMBERS = tuple(f"{name}{end}" for name in SHOWN for end in ("", "_low", "_high"))
_OF_ORDER = ("rank_low", "rank_high", "tied_with_the_top", "not_told_from")
COLUMNS = (*_OF_ROW, *_OF_NUMBERS, *_FACTS, "not_comparable", "seconds_per_case", *_OF_ORDER)


def as_csv(board: Board, rows: Iterable[Row] | None = None) -> str:
    """A board's rows, or some of them, for spreadsheets: what its page shows, of which version, and since when.

    Reference rows come last, with the sentence that says what makes them not comparable. What is not shown is empty;
    numbers are as they are shown, and nobody's words are taken for a formula.
    """
    facts = _facts(board)
    shown = board.everything if rows is None else rows
    listed = ([*_cells(row), *facts, None, row.seconds_per_case, *_of_order(board, row)] for row in shown)
    return _csv([COLUMNS, *listed, *(_reference_cells(board, one) for one in board.references)])


_OF_RUN = ("what", "rank", "team", "affiliation", "algorithm", "entry", "lost_cases", "submitted", "submitter")
RUN_COLUMNS = (*_OF_RUN, *_OF_NUMBERS, *_FACTS)
_RUNS_AT_ONCE = 500


def runs_as_csv(board: Board, sort: str) -> Iterator[str]:
    """All runs of a board's version, piece by piece, in one of the orders of `all_runs`; else like `as_csv`."""
    yield _csv([RUN_COLUMNS])
    if board.version is None:
        return
    facts, keys = _facts(board), list(all_runs.listed_in(board.version, sort))
    for first in range(0, len(keys), _RUNS_AT_ONCE):
        lines = all_runs.lines(board.phase, board.version, keys[first : first + _RUNS_AT_ONCE])
        yield _csv([*_cells_of_run(line), *facts] for line in lines)


def _cells_of_run(line: all_runs.RunLine) -> list[str | int | None]:
    _, rank, team, affiliation, algorithm, entry, lost_cases, _, date, *numbers = _cells(line.row)
    of_run = [line.what, rank, team, affiliation, algorithm, entry, lost_cases, date, csv_cell(line.submitter)]
    return [*of_run, *numbers]


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
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
    return [
        *(_LISTED[row.listed], row.rank, *words, Submission.Entry(row.entry).label, row.lost_cases, row.runs, date),
        *_numbers(row),
    ]


def _reference_cells(board: Board, reference: Reference) -> list[str | int | None]:
    """The same of a reference row: it has no team and no run, its cases are its source's, and no version scored it."""
    row = reference.row
    date = row.published_on.isoformat() if row.published_on else None
    return [
        *("reference, not ranked", None, None, csv_cell(row.institution), csv_cell(row.name), None, None, None, date),
        *_numbers(reference.numbers),
        *(csv_cell(board.phase.name), board.track, board.group, row.cases, None, None, None),
        *(csv_cell(row.not_comparable), None),
        *([None] * len(_OF_ORDER)),
    ]


def _of_order(board: Board, row: Row) -> list[str | int | None]:
    """How sure its rank is; the teams that it can't be told from by their slugs, between spaces."""
    alike = board.not_told_from(row)
    if alike is None:
        return [None] * len(_OF_ORDER)
    return [*(row.rank_interval or (None, None)), "yes" if row.tied_with_the_top else "no", " ".join(alike)]


def _numbers(scores: object) -> list[str | None]:
    """The numbers of SHOWN with the ends of their intervals."""
    found = ((getattr(scores, name), *(getattr(scores, f"{name}_ci") or (None, None))) for name in SHOWN)
    return [_shown(end) for ends in found for end in ends]


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
    """The ranked table for a terminal, and below it what is not ranked: masks, post-challenge runs, reference rows."""
    apart = {"Masks that were handed in, not ranked:": board.masks, "Post-challenge runs, not ranked:": board.after}
    references = board.references
    if not board.rows and not any(apart.values()) and not references:
        return "Nothing is published yet."
    head = f"{'Rank':>4}  {'Team':<24} {'Algorithm':<24} {'Dice':>6}  {'95 % interval':<13} "
    lines = [head + f"{'Hit rate':>8} {'Inst. F1':>8} {'Dist. F1':>8}  Lost"]
    lines += [_line(row, board.cases) for row in board.rows]
    for title, rows in apart.items():
        lines += [title, *(_line(row, board.cases) for row in rows)] if rows else []
    lines += ["Reference rows, not ranked:", *map(_reference_line, references)] if references else []
    return "\n".join(lines)


def _reference_line(reference: Reference) -> str:
    row, numbers = reference.row, reference.numbers
    named = f"{printable(row.name):<24.24} {printable(row.institution):<24.24}"
    return (
        f"{'–':>4}  {named} {numbers.dice:>6.3f}  {_interval(numbers.dice_ci):<13} {_number(numbers.hit_rate)} "
        f"{_number(numbers.instance_f1)} {_number(numbers.distance_f1)}  {printable(row.not_comparable)}"
    )


def _line(row: Row, cases: int) -> str:
    team, algorithm = printable(row.team.name), printable(row.algorithm)
    lost = f"{row.lost_cases} of {cases} cases" if row.lost_cases else "–"
    return (
        f"{row.rank or '–':>4}  {team:<24.24} {algorithm:<24.24} {row.dice:>6.3f}  {_interval(row.dice_ci):<13} "
        f"{row.hit_rate:>8.3f} {_number(row.instance_f1)} {_number(row.distance_f1)}  {lost}"
        f"{'  masks' if row.is_of_masks else ''}{'  organisers' if row.of_organisers else ''}"
    )


def _interval(ends: tuple[float, float] | None) -> str:
    return f"{ends[0]:.3f}–{ends[1]:.3f}" if ends else "–"


def _number(value: float | None) -> str:
    return f"{'–' if value is None else f'{value:.3f}':>8}"
