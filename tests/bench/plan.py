"""How much a population has of everything, and what becomes of its submissions."""

from dataclasses import dataclass
from typing import NamedTuple

from leaderboard.states import RunState, SubmissionState


@dataclass(frozen=True)
class Size:
    """How much of everything.

    `busy`: how many teams have so many members and runs (None: all), the others three at most. `findings` of a case:
    None is one to four. `reruns`: how often the first submission of the first team ran. `kinds`: different cases,
    `distinct`: different results of whole runs.
    """

    teams: int = 500
    runs: int = 20
    busy: int | None = None
    cases: int = 300
    phases: int = 2
    members: int = 3
    hosts: int = 8
    slots: int = 10
    findings: int | None = None
    batch_size: int = 25
    reruns: int = 2
    kinds: int = 40
    distinct: int = 50

    def of_team(self, team: int, count: int) -> int:
        """How many of `count` members or submissions the team with this number has."""
        return count if self.busy is None or team < self.busy else min(count, 3)

    @property
    def batches(self) -> int:
        """The containers of a run: the first case's, and those of the others."""
        return 1 + -(-(self.cases - 1) // self.batch_size)


class Fate(NamedTuple):
    """What became of a submission: its own state, its run's states in order, and the share of its cases that ran."""

    state: SubmissionState
    path: tuple[RunState, ...] = ()
    ran: float = 0.0
    charged: bool = True


BEGAN = (RunState.QUEUED, RunState.CANARY, RunState.RUNNING)
ACCEPTED = SubmissionState.ACCEPTED
SCORED = Fate(ACCEPTED, (*BEGAN, RunState.SCORING, RunState.SCORED), 1.0)
QUEUED = Fate(ACCEPTED, (RunState.QUEUED,))
RUNNING = Fate(ACCEPTED, BEGAN, 0.5)
# With how many of a hundred submissions meet it: those before a team's last, and the last ones.
ENDED = {
    SCORED: 82,
    Fate(ACCEPTED, (*BEGAN, RunState.FAILED), 0.3): 6,
    Fate(ACCEPTED, (RunState.QUEUED, RunState.CANCELLED), charged=False): 5,
    Fate(SubmissionState.REJECTED, charged=False): 7,
}
LAST = {
    SCORED: 35,
    QUEUED: 30,
    RUNNING: 14,
    Fate(ACCEPTED, BEGAN[:2]): 4,
    Fate(ACCEPTED, (*BEGAN, RunState.SCORING), 1.0): 3,
    Fate(ACCEPTED, (*BEGAN, RunState.HALTED), 0.5, charged=False): 6,
    Fate(SubmissionState.RECEIVED): 3,
    Fate(SubmissionState.VALIDATING): 3,
    Fate(SubmissionState.CANCELLED, charged=False): 2,
}
