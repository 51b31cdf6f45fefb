"""What commands print: JSON for scripts, a table for a terminal."""

from datetime import datetime
from typing import Any

from leaderboard.board.standings import Board
from leaderboard.models import Attempt, Run, RunCase, StateChange, Submission
from leaderboard.states import ENDED


def state(submission: Submission) -> str:
    """The state that matters now, as the database has it."""
    return Submission.objects.get(pk=submission.pk).stage


def has_ended(submission: Submission) -> bool:
    """Whether nothing more will happen by itself."""
    return state(submission) in ENDED


def submission(submission: Submission) -> dict[str, Any]:
    """An organiser's view of everything about a submission."""
    image = submission.image
    return {
        "id": submission.pk,
        "team": submission.team.slug,
        "phase": submission.phase.slug,
        "track": submission.track,
        "algorithm": submission.algorithm,
        "state": state(submission),
        "reason": submission.reason,
        "accepted_at": _instant(submission.accepted_at),
        "charged": submission.charged,
        "disqualified": submission.disqualified_at is not None,
        "image": {"id": image.image_id, "layers": image.layers, "warnings": image.warnings} if image else None,
        "history": [_change(change) for change in submission.history.select_related("batch")],
        "runs": [_run(run) for run in submission.runs.all()],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "number": run.number,
        "state": run.state,
        "reason_code": run.reason_code,
        "reason": run.reason,
        "started_at": _instant(run.started_at),
        "ended_at": _instant(run.ended_at),
        "evaluation_version": run.evaluation_version,
        "summary": {standing.scope: standing.summary for standing in run.standings.all()},
        "cases": [_case(case) for case in run.cases.select_related("case", "batch")],
        "attempts": [_attempt(one) for one in Attempt.objects.filter(batch__run=run).select_related("host", "batch")],
    }


def _case(case: RunCase) -> dict[str, Any]:
    result = case.result or {}
    return {
        "name": case.case.name,
        "position": case.position,
        "batch": case.batch.number if case.batch else None,
        "status": result.get("status") or case.outcome or "waiting",
        "reason_code": case.reason_code,
        "reason": result.get("reason") or "",
        "seconds": case.seconds,
        "tries": case.tries,
        "dice": result.get("dice"),
        "findings": result.get("findings", []),
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


def board(board: Board) -> dict[str, Any]:
    """The ranked table for scripts."""
    numbers = [
        "dice",
        "dice_ci",
        "hit_rate",
        "hit_rate_ci",
        "instance_precision",
        "instance_recall",
        "instance_f1",
        "instance_f1_ci",
        "distance_precision",
        "distance_recall",
        "distance_f1",
        "distance_f1_ci",
        "lost_cases",
    ]
    return {
        "phase": board.phase.slug,
        "track": board.track,
        "scope": board.scope,
        "cases": board.cases,
        "evaluation_version": board.evaluation_version,
        "rows": [
            {
                "rank": row.rank,
                "team": row.team.slug,
                "algorithm": row.algorithm,
                "submission": row.submission.pk,
                **{name: getattr(row, name) for name in numbers},
            }
            for row in board.rows
        ],
    }


def table(board: Board) -> str:
    """The ranked table for a terminal."""
    head = f"{'Rank':>4}  {'Team':<24} {'Algorithm':<24} {'Dice':>6}  {'95 % interval':<13} "
    lines = [head + f"{'Hit rate':>8} {'Inst. F1':>8} {'Dist. F1':>8}  Lost"]
    for row in board.rows:
        interval = f"{row.dice_ci[0]:.3f}–{row.dice_ci[1]:.3f}" if row.dice_ci else "–"
        team, algorithm = printable(row.team.name), printable(row.algorithm)
        lost = f"{row.lost_cases} of {board.cases} cases" if row.lost_cases else "–"
        lines.append(
            f"{row.rank:>4}  {team:<24.24} {algorithm:<24.24} {row.dice:>6.3f}  {interval:<13} "
            f"{row.hit_rate:>8.3f} {_number(row.instance_f1)} {_number(row.distance_f1)}  {lost}"
        )
    return "\n".join(lines if board.rows else ["Nothing is published yet."])


def printable(text: str) -> str:
    """Text from a team as a terminal may get it: no colours, control characters or changes of direction."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _number(value: float | None) -> str:
    return f"{'–' if value is None else f'{value:.3f}':>8}"


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
