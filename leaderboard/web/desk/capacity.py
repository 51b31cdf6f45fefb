"""Will all teams fit? As the first page of the desk says and draws it."""

from datetime import datetime, timedelta
from typing import Any

from leaderboard.charts.capacity import Hours, capacity
from leaderboard.charts.picture import About
from leaderboard.operations.capacity import Verdict, capacity_at

WORDS = {Verdict.FITS: ("ok", "Yes"), Verdict.JUST: ("warn", "Just"), Verdict.SHORT: ("bad", "No")}


def shown_capacity(at: datetime) -> dict[str, Any]:
    """What the template shows; nothing while no phase is open, or nothing is foreseen."""
    found = capacity_at(at)
    if found is None or found.foreseen is None:
        return {"capacity": found}
    steps = [
        Hours(found.at + timedelta(seconds=one.seconds), one.hours, one.low, one.high, one.there)
        for one in found.foreseen.steps
    ]
    level, word = WORDS[found.foreseen.verdict]
    title = "GPU hours foreseen until the deadline, and those there are"
    picture = capacity(About("capacity", title), steps)
    return {"capacity": found, "capacity_level": level, "capacity_word": word, "capacity_picture": picture}
