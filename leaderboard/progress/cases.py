"""The cases of a run, each with what became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from django.db.models import F, Func, IntegerField, QuerySet, Value
from django.db.models.fields.json import KT, KeyTransform

from evaluation import CaseStatus
from leaderboard.core import blobs
from leaderboard.journey import reasons
from leaderboard.models import Attempt, Run, RunCase


@dataclass(frozen=True)
class CaseLine:
    """A case of a run: `seen_as` is the file name that the program saw, `findings` and `hits` are there once scored.

    `container` names the last one that ran it, if its log can be read.
    """

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
    batch: UUID | None
    container: str = ""

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
            batch=row["batch_id"],
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
    columns = ("real_name", "token", "outcome", "reason_code", "seconds", "output", "output_bytes", "batch_id")
    worst = rows.order_by(F("dice").asc(nulls_last=True), "-reason_code", "position")
    found: QuerySet[Any, dict[str, Any]] = worst.values(*columns, "status", "why", "dice", "findings", "hits")
    return found


def lines_of(rows: Iterable[Mapping[str, Any]]) -> list[CaseLine]:
    """The lines of some rows of `cases_of`, each with the last container that ran it; one question for all of them."""
    lines = [CaseLine.of(row) for row in rows]
    batches = {line.batch for line in lines if line.batch}
    ended = Attempt.objects.filter(batch__in=batches, ended_at__isnull=False).exclude(container=None, log="")
    columns = ("batch", "batch__number", "fence")
    last = {batch: f"{number}-{fence}" for batch, number, fence in ended.order_by("fence").values_list(*columns)}
    return [replace(line, container=last.get(line.batch, "")) if line.batch else line for line in lines]
