"""Whether all teams' runs will fit until the deadline: GPU hours foreseen against those that there are.

    model      what is foreseen, by arithmetic on plain facts, with intervals by resampling teams
    reading    these facts from the database; the same for every reader of a minute

docs/capacity.md says how, and how far off it was in simulated seasons (`./dev bench capacity`).
"""

from leaderboard.operations.capacity.model import Foreseen, Step, Verdict
from leaderboard.operations.capacity.reading import Capacity, capacities_at, capacity_at

__all__ = ["Capacity", "Foreseen", "Step", "Verdict", "capacities_at", "capacity_at"]
