"""What the database says of a season: teams' runs and what they took, the last rush, hosts, pauses."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum

from leaderboard.core.minutes import found_once, minute_of
from leaderboard.core.once import once
from leaderboard.hosts.slots import hosts_that_take_work, slots_of
from leaderboard.models import Attempt, Case, Maintenance, Phase, RunCase, Submission, Team, TeamApproval
from leaderboard.operations.capacity.model import Foreseen, Season, TeamSoFar, foresee_all
from leaderboard.states import ACTIVE_RUN_STATES, RunState, SubmissionKind

MOST_OF_A_RUSH = 20_000  # runs that are looked at
FEWEST_OF_A_RUSH = 20  # fewer tell nothing
_OPEN = (*ACTIVE_RUN_STATES, RunState.QUEUED, RunState.HALTED)
_OF_AN_IMAGE = Submission.Entry.IMAGE


@dataclass(frozen=True)
class Capacity:
    """What is foreseen of a phase; None while no run of anything like it was seen."""

    phase: Phase
    at: datetime
    teams: int
    gpus: int
    foreseen: Foreseen | None

    @property
    def last_runs_start(self) -> str:
        """When the last runs would start, in words."""
        late = self.foreseen.late_hours if self.foreseen else 0.0
        return "never: no host takes work" if math.isinf(late) else f"{late:.1f} h after the deadline"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        told: dict[str, Any] = {
            "phase": self.phase.slug,
            "at": self.at,
            "deadline": self.phase.closes_at,
            "teams": self.teams,
            "gpus": self.gpus,
            "foreseen": None,
        }
        if found := self.foreseen:
            told["foreseen"] = {
                "fits": str(found.verdict),
                "gpu_hours": round(found.hours, 1),
                "interval": [round(found.low, 1), round(found.high, 1)],
                "gpu_hours_there": round(found.there, 1),
                "runs_to_come": round(found.runs, 1),
                "last_runs_late_hours": round(found.late_hours, 1) if math.isfinite(found.late_hours) else None,
                "steps": [
                    {
                        "at": self.at + timedelta(seconds=step.seconds),
                        "gpu_hours": round(step.hours, 1),
                        "interval": [round(step.low, 1), round(step.high, 1)],
                        "gpu_hours_there": round(step.there, 1),
                    }
                    for step in found.steps
                ],
            }
        return told


def capacity_at(at: datetime, slug: str = "") -> Capacity | None:
    """Of the open phase that closes first, or of this one; None when none is open that takes images."""
    if not slug:
        return next(iter(capacities_at(at)), None)
    open_ones = _open_phases(at)
    chosen = next((one for one in open_ones if one.slug == slug), None)
    if chosen is None:
        return None
    return next(one for one in _capacities(at, [chosen, *_of_images(open_ones)]) if one.phase.pk == chosen.pk)


def capacities_at(at: datetime) -> list[Capacity]:
    """Of each open phase that takes images, by their deadlines: what all of them need until then."""
    return once(("capacities", at), lambda: _capacities(at, _of_images(_open_phases(at))))


def _open_phases(at: datetime) -> list[Phase]:
    return list(Phase.objects.published().filter(opens_at__lte=at, closes_at__gt=at).order_by("closes_at", "pk"))


def _of_images(phases: Sequence[Phase]) -> list[Phase]:
    return [one for one in phases if one.takes != Phase.Takes.MASKS]


def _capacities(at: datetime, phases: Sequence[Phase]) -> list[Capacity]:
    if not phases:
        return []
    phases = list({one.pk: one for one in phases}.values())
    slots = [slot for host in hosts_that_take_work(at) for slot in slots_of(host)]
    gpus = [sum(max(1, one.gpus) for slot in slots if slot.takes(_Needs(one))) for one in phases]
    pauses = tuple(_pauses(at, max(one.closes_at for one in phases)))
    limits = tuple((one.pk, one.closes_at, one.runs_per_day, one.runs_total) for one in phases)
    return found_once(
        at, ("capacity", limits, tuple(gpus), pauses), lambda: _found(phases, minute_of(at), gpus, pauses)
    )


@dataclass(frozen=True)
class _Needs:
    phase: Phase

    @property
    def gpus(self) -> int:
        return self.phase.gpus

    @property
    def cases_are_public(self) -> bool:
        return self.phase.cases_are_public

    has_weights = False


def _pauses(at: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    rows = Maintenance.objects.filter(cancelled_at=None, ends_at__gt=at, begins_at__lt=until)
    return list(rows.values_list("begins_at", "ends_at"))


def _found(
    phases: Sequence[Phase], at: datetime, gpus: Sequence[int], pauses: Sequence[tuple[datetime, datetime]]
) -> list[Capacity]:
    hours, rush = _Hours(), _last_rush(at)
    open_hours, teams = _open_hours(hours), _teams(phases, at, hours)
    seasons = [
        Season(
            left=(phase.closes_at - at).total_seconds(),
            length=(phase.closes_at - phase.opens_at).total_seconds(),
            teams=teams[phase.pk],
            open_hours=open_hours,
            gpus=of_phase,
            pauses=[((begin - at).total_seconds(), (end - at).total_seconds()) for begin, end in pauses],
            rush=rush,
        )
        for phase, of_phase in zip(phases, gpus, strict=True)
    ]
    return [
        Capacity(phase, at, len(season.teams), season.gpus, foreseen)
        for phase, season, foreseen in zip(phases, seasons, foresee_all(seasons), strict=True)
    ]


class _Hours:
    """GPU hours that a case takes, by team and phase, as far as containers have told; and those of a whole run."""

    def __init__(self) -> None:
        self.cases = dict(Case.objects.order_by().values_list("case_set").annotate(Count("pk")))
        phases = Phase.objects.values_list("pk", "case_set", "gpus")
        sets, gpus = {pk: case_set for pk, case_set, _ in phases}, {pk: number for pk, _, number in phases}
        of = ("batch__run__submission__team", "batch__run__submission__phase")
        ended = Attempt.objects.filter(batch__run__state=RunState.SCORED, ended_at__isnull=False).order_by()
        ended = ended.filter(batch__run__submission__kind=SubmissionKind.SCORED)
        took, of_runs = Sum(F("ended_at") - F("claimed_at")), Count("batch__run", distinct=True)
        held = ended.values_list(*of).annotate(took=took, of_runs=of_runs)
        self._of_a_case = {
            (team, where): length.total_seconds() / 3600 / runs / cases * max(1, gpus[where])
            for team, where, length, runs in held
            if (cases := self.cases.get(sets[where]))
        }
        self._elsewhere = {team: hours for (team, _), hours in self._of_a_case.items()}
        found = sorted(self._of_a_case.values())
        self.middle = found[len(found) // 2] if found else None

    def of_a_case(self, team: int, phase: int) -> float | None:
        """Of this team: in this phase, else in whichever it was."""
        here = self._of_a_case.get((team, phase))
        return here if here is not None else self._elsewhere.get(team)

    def of_a_run(self, team: int, phase: Phase) -> float | None:
        """Of this team, in this phase."""
        case = self.of_a_case(team, phase.pk)
        return None if case is None else case * self.cases.get(phase.case_set_id, 0)


def _teams(phases: Sequence[Phase], at: datetime, hours: _Hours) -> dict[int, list[TeamSoFar]]:
    """By phase, the teams that may hand in: all, or those that are approved, where the phase asks for that."""
    charged = Submission.objects.filter(phase__in=phases, kind=SubmissionKind.SCORED, charged=True).order_by()
    today = Count("pk", filter=Q(quota_day=at.astimezone(UTC).date()))
    used: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for of, team, total, of_today in charged.values_list("phase", "team").annotate(Count("pk"), today=today):
        used[of][team] = total, of_today
    may = _who_may(phases)
    return {one.pk: _teams_of(one, at, hours, may[one.pk], used[one.pk]) for one in phases}


def _teams_of(
    phase: Phase, at: datetime, hours: _Hours, may: set[int], used: Mapping[int, tuple[int, int]]
) -> list[TeamSoFar]:
    days = (phase.closes_at.astimezone(UTC).date() - at.astimezone(UTC).date()).days
    found = []
    for team in sorted({*may, *used}):
        total, of_today = used.get(team, (0, 0))
        of_days = max(0, phase.runs_per_day - of_today) + days * phase.runs_per_day
        left = max(0, min(phase.runs_total - total, of_days))
        found.append(TeamSoFar(total, left, hours.of_a_run(team, phase)))
    return found


def _who_may(phases: Sequence[Phase]) -> dict[int, set[int]]:
    asking = [one.pk for one in phases if one.requires_approval]
    approved: dict[int, set[int]] = {pk: set() for pk in asking}
    rows = TeamApproval.objects.filter(phase__in=asking, state=TeamApproval.State.APPROVED)
    for of, team in rows.values_list("phase", "team"):
        approved[of].add(team)
    every = set(Team.objects.filter(is_of_organisers=False).values_list("pk", flat=True))
    return {one.pk: approved.get(one.pk, every) for one in phases}


def _open_hours(hours: _Hours) -> float:
    """GPU hours of all that waits or is under way, in whichever phase: hosts do it all."""
    rows = RunCase.objects.filter(decided_at=None, run__state__in=_OPEN, run__submission__entry=_OF_AN_IMAGE)
    of = ("run__submission__team", "run__submission__phase")
    left = rows.order_by().values_list(*of).annotate(Count("pk"))
    found = [cases * (hours.of_a_case(team, phase) or hours.middle or 0.0) for team, phase, cases in left]
    return float(sum(found))


def _last_rush(at: datetime) -> list[list[float]]:
    """The runs of the phase that closed last, by team: how many seconds before its deadline they were handed in."""
    scored = Submission.objects.filter(kind=SubmissionKind.SCORED, phase__closes_at__lte=at, phase__is_draft=False)
    last = (
        scored.order_by()
        .values_list("phase", "phase__closes_at")
        .annotate(seen=Count("pk"))
        .filter(seen__gte=FEWEST_OF_A_RUSH)
        .order_by("-phase__closes_at")
        .first()
    )
    if last is None:
        return []
    found: dict[int, list[float]] = defaultdict(list)
    rows = Submission.objects.filter(kind=SubmissionKind.SCORED, phase=last[0], accepted_at__lt=last[1])
    for team, accepted_at in rows.order_by("-accepted_at").values_list("team", "accepted_at")[:MOST_OF_A_RUSH]:
        found[team].append((last[1] - accepted_at).total_seconds())
    return list(found.values())
