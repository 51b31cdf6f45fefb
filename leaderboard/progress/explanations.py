"""Why a run, or some of its cases, were lost: whose fault it was, what it costs, what to do."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from leaderboard.board.disclosure import Disclosure
from leaderboard.journey import reasons
from leaderboard.models import Run, Standing, Submission
from leaderboard.progress.case_facts import CaseFacts
from leaderboard.states import RunState, Stage, SubmissionState


class Notice(NamedTuple):
    """A headline, what it means, what to do; all empty when nothing went wrong."""

    headline: str = ""
    means: str = ""
    advice: str = ""


def explain(
    submission: Submission, run: Run | None, stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure
) -> Notice:
    """What the reader is told of a submission that is not simply under way or scored."""
    if submission.state == SubmissionState.REJECTED:
        advice = "Change the image and submit again. This was not charged."
        return Notice("The image cannot be used", submission.reason, advice)
    if submission.disqualified_at:
        advice = "Write to the organisers if you object."
        return Notice("Disqualified by the organisers", submission.disqualified_reason, advice)
    if stage in {SubmissionState.HALTED, RunState.HALTED}:
        means = (run.reason if run and run.state == stage else "") or reasons.INTERRUPTED.means
        return Notice(reasons.INTERRUPTED.title, means, reasons.INTERRUPTED.advice)
    if run and stage == RunState.FAILED:
        return _failed(run, facts, disclosure)
    return _lost_cases(explained_cases(stage, facts, disclosure), disclosure)


def _failed(run: Run, facts: Sequence[CaseFacts], disclosure: Disclosure) -> Notice:
    why = reasons.FAILURES["failures_in_row"]
    causes = _causes(facts, disclosure)
    if not causes:
        return Notice(why.title, why.means, why.advice)
    return Notice(why.title, f"{run.reason} {causes[0]}. {why.means}", causes[1])


def _lost_cases(facts: Sequence[CaseFacts], disclosure: Disclosure) -> Notice:
    causes = _causes(facts, disclosure)
    if not causes:
        return Notice()
    lost = sum(case.is_lost for case in facts)
    return Notice(
        f"{lost} {'case' if lost == 1 else 'cases'} lost", f"{causes[0]}. Each counts with Dice 0.", causes[1]
    )


def explained_cases(stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure) -> Sequence[CaseFacts]:
    """The cases whose losses may be explained: hidden ones when the board counts them, so none before the end."""
    if disclosure.shows_cases:
        return facts
    scope = disclosure.scope if stage == RunState.SCORED else None
    if scope == Standing.Scope.HALF:
        return [case for case in facts if case.in_public_half]
    return facts if scope else []


def _causes(facts: Sequence[CaseFacts], disclosure: Disclosure) -> tuple[str, str] | None:
    """The reasons of the lost cases in one sentence, and the advice for the first one.

    On hidden cases without their counts, and in an order of ours: an image could write bits of a case into them.
    """
    counts = Counter(case.reason_code for case in facts if case.reason_code in reasons.FAILURES)
    if not counts:
        return None
    if not disclosure.shows_cases:
        codes = [code for code in reasons.FAILURES if code in counts]
        return "; ".join(reasons.FAILURES[code].title for code in codes), reasons.FAILURES[codes[0]].advice
    shown = [f"{reasons.FAILURES[code].title} ({count}×)" for code, count in counts.most_common()]
    return "; ".join(shown), reasons.FAILURES[counts.most_common(1)[0][0]].advice
