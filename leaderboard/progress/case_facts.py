"""The little of a run's cases that its page needs, read without their results."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from evaluation import CaseStatus
from leaderboard.board.disclosure import Viewer
from leaderboard.models import Batch, Run, RunCase
from leaderboard.states import BatchState


@dataclass(frozen=True)
class CaseFacts:
    """A case of a run: what the host reported (`outcome`), the status of its score, and where it runs.

    `said` is why the score's status is no better, in the words of the evaluation or of the server.
    """

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
    seconds: float | None
    said: str | None

    @property
    def is_usable(self) -> bool:
        """Whether its mask could be scored."""
        return self.status == CaseStatus.SCORED

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
        *("batch_id", "batch__state", "batch__done", "seconds", "result__reason"),
    )
    return [CaseFacts(*row) for row in run.cases.order_by("position").values_list(*columns)]


@dataclass(frozen=True)
class CaseCounts:
    """How many cases a run has, how many are decided, and how many of these its reader may know of."""

    total: int
    decided: int
    known: int


def counts_of(runs: Sequence[Run], viewer: Viewer) -> dict[int, CaseCounts]:
    """The counts of these runs (with their phases at hand), each as the viewer may know them; two questions for all."""
    if not runs:
        return {}
    disclosures = {run.pk: viewer.of_submission(run.submission) for run in runs}
    running = _running_cases([run for run, disclosure in disclosures.items() if disclosure.shows_cases])
    settled = Count("pk", filter=Q(decided_at__lt=viewer.minute))
    rows = RunCase.objects.filter(run__in=disclosures).order_by().values_list("run")
    counts = {}
    for run, total, decided, before in rows.annotate(total=Count("pk"), decided=Count("decided_at"), before=settled):
        at_work = decided + running.get(run, 0)
        known = min(at_work, total) if disclosures[run].shows_cases else before
        counts[run] = CaseCounts(total, decided, known)
    return counts


def _running_cases(runs: Sequence[int]) -> dict[int, int]:
    """How many cases the open batches of these runs have finished so far, by run."""
    leased = Batch.objects.filter(run__in=runs, state=BatchState.LEASED).order_by()
    return dict(leased.values_list("run").annotate(done=Coalesce(Sum("done"), 0)))
