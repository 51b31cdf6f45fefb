"""What fails, when, and for how long: planned from the seed alone, so that the same seed gives the same sequence."""

from __future__ import annotations

import math
import random
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.chaos.services import Lab

Act = Callable[[Lab], None]
LONGEST_AWAY_SECONDS = 4.0
LONGEST_FROZEN_SECONDS = 12.0  # two leases: the batch has gone to another when its host wakes up
MOST_AT_ONCE = 4
_ONE = re.compile(r"(?P<name>.+) at (?P<percent>\d+)%(?: for (?:(?P<seconds>[\d.]+) s|good))?")
APPLICATION = ("web", "uploads", "hosts", "proxy", "control", "scoring", "sandbox", "sweeper")


@dataclass(frozen=True)
class Kind:
    """A way to fail: how it begins, how it ends, and after how many seconds at most (0: it is over at once)."""

    begin: Act
    end: Act
    longest: float = LONGEST_AWAY_SECONDS


@dataclass(frozen=True)
class Disturbance:
    """One failure; `moment` is a fraction of an undisturbed run's time. Infinite `seconds` last till all have ended."""

    name: str
    moment: float
    seconds: float

    def __str__(self) -> str:
        lasting = " for good" if math.isinf(self.seconds) else f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.name} at {self.moment:.0%}{lasting}"


@dataclass(frozen=True)
class Round:
    """What happens in one round, and how many teams hand in."""

    number: int
    teams: int
    disturbances: tuple[Disturbance, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.disturbances))


def plan(seed: int) -> Iterator[Round]:
    """The rounds of a seed, without end. Every kind has its turn before one comes again."""
    chance = random.Random(seed)
    number = 0
    while True:
        for first in chance.sample(sorted(KINDS), len(KINDS)):
            names = [first]
            while first not in ALONE and len(names) < MOST_AT_ONCE and chance.random() < 0.4:
                names.append(chance.choice(_others(names)))
            disturbances = (Disturbance(name, chance.uniform(0.0, 0.95), _duration(name, chance)) for name in names)
            number += 1
            yield Round(number, chance.choice((1, 1, 2)), tuple(sorted(disturbances, key=lambda one: one.moment)))


def described(text: str) -> Round:
    """The round of one team that is described as rounds are printed. Raises ValueError."""
    found = [_ONE.fullmatch(one) for one in text.split(" + ")]
    if unknown := [one for one in found if one is None or one["name"] not in KINDS]:
        raise ValueError(f"{len(unknown)} of these are no failures: {text}")
    one_each = (_disturbance(**one.groupdict()) for one in found if one)
    return Round(1, 1, tuple(sorted(one_each, key=lambda one: one.moment)))


def _disturbance(name: str, percent: str, seconds: str | None) -> Disturbance:
    longest = KINDS[name].longest
    return Disturbance(name, int(percent) / 100, float(seconds) if seconds else longest)


def _others(names: list[str]) -> list[str]:
    """What may fail besides these: something else than they are about."""
    taken = {name.split()[0] for name in names}
    return [name for name in sorted(KINDS) if name not in ALONE and name.split()[0] not in taken]


def _duration(name: str, chance: random.Random) -> float:
    longest = KINDS[name].longest
    return chance.uniform(0.1, longest) if 0 < longest < math.inf else longest


def _down_and_up(name: str, number: signal.Signals) -> Kind:
    return Kind(lambda lab: lab.take_down(name, number), lambda lab: lab.bring_up(name))


def _engine(number: signal.Signals, *, live_restore: bool) -> Kind:
    def begin(lab: Lab) -> None:
        lab.let_containers_survive(live_restore)
        lab.take_down("engine", number)

    return Kind(begin, lambda lab: lab.bring_up("engine"))


def _frozen(name: str) -> Kind:
    return Kind(partial(Lab.freeze, name=name), partial(Lab.thaw, name=name), LONGEST_FROZEN_SECONDS)


def _full(disk: str) -> Kind:
    return Kind(partial(Lab.fill, disk=disk), partial(Lab.free, disk=disk))


def _nothing(_lab: Lab) -> None:
    return


# Each begins with a word for what it is about: of two with the same word only one is chosen for a round.
KINDS: dict[str, Kind] = {
    **{f"{name} killed": _down_and_up(name, signal.SIGKILL) for name in APPLICATION},
    **{f"{name} frozen": _frozen(name) for name in (*APPLICATION, "broker", "engine")},
    "broker killed": _down_and_up("broker", signal.SIGKILL),
    "broker restarted": _down_and_up("broker", signal.SIGTERM),
    "broker flushed": Kind(Lab.flush_broker, _nothing, 0),
    "postgres restarted": _down_and_up("postgres", signal.SIGINT),
    "postgres killed": _down_and_up("postgres", signal.SIGKILL),
    "engine restarted": _engine(signal.SIGTERM, live_restore=False),
    "engine restarted live": _engine(signal.SIGTERM, live_restore=True),
    "engine killed": _engine(signal.SIGKILL, live_restore=False),
    "engine killed live": _engine(signal.SIGKILL, live_restore=True),
    "store full": _full("store"),
    "host disk full": _full("host"),
    "database disk full": _full("postgres"),
    "images disk full": _full("engine/data"),
    "neighbour lost": Kind(Lab.lose_neighbour, Lab.find_neighbour, math.inf),
    "deployment": Kind(Lab.deploy, _nothing, 0),
    "deployment with drain": Kind(partial(Lab.deploy, drain=True), _nothing, 0),
}
# A new version is not brought in while something is down.
ALONE = ("deployment", "deployment with drain")
