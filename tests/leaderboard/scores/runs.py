"""Runs whose cases have results, and so arrays and standings, without any mask."""

from datetime import timedelta
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import evaluation
from leaderboard.core import clock
from leaderboard.models import Phase, Run, RunCase, Team
from leaderboard.scores import aggregates
from tests.evaluation import builders
from tests.leaderboard import cast
from tests.leaderboard.web.scene import in_state


def scored(team: Team, phase: Phase, dice: ArrayLike = 0.5, **fields: Any) -> Run:
    """A run that ended a minute ago; `dice` is that of its findings, by case and channel, or of all of them."""
    run = cast.submit_checked(team, phase, **fields).runs.get()
    left = repeat(dice) if isinstance(dice, float) else iter(np.asarray(dice).tolist())
    rows = list(run.cases.select_related("case").prefetch_related("case__findings").order_by("case__name"))
    for row in rows:
        findings = [
            builders.finding_result(one.category, dice=next(left), tp=1, key=str(one.channel))
            for one in row.case.findings.all()
        ]
        row.outcome, row.result = "finished", builders.case_result(row.case.name, *findings)
    RunCase.objects.bulk_update(rows, ["outcome", "result"])
    aggregates.aggregate(run)
    ended_at = clock.now() - timedelta(minutes=1)
    return in_state(run, "scored", evaluation_version=evaluation.VERSION, ended_at=ended_at)
