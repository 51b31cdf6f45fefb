"""The little of a run's cases that its page needs, read without their results."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from evaluation import CaseStatus
from leaderboard.board.disclosure import Disclosure
from leaderboard.models import Batch, Run, RunCase
from leaderboard.states import BatchState


@dataclass(frozen=True)
class CaseFacts:
    """A case of a run: what the host reported (`outcome`), the status of its score, and where it runs."""

    position: int
    outcome: str
    reason_code: str
    status: str | None
    decided_at: datetime | None
    tries: int
    in_public_half: bool
    batch: UUID | None
    batch_state: str | None
    batch_done: int | None

    @property
    def is_lost(self) -> bool:
        """Whether the case has its result and counts with Dice 0, for want of a usable mask."""
        return self.status is not None and self.status != CaseStatus.SCORED


def facts_of(run: Run | None) -> list[CaseFacts]:
    """The facts of a run's cases, in its order; one question to the database."""
    if run is None:
        return []
    columns = (
        *("position", "outcome", "reason_code", "result__status", "decided_at", "tries", "case__in_public_half"),
        *("batch_id", "batch__state", "batch__done"),
    )
    return [CaseFacts(*row) for row in run.cases.order_by("position").values_list(*columns)]


@dataclass(frozen=True)
class CaseCounts:
    """How many cases a run has, how many are decided, and how many of these its reader may know of."""

    total: int = 0
    decided: int = 0
    known: int = 0


def counts_of(facts: Sequence[CaseFacts], disclosure: Disclosure, running: int) -> CaseCounts:
    """Count the facts; `running`: the cases that open batches have finished so far."""
    decided = sum(case.decided_at is not None for case in facts)
    known = sum(disclosure.has_happened(case.decided_at) for case in facts)
    return CaseCounts(len(facts), decided, min(known + running, len(facts)) if disclosure.shows_cases else known)


def running_cases(runs: Sequence[int]) -> dict[int, int]:
    """How many cases the open batches of these runs have finished so far, by run."""
    leased = Batch.objects.filter(run__in=runs, state=BatchState.LEASED).order_by()
    return dict(leased.values_list("run").annotate(done=Coalesce(Sum("done"), 0)))


def counts_of_runs(runs: dict[int, Disclosure]) -> dict[int, CaseCounts]:
    """The counts of several runs, each as its reader may know them; two questions for all."""
    if not runs:
        return {}
    until = min(disclosure.until for disclosure in runs.values())
    rows = (
        RunCase.objects.filter(run__in=runs)
        .order_by()
        .values_list("run")
        .annotate(
            total=Count("pk"),
            decided=Count("pk", filter=Q(decided_at__isnull=False)),
            settled=Count("pk", filter=Q(decided_at__lt=until)),
        )
    )
    running = running_cases([run for run, disclosure in runs.items() if disclosure.shows_cases])
    return {
        run: CaseCounts(total, decided, min(decided + running.get(run, 0), total) if runs[run].shows_cases else settled)
        for run, total, decided, settled in rows
    }
