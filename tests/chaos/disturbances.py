"""What fails, when, and for how long: planned from the seed alone, so that the same seed gives the same sequence."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.chaos.services import Lab

Act = Callable[[Lab], None]
LONGEST_AWAY_SECONDS = 4.0
APPLICATION = ("web", "control", "scoring", "sandbox", "sweeper")


@dataclass(frozen=True)
class Kind:
    """A way to fail: how it begins and how it ends."""

    begin: Act
    end: Act
    lasts: bool = True  # whether there is a time between the two


@dataclass(frozen=True)
class Disturbance:
    """One failure: `moment` is a fraction of an undisturbed run's time, `seconds` how long it lasts."""

    name: str
    moment: float
    seconds: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if KINDS[self.name].lasts else ""
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
        for name in chance.sample(sorted(KINDS), len(KINDS)):
            names = [name]
            # A new version is not brought in while something else is down.
            if name != "deployment" and chance.random() < 0.4:
                names.append(chance.choice([other for other in sorted(KINDS) if other not in (name, "deployment")]))
            disturbances = (
                Disturbance(name, chance.uniform(0.0, 0.95), chance.uniform(0.1, LONGEST_AWAY_SECONDS))
                for name in names
            )
            number += 1
            yield Round(number, chance.choice((1, 1, 2)), tuple(sorted(disturbances, key=lambda one: one.moment)))


def _down_and_up(name: str, number: signal.Signals) -> Kind:
    return Kind(lambda lab: lab.take_down(name, number), lambda lab: lab.bring_up(name))


def _engine(number: signal.Signals, *, live_restore: bool) -> Kind:
    def begin(lab: Lab) -> None:
        lab.let_containers_survive(live_restore)
        lab.take_down("engine", number)

    return Kind(begin, lambda lab: lab.bring_up("engine"))


def _full(disk: str) -> Kind:
    return Kind(partial(Lab.fill, disk=disk), partial(Lab.free, disk=disk))


def _nothing(_lab: Lab) -> None:
    return


KINDS: dict[str, Kind] = {
    **{f"{name} killed": _down_and_up(name, signal.SIGKILL) for name in APPLICATION},
    "broker killed": _down_and_up("broker", signal.SIGKILL),
    "broker restarted": _down_and_up("broker", signal.SIGTERM),
    "broker flushed": Kind(Lab.flush_broker, _nothing, lasts=False),
    "postgres restarted": _down_and_up("postgres", signal.SIGINT),
    "postgres killed": _down_and_up("postgres", signal.SIGKILL),
    "engine restarted": _engine(signal.SIGTERM, live_restore=False),
    "engine restarted live": _engine(signal.SIGTERM, live_restore=True),
    "engine killed": _engine(signal.SIGKILL, live_restore=False),
    "engine killed live": _engine(signal.SIGKILL, live_restore=True),
    "store full": _full("store"),
    "host disk full": _full("host"),
    "deployment": Kind(Lab.deploy, _nothing, lasts=False),
}
