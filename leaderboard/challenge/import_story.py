"""What an import does, told while it does it: to the terminal, and to the desk, which does not see the files.

The row is written outside the import's transaction, every few seconds: what it found stays when it stores nothing. An
import whose process was killed holds its lock no more, by which the desk knows it.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboard.challenge import importing
from leaderboard.challenge.casesets.official import CheckedCaseSet, read_case_set
from leaderboard.challenge.casesets.problems import (
    GROUPS,
    WARNINGS,
    CaseSetProblems,
    Group,
    Remark,
    grouped,
    groups_as_json,
)
from leaderboard.core import clock, locks
from leaderboard.core.audit import Actor
from leaderboard.models import CaseSet, CaseSetImport

LOCK = "case set import"
TELL_SECONDS = 2.0
Outcome = CaseSetImport.Outcome
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Delivery:
    """What is to be imported: where the files are, under which name, and what a person said about it."""

    name: str
    dataset_json: Path
    split: str
    images: Path
    masks: Path
    accepted: frozenset[str] = frozenset()
    is_ranked: bool = True
    mends: CaseSet | None = None


@dataclass
class Result:
    """What came of an import. `case_set` is None where nothing was stored, as in a dry run."""

    name: str
    is_dry_run: bool
    case_set: CaseSet | None = None
    is_new: bool = False
    cases: int = 0
    refused: str = ""
    problems: Sequence[Remark] = ()
    warnings: Sequence[Remark] = ()
    notes: Sequence[Remark] = ()
    accepted: Collection[str] = field(default_factory=frozenset)

    @property
    def outcome(self) -> str:
        """In a word."""
        if self.refused or self.problems:
            return Outcome.REFUSED.value
        if self.is_dry_run:
            return "checked"
        return (Outcome.IMPORTED if self.is_new else Outcome.UNCHANGED).value

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "dry_run": self.is_dry_run,
            "outcome": self.outcome,
            "cases": self.cases,
            "digest": self.case_set.digest if self.case_set else "",
            "refused": self.refused,
            "problems": groups_as_json(self.problems),
            "warnings": [one | {"is_accepted": one["group"] in self.accepted} for one in groups_as_json(self.warnings)],
            "notes": groups_as_json(self.notes),
        }


def carry_out(delivery: Delivery, *, by: Actor, dry_run: bool = False, told: Told | None = None) -> Result:
    """Check everything, then store it, and keep what was found; a dry run checks, and stores nothing at all."""
    if dry_run:
        return _checked_only(delivery, told or _tell_nobody)
    row = _begin(delivery, by)
    with locks.working_on(LOCK, row.pk):
        teller = _Teller(row, told or _tell_nobody)
        result = _carried_out(delivery, by, teller.step)
    _end(row, result)
    return result


def _tell_nobody(_step: str, _done: int, _total: int) -> None:
    pass


def _checked_only(delivery: Delivery, told: Told) -> Result:
    with _problems_of(delivery, is_dry_run=True) as result:
        checked = _check(delivery, result, told)
        importing.check_mends(delivery.mends.first if delivery.mends else None, checked)
        if waiting := importing.unconfirmed(checked, delivery.accepted):
            result.refused = str(importing.Unconfirmed(waiting))
    return result


def _carried_out(delivery: Delivery, by: Actor, told: Told) -> Result:
    with _problems_of(delivery, is_dry_run=False) as result:
        checked = _check(delivery, result, told)
        result.case_set, result.is_new = importing.import_case_set(
            delivery.name,
            checked,
            by=by,
            accepted=delivery.accepted,
            mends=delivery.mends,
            progress=lambda done, total: told("storing", done, total),
        )
    return result


@contextmanager
def _problems_of(delivery: Delivery, *, is_dry_run: bool) -> Iterator[Result]:
    """A result that takes whatever refuses the import."""
    result = Result(delivery.name, is_dry_run, accepted=delivery.accepted)
    try:
        yield result
    except CaseSetProblems as found:
        result.problems = found.problems
        if not result.cases:  # it was not even checked to its end
            result.warnings = [one for one in found.notes if one.group in WARNINGS]
            result.notes = [one for one in found.notes if one.group not in WARNINGS]
    except (importing.NameTaken, importing.Unconfirmed) as refusal:
        result.refused = str(refusal)


def _check(delivery: Delivery, result: Result, told: Told) -> CheckedCaseSet:
    checked = read_case_set(
        delivery.dataset_json,
        split=delivery.split,
        images_dir=delivery.images,
        masks_dir=delivery.masks,
        ranked=delivery.is_ranked,
        progress=lambda done, total: told("checking", done, total),
        measure=importing.measure,
    )
    result.cases, result.warnings, result.notes = len(checked.cases), checked.warnings, checked.notes
    return checked


# --- the row ----------------------------------------------------------------------------------------------------------


class _Teller:
    def __init__(self, row: CaseSetImport, told: Told) -> None:
        self.row, self.told = row, told
        self.told_at = 0.0

    def step(self, step: str, done: int, total: int) -> None:
        """To whoever waits at the terminal each time, to the desk every few seconds."""
        self.told(step, done, total)
        if time.monotonic() - self.told_at >= TELL_SECONDS or done == total:
            self.told_at = time.monotonic()
            CaseSetImport.objects.filter(pk=self.row.pk).update(step=step, done=done, total=total)


def _begin(delivery: Delivery, by: Actor) -> CaseSetImport:
    return CaseSetImport.objects.create(
        name=delivery.name[:60],
        by=by.name[:120],
        dataset=delivery.dataset_json.name[:300],
        split=delivery.split[:120],
        accepted=sorted(delivery.accepted),
        started_at=clock.now(),
    )


def _end(row: CaseSetImport, result: Result) -> None:
    refused = [{"group": "", "case": "", "text": result.refused}] if result.refused else []
    CaseSetImport.objects.filter(pk=row.pk).update(
        case_set=result.case_set,
        ended_at=clock.now(),
        outcome=result.outcome,
        problems=[*refused, *(one.as_json() for one in result.problems)],
        warnings=[one.as_json() for one in result.warnings],
        notes=[one.as_json() for one in result.notes],
    )


def at_work(rows: Iterable[CaseSetImport]) -> set[int]:
    """Which of these imports are under way. One that has not ended, and is not among them, was killed."""
    return set(locks.at_work(LOCK, [row.pk for row in rows if row.ended_at is None]))


def kept(remarks: Iterable[dict[str, str]]) -> list[tuple[Group, list[Remark]]]:
    """Sentences as a row keeps them, in their groups; those of a group that is known no more are left out."""
    return grouped(
        Remark(GROUPS[one["group"]], one["case"], one["text"]) for one in remarks if one.get("group") in GROUPS
    )
