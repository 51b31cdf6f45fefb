"""How far a re-scoring is, for organisers; and the sentence that everybody reads while one is not decided."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, Q, Sum

from leaderboard.models import CaseSet, Phase, RescoredCase, RescoredRun, Rescoring, Run
from leaderboard.rescoring import plan

_TEAM = "submission__team"


@dataclass(frozen=True)
class Lost:
    """A run that cannot be scored anew: so many of its masks are not kept any more."""

    submission: int
    run: int
    team: str
    masks_missing: int


@dataclass(frozen=True)
class Progress:
    """Of all `runs`: how many are scored anew, wait for it, or can't be for want of masks; of the masks to measure.

    `troubles` are what went wrong with some that wait, and are tried again. `goes_on` is false where the server has
    other metrics than those by which it was begun.
    """

    runs: int
    scored: int
    waiting: int
    without_masks: int
    masks: int
    masks_measured: int
    troubles: list[str]
    lost: list[Lost]
    goes_on: bool

    @property
    def is_ready(self) -> bool:
        """Whether it waits for a decision, and nothing else."""
        return not self.waiting

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {**asdict(self), "is_ready": self.is_ready}


def undecided(phase: Phase) -> Rescoring | None:
    """The re-scoring of a phase that is neither applied nor discarded."""
    return phase.rescorings.filter(state=Rescoring.State.UNDECIDED).select_related("to_cases", "from_cases").first()


def is_behind(phase: Phase) -> bool:
    """Whether the server scores runs of the phase by another version than that by which it is ranked."""
    return phase.archived_at is None and phase.ranked_version != phase.case_set.evaluation_version


def said_on_board(phase: Phase) -> str:
    """What the board says of it: nothing of how far it is, which on hidden cases would tell of them."""
    found = undecided(phase)
    if found is None and is_behind(phase):
        return (
            f"New runs are scored by evaluation version {phase.case_set.evaluation_version}, and ranked once all runs "
            f"are; until then this board is that of version {phase.ranked_version}."
        )
    if found is None:
        return ""
    mended = "" if found.to_cases_id == found.from_cases_id else ", on mended references"
    return (
        f"All runs are being scored anew by evaluation version {found.to_version}{mended} "
        f"({found.reason.rstrip('.')}); until that is applied this board stands."
    )


@dataclass(frozen=True)
class Overview:
    """What organisers should know of all phases, each by its slug.

    `behind` are those that are ranked by another version than the server scores by, though nothing is scored anew. Of
    those whose runs are, `to_decide` wait for a decision, and `stuck` do not go on.
    """

    behind: tuple[str, ...] = ()
    to_decide: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()


def overview() -> Overview:
    """How things stand now."""
    ranked = Phase.objects.filter(archived_at=None).exclude(evaluation_version="").select_related("case_set")
    anew = Rescoring.objects.filter(state=Rescoring.State.UNDECIDED).select_related("phase", "to_cases")
    now = {one.phase: progress_of(one) for one in anew}
    return Overview(
        behind=tuple(phase.slug for phase in ranked if is_behind(phase) and phase not in now),
        to_decide=tuple(phase.slug for phase, one in now.items() if one.is_ready),
        stuck=tuple(phase.slug for phase, one in now.items() if one.waiting and (one.troubles or not one.goes_on)),
    )


def progress_of(rescoring: Rescoring) -> Progress:
    """How far it is."""
    rows = RescoredRun.objects.filter(rescoring=rescoring)
    scored, lost = Q(scored_at__isnull=False), Q(masks_missing__gt=0)
    counts = rows.aggregate(
        runs=Count("pk"),
        scored=Count("pk", filter=scored),
        without_masks=Count("pk", filter=lost),
        masks=Sum("to_measure", filter=~lost, default=0),
        done=Sum("to_measure", filter=scored, default=0),
    )
    waiting = rows.filter(scored_at=None, masks_missing=0)
    measured = RescoredCase.objects.filter(rescored__in=waiting.values("pk")).count()
    return Progress(
        runs=counts["runs"],
        scored=counts["scored"],
        waiting=counts["runs"] - counts["scored"] - counts["without_masks"],
        without_masks=counts["without_masks"],
        masks=counts["masks"],
        masks_measured=counts["done"] + measured,
        troubles=sorted(set(waiting.exclude(trouble="").values_list("trouble", flat=True))),
        lost=_lost([(one.run, one.masks_missing) for one in rows.filter(lost).select_related(f"run__{_TEAM}")]),
        goes_on=plan.goes_on(rescoring),
    )


def planned(phase: Phase, cases: CaseSet) -> Progress:
    """What one that was started now would have to do."""
    runs = {run.pk: run for run in plan.runs_to_score(phase, cases).select_related(_TEAM)}
    work = plan.work_of(list(runs), cases)
    missing = [(runs[one.run], one.masks_missing) for one in work if one.masks_missing]
    return Progress(
        runs=len(work),
        scored=0,
        waiting=len(work) - len(missing),
        without_masks=len(missing),
        masks=sum(one.to_measure for one in work if not one.masks_missing),
        masks_measured=0,
        troubles=[],
        lost=_lost(missing),
        goes_on=True,
    )


def _lost(runs: Sequence[tuple[Run, int]]) -> list[Lost]:
    return [Lost(run.submission_id, run.number, run.submission.team.name, missing) for run, missing in runs]
