"""All numbers of a run in one JSON document, in the form of `python -m evaluation`, for whom its cases are shown."""

from typing import Any

from leaderboard.board.disclosure import Disclosure
from leaderboard.models import Run, RunCase, Standing


def results_of(run: Run, disclosure: Disclosure) -> dict[str, Any]:
    """The run's summary, groups, hints and cases. Raises PermissionError for readers to whom no cases are shown."""
    if not disclosure.shows_cases:
        raise PermissionError("the cases of this run are not shown")
    standing = run.standings.filter(scope=Standing.Scope.ALL).first()
    return {
        "submission": run.submission_id,
        "entry": run.submission.entry,
        "run": run.number,
        "state": run.state,
        "evaluation_version": run.evaluation_version,
        "summary": standing.summary if standing else None,
        "groups": standing.groups if standing else None,
        "hints": run.hints or [],
        "cases": [
            _case(case, is_of_masks=run.submission.is_of_masks)
            for case in run.cases.select_related("case").order_by("case__name")
        ],
    }


def _case(case: RunCase, *, is_of_masks: bool) -> dict[str, Any]:
    """The case's result, under the name that the program saw as well; what the host said while there is none."""
    result: dict[str, Any] = dict(case.result) if case.result else {"status": case.outcome or "waiting", "findings": []}
    mask = {"digest": case.output, "bytes": case.output_bytes} if case.output else None
    seen_as = None if is_of_masks else case.file_name  # no program saw it
    return {"name": case.case.name, **result, "seen_as": seen_as, "seconds": case.seconds, "mask": mask}
