"""Will all teams fit? As the first page of the desk says and draws it, of each open phase."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from leaderboard.charts.capacity import Hours, capacity
from leaderboard.charts.picture import About, Picture
from leaderboard.operations.capacity import Capacity, Verdict, capacities_at

MOST = 3  # phases that are drawn
WORDS = {Verdict.FITS: ("ok", "Yes"), Verdict.JUST: ("warn", "Just"), Verdict.SHORT: ("bad", "No")}


@dataclass(frozen=True)
class ShownCapacity:
    """What is foreseen of a phase; level, word and picture only where anything is."""

    of: Capacity
    others: int
    level: str = ""
    word: str = ""
    picture: Picture | None = None


def shown_capacities(at: datetime) -> list[ShownCapacity]:
    """By their deadlines, the first ones; nothing while no phase is open."""
    found = capacities_at(at)
    return [_shown(one, len(found) - 1) for one in found[:MOST]]


def _shown(found: Capacity, others: int) -> ShownCapacity:
    if found.foreseen is None:
        return ShownCapacity(found, others)
    steps = [
        Hours(found.at + timedelta(seconds=one.seconds), one.hours, one.low, one.high, one.there)
        for one in found.foreseen.steps
    ]
    title = f"GPU hours foreseen until the deadline of the {found.phase.name}, and those there are"
    picture = capacity(About(f"capacity-{found.phase.slug}", title), steps)
    return ShownCapacity(found, others, *WORDS[found.foreseen.verdict], picture)
