"""Why a run, or some of its cases, were lost: what happened, whose fault it was, what to do. A page adds the costs.

On hidden cases what a team reads is chosen from closed lists, and only once the run has ended: a kind of failure where
all of its cases failed in that one way, without counts and times, and nothing of the cases that a scored run lost.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from containers.protocol.verdicts import describe_exit
from leaderboard.board.disclosure import Disclosure
from leaderboard.journey import failure_kinds, reasons
from leaderboard.models import Attempt, Run, Standing, Submission
from leaderboard.progress.case_facts import CaseFacts
from leaderboard.states import ENDED, RunState, Stage, SubmissionState


class Notice(NamedTuple):
    """What happened in one sentence without its full stop, and more of it; what to do; all empty when all is well.

    `fault`: whose it was. `section`: the id of the part of the guidelines that says more. `problems`: all that is wrong
    with masks that were handed in, a line each.
    """

    headline: str = ""
    means: str = ""
    advice: str = ""
    fault: str = ""
    section: str = ""
    problems: Sequence[str] = ()


THEIRS = "The image’s. What goes wrong on our side is tried again by itself, and never counts."
THEIRS_OF_MASKS = "The masks’. What goes wrong on our side is tried again by itself, and never counts."
_ALL_LOST = "No case has a mask that could be scored"


def explain(
    submission: Submission, run: Run | None, stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure
) -> Notice:
    """What the reader is told of a submission that is not simply under way or scored."""
    if submission.state == SubmissionState.REJECTED and submission.is_of_masks:
        return _rejected_masks(submission)
    if submission.state == SubmissionState.REJECTED:
        advice = "Change the image as it says, and submit again."
        return Notice("The image cannot be used", submission.reason, advice, THEIRS, "h-image")
    if submission.disqualified_at:
        advice = "Write to the organisers if you object."
        return Notice("Disqualified by the organisers", submission.disqualified_reason, advice)
    if stage in {SubmissionState.HALTED, RunState.HALTED}:
        waits = run is not None and run.state == stage and run.reason.startswith(reasons.NEEDS_ORGANISERS.title)
        why = reasons.NEEDS_ORGANISERS if waits else reasons.INTERRUPTED
        return Notice(why.title, why.means, why.advice, section="h-ours")
    if stage == RunState.CANCELLED:
        return _CANCELLED
    if run and stage == RunState.FAILED:
        return _failed(run, facts, disclosure)
    return _lost_cases(stage, explained_cases(stage, facts, disclosure), disclosure)


def _rejected_masks(submission: Submission) -> Notice:
    summary, *problems = submission.reason.splitlines() or [""]
    advice = "Put right what is listed, and submit again."
    return Notice("The masks cannot be used", summary, advice, THEIRS_OF_MASKS, "h-masks", problems)


_CANCELLED = Notice(
    "This run was cancelled",
    "Nothing more of it runs, and it has no place on the board. The history below says who ended it.",
    "Submit again while the phase takes runs.",
    "Nobody’s: it was a decision of the team or of the organisers.",
    "h-states",
)


# --- a failed run -----------------------------------------------------------------------------------------------------


def _failed(run: Run, facts: Sequence[CaseFacts], disclosure: Disclosure) -> Notice:
    lost = [case for case in facts if case.is_lost]
    kind = failure_kinds.of_failed(run)
    usable = kind == failure_kinds.AFTER_A_MASK
    why = reasons.of_failed_run(kind)
    stopped = _why_it_stopped(run, facts, disclosure)
    if not disclosure.shows_cases:
        where = "" if usable or why is reasons.DIFFERENT_ERRORS else ", on every case that was tried"
        means = f"{stopped} On hidden cases no more is told of a failure."
        return Notice(f"{why.said}{where}", means, why.advice, THEIRS, why.section)
    where = f", on {_all_of(len(lost))}" if lost and not usable else ""
    codes = {case.reason_code for case in lost}
    if not usable and len(codes) == 1 and codes <= _TELLING:
        [code] = codes
        why = reasons.KindOfFailure(reasons.FAILURES[code].title, reasons.FAILURES[code].advice, _section(code))
    parts = [_beside(why, lost), _how_it_ended(run, lost), stopped]
    if run.submission.is_of_masks:
        advice = "Remove small fragments from the masks; the evaluation says of each case what is wrong with it."
        return Notice("The masks cannot be scored", " ".join(filter(None, parts)), advice, THEIRS_OF_MASKS, "h-masks")
    return Notice(f"{why.said}{where}", " ".join(filter(None, parts)), why.advice, THEIRS, why.section)


# Codes that say more than the kind of failure of which they are.
_TELLING = frozenset({"killed", "out_of_memory", "output_full", "file_too_large", "not_a_regular_file"})


# An exit code would only say that the container was killed, which is told of memory, too.
_BY_OUR_CLOCK = frozenset({"timed_out", "startup_timed_out"})


def _beside(why: reasons.KindOfFailure, lost: Sequence[CaseFacts]) -> str:
    """What is to be added to a headline: the reasons where they differ, and what the evaluation said."""
    codes = {case.reason_code for case in lost}
    said = [case.said for case in lost if case.reason_code == "invalid" and case.said]
    example = f"Of the last mask the evaluation says: {said[-1]}." if said else ""
    if len(codes) == 1 and why not in (reasons.DIFFERENT_ERRORS, reasons.FAILED_LATER):
        return example
    return " ".join(filter(None, [_causes(lost), example]))


def _all_of(tried: int) -> str:
    return "the only case that was tried" if tried == 1 else f"all {tried} cases that were tried"


def _why_it_stopped(run: Run, facts: Sequence[CaseFacts], disclosure: Disclosure) -> str:
    """Why it ended where it did: by the phase's rule, or because nothing was left to try."""
    if run.reason_code == "no_usable_mask":
        return "Every case of the phase was tried."
    most = run.submission.limit("max_failures_in_row")
    rule = f"A run of this phase ends after {most} failing {'case' if most == 1 else 'cases'} in a row"
    spared = sum(not case.outcome for case in facts)
    if not disclosure.shows_cases or not spared:
        return f"{rule}."
    return f"{rule}, so that {spared} more {'does' if spared == 1 else 'do'} not fail the same way."


def _how_it_ended(run: Run, lost: Sequence[CaseFacts]) -> str:
    """How the container that ended last did: by our clock, or with an exit code, in words."""
    ended = Attempt.objects.filter(batch__run=run, fault="", container__isnull=False).order_by("-ended_at")
    container = ended.values_list("container", flat=True).first()
    if not container or container["exit_code"] is None:
        return ""
    after = f"{container['seconds']:.1f} s after its start"
    if lost and lost[-1].reason_code in _BY_OUR_CLOCK:
        return f"The last container was ended by the time limit, {after}."
    return f"The last container ended {after}, {describe_exit(container['exit_code'])}."


# --- lost cases of a run that goes on, or was scored ------------------------------------------------------------------


def _lost_cases(stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure) -> Notice:
    lost = [case for case in facts if case.is_lost]
    if not lost:
        return Notice()
    headline = f"{len(lost)} {'case' if len(lost) == 1 else 'cases'} lost"
    costs = "It counts with Dice 0." if len(lost) == 1 else "Each counts with Dice 0."
    if stage in ENDED and len(lost) == len(facts) and disclosure.scope != Standing.Scope.HALF:
        # scored by a server of before: today such a run has failed
        headline, costs = _ALL_LOST, "The run does not count on the board."
    if not disclosure.shows_cases:
        means = f"{costs} On hidden cases the reason is not told."
        return Notice(headline, means, reasons.DIFFERENT_ERRORS.advice, section="h-fail")
    code = Counter(case.reason_code for case in lost).most_common(1)[0][0]
    advice = reasons.FAILURES[code].advice if code in reasons.FAILURES else reasons.DIFFERENT_ERRORS.advice
    return Notice(headline, f"{_causes(lost)} {costs}".strip(), advice, section=_section(code))


def explained_cases(stage: Stage, facts: Sequence[CaseFacts], disclosure: Disclosure) -> Sequence[CaseFacts]:
    """The cases whose losses may be told of: hidden ones when the board counts them, so none before the end."""
    if disclosure.shows_cases:
        return facts
    scope = disclosure.scope if stage == RunState.SCORED else None
    if scope == Standing.Scope.HALF:
        return [case for case in facts if case.in_public_half]
    return facts if scope else []


def _causes(lost: Sequence[CaseFacts]) -> str:
    """The reasons of the lost cases in one sentence, with their counts where they differ: on public cases only."""
    counts = Counter(case.reason_code for case in lost if case.reason_code in reasons.FAILURES)
    shown = [f"{reasons.FAILURES[code].title} ({count}×)" for code, count in counts.most_common()]
    return "; ".join(shown) + "." if shown else ""


def _section(code: str) -> str:
    return f"failure-{code}" if code in reasons.FAILURES else "h-fail"
