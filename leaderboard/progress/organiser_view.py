"""Everything about a submission, for organisers, as `manage.py submission --json` prints it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Prefetch

from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.models import Attempt, ImageProvenance, Run, RunCase, Standing, StateChange, Submission


def everything(submission: Submission, disclosure: Disclosure) -> dict[str, Any]:
    """The submission with its history, runs, cases and attempts. Raises PermissionError for any other reader."""
    if disclosure.reader is not Reader.ORGANISER:
        raise PermissionError("everything about a submission is for organisers")
    return {
        "id": submission.pk,
        "team": submission.team.slug,
        "phase": submission.phase.slug,
        "kind": submission.kind,
        "entry": submission.entry,
        "track": submission.track,
        "algorithm": submission.algorithm,
        "state": submission.stage,
        "reason": submission.reason,
        "accepted_at": _instant(submission.accepted_at),
        "charged": submission.charged,
        "disqualified": submission.disqualified_at is not None,
        "commitment": submission.commitment,
        "committed_at": _instant(submission.committed_at),
        "pdf": submission.pdf,
        "withdrawn": submission.withdrawn_at is not None,
        "cases_of": submission.cases_of.slug if submission.cases_of else None,
        "image": _image(submission),
        "weights": _weights(submission),
        "original": _original(submission),
        "history": [_change(change) for change in submission.history.select_related("batch")],
        "runs": _runs(submission),
    }


def _image(submission: Submission) -> dict[str, Any] | None:
    """The image as it is run."""
    image = submission.image
    if image is None:
        return None
    original: ImageProvenance | None = getattr(submission, "provenance", None)
    warnings = original.warnings if original else image.warnings
    return {"id": image.image_id, "layers": image.layers, "warnings": warnings}


def _weights(submission: Submission) -> dict[str, Any] | None:
    """The weights apart from the image as they are mounted, and the archive as uploaded."""
    weights = submission.weights
    if weights is None:
        return None
    return {
        "file": submission.weights_upload,
        "archive": weights.archive,
        "files": weights.files,
        "unpacked_bytes": weights.unpacked_bytes,
    }


def _original(submission: Submission) -> dict[str, Any]:
    """The digests as uploaded; of an image that was checked before they were kept, the file's alone."""
    original: ImageProvenance | None = getattr(submission, "provenance", None)
    return {
        "file": submission.upload,
        "id": original.image_id if original else None,
        "diff_ids": original.diff_ids if original else [],
    }


def _runs(submission: Submission) -> list[dict[str, Any]]:
    """All runs; the same few questions however many."""
    standings = Prefetch("standings", Standing.objects.defer("groups"))
    cases = Prefetch("cases", RunCase.objects.select_related("case", "batch"))
    attempts: dict[int, list[Attempt]] = {}
    of_all = Attempt.objects.filter(batch__run__submission=submission).select_related("host", "batch")
    for one in of_all.order_by("pk"):
        attempts.setdefault(one.batch.run_id, []).append(one)
    return [_run(run, attempts.get(run.pk, [])) for run in submission.runs.prefetch_related(standings, cases)]


def _run(run: Run, attempts: Sequence[Attempt]) -> dict[str, Any]:
    return {
        "number": run.number,
        "state": run.state,
        "reason_code": run.reason_code,
        "reason": run.reason,
        "failure_kind": run.failure_kind,
        "started_at": _instant(run.started_at),
        "ended_at": _instant(run.ended_at),
        "evaluation_version": run.evaluation_version,
        "hints": run.hints,
        "hints_tries": run.hints_tries,
        "summary": {standing.scope: standing.summary for standing in run.standings.all()},
        "cases": [_case(case) for case in run.cases.all()],
        "attempts": [_attempt(one) for one in attempts],
    }


def _case(case: RunCase) -> dict[str, Any]:
    result = case.result
    return {
        "name": case.case.name,
        "position": case.position,
        "batch": case.batch.number if case.batch else None,
        "status": result["status"] if result else case.outcome or "waiting",
        "reason_code": case.reason_code,
        "reason": (result["reason"] if result else None) or "",
        "seconds": case.seconds,
        "tries": case.tries,
        "mask": case.output,
        "dice": result["dice"] if result else None,
        "findings": result["findings"] if result else [],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "batch": attempt.batch.number,
        "canary": attempt.batch.is_canary,
        "fence": attempt.fence,
        "host": attempt.host.name,
        "claimed_at": _instant(attempt.claimed_at),
        "ended_at": _instant(attempt.ended_at),
        "fault": attempt.fault,
        "detail": attempt.detail,
        "container": attempt.container,
        "log": attempt.log,
    }


def _change(change: StateChange) -> dict[str, Any]:
    what = f"batch {change.batch.number}" if change.batch else "run" if change.run_id else "submission"
    return {
        "what": what,
        "from": change.from_state,
        "to": change.to_state,
        "at": _instant(change.at),
        "by": change.by,
        "why": change.why,
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
