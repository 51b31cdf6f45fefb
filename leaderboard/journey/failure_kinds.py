"""In which way a run failed: without a mask that could be scored in one of eight kinds, or in different ones.

The host or the scorer decides each case's kind without reading what the program printed. On hidden cases a team is told
this much of its failed run and no more, so the list is closed, and short: what a program can choose here, it can send
(docs/architecture.md counts the bits). It is decided once, in the transaction in which the run fails.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from evaluation import CaseStatus, MaskProblem, mask_problem
from leaderboard.models import Run
from leaderboard.states import RunState

AT_ONCE_SECONDS = 1.0


class FailureKind(StrEnum):
    """In which way a case was lost."""

    NOT_STARTED = "not_started"
    ENDED_AT_ONCE = "ended_at_once"
    ENDED_LATER = "ended_later"
    MEMORY = "memory"
    TIME = "time"
    WRONG_NAME = "wrong_name"
    WRONG_SHAPE = "wrong_shape"
    WRONG_VALUES = "wrong_values"


# In which way a run failed whose cases were not all lost in one.
DIFFERENT = "different"
AFTER_A_MASK = "after_a_mask"


@dataclass(frozen=True)
class LostCase:
    """Why a case has no usable mask: the reason's code, the seconds of its container, what the scorer said of it."""

    code: str
    seconds: float | None
    said: str

    @property
    def kind(self) -> FailureKind:
        """In which way it was lost."""
        if self.code == "invalid":
            values = mask_problem(self.said) is MaskProblem.VALUES
            return FailureKind.WRONG_VALUES if values else FailureKind.WRONG_SHAPE
        if self.code in _KINDS:
            return _KINDS[self.code]
        at_once = self.seconds is not None and self.seconds < AT_ONCE_SECONDS
        return FailureKind.ENDED_AT_ONCE if at_once else FailureKind.ENDED_LATER


_KINDS = {
    "could_not_start": FailureKind.NOT_STARTED,
    "killed": FailureKind.MEMORY,
    "out_of_memory": FailureKind.MEMORY,
    "timed_out": FailureKind.TIME,
    "startup_timed_out": FailureKind.TIME,
    "exit_timed_out": FailureKind.TIME,
    "missing": FailureKind.WRONG_NAME,
    "not_a_regular_file": FailureKind.WRONG_NAME,
}


def of_failed(run: Run) -> str:
    """In which way the run failed, as it was decided then; a server of before left it open."""
    return run.failure_kind or decide(run)


def decide(run: Run) -> str:
    """In which way the run failed, or is about to: a kind of failure, `DIFFERENT` or `AFTER_A_MASK`."""
    if has_usable_mask(run):
        return AFTER_A_MASK
    return common_kind(lost_cases(run)) or DIFFERENT


def note(run: Run) -> None:
    """Write down in which way a run failed for which a server of before did not."""
    Run.objects.filter(pk=run.pk, state=RunState.FAILED, failure_kind="").update(failure_kind=decide(run))


def has_usable_mask(run: Run) -> bool:
    """Whether any case of the run has a mask that could be scored."""
    return run.cases.filter(result__status=CaseStatus.SCORED).exists()


def lost_cases(run: Run) -> list[LostCase]:
    """The run's cases that have their result, and no usable mask."""
    rows = run.cases.filter(result__isnull=False).exclude(result__status=CaseStatus.SCORED)
    columns = ("reason_code", "seconds", "result__reason")
    return [LostCase(code, seconds, said or "") for code, seconds, said in rows.values_list(*columns)]


def common_kind(cases: Iterable[LostCase]) -> FailureKind | None:
    """The kind in which all of these were lost; None for different ones, or for none at all."""
    kinds = {case.kind for case in cases}
    return kinds.pop() if len(kinds) == 1 else None
