"""The queue as organisers read it: in the order in which it will run, why each stands where it does, when it starts.

The order is the scheduler's own; the times are those that teams' estimates are made of (progress/estimates.py), so they
are as of the last full minute. A pause that lasts puts them off by what is left of it.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from leaderboard.challenge import maintenance
from leaderboard.hosts.slots import hosts_that_take_work, slots_of
from leaderboard.journey import scheduling
from leaderboard.journey.forecast import Times, forecast
from leaderboard.models import Run
from leaderboard.progress.line import line_at
from leaderboard.states import ACTIVE_RUN_STATES, SubmissionKind


@dataclass(frozen=True)
class Waiting:
    """A run that waits: its place, why that, and about when it starts and ends; None where nobody knows."""

    place: int
    run: Run
    why: str
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True)
class Queue:
    """The runs that wait, in their order; `about` says more of some of them."""

    at: datetime
    runs: Sequence[Run]

    def __len__(self) -> int:
        return len(self.runs)

    def about(self, first: int, count: int) -> list[Waiting]:
        """The runs from this place on (0 is the first), with all that the page says."""
        line = line_at(self.at)
        times = forecast(line.works, line.slots, line.turns)
        pause = maintenance.next_pause(self.at)
        begins = max(self.at, pause.ends_at) if pause and pause.is_on(self.at) else line.minute
        chosen = [run.pk for run in self.runs[first : first + count]]
        rows = Run.objects.filter(pk__in=chosen).select_related("submission__team", "submission__phase")
        rows = rows.defer("hints", "submission__method", "submission__external_data")
        whole = {run.pk: run for run in rows.prefetch_related("submission__runs")}
        reasons = self._reasons()
        return [
            Waiting(place, whole[key], reasons[key], *_instants(times.get(key), begins))
            for place, key in enumerate(chosen, start=first + 1)
            if key in whole
        ]

    def _reasons(self) -> Mapping[int, str]:
        offered = [slot for host in hosts_that_take_work(self.at) for slot in slots_of(host)]
        under_way = Run.objects.filter(state__in=ACTIVE_RUN_STATES).order_by()
        before = Counter(
            (team, kind == SubmissionKind.SCORED)
            for team, kind in under_way.values_list("submission__team", "submission__kind")
        )
        found = {}
        for run in self.runs:
            side = run.submission.team_id, run.submission.is_scored
            fits = any(slot.takes(run.submission) for slot in offered)
            found[run.pk] = _why(run, before[side]) if fits else "No host that takes work fits it."
            before[side] += 1
        return found


def queue_at(at: datetime) -> Queue:
    """The queue at this instant."""
    return Queue(at, scheduling.queue(at))


def _why(run: Run, ahead: int) -> str:
    if scheduling.is_put_first(run):
        return "Put first by an organiser."
    if run.started_at:
        return "It had begun, and goes on before others start."
    if run.submission.kind == SubmissionKind.TRY_OUT:
        return "A try-out: behind runs that count."
    if run.submission.kind == SubmissionKind.POST_CHALLENGE:
        return "Post-challenge: when no other run waits."
    if not ahead:
        return "Its team has nothing at work: first of those, by who was served longest ago."
    return f"Teams take turns: its team has {ahead} before it, at work or in the queue."


def _instants(times: Times | None, begins: datetime) -> tuple[datetime | None, datetime | None]:
    if times is None:
        return None, None
    seconds = (times.start, times.finish)
    start, finish = (None if math.isinf(one) else begins + timedelta(seconds=one) for one in seconds)
    return start, finish
