"""Many teams at once, on the real rows and the real decisions about who is next; only time is virtual.

Images are checked, batches claimed and reported, masks scored for real, but how long each takes is said, not waited
for: what a worker took on is done when the virtual clock reaches its end. A worker is a place that can be free; what it
is given is decided by the very functions that workers call.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from leaderboard.core import clock, locks
from leaderboard.journey import pipeline, scheduling
from leaderboard.models import Batch, Host, Phase, Run, Submission, Team
from leaderboard.scores import scoring
from leaderboard.states import BatchState, SubmissionState
from tests.containers.intake.build import Image
from tests.leaderboard import cast, gpu_host, masks

EVER = 1e9
MASK = masks.nifti(masks.cube())
Claim = AbstractContextManager[Any]


@dataclass(frozen=True)
class Pace:
    """How long things take, in virtual seconds: a check, a case in its container, a mask of an ordinary team."""

    check: float = 20.0
    case: float = 4.0
    mask: float = 1.0
    heavy_mask: float = 60.0


@dataclass(frozen=True)
class Places:
    """How many there are of each worker."""

    checkers: int = 1
    slots: int = 2
    scorers: int = 2


@dataclass(frozen=True)
class Event:
    """Something that happened to a run of a team: "checked", "started", "canary scored", "scored"."""

    at: float
    team: str
    run: int
    what: str


@dataclass
class Policy:
    """Who is next: the server's own answers, or others to compare them with."""

    check: Callable[[], Claim] = lambda: scheduling.next_check(processes=1)
    score: Callable[[], Claim] = lambda: scheduling.next_scoring(processes=2)
    fill_slots: Callable[..., None] = scheduling.fill_slots
    turn_seconds: float = pipeline.TURN_SECONDS


@dataclass
class Challenge:
    """Teams that each hand in several submissions at the same instant, one team after the other."""

    phase: Phase
    teams: list[Team]
    heavy: frozenset[str] = frozenset()
    pace: Pace = field(default_factory=Pace)
    places: Places = field(default_factory=Places)
    policy: Policy = field(default_factory=Policy)
    now: float = 0.0
    on_time: Callable[[float], None] = lambda _now: None
    case_seconds: Callable[[str], float] | None = None  # of a team's cases, and of the start of a container of it,
    start_seconds: Callable[[str], float] = lambda _team: 0.0  # where these differ
    events: list[Event] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=dict)  # of canaries for their scores, by team

    def __post_init__(self) -> None:
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._ties = itertools.count()
        self._free = {"check": self.places.checkers, "score": self.places.scorers}
        self._reported: dict[Any, float] = {}
        self._numbers: dict[int, int] = {}
        self._host = cast.host(slots=self.places.slots)
        self._slots = _slots_of(self._host)

    def hand_in(self, each: int) -> list[Submission]:
        """Every team hands in so many, the whole of one team's before the next team's."""
        archive = Image().saved()
        made = []
        for team in self.teams:
            for number in range(1, each + 1):
                made.append(cast.submit(team, self.phase, upload=cast.upload(archive)))
                self._numbers[made[-1].pk] = number
        return made

    def hand_in_later(self, team: Team, seconds: float) -> None:
        """The team hands in one submission at that time."""
        archive = Image().saved()

        def hand_in() -> None:
            made = cast.submit(team, self.phase, upload=cast.upload(archive))
            self._numbers[made.pk] = team.submissions.count()

        self._later(seconds, hand_in)

    def host_comes(self, seconds: float, *, slots: int) -> None:
        """Another host says hello at that time."""

        def come() -> None:
            self._slots += _slots_of(cast.host("gpu-2", slots=slots, token="another"))
            pipeline.fill_slots()

        self._later(seconds, come)

    def host_drains(self, seconds: float) -> None:
        """The first host takes nothing more from that time on."""

        def drain() -> None:
            Host.objects.filter(pk=self._host.pk).update(draining=True)
            self._slots = [(host, slot) for host, slot in self._slots if host != self._host]

        self._later(seconds, drain)

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something again and again, while anything else is to come."""

        def again() -> None:
            act()
            if self._agenda:
                self._later(seconds, again)

        self._later(seconds, again)

    def run(self) -> None:
        """Until nothing happens any more."""
        with mock.patch.object(scheduling, "fill_slots", self.policy.fill_slots):
            self._give_out()
            while self._agenda:
                self.now, _, act = heapq.heappop(self._agenda)
                self.on_time(self.now)
                Host.objects.update(seen_at=clock.now())
                act()
                self._give_out()

    def of(self, what: str) -> list[tuple[str, int]]:
        """The runs, by team and number, in the order in which this happened to them."""
        return [(event.team, event.run) for event in self.events if event.what == what]

    # --- what workers do ----------------------------------------------------------------------------------------

    def _give_out(self) -> None:
        while self._free["check"] and self._take_on("check", self.policy.check(), self._check):
            pass
        while self._free["score"] and self._take_on("score", self.policy.score(), self._score):
            pass
        while self._slots and self._claim():
            pass

    def _take_on(self, kind: str, claim: Claim, work: Callable[[Any], tuple[float, Callable[[], None]]]) -> bool:
        """Give a free worker what it claims, until that is done; False when there is nothing for it."""
        key = claim.__enter__()
        if key is None:
            claim.__exit__(None, None, None)
            return False
        seconds, finish = work(key)
        self._free[kind] -= 1

        def done() -> None:
            finish()
            claim.__exit__(None, None, None)
            self._free[kind] += 1

        self._later(seconds, done)
        return True

    def _check(self, submission_id: int) -> tuple[float, Callable[[], None]]:
        def finish() -> None:
            pipeline.validate_image(submission_id)
            submission = Submission.objects.get(pk=submission_id)
            assert submission.state == SubmissionState.ACCEPTED, submission.reason
            self._note(submission, "checked")

        return self.pace.check, finish

    def _claim(self) -> bool:
        told = Batch.objects.filter(state=BatchState.WAITING, notified_at__isnull=False).order_by("notified_at")
        batch = told.select_related("run__submission__team").first()
        if batch is None:
            return False
        host, slot = self._slots.pop(0)
        order = gpu_host.claim(host, batch, slot=slot)
        if batch.is_canary:
            self._note(batch.run.submission, "started")

        def report() -> None:
            finished = [gpu_host.finished(order, number, MASK) for number in range(len(order["cases"]))]
            if not Host.objects.get(pk=host.pk).draining:
                self._slots.append((host, slot))
            self._reported[batch.pk] = self.now
            gpu_host.report(host, order, finished)

        self._later(self._seconds(batch.run.submission.team.name, len(order["cases"])), report)
        return True

    def _seconds(self, team: str, cases: int) -> float:
        """How long a container of the team takes for so many cases."""
        one = self.case_seconds or (lambda _team: self.pace.case)
        return self.start_seconds(team) + sum(one(team) for _ in range(cases))

    def _score(self, batch_id: Any) -> tuple[float, Callable[[], None]]:
        batch = Batch.objects.select_related("run__submission__team").get(pk=batch_id)
        submission = batch.run.submission
        each = self.pace.heavy_mask if submission.team.name in self.heavy else self.pace.mask
        left = scoring.unscored(batch).count()
        in_turn = min(left, 1 + int(self.policy.turn_seconds / each))
        if batch.is_canary:
            self.waits.setdefault(submission.team.name, []).append(self.now - self._reported[batch_id])

        def finish() -> None:
            with mock.patch.object(pipeline, "TURN_SECONDS", EVER if in_turn == left else -1.0):
                for _ in range(1 if in_turn == left else in_turn):
                    pipeline.score_batch(batch_id)
            if batch.is_canary:
                self._note(submission, "canary scored")
            if Run.objects.get(pk=batch.run_id).ended_at:
                self._note(submission, "scored")

        return each * in_turn, finish

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._ties), act))

    def _note(self, submission: Submission, what: str) -> None:
        self.events.append(Event(self.now, submission.team.name, self._numbers[submission.pk], what))


def _slots_of(host: Host) -> list[tuple[Host, str]]:
    return [(host, slot["name"]) for slot in host.slots]


def challenge(teams: int, cases: int = 4, **options: Any) -> Challenge:
    """A challenge of so many teams; the first ones come first wherever somebody does."""
    case_set = cast.case_set(cases)
    masks.give_references(masks.cube())
    phase = cast.phase(case_set, runs_per_day=9, batch_size=cases)
    people = [cast.person(f"P{number:02}") for number in range(teams)]
    return Challenge(phase, [cast.team_of(person, name=f"Team {person.name}") for person in people], **options)


@contextmanager
def held(lock: str, key: Any) -> Iterator[Any]:
    """What a policy hands out by its own choice, held as a worker holds it; None is nothing."""
    if key is None:
        yield None
        return
    with locks.working_on(lock, key):
        yield key
