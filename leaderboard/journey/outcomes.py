"""What a host's report says of each case, taken over into the rows: a mask to score, or a reason why there is none."""

import evaluation
from containers.protocol.reports import CaseReport, ContainerReport, Report
from containers.protocol.verdicts import Ending, FailureCode, classify, in_present_words
from leaderboard.core import blobs, clock
from leaderboard.journey import reasons
from leaderboard.models import Batch, RunCase
from leaderboard.scores import scoring

_DECIDED = (
    *("outcome", "output", "output_bytes", "reason_code"),
    *("result", "scored_at", "seconds", "decided_at", "tries"),
)


class BadReport(ValueError):
    """A report that does not go with its order."""


def _reason(said: CaseReport, ended: ContainerReport | None) -> FailureCode:
    """Why a case has no mask that counts; of one that is there, how its container ended."""
    exit_code = ended.exit_code if ended else None
    oom_killed = bool(ended and ended.oom_killed)
    if said.reason is not None:
        return in_present_words(said.reason, exit_code, oom_killed=oom_killed)
    if exit_code is None:
        return "crashed"
    return classify(Ending(exit_code, oom_killed=oom_killed, files=1)).failure or "crashed"


def decide_cases(batch: Batch, answer: Report) -> int:
    """Write down what the report says of each case that is still open; how many are decided now."""
    rows = batch.cases.filter(outcome="").select_related("case").prefetch_related("case__findings")
    open_cases = {case.file_name: case for case in rows}
    ended = answer.container
    # A canary's gate is a clean exit as well: a mask from a program that then crashed does not pass it.
    unclean_canary = batch.is_canary and ended is not None and ended.ended_badly and answer.fault is None
    received = batch.attempts.only("received").get(fence=batch.fence).received
    at = clock.now()
    decided: list[RunCase] = []
    for said in answer.cases:
        case = open_cases.pop(said.name, None)
        if case is None:
            raise BadReport(f"{said.name!r} is not an open case of this batch")
        if said.status == "untouched":
            continue
        if said.output and not unclean_canary:
            # What is in the store may be another's: a host could score with whatever it knows the digest of.
            is_its_own = received is None or received.get(said.name) == [said.output.blob, said.output.size]
            if not (is_its_own and blobs.outputs.exists(said.output.blob)):
                raise BadReport(f"the mask of {said.name} was not uploaded by this attempt")
            case.outcome, case.output, case.output_bytes = RunCase.Outcome.FINISHED, said.output.blob, said.output.size
        else:
            case.outcome = RunCase.Outcome.MISSING if said.status == "missing" else RunCase.Outcome.FAILED
            case.reason_code = _reason(said, ended)
            status, why = evaluation.CaseStatus(case.outcome), reasons.FAILURES[case.reason_code].title
            case.result = scoring.lost(case, status, why)
            case.scored_at = at
        # A canary that wrote its mask first took until its end.
        case.seconds = ended.seconds if ended and said.output and unclean_canary else said.seconds
        case.decided_at = at
        case.tries += 1
        decided.append(case)
    # The rows are there: each conflicts with itself. (bulk_update spends more on its statement than on the rows.)
    RunCase.objects.bulk_create(decided, update_conflicts=True, unique_fields=["id"], update_fields=_DECIDED)
    return len(decided)
