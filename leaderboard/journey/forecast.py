"""When runs start and finish, if what waits and who works stay as they are: the rules of scheduling, played ahead.

Pure: facts in, seconds from now out. Containers are dealt out to slots by the very order of `scheduling.fill_slots`
(leaderboard/journey/turns.py): a canary first, which has to be scored before the rest follows, then batches; what began
goes on, teams are served in turns, slots that are left over help; try-outs and post-challenge runs wait behind scored
ones (that one which waited long goes before is left out). How long a container takes is what the caller
measured; what nobody could measure takes for ever, and so does what waits for it. Nobody hands in anything meanwhile.

How far such estimates are off is measured by `./dev bench estimates`.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from leaderboard.hosts.slots import Slot, fitting, usefulness
from leaderboard.journey.scheduling import Class, Rank, class_of
from leaderboard.journey.turns import Order, Place, urgency
from leaderboard.states import SubmissionKind

Line = tuple[int, bool]
"""A team's line: of its scored runs, or apart from them of the others."""
Turns = tuple[tuple[Line, int], ...]
"""The number of the last turn of each line."""
Needs = tuple[int, bool, bool]
"""What a slot has to offer: GPUs, public cases or hidden ones, weights. Runs that are alike can have the same slots."""

MOST_CONTAINERS = 12  # of a run: smaller ones are put together, so that a long queue costs little


@dataclass(frozen=True)
class Pace:
    """How long a run's containers take, in seconds: the canary's, and for each case of a batch, the start included.

    `scoring` is what passes between the end of the last container and the score.
    """

    canary: float
    case: float
    scoring: float


UNKNOWN = Pace(math.inf, math.inf, math.inf)


@dataclass(frozen=True)
class Work:
    """A run that is not over: `cases` are those that no container has, `order` is that within its team.

    ready_in: seconds until it may start, as while its image is checked.
    """

    key: int
    team: int
    order: tuple[int, ...]
    gpus: int
    cases_are_public: bool
    has_weights: bool
    cases: int
    batch_size: int
    pace: Pace
    kind: str = SubmissionKind.SCORED
    began: bool = False
    put_first: bool = False
    needs_canary: bool = True
    ready_in: float = 0.0

    @property
    def needs(self) -> Needs:
        """What a slot has to offer."""
        return self.gpus, self.cases_are_public, self.has_weights

    @property
    def line(self) -> Line:
        """The line of its team in which it waits."""
        return self.team, self.kind == SubmissionKind.SCORED

    def class_(self, *, helps: bool = False) -> Class:
        """Where it stands, with a container that `helps` or with what it needs to go on."""
        return Class.PUT_FIRST if self.put_first and not self.began else class_of(self.kind, helps=helps)


@dataclass(frozen=True)
class SlotState:
    """What a slot does: its container (of the run `key`) ends in `free_in` seconds.

    `closing`: its host then takes nothing more.
    """

    slot: Slot
    key: int | None = None
    free_in: float = 0.0
    closing: bool = False


@dataclass(frozen=True)
class Times:
    """When a run starts and finishes, in seconds from now; infinite where that cannot be known."""

    start: float
    finish: float


def _side(place: Place[Work]) -> tuple[int, bool]:
    return place.class_, place.thing.kind != SubmissionKind.SCORED


def line_up(works: Iterable[Work], turns: Iterable[tuple[Line, int]]) -> list[int]:
    """The keys of the runs that did not begin, in the order in which they will, as things stand."""
    known = list(works)
    under_way = Counter(work.line for work in known if work.began)
    waiting = [Place(work.team, work, work.order, work.class_(), Rank.STARTS) for work in known if not work.began]
    orders = {scored: Order({team: number for (team, of), number in turns if of == scored}) for scored in (True, False)}
    keys = []
    for class_, is_other in sorted({_side(place) for place in waiting}):
        order = orders[not is_other]
        places = [place for place in waiting if _side(place) == (class_, is_other)]
        for place in order.in_order(places, lambda place: under_way[place.thing.line]):
            under_way[place.thing.line] += 1
            order.take(place.team)
            keys.append(place.thing.key)
    return keys


@lru_cache(maxsize=8)  # the same question comes from everybody who watches, and every other second
def forecast(works: tuple[Work, ...], slots: tuple[SlotState, ...], turns: Turns) -> dict[int, Times]:
    """When each run starts and finishes, by its key."""
    return _Replay(works, slots, turns).times()


@dataclass(eq=False)
class _Run:
    """A run in the replay: what waits of it, and how many containers it has at work."""

    work: Work
    waiting: int
    began: bool
    gated: bool  # its canary runs or is being scored
    ready: bool
    at_work: int = 0
    start: float = math.inf
    finish: float = math.inf
    size: int = 1

    @property
    def is_over(self) -> bool:
        return self.began and not (self.waiting or self.at_work or self.gated)


_Head = tuple[tuple[Any, ...], _Run]
"""A place that may be next, before it how urgent it is."""


@dataclass(eq=False)
class _Team:
    """A team's line in the replay, with the next of its places of each kind of needs, as it stands."""

    runs: list[_Run] = field(default_factory=list)
    slots: int = 0
    under_way: int = 0
    number: int = 0
    best: dict[Needs, _Head] = field(default_factory=dict)

    def look(self) -> None:
        """Find the next place of each kind of needs anew, after something changed."""
        self.best = {}
        for run in self.runs:
            if (key := self._urgency(run)) is not None:
                known = self.best.get(run.work.needs)
                if known is None or key < known[0]:
                    self.best[run.work.needs] = key, run

    def _urgency(self, run: _Run) -> tuple[Any, ...] | None:
        if not run.began:
            class_ = run.work.class_()  # a run that began in the replay is none of those that are put first
            return urgency(class_, self.under_way, Rank.STARTS, self.number, run.work.order) if run.ready else None
        if run.gated or not run.waiting:
            return None
        class_ = class_of(run.work.kind, helps=run.at_work > 0)
        return urgency(class_, self.slots, Rank.GOES_ON, self.number, run.work.order)


class _Replay:
    """The state of the replay; `now` is in seconds from its beginning."""

    def __init__(self, works: Sequence[Work], slots: Sequence[SlotState], turns: Turns) -> None:
        self.now, self._ties = 0.0, 0
        self._runs = {work.key: self._run(work) for work in works}
        self._kinds = {work.needs: work for work in works}  # one of each, by which slots are tried
        # The next place of each team, by kind, the most urgent first; what is not its team's any more is passed over.
        self._heads: dict[Needs, list[tuple[tuple[Any, ...], int, _Head, _Team]]] = {needs: [] for needs in self._kinds}
        self._teams: dict[Line, _Team] = {}
        for run in sorted(self._runs.values(), key=lambda run: run.work.order):
            team = self._teams.setdefault(run.work.line, _Team())
            team.runs.append(run)
            team.under_way += run.began
        for number, (key, _) in enumerate(sorted(turns, key=lambda turn: turn[1]), start=1):
            if key in self._teams:
                self._teams[key].number = number
        self._last_turn = len(turns)
        self._agenda: list[tuple[float, int, _Run | None, Slot | None, bool]] = []
        self._free: list[Slot] = []
        self._take_over(slots)

    @staticmethod
    def _run(work: Work) -> _Run:
        size = max(work.batch_size, math.ceil(work.cases / MOST_CONTAINERS))
        ready = work.ready_in <= 0
        start = 0.0 if work.began else math.inf
        return _Run(work, work.cases, work.began, gated=False, ready=ready, size=size, start=start)

    def _take_over(self, states: Sequence[SlotState]) -> None:
        """What runs at the beginning, and what becomes ready."""
        for state in states:
            run = self._runs.get(state.key) if state.key is not None else None
            slot = None if state.closing else state.slot
            if run is None:
                self._later(state.free_in, None, slot, ends=False)
                continue
            run.at_work += 1
            run.gated = run.gated or run.work.needs_canary
            self._teams[run.work.line].slots += 1
            self._later(state.free_in, run, slot, ends=True)
        for run in self._runs.values():
            if not run.ready:
                self._later(run.work.ready_in, run, None, ends=False)
            elif run.is_over:
                self._finish(run)

    def _later(self, seconds: float, run: _Run | None, slot: Slot | None, *, ends: bool) -> None:
        """Note that a slot becomes free, and that a container of the run ends, or else that it may go on."""
        if seconds < math.inf:
            self._ties += 1
            heapq.heappush(self._agenda, (self.now + seconds, self._ties, run, slot, ends))

    def times(self) -> dict[int, Times]:
        """Play until nothing happens any more."""
        for team in self._teams.values():
            self._look(team)
        while self._agenda:
            self.now = self._agenda[0][0]
            while self._agenda and self._agenda[0][0] <= self.now:
                self._happen(*heapq.heappop(self._agenda)[2:])
            self._deal_out()
        return {key: Times(run.start, run.finish) for key, run in self._runs.items()}

    def _happen(self, run: _Run | None, slot: Slot | None, ends: bool) -> None:
        if slot is not None:
            self._free.append(slot)
        if run is None:
            return
        team = self._teams[run.work.line]
        if ends:
            self._end(run, team)
        else:
            run.ready, run.gated = True, False
        if run.is_over and run.finish == math.inf:
            self._finish(run)
        self._look(team)

    def _finish(self, run: _Run) -> None:
        """All its containers have ended; what is left is scored."""
        team = self._teams[run.work.line]
        run.finish = self.now + run.work.pace.scoring
        team.under_way -= 1
        team.runs.remove(run)

    def _end(self, run: _Run, team: _Team) -> None:
        """A container of the run ends; its canary is scored before the rest follows."""
        run.at_work -= 1
        team.slots -= 1
        if run.gated:
            self._later(min(run.work.pace.scoring, run.work.pace.canary), run, None, ends=False)

    def _deal_out(self) -> None:
        """Free slots go to who is next of those whom they fit, the least useful that fits first."""
        self._free.sort(key=usefulness)
        while self._free and (found := self._next()):
            run, team, slot = found
            self._free.remove(slot)
            self._later(self._begin_container(run, team), run, slot, ends=True)
            self._last_turn += 1
            team.number = self._last_turn
            team.slots += 1
            run.at_work += 1
            self._look(team)

    def _look(self, team: _Team) -> None:
        """Find a team's next places anew, after something changed."""
        team.look()
        for needs, head in team.best.items():
            self._ties += 1
            heapq.heappush(self._heads[needs], (head[0], self._ties, head, team))

    def _next(self) -> tuple[_Run, _Team, Slot] | None:
        heads = []
        for needs, one in self._kinds.items():
            if slot := fitting(self._free, one):
                heap = self._heads[needs]
                while heap and heap[0][3].best.get(needs) is not heap[0][2]:
                    heapq.heappop(heap)
                heads += [(*heap[0][2], heap[0][3], slot)] if heap else []
        best = min(heads, key=lambda head: head[0], default=None)
        return best[1:] if best else None

    def _begin_container(self, run: _Run, team: _Team) -> float:
        """Give the run's next container its cases; how long it takes."""
        if not run.began:
            run.began, run.start = True, self.now
            team.under_way += 1
            run.gated = run.work.needs_canary
        elif run.work.needs_canary and run.waiting == run.work.cases:
            run.gated = True  # it was put aside before its canary
        cases = 1 if run.gated else min(run.size, run.waiting)
        run.waiting = max(0, run.waiting - cases)
        return run.work.pace.canary if run.gated else cases * run.work.pace.case
