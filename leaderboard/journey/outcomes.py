"""What a host's report says of each case, taken over into the rows: a mask to score, or a reason why there is none."""

import evaluation
from containers.protocol.reports import Report
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


def decide_cases(batch: Batch, answer: Report) -> int:
    """Write down what the report says of each case that is still open; how many are decided now."""
    rows = batch.cases.filter(outcome="").select_related("case").prefetch_related("case__findings")
    open_cases = {case.file_name: case for case in rows}
    exit_code = answer.container.exit_code if answer.container else None
    # A canary's gate is a clean exit as well: a mask from a program that then crashed does not pass it.
    unclean_canary = batch.is_canary and exit_code not in (0, None) and answer.fault is None
    at = clock.now()
    decided: list[RunCase] = []
    for said in answer.cases:
        case = open_cases.pop(said.name, None)
        if case is None:
            raise BadReport(f"{said.name!r} is not an open case of this batch")
        if said.status == "untouched":
            continue
        if said.output and not unclean_canary:
            if not blobs.outputs.exists(said.output.blob):
                raise BadReport(f"the mask of {said.name} was not uploaded")
            case.outcome, case.output, case.output_bytes = RunCase.Outcome.FINISHED, said.output.blob, said.output.size
        else:
            case.outcome = RunCase.Outcome.MISSING if said.status == "missing" else RunCase.Outcome.FAILED
            case.reason_code = said.reason or "crashed"
            status, why = evaluation.CaseStatus(case.outcome), reasons.FAILURES[case.reason_code].title
            case.result = scoring.lost(case, status, why)
            case.scored_at = at
        case.seconds, case.decided_at = said.seconds, at
        case.tries += 1
        decided.append(case)
    # The rows are there: each conflicts with itself. (bulk_update spends more on its statement than on the rows.)
    RunCase.objects.bulk_create(decided, update_conflicts=True, unique_fields=["id"], update_fields=_DECIDED)
    return len(decided)
