"""The database that benchmarks and the test of query counts stand on is what the server itself would have left."""

import pytest
from django.db import transaction
from django.db.models import F, Q
from django.db.models.fields.json import KT

from leaderboard.models import Attempt, Batch, Run, RunCase, RunScores, Standing, Submission
from leaderboard.scores import aggregates
from leaderboard.states import BatchState, RunState
from tests.bench import population
from tests.bench.plan import Size

pytestmark = pytest.mark.django_db
SMALL = Size(teams=6, runs=4, cases=6, hosts=2, batch_size=2, kinds=3, distinct=2)


def rows() -> list[tuple[object, ...]]:
    """What was written, without keys and instants."""
    submissions = Submission.objects.order_by("algorithm").values_list("algorithm", "state", "track", "method")
    cases = RunCase.objects.order_by("run__submission__algorithm", "run__number", "position")
    columns = ("run__submission__algorithm", "run__state", "case__name", "outcome", "seconds", "result")
    return [*submissions, *cases.values_list(*columns)]


def test_the_same_seed_gives_the_same_rows():
    found = []
    for seed in (1, 1, 2):
        with transaction.atomic():
            population.fill(SMALL, seed=seed)
            found.append(rows())
            transaction.set_rollback(True)
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_standings_and_arrays_are_what_the_server_makes_of_the_cases():
    population.fill(SMALL)
    columns = ("scope", "dice", "cases", "lost_cases", "summary", "groups")
    of_arrays = ("evaluation_version", "layout", "digest", "cases", "findings")
    for run in Run.objects.filter(state=RunState.SCORED)[:3]:
        written = list(run.standings.order_by("scope").values_list(*columns)), list(run.scores.values_list(*of_arrays))
        Standing.objects.filter(run=run).delete()
        RunScores.objects.filter(run=run).delete()
        aggregates.aggregate(run)
        assert written[0] == list(run.standings.order_by("scope").values_list(*columns))
        assert written[1] == list(run.scores.values_list(*of_arrays))


def test_rows_go_together_as_the_journey_leaves_them():
    population.fill(SMALL)
    assert set(Run.objects.values_list("state", flat=True)) >= {"scored", "queued", "running"}
    of_ended = RunCase.objects.filter(run__state=RunState.SCORED)
    assert not of_ended.filter(Q(result=None) | Q(outcome="") | Q(batch=None)).exists()
    assert not of_ended.alias(named=KT("result__name")).exclude(named=F("case__name")).exists()
    assert not RunCase.objects.filter(run__state=RunState.QUEUED).exclude(outcome="", batch=None).exists()
    leased = set(Batch.objects.filter(state=BatchState.LEASED).values_list("pk", "fence", "host"))
    assert leased
    assert leased == set(Attempt.objects.filter(ended_at=None).values_list("batch", "fence", "host"))
    last = {run.pk: run.history.filter(batch=None).last() for run in Run.objects.all()}
    assert {pk: change and change.to_state for pk, change in last.items()} == dict(
        Run.objects.values_list("pk", "state")
    )
