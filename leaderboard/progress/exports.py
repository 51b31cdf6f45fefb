"""A team's list of runs as a table for spreadsheets: what the page shows, in the same columns."""

import csv
import io
from collections.abc import Iterable

from leaderboard.core.text import csv_cell
from leaderboard.journey import lifecycle
from leaderboard.progress.listing import Line

COLUMNS = (
    *("submission", "name", "note", "submitted_by", "phase", "track", "kind", "entry", "state", "percent", "counts"),
    *(
        "charged",
        "disqualified",
        "dice",
        "dice_low",
        "dice_high",
        "hit_rate",
        "hit_rate_low",
        "hit_rate_high",
        "lost_cases",
    ),
    *("cases", "submitted_at"),
)
Cell = str | int | float | None


def as_csv(lines: Iterable[Line]) -> str:
    """A row for each run. What is not shown is empty; instants are UTC, numbers are as they are shown."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _cell(value) for name, value in _row(line).items()})
    return text.getvalue()


def _row(line: Line) -> dict[str, Cell]:
    one = line.submission
    row: dict[str, Cell] = {
        "submission": one.pk,
        "name": one.algorithm,
        "note": one.note,
        "submitted_by": lifecycle.display_name(one.submitted_by) if one.submitted_by else "",
        "phase": one.phase.name,
        "track": one.get_track_display(),
        "kind": one.get_kind_display(),
        "entry": one.get_entry_display(),
        "state": line.word,
        "percent": line.percent,
        "counts": line.counts,
        "charged": "yes" if one.charged and not one.is_try_out else "no",
        "disqualified": "yes" if one.disqualified_at else "no",
        "submitted_at": f"{one.accepted_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    return row | _numbers(line)


def _numbers(line: Line) -> dict[str, Cell]:
    shown = line.figures
    if shown is None:
        return {}
    dice_low, dice_high = shown.dice_ci or (None, None)
    hit_low, hit_high = shown.hit_rate_ci or (None, None)
    return {
        "dice": shown.dice,
        "dice_low": dice_low,
        "dice_high": dice_high,
        "hit_rate": shown.hit_rate,
        "hit_rate_low": hit_low,
        "hit_rate_high": hit_high,
        "lost_cases": shown.lost_cases,
        "cases": shown.cases,
    }


def _cell(value: Cell) -> Cell:
    return csv_cell(value) if isinstance(value, str) else value
