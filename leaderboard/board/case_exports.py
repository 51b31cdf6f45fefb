"""Files with the numbers of single cases and findings of a version of a board (docs/exports.md has their columns).

Each is text that is made as it is sent, a team at a time. Numbers are written so that they are read back to the bit. Of
500 teams and 300 cases `cases.csv` (14 MB) takes 0.5 s of one core, `findings.csv` (37 MB) 1 s, a 304 takes 25 ms.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

import evaluation
from leaderboard.board import case_numbers
from leaderboard.board.case_numbers import OF_A_CASE, OF_A_FINDING, CaseNumbers
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.exports import NUMBERS, SHOWN
from leaderboard.board.reading import board_of
from leaderboard.board.rows import Board, Row
from leaderboard.core.text import csv_cell
from leaderboard.models import BoardVersion

FORMAT = 1
"""Of all files here: another one where a column changes its meaning, or goes."""
_OF_ROW = ("listed", "rank", "team", "team_name", "algorithm", "submission")
CASES = (*_OF_ROW, "case", *OF_A_CASE)
FINDINGS = (*_OF_ROW, "case", "finding", "category", "size", *OF_A_FINDING)
CHALLENGER = ("task", "algorithm", "case", "value")
"""As challengeR takes it: as.challenge(data, by = "task", algorithm = "algorithm", case = "case", value = "value",
smallBetter = FALSE)."""

Text = Iterator[str]


class _Line:
    """What a csv.writer writes to: hands each line on."""

    def write(self, line: str) -> str:
        return line


def _csv(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Text:
    """A table; `rows` come many at a time, and go out so."""
    line = csv.writer(_Line(), lineterminator="\r\n").writerow
    yield str(line(columns))
    for many in rows:
        yield "".join(str(line(row)) for row in many)


def cases_csv(numbers: CaseNumbers) -> Text:
    """A line for each row of the board and case."""
    for_each = ((_cells(row), columns) for row, columns in numbers.of_cases())
    return _csv(CASES, (_lines(cells, numbers.cases, *columns.values()) for cells, columns in for_each))


def findings_csv(numbers: CaseNumbers) -> Text:
    """A line for each row of the board and finding."""
    about = list(zip(*numbers.findings, strict=True))
    for_each = ((_cells(row), columns) for row, columns in numbers.of_findings())
    return _csv(FINDINGS, (_lines(cells, *about, *map(_as_digits, columns.values())) for cells, columns in for_each))


def challenger_csv(numbers: CaseNumbers) -> Text:
    """The Dice of each case of each ranked team, in the form that challengeR takes."""
    task = f"{numbers.board.phase.slug}-{numbers.board.track}"
    for_each = ((row.team.slug, columns) for row, columns in numbers.of_cases() if row.rank)
    return _csv(CHALLENGER, (_lines((task, team), numbers.cases, columns["dice"]) for team, columns in for_each))


def resamples_csv(numbers: CaseNumbers) -> Text:
    """How often each case counts in each resample behind the intervals of the board."""
    counts = enumerate(numbers.resamples.astype(int).tolist(), start=1)
    return _csv(("resample", *numbers.cases), ([(number, *row)] for number, row in counts))


def _lines(cells: Sequence[Any], *columns: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    return ((*cells, *values) for values in zip(*columns, strict=True))


def _as_digits(column: Sequence[Any]) -> Sequence[Any]:
    """Yes and no as 1 and 0, as programs for statistics read them."""
    return [int(value) for value in column] if column and isinstance(column[0], bool) else column


def _cells(row: Row) -> tuple[Any, ...]:
    """What is said of a row; words of its team as a cell may hold them."""
    return (row.listed, row.rank, row.team.slug, csv_cell(row.team.name), csv_cell(row.algorithm), row.told_submission)


def cases_json(numbers: CaseNumbers) -> Text:
    """The same as JSON: of each row one list a column, in the order of `labels`."""
    rows = ({**_said(row), **columns} for row, columns in numbers.of_cases())
    return _json({**_facts(numbers), "labels": numbers.cases}, rows)


def findings_json(numbers: CaseNumbers) -> Text:
    """The same as JSON: of each row one list a column, in the order of `findings`."""
    rows = ({**_said(row), **columns} for row, columns in numbers.of_findings())
    return _json({**_facts(numbers), "findings": [one._asdict() for one in numbers.findings]}, rows)


def _facts(numbers: CaseNumbers) -> dict[str, Any]:
    """By what it was made, and by what its intervals are made again."""
    return {
        "format": FORMAT,
        **numbers.board.facts,
        "visible_from": numbers.version.visible_from.astimezone(UTC).isoformat(timespec="seconds"),
        "cases_have_names": numbers.names_cases,
        "bootstrap": {
            "resamples": evaluation.RESAMPLES,
            "percentiles": evaluation.PERCENTILES,
            "seed": str(numbers.seed) if numbers.names_cases else None,  # more than JavaScript's numbers hold
        },
    }


def _said(row: Row) -> dict[str, Any]:
    shown = {f"board_{name}": getattr(row, name) for name in NUMBERS if name.removesuffix("_ci") in SHOWN}
    return {
        **{name: getattr(row, name) for name in ("listed", "rank", "algorithm")},
        "submission": row.told_submission,
        "team": row.team.slug,
        "team_name": row.team.name,
        **shown,
    }


def _json(facts: dict[str, Any], rows: Iterable[dict[str, Any]]) -> Text:
    """One object, whose last field is the list of rows."""
    yield json.dumps(facts).removesuffix("}") + ', "rows": ['
    for number, row in enumerate(rows):
        yield (",\n" if number else "\n") + json.dumps(row)
    yield "\n]}\n"


class File(NamedTuple):
    """How a file is made, of what type it is, and whether it is about findings."""

    make: Callable[[CaseNumbers], Text]
    content_type: str
    of_findings: bool = False


_CSV, _JSON = "text/csv; charset=utf-8", "application/json"
FILES = {
    "cases.csv": File(cases_csv, _CSV),
    "cases.json": File(cases_json, _JSON),
    "findings.csv": File(findings_csv, _CSV, of_findings=True),
    "findings.json": File(findings_json, _JSON, of_findings=True),
    "challenger.csv": File(challenger_csv, _CSV),
    "resamples.csv": File(resamples_csv, _CSV),
}


@dataclass(frozen=True)
class Export:
    """A file of a version that everybody may have."""

    name: str
    board: Board
    version: BoardVersion
    disclosure: Disclosure

    @property
    def content_type(self) -> str:
        """Of what type it is."""
        return FILES[self.name].content_type

    @property
    def file_name(self) -> str:
        """What it is called where it is kept."""
        about = f"{self.board.phase.slug}-{self.board.track}-v{self.version.number}"
        return f"{about}-{self.name}"

    @cached_property
    def _rows(self) -> list[Row]:
        return case_numbers.listed(self.disclosure, self.board)

    @property
    def tag(self) -> str:
        """Names its content, without making it: a version stays as it is, but for rows that are deleted."""
        told = [FORMAT, self.file_name, self.version.digest, str(self.version.visible_from), *map(_cells, self._rows)]
        return sha256(json.dumps(told).encode()).hexdigest()[:32]

    def text(self) -> Text:
        """Its content, piece by piece. Raises LookupError, at once, where the numbers of a run are not kept."""
        numbers = case_numbers.read(self.disclosure, self.board, self.version, self._rows)
        return FILES[self.name].make(numbers)


def shown_files(disclosure: Disclosure, version: BoardVersion | None) -> list[str]:
    """The files that everybody may have of a version."""
    if version is None or not (version.rows and version.is_revealed and disclosure.shows_case_numbers):
        return []
    return [name for name, file in FILES.items() if disclosure.shows_finding_numbers or not file.of_findings]


def export_of(disclosure: Disclosure, version: BoardVersion, name: str) -> Export | None:
    """A file of a version by its name; None where it is not shown, as where there is none."""
    if name not in shown_files(disclosure, version):
        return None
    return Export(name, board_of(disclosure.phase, version.track, version), version, disclosure)
