"""The dates of the challenge: rows that organisers write, and the instants of phases, which nobody writes twice.

The opening and the closing of a phase are lines by themselves. A row about an instant of a phase says it in other
words, hides it, or adds one that has no line by itself (the reveal, post-challenge runs); it moves with the phase.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from leaderboard.models import ChallengeDate, Phase

Moment = ChallengeDate.Moment
OF_EVERY_PHASE = (Moment.OPENS, Moment.CLOSES)


@dataclass(frozen=True)
class Line:
    """A line of the timeline. `instant` orders it; `words` stand for it where it is a day, or only known about.

    `key` names it, whatever becomes of its words and its instant.
    """

    key: str
    instant: datetime
    what: str
    words: str = ""
    day: date | None = None
    order: int = 0
    css: str = ""
    both_clocks: bool = False

    @property
    def at(self) -> datetime | None:
        """The exact instant, if there is one."""
        return None if self.words else self.instant

    @property
    def is_fixed(self) -> bool:
        """Whether it is known to the day."""
        return self.day is not None or not self.words


def lines(phases: Iterable[Phase], rows: Iterable[ChallengeDate]) -> list[Line]:
    """Every date that is shown, in order."""
    of_phases = {(row.phase_id, row.moment): row for row in rows}
    found = [_line_of_row(row) for row in rows if not row.phase_id and row.is_shown]
    for phase in phases:
        found += _lines_of_phase(phase, of_phases)
    return sorted(found, key=lambda line: (line.instant, line.order))


def timeline(phases: Iterable[Phase], rows: Iterable[ChallengeDate], now: datetime) -> list[Line]:
    """The same, with the present instant among them: what is over is marked, deadlines ahead show both clocks."""
    every = lines(phases, rows)
    past = [replace(line, css="past", both_clocks=False) for line in every if line.instant <= now]
    return [*past, Line("now", now, "Now", css="now"), *(line for line in every if line.instant > now)]


def _line_of_row(row: ChallengeDate) -> Line:
    if row.day is not None:
        over = datetime.combine(row.day + timedelta(days=1), time(), UTC)
        about = row.words or f"{row.day:%b %-d, %Y}"
        return Line(f"date-{row.pk}", over, row.label, about, None if row.words else row.day, row.order)
    assert row.at is not None  # as the database holds it
    return Line(f"date-{row.pk}", row.at, row.label, row.words, order=row.order)


def _lines_of_phase(phase: Phase, rows: dict[tuple[int | None, str], ChallengeDate]) -> Iterator[Line]:
    for moment in Moment:
        row = rows.get((phase.pk, moment))
        instant: datetime | None = getattr(phase, moment)
        if instant is None or not (row.is_shown if row else moment in OF_EVERY_PHASE):
            continue
        is_deadline = moment == Moment.CLOSES
        yield Line(
            f"phase-{phase.pk}-{moment.name.lower().replace('_', '-')}",
            instant,
            (row.label if row else "") or f"{phase.name} {moment.label}",
            row.words if row else "",
            order=row.order if row else 0,
            css="major" if is_deadline else "",
            both_clocks=is_deadline and not (row and row.words),
        )
