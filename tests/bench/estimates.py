"""How far off estimates of start and finish are: queues replayed in virtual time on real rows, by the real scheduling.

Teams hand in programs of very different speed, over hours, for hosts of which one comes late and one goes away. Every
few minutes each run that is not over is asked when it will start and finish, exactly as its team's page asks; what
became of it then says how far that was off. The relative error is that of the time still to wait, which is how people
read it. Half of the challenges have hidden cases, of which estimates may know less.
"""

import argparse
import functools
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from tests.bench.database import scratch_database

if TYPE_CHECKING:
    from leaderboard.progress.estimates import Range
    from tests.leaderboard.virtual_challenge import Challenge

EPOCH = datetime(2026, 9, 12, 6, 0, tzinfo=UTC)
SHORTEST = 300.0  # what is nearer than five minutes is not counted: everything is said by the minute


@dataclass(frozen=True)
class Asked:
    """What was said of a run at an instant (virtual seconds), and what was so."""

    what: str
    hidden: bool
    said: float
    first: float
    last: float
    was: float

    @property
    def error(self) -> float:
        """In parts of the time that was still to wait."""
        return abs(self.said - self.was) / self.was

    @property
    def is_within(self) -> bool:
        """Whether it came true."""
        return self.first <= self.was <= self.last


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(prog="./dev bench estimates", description=__doc__)
    parser.add_argument("--teams", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3, help="submissions of a team")
    parser.add_argument("--cases", type=int, default=12, help="cases of a run")
    parser.add_argument("--slots", type=int, default=2, help="slots of a host")
    parser.add_argument("--challenges", type=int, default=4, help="how many are simulated")
    parser.add_argument("--every", type=int, default=6, help="virtual minutes between questions")
    options = parser.parse_args()
    asked: list[Asked] = []
    with tempfile.TemporaryDirectory(prefix="rexg-bench-") as folder, scratch_database(Path(folder)):
        from leaderboard.core import blobs

        blobs.prepare()
        for number in range(options.challenges):
            asked += _simulated(options, random.Random(number), hidden=number % 2 == 1)
    _show(asked)


def _simulated(options: argparse.Namespace, chance: random.Random, *, hidden: bool) -> list[Asked]:
    """What was said in one challenge, on empty tables."""
    from django.core.management import call_command

    from leaderboard.models import Phase
    from tests.leaderboard.virtual_challenge import Places, challenge

    call_command("flush", verbosity=0, interactive=False)
    with _virtual_clock() as set_clock:
        places = Places(slots=options.slots, scorers=3)
        made = challenge(options.teams, options.cases, places=places)
        Phase.objects.update(
            cases_are_public=not hidden,
            batch_size=options.cases // 4,
            opens_at=EPOCH - timedelta(days=1),
            closes_at=EPOCH + timedelta(days=9),
        )
        made.phase.refresh_from_db()
        made.on_time = set_clock
        speeds = {team.name: chance.lognormvariate(4.5, 0.8) for team in made.teams}
        made.case_seconds = lambda team: speeds[team] * chance.lognormvariate(0, 0.3)
        made.start_seconds = lambda _team: chance.uniform(20, 90)
        return _played(made, options, chance, hidden=hidden)


def _played(made: "Challenge", options: argparse.Namespace, chance: random.Random, *, hidden: bool) -> list[Asked]:
    from leaderboard.progress.line import line_at

    notes: list[tuple[float, int, str, float, float, float]] = []
    for team in made.teams:
        for _ in range(options.runs):
            made.hand_in_later(team, chance.uniform(0, 2 * 3600))
    made.host_comes(chance.uniform(3600, 7200), slots=options.slots)
    made.host_drains(chance.uniform(10800, 14400))
    made.every(60.0 * options.every, lambda: notes.extend(_ask(made)))
    once = functools.cache(line_at)  # an instant for all of them
    with mock.patch("leaderboard.progress.estimates.line_at", once):
        made.run()
    return list(_compared(made, notes, hidden=hidden))


@contextmanager
def _virtual_clock() -> Iterator[Callable[[float], None]]:
    """The database's clock as the simulation sets it; each challenge has the minutes of the one before."""
    from leaderboard.core import clock, minutes

    at = [EPOCH]

    def set_clock(seconds: float) -> None:
        at[0] = EPOCH + timedelta(seconds=seconds)

    def now() -> datetime:
        return at[0]

    with mock.patch.object(clock, "now", now), mock.patch.object(minutes, "MOST", 0):
        yield set_clock


def _ask(made: "Challenge") -> Iterator[tuple[float, int, str, float, float, float]]:
    """What the page of each run says now: when, of whom, of what; the seconds until then, and the ends of the range."""
    from leaderboard.board.disclosure import Disclosure, Reader
    from leaderboard.core import clock
    from leaderboard.models import Submission
    from leaderboard.progress.estimates import estimate_of
    from leaderboard.progress.stages import shown_stage
    from leaderboard.states import ENDED

    now = clock.now()
    for submission in Submission.objects.select_related("phase").prefetch_related("runs").order_by("pk"):
        disclosure = Disclosure(Reader.TEAM, submission.phase, now)
        stage = shown_stage(submission, disclosure)
        if stage in ENDED:
            continue
        estimate = estimate_of(submission, submission.latest_run, stage, disclosure)
        for what in ("start", "finish"):
            said: Range | None = getattr(estimate, what)
            if said:
                likely, first, last = ((end - now).total_seconds() for end in (said.likely, said.first, said.last))
                yield made.now, submission.pk, what, likely, first, last


def _compared(
    made: "Challenge", notes: Sequence[tuple[float, int, str, float, float, float]], *, hidden: bool
) -> Iterator[Asked]:
    from leaderboard.models import Run

    runs = {run.submission_id: run for run in Run.objects.all()}
    for at, pk, what, said, first, last in notes:
        run = runs[pk]
        happened = run.started_at if what == "start" else run.ended_at
        assert happened is not None
        was = (happened - EPOCH).total_seconds() - at
        if was >= SHORTEST:
            yield Asked(what, hidden, said, first, last, was)


def _show(asked: Sequence[Asked]) -> None:
    print(f"\n{'':24}{'estimates':>12}{'median error':>16}{'90 % below':>14}{'within range':>16}")
    for hidden in (False, True):
        for what in ("start", "finish"):
            of = [one for one in asked if (one.what, one.hidden) == (what, hidden)]
            if not of:
                continue
            errors = sorted(one.error for one in of)
            within = sum(one.is_within for one in of) / len(of)
            worst = errors[int(0.9 * len(errors))]
            name = f"{what}, {'hidden' if hidden else 'public'} cases"
            print(f"{name:24}{len(of):>12}{statistics.median(errors):>16.0%}{worst:>14.0%}{within:>16.0%}")
