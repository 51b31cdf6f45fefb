"""What the database says of a season: teams' runs and what they took, the last rush, hosts, pauses."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum

from leaderboard.core.minutes import found_once, minute_of
from leaderboard.hosts.slots import hosts_that_take_work, slots_of
from leaderboard.models import Attempt, Case, Maintenance, Phase, RunCase, Submission, Team, TeamApproval
from leaderboard.operations.capacity.model import Foreseen, Season, TeamSoFar, foresee
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
    phases = Phase.objects.published().filter(opens_at__lte=at, closes_at__gt=at)
    phases = phases.filter(slug=slug) if slug else phases.exclude(takes=Phase.Takes.MASKS)
    phase = phases.order_by("closes_at", "pk").first()
    if phase is None:
        return None
    needs = _Needs(phase)
    gpus = sum(max(1, phase.gpus) for host in hosts_that_take_work(at) for slot in slots_of(host) if slot.takes(needs))
    pauses = tuple(_pauses(at, phase.closes_at))
    question = "capacity", phase.pk, phase.closes_at, phase.runs_per_day, phase.runs_total, gpus, pauses
    return found_once(at, question, lambda: _capacity(phase, minute_of(at), gpus, pauses))


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


def _capacity(phase: Phase, at: datetime, gpus: int, pauses: Sequence[tuple[datetime, datetime]]) -> Capacity:
    hours = _Hours(phase)
    teams = _teams(phase, at, hours)
    season = Season(
        left=(phase.closes_at - at).total_seconds(),
        length=(phase.closes_at - phase.opens_at).total_seconds(),
        teams=teams,
        open_hours=_open_hours(hours),
        gpus=gpus,
        pauses=[((begin - at).total_seconds(), (end - at).total_seconds()) for begin, end in pauses],
        rush=_last_rush(at, phase),
    )
    return Capacity(phase, at, len(teams), gpus, foresee(season))


class _Hours:
    """GPU hours that a case takes, by team and phase, as far as containers have told; in this phase for a whole run."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
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

    def of_a_case(self, team: int, phase: int | None = None) -> float | None:
        """Of this team: in this phase, else in whichever it was."""
        here = self._of_a_case.get((team, phase or self._phase.pk))
        return here if here is not None else self._elsewhere.get(team)

    def of_a_run(self, team: int) -> float | None:
        """Of this team, in the phase that is looked at."""
        case = self.of_a_case(team)
        return None if case is None else case * self.cases.get(self._phase.case_set_id, 0)


def _teams(phase: Phase, at: datetime, hours: _Hours) -> list[TeamSoFar]:
    """The teams that may hand in: all, or those that are approved, where the phase asks for that."""
    charged = Submission.objects.filter(phase=phase, kind=SubmissionKind.SCORED, charged=True).order_by()
    today = Count("pk", filter=Q(quota_day=at.astimezone(UTC).date()))
    used = {team: of for team, *of in charged.values_list("team").annotate(Count("pk"), today=today)}
    days = (phase.closes_at.astimezone(UTC).date() - at.astimezone(UTC).date()).days
    found = []
    for team in sorted({*_who_may(phase), *used}):
        total, of_today = used.get(team, (0, 0))
        of_days = max(0, phase.runs_per_day - of_today) + days * phase.runs_per_day
        left = max(0, min(phase.runs_total - total, of_days))
        found.append(TeamSoFar(total, left, hours.of_a_run(team)))
    return found


def _who_may(phase: Phase) -> QuerySet[Any, int]:
    if phase.requires_approval:
        approved = TeamApproval.objects.filter(phase=phase, state=TeamApproval.State.APPROVED)
        return approved.values_list("team", flat=True)
    return Team.objects.filter(is_of_organisers=False).values_list("pk", flat=True)


def _open_hours(hours: _Hours) -> float:
    """GPU hours of all that waits or is under way, in whichever phase: hosts do it all."""
    rows = RunCase.objects.filter(decided_at=None, run__state__in=_OPEN, run__submission__entry=_OF_AN_IMAGE)
    of = ("run__submission__team", "run__submission__phase")
    left = rows.order_by().values_list(*of).annotate(Count("pk"))
    found = [cases * (hours.of_a_case(team, phase) or hours.middle or 0.0) for team, phase, cases in left]
    return float(sum(found))


def _last_rush(at: datetime, phase: Phase) -> list[list[float]]:
    """The runs of the phase that closed last, by team: how many seconds before its deadline they were handed in."""
    scored = Submission.objects.filter(kind=SubmissionKind.SCORED, phase__closes_at__lte=at, phase__is_draft=False)
    last = (
        scored.exclude(phase=phase)
        .order_by()
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
