"""Everything about a submission, for organisers: as `manage.py submission --json` prints it, and the desk shows it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, Prefetch
from django.db.models.functions import Right

from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.core import audit
from leaderboard.core.record_words import name_in_words, value_in_words
from leaderboard.models import (
    Attempt,
    AuditEntry,
    ImageProvenance,
    Objection,
    Run,
    RunCase,
    RunDecision,
    Standing,
    StateChange,
    Submission,
)
from leaderboard.states import BatchState, as_stage


def everything(
    submission: Submission, disclosure: Disclosure, *, of_run: int | None = None, log_characters: int | None = None
) -> dict[str, Any]:
    """The submission with its history, runs, cases and attempts. Raises PermissionError for any other reader.

    Of its runs only the one with the number `of_run`, if that is given; of each log the last `log_characters`.
    """
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
        "decisions": _decisions(submission),
        "record": [_entry(entry) for entry in _record(submission)],
        "runs": _runs(submission, of_run, log_characters),
    }


def _record(submission: Submission) -> list[AuditEntry]:
    return list(audit.entries_about(submission).order_by("pk"))


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": _instant(entry.at),
        "by": entry.by,
        "action": entry.action,
        "why": entry.why,
        "before": entry.before,
        "after": entry.after,
    }


def _decisions(submission: Submission) -> list[dict[str, Any]]:
    """What its team reads of organisers' decisions, its objections, and their answers."""
    objections: dict[int, list[Objection]] = {}
    for one in Objection.objects.filter(decision__submission=submission):
        objections.setdefault(one.decision_id, []).append(one)
    return [_decision(one, objections.get(one.pk, [])) for one in submission.decisions.all()]


def _decision(decision: RunDecision, objections: Sequence[Objection]) -> dict[str, Any]:
    return {
        "decision": decision.pk,
        "kind": decision.kind,
        "reason": decision.reason,
        "with_team": decision.of_team_id is not None,
        "at": _instant(decision.at),
        "told_at": _instant(decision.told_at),
        "objections": [
            {
                "objection": one.pk,
                "text": one.text,
                "at": _instant(one.at),
                "answer": one.answer,
                "answered_at": _instant(one.answered_at),
            }
            for one in objections
        ],
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


def _runs(submission: Submission, of_run: int | None, log_characters: int | None) -> list[dict[str, Any]]:
    """All runs, or one; the same few questions however many."""
    standings = Prefetch("standings", Standing.objects.defer("groups"))
    cases = Prefetch("cases", RunCase.objects.select_related("case", "batch"))
    attempts: dict[int, list[Attempt]] = {}
    of_all = Attempt.objects.filter(batch__run__submission=submission).select_related("host", "batch")
    runs = Run.objects.filter(submission=submission)
    if of_run is not None:
        of_all, runs = of_all.filter(batch__run__number=of_run), runs.filter(number=of_run)
    printed = Right("log", log_characters) if log_characters else F("log")
    for one in of_all.defer("log").annotate(printed=printed).order_by("pk"):
        attempts.setdefault(one.batch.run_id, []).append(one)
    return [_run(run, attempts.get(run.pk, [])) for run in runs.prefetch_related(standings, cases)]


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
        "log": attempt.printed,  # type: ignore[attr-defined]  # annotated
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


# --- as one story -----------------------------------------------------------------------------------------------------


class Moment(NamedTuple):
    """Something that happened: when, by whom, what, why."""

    at: datetime
    by: str
    what: str
    why: str


def moments_of(told: dict[str, Any]) -> list[Moment]:
    """Every change of state, attempt and entry of the record in one line of time, the last one first."""
    found = [*_changes_told(told), *_attempts_told(told), *_record_told(told)]
    return sorted(found, key=lambda one: one.at, reverse=True)


def _changes_told(told: dict[str, Any]) -> Iterator[Moment]:
    yield Moment(_at(told["accepted_at"]), "", "received", "")
    for one in told["history"]:
        states = [_state_told(one["what"], state) for state in (one["from"], one["to"]) if state]
        moved = " to ".join(states)
        yield Moment(_at(one["at"]), one["by"], f"{one['what']}: {moved}", one["why"])


def _state_told(what: str, value: str) -> str:
    """A state in words: of a batch, or of a run or a submission."""
    stage = BatchState(value) if what.startswith("batch") else as_stage(value)
    return f"“{stage.label}”"


def _attempts_told(told: dict[str, Any]) -> Iterator[Moment]:
    for run in told["runs"]:
        for one in run["attempts"]:
            name = f"run {run['number']}, batch {one['batch']}, attempt {one['fence']}"
            yield Moment(_at(one["claimed_at"]), one["host"], f"{name} begins", "")
            if one["ended_at"]:
                ended = f"{name} ends by our fault: {one['fault']}" if one["fault"] else f"{name} ends"
                yield Moment(_at(one["ended_at"]), one["host"], ended, one["detail"])


def _record_told(told: dict[str, Any]) -> Iterator[Moment]:
    for one in told["record"]:
        after = {name: value for name, value in one["after"].items() if value != one["why"]}
        fields = [_field_told(name, one["before"].get(name), value) for name, value in after.items()]
        yield Moment(_at(one["at"]), one["by"], "; ".join([f"record: {one['action']}", *fields]), one["why"])


def _field_told(name: str, before: object, after: object) -> str:
    return f"{name_in_words(name)}: {value_in_words(name, before)} to {value_in_words(name, after)}"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
