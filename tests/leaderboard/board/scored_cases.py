"""Runs that were scored case by case, with results of their own: what exports of a board are made of."""

from datetime import timedelta
from random import Random
from typing import Any

import evaluation
from evaluation import CaseResult
from leaderboard.core import clock
from leaderboard.models import Phase, Run, RunCase, Submission, Team
from leaderboard.scores import aggregates
from tests.evaluation import builders
from tests.leaderboard import cast
from tests.leaderboard.web.scene import in_state

CATEGORIES = ("1a", "2a", "2d", "2e")


def phase(cases: int = 24, **fields) -> Phase:
    """A phase whose cases have one to three findings each, of four categories and of many sizes."""
    made = cast.phase(cast.case_set(cases, name=fields.pop("cases_name", "cases")), runs_per_day=20, **fields)
    rng = Random(3)
    for number, case in enumerate(made.case_set.cases.order_by("name")):
        case.findings.all().delete()
        for channel in range(1 + number % 3):
            more = {"text": f"A finding in case {number}", "entity_count": 1, "voxels": rng.randrange(5, 3000)}
            case.findings.create(channel=channel, category=rng.choice(CATEGORIES), **more)
    return made


def end(phase: Phase, **fields) -> Phase:
    """Its deadline was an hour ago, and the reveal half an hour ago; what was handed in was so before."""
    now = clock.now()
    instants = {"closes_at": now - timedelta(hours=1), "revealed_at": now - timedelta(minutes=30), **fields}
    Phase.objects.filter(pk=phase.pk).update(opens_at=now - timedelta(days=9), **instants)
    Submission.objects.filter(phase=phase).update(accepted_at=now - timedelta(hours=2))
    phase.refresh_from_db()
    return phase


def run(team: Team, phase: Phase, skill: float, *, lost: int = 0, seconds: float | None = None, **fields) -> Run:
    """A run that was scored, the better the higher its `skill`; of its first cases some are lost.

    With `seconds`, each of its containers took so long for each of its four cases, and 100 s for the first of them.
    """
    submission = cast.submit_checked(team, phase, **fields)
    made, rng = submission.runs.get(), Random(f"{team.slug} {skill}")
    cases = made.cases.select_related("case").prefetch_related("case__findings").order_by("case__name")
    for number, row in enumerate(cases):
        row.outcome, row.result = "finished", _result(row, rng, skill, is_lost=number < lost)
    RunCase.objects.bulk_update(cases, ["outcome", "result"])
    if seconds is not None:
        _time(made, seconds)
    aggregates.aggregate(made)
    return in_state(made, "scored", evaluation_version=evaluation.VERSION, ended_at=clock.now() - timedelta(minutes=2))


def _result(row: RunCase, rng: Random, skill: float, *, is_lost: bool) -> CaseResult:
    found = []
    for one in row.case.findings.all():
        dice = 0.0 if is_lost else min(1.0, max(0.0, rng.gauss(skill, 0.25)))
        tp, fp, fn = (0, 0, 2) if is_lost else (rng.randrange(3), rng.randrange(3), rng.randrange(2))
        distance = (tp, fp, fn)
        found.append(
            builders.finding_result(
                one.category, dice=dice, tp=tp, fp=fp, fn=fn, distance=distance, key=str(one.channel)
            )
        )
    become: Any = {"status": "missing", "reason": "no mask written"} if is_lost else {}
    result: Any = builders.case_result(row.case.name, *found)
    return result | become


def _time(run: Run, seconds: float) -> None:
    rows = list(run.cases.order_by("position"))
    for number, row in enumerate(rows):
        if number % 4 == 0:
            batch = run.batches.create(number=100 + number, state="scored")
        RunCase.objects.filter(pk=row.pk).update(batch=batch, seconds=100.0 if number % 4 == 0 else seconds)
