"""The board for others than browsers: JSON for scripts, a table for a terminal."""

from typing import Any

from leaderboard.board.rows import Board
from leaderboard.core.text import printable

NUMBERS = (
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
)


def as_json(board: Board) -> dict[str, Any]:
    """The ranked table for scripts."""
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
                **{name: getattr(row, name) for name in NUMBERS},
            }
            for row in board.rows
        ],
    }


def as_table(board: Board) -> str:
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


def _number(value: float | None) -> str:
    return f"{'–' if value is None else f'{value:.3f}':>8}"
