"""The cases of a run, each with what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import F, Func, IntegerField, QuerySet, Value
from django.db.models.fields.json import KT, KeyTransform

from evaluation import CaseStatus
from leaderboard.core import blobs
from leaderboard.journey import reasons
from leaderboard.models import Run, RunCase


@dataclass(frozen=True)
class CaseLine:
    """A case of a run: `seen_as` is the file name that the program saw, `findings` and `hits` are there once scored."""

    name: str
    seen_as: str
    status: str
    reason: str
    seconds: float | None
    dice: float | None
    findings: int
    hits: int
    mask: str
    mask_bytes: int | None

    @property
    def is_lost(self) -> bool:
        """Whether it counts with Dice 0 for want of a usable mask."""
        return self.status not in (CaseStatus.SCORED, RunCase.Outcome.FINISHED, "waiting")

    @property
    def has_mask(self) -> bool:
        """Whether its mask is still kept."""
        return bool(self.mask) and blobs.outputs.exists(self.mask)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The line of a row of `cases_of`."""
        known = reasons.FAILURES.get(row["reason_code"])
        return cls(
            name=row["real_name"],
            seen_as=RunCase(token=row["token"]).file_name,
            status=row["status"] or row["outcome"] or "waiting",
            reason=row["why"] or (known.title if known else ""),
            seconds=row["seconds"],
            dice=row["dice"],
            findings=row["findings"] or 0,
            hits=row["hits"] or 0,
            mask=row["output"],
            mask_bytes=row["output_bytes"],
        )


class _Hits(Func):
    """How many findings of a result were hit."""

    function = "jsonb_path_query_array"
    template = "jsonb_array_length(%(function)s(%(expressions)s))"


def cases_of(run: Run) -> QuerySet[Any, dict[str, Any]]:
    """What became of each case, the worst first; of the results only what a line shows is read."""
    rows = run.cases.annotate(
        real_name=F("case__name"),
        status=KT("result__status"),
        why=KT("result__reason"),
        dice=KeyTransform("dice", "result"),
        findings=Func(KeyTransform("findings", "result"), function="jsonb_array_length", output_field=IntegerField()),
        hits=_Hits(KeyTransform("findings", "result"), Value("$[*] ? (@.hit == true)"), output_field=IntegerField()),
    )
    columns = ("real_name", "token", "outcome", "reason_code", "seconds", "output", "output_bytes")
    worst = rows.order_by(F("dice").asc(nulls_last=True), "-reason_code", "position")
    found: QuerySet[Any, dict[str, Any]] = worst.values(*columns, "status", "why", "dice", "findings", "hits")
    return found
