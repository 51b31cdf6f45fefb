"""How far off the foreseen GPU hours are: seasons of eighty teams, simulated, asked ahead of their deadline.

Seasons differ in how many teams take part in earnest, in how fast their images are (some a hundred times slower than
others), in how many runs teams use, and in how late all of them begin to hurry. Half of the seasons know a season of
before, by other teams of another haste; the others know none. The error is that of what is still to come, at the
instant of the question; an interval is right if what then came lies in it.
"""

import argparse
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import django
import numpy as np

DAY = 86_400.0
ASKED = (14.0, 7.0, 3.0, 1.0)  # days before the deadline


@dataclass(frozen=True)
class Team:
    """A team of a simulated season: when it hands in, in seconds before the deadline, and what a run of it takes."""

    before: Sequence[float]
    hours: float


@dataclass(frozen=True)
class Asked:
    """What was foreseen at an instant, and what was so."""

    days: float
    knew_last: bool
    said: float
    low: float
    high: float
    was: float

    @property
    def error(self) -> float:
        """In parts of what came."""
        return abs(self.said - self.was) / self.was

    @property
    def is_within(self) -> bool:
        """Whether the interval holds it."""
        return self.low <= self.was <= self.high


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(prog="./dev bench capacity", description=__doc__)
    parser.add_argument("--seasons", type=int, default=200)
    parser.add_argument("--teams", type=int, default=80)
    parser.add_argument("--days", type=float, default=28.0, help="length of a season")
    parser.add_argument("--total", type=int, default=10, help="runs that a team may have")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    django.setup()  # beside the model, its package reads the database
    show(list(simulated(options.seasons, options.teams, options.days * DAY, options.total)))


def simulated(seasons: int, teams: int, length: float, total: int) -> Iterator[Asked]:
    """What was foreseen in so many seasons."""
    for number in range(seasons):
        chance = np.random.default_rng(number)
        haste = chance.normal(0, 0.15)  # what this field of research has in common, season after season
        last, this = (_season(chance, teams, length, total, haste) for _ in range(2))
        for days in ASKED:
            yield from _asked(this, last if number % 2 else [], days, length, total)


def _season(chance: np.random.Generator, teams: int, length: float, total: int, haste: float) -> list[Team]:
    """Teams whose runs lie closer to the deadline the smaller the season's power is."""
    power = float(np.exp(np.log(0.5) + haste + chance.normal(0, 0.2)))
    takes_part = chance.uniform(0.6, 0.95)
    made = []
    for _ in range(teams):
        runs = int(min(total, 1 + chance.negative_binomial(1.2, 0.22))) if chance.random() < takes_part else 0
        own = power * float(np.exp(chance.normal(0, 0.3)))
        before = length * chance.random(runs) ** (1 / own)
        made.append(Team(sorted(before.tolist()), float(np.exp(chance.normal(-0.3, 0.9)))))
    return made


def _asked(this: Sequence[Team], last: Sequence[Team], days: float, length: float, total: int) -> Iterator[Asked]:
    from leaderboard.operations.capacity.model import Season, TeamSoFar, foresee

    left = days * DAY
    so_far = [sum(before > left for before in team.before) for team in this]
    known = [
        TeamSoFar(runs, total - runs, team.hours if runs else None) for team, runs in zip(this, so_far, strict=True)
    ]
    season = Season(left, length, known, open_hours=0.0, gpus=8, rush=[team.before for team in last])
    was = sum((len(team.before) - runs) * team.hours for team, runs in zip(this, so_far, strict=True))
    found = foresee(season)
    if found is not None and was > 0:
        yield Asked(days, bool(last), found.hours, found.low, found.high, was)


def show(asked: Sequence[Asked]) -> None:
    """Print a table: errors and intervals by how long before the deadline, with a last season and without."""
    print(f"\n{'':34}{'asked':>8}{'median error':>14}{'90 % below':>12}{'bias':>8}{'in interval':>13}")
    for knew_last in (True, False):
        for days in ASKED:
            of = [one for one in asked if (one.days, one.knew_last) == (days, knew_last)]
            if not of:
                continue
            errors = sorted(one.error for one in of)
            bias = statistics.median(one.said / one.was - 1 for one in of)
            within = sum(one.is_within for one in of) / len(of)
            name = f"{days:g} days ahead, {'a last season' if knew_last else 'no last season'}"
            worst = errors[int(0.9 * len(errors))]
            print(f"{name:34}{len(of):>8}{statistics.median(errors):>14.0%}{worst:>12.0%}{bias:>+8.0%}{within:>13.0%}")
