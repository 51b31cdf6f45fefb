"""The findings of a run with their sentences and all their numbers, the worst first.

A run may have thousands, in the results of its cases. The database takes the results apart, and gives only those that a
page shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.db import connection

from evaluation import CATEGORIES, CaseStatus
from leaderboard.models import Run

_NUMBERS = (
    "dice float8, dice_raw float8, hit boolean, hit_05 boolean, n_reference int, n_predicted int, "
    "tp int, fp int, fn int, distance_tp int, distance_fp int, distance_fn int"
)
_FROM = f"""
FROM leaderboard_runcase AS run_case
JOIN leaderboard_case AS a_case ON a_case.id = run_case.case_id
CROSS JOIN LATERAL jsonb_to_recordset(run_case.result -> 'findings') AS one(finding text, category text, {_NUMBERS})
LEFT JOIN leaderboard_finding AS said ON said.case_id = a_case.id AND said.channel = one.finding::int
WHERE run_case.run_id = %(run)s
    AND (%(category)s = '' OR one.category = %(category)s) AND (%(case)s = '' OR a_case.name = %(case)s)
"""
_COUNT = f"SELECT count(*) {_FROM}"
_PAGE = f"""
SELECT one.*, a_case.name AS case_name, said.text,
    said.voxels * (a_case.spacing_mm ->> 0)::float8 * (a_case.spacing_mm ->> 1)::float8
        * (a_case.spacing_mm ->> 2)::float8 / 1000 AS millilitres,
    run_case.result ->> 'status' AS status, run_case.result ->> 'reason' AS reason
{_FROM}
ORDER BY one.dice, run_case.position, one.finding::int LIMIT %(limit)s OFFSET %(offset)s
"""


@dataclass(frozen=True)
class FindingLine:
    """A finding of a case: its sentence, its volume in the reference, and its numbers as in the evaluation's JSON."""

    case: str
    key: str
    category: str
    sentence: str
    millilitres: float | None
    status: str
    reason: str
    dice: float
    dice_raw: float
    hit: bool
    hit_05: bool
    n_reference: int
    n_predicted: int
    tp: int
    fp: int
    fn: int
    distance_tp: int | None
    distance_fp: int | None
    distance_fn: int | None

    @property
    def category_label(self) -> str:
        """The category's name on pages."""
        known = CATEGORIES.get(self.category)
        return known.label if known else self.category

    @property
    def is_lost(self) -> bool:
        """Whether there was no usable mask of its case."""
        return self.status != CaseStatus.SCORED

    @property
    def is_empty(self) -> bool:
        """Whether nothing that counts was predicted, though there is something to find."""
        return not self.is_lost and self.n_reference > 0 and self.n_predicted == 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The line of a row of the database."""
        numbers = {name: row[name] for name in cls.__dataclass_fields__ if name in row}
        about = {
            "case": row["case_name"],
            "key": row["finding"],
            "category": row["category"] or "",
            "sentence": row["text"] or "",
            "reason": row["reason"] or "",
        }
        return cls(**{**numbers, **about})


@dataclass(frozen=True)
class Findings:
    """The findings of a run, of one category or case if these are named; a sequence of which a page takes a slice."""

    run: Run
    category: str = ""
    case: str = ""

    def __len__(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, self._asked())
            return int(cursor.fetchone()[0])

    def __getitem__(self, part: slice) -> list[FindingLine]:
        start, stop = part.start or 0, part.stop
        with connection.cursor() as cursor:
            cursor.execute(_PAGE, {**self._asked(), "offset": start, "limit": stop - start})
            names = [column.name for column in cursor.description or ()]
            return [FindingLine.of(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]

    def _asked(self) -> dict[str, Any]:
        return {"run": self.run.pk, "category": self.category, "case": self.case}
