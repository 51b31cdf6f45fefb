"""Scores of runs as arrays: they say what results and standings say, with or without an array that was written."""

from random import Random

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import evaluation
from leaderboard.journey import pipeline
from leaderboard.models import Case, Phase, Run, RunCase, RunScores, Standing, Submission
from leaderboard.processes import sweeper
from leaderboard.scores import aggregates, arrays, layout
from tests.evaluation import builders
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.web.scene import in_state

pytestmark = pytest.mark.django_db
NAMES = [
    "case_b",
    "Case_c",
    "case_a",
    "case_É",
    "case_B",
    "case_d",
    "case_e",
]  # databases sort these in ways of their own
WAYS = ["written", "read from results"]


@pytest.fixture
def phase() -> Phase:
    """Seven cases with one to four findings each, in an order of their own."""
    made = cast.phase(cast.case_set(len(NAMES)), cases_are_public=True, runs_per_day=20)
    for number, (case, name) in enumerate(zip(Case.objects.order_by("pk"), NAMES, strict=True)):
        Case.objects.filter(pk=case.pk).update(name=name)
        for channel in range(1, 1 + number % 4):
            case.findings.create(channel=channel, text="x", category="1a", entity_count=1, voxels=9 + number)
    return made


def aggregated(team, phase, seed: int, **fields) -> Run:
    """A run that was scored, with results of its own, one of them lost."""
    run = cast.submit_checked(team, phase, **fields).runs.get()
    rng = Random(seed)
    for row in run.cases.select_related("case").prefetch_related("case__findings"):
        found = [
            builders.finding_result(one.category, dice=rng.random(), tp=rng.randrange(5), key=str(one.channel))
            for one in row.case.findings.all()
        ]
        result = builders.case_result(row.case.name, *found)
        if row.case.name == "case_d":
            result = {**result, "status": "invalid", "reason": "its shape is another"}
        RunCase.objects.filter(pk=row.pk).update(outcome="finished", result=result)
    aggregates.aggregate(run)
    return in_state(run, "scored", evaluation_version=evaluation.VERSION)


@pytest.fixture
def runs(team, phase) -> list[Run]:
    return [aggregated(team, phase, seed) for seed in range(3)]


def keys(runs: list[Run]) -> list[int]:
    return [run.pk for run in runs]


def as_of(way: str) -> None:
    """With their arrays, or as if they had been scored before there were any."""
    if way != "written":
        RunScores.objects.all().delete()


def means(dice: np.ndarray, phase: Phase) -> list[list[float]]:
    """Of each run its mean Dice, and the ends of the interval around it."""
    found = evaluation.resampled_means(dice, seed=evaluation.seed_from(phase.case_set.digest))
    return [[one[0], *np.percentile(one[1:], evaluation.PERCENTILES).tolist()] for one in found]


# --- what they say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scope", ["all", "half"])
def test_dice_of_cases_make_the_standings_to_the_bit(phase, runs, scope, way):
    as_of(way)
    dice, in_half = arrays.case_dice(keys(runs)), arrays.cases_of(runs[0].pk).in_public_half
    assert dice.shape == (3, 7)
    assert 0 < in_half.sum() < 7
    standings = [Standing.objects.get(run=run, scope=scope).summary for run in runs]
    expected = [[one["dice"], *(one["confidence_intervals"]["dice"] or ())] for one in standings]
    assert means(dice if scope == "all" else dice[:, in_half], phase) == expected


@pytest.mark.parametrize("way", WAYS)
def test_every_number_of_a_result_stands_at_the_place_of_its_finding(runs, way):
    as_of(way)
    run = runs[1]
    scores = arrays.of_run(run.pk)
    assert scores.cases.names == tuple(sorted(NAMES))
    results = {row.case.name: row.result for row in run.cases.select_related("case")}
    for place, name in enumerate(scores.cases.names):
        assert scores.statuses[place] == results[name]["status"]
        rows = scores.findings[scores.case_of == place]
        assert [str(channel) for channel in rows["channel"]] == [one["finding"] for one in results[name]["findings"]]
        for column in ("dice", "tp", "distance_fn", "hit"):
            assert rows[column].tolist() == [one[column] for one in results[name]["findings"]], column
    assert scores.case_dice.tolist() == arrays.case_dice([run.pk])[0].tolist()
    in_half = Case.objects.filter(in_public_half=True).values_list("name", flat=True)
    assert set(np.array(scores.cases.names)[scores.cases.in_public_half]) == set(in_half)


def test_runs_come_in_the_order_in_which_they_are_asked_for(runs):
    one, two, three = keys(runs)
    RunScores.objects.filter(run=two).delete()
    in_order = arrays.case_dice([one, two, three])
    assert (arrays.case_dice([three, one, two]) == in_order[[2, 0, 1]]).all()
    assert [scores.run for scores in arrays.of_runs([two, three, one])] == [two, three, one]


def test_no_runs_have_no_numbers(db):
    assert arrays.case_dice([]).shape == (0, 0)
    assert arrays.of_runs([]) == []


def test_how_many_are_read_asks_no_more_questions(runs):
    for some in (keys(runs)[:1], keys(runs)):
        with CaptureQueriesContext(connection) as asked:
            arrays.case_dice(some)
        assert len(asked) == 1
        with CaptureQueriesContext(connection) as asked:
            arrays.of_runs(some)
        assert len(asked) == 2
        assert "result" not in "".join(one["sql"] for one in asked)


# --- what does not fit ------------------------------------------------------------------------------------------------


def test_runs_on_different_cases_have_no_common_array(team, phase, runs):
    other = cast.phase(cast.case_set(7, name="others"), slug="other", cases_are_public=True)
    one_more = aggregated(team, other, 1)
    with pytest.raises(ValueError, match="different cases"):
        arrays.case_dice([runs[0].pk, one_more.pk])
    assert [len(one.findings) for one in arrays.of_runs([runs[0].pk, one_more.pk])] == [16, 7], "each by itself"


def test_an_array_whose_cases_changed_is_not_read_as_theirs(runs):
    Case.objects.filter(name="case_a").update(name="zz")
    with pytest.raises(ValueError, match="does not fit"):
        arrays.of_run(runs[0].pk)


def test_a_run_that_is_not_scored_has_no_scores(team, phase, runs):
    waiting = cast.submit_checked(team, phase).runs.get()
    for read in (arrays.case_dice, arrays.of_runs):
        with pytest.raises(LookupError, match=f"run {waiting.pk} was not scored"):
            read([runs[0].pk, waiting.pk])


# --- evaluation versions ----------------------------------------------------------------------------------------------


def test_the_numbers_of_an_older_evaluation_version_stay_beside_the_new_ones(runs):
    run = runs[0]
    old, results = arrays.case_dice([run.pk]), [row.result for row in run.cases.all()]
    for result in results:
        for finding in result["findings"]:
            finding["dice"] /= 2
    arrays.write(run.pk, results, "2")
    assert (arrays.case_dice([run.pk]) == old).all()
    assert (arrays.case_dice([run.pk], "2") == old / 2).all()
    assert RunScores.objects.filter(run=run).count() == 2


def test_results_are_not_taken_for_those_of_another_evaluation_version(runs):
    RunScores.objects.all().delete()
    with pytest.raises(LookupError, match="evaluation version 2"):
        arrays.case_dice(keys(runs), "2")


# --- written ----------------------------------------------------------------------------------------------------------


def test_a_run_has_its_array_when_it_is_scored(team):
    phase = masks.small_phase(3)
    run = cast.submit_checked(team, phase).runs.get()
    host = cast.host()
    pipeline.fill_slots()
    gpu_host.finish_run(host, run, masks.nifti(masks.cube()))
    assert run.state == "scored"
    [row] = RunScores.objects.all()
    assert (row.run, row.evaluation_version, row.layout) == (run, run.evaluation_version, layout.LAYOUT)
    standing = Standing.objects.get(run=run, scope="all")
    assert 0 < standing.dice < 1
    assert means(arrays.case_dice([run.pk]), phase)[0][0] == standing.dice


def test_aggregating_again_replaces_the_array(runs):
    run = runs[0]
    row = run.cases.get(case__name="case_b")
    row.result["findings"][0]["dice"] = 0.125
    row.save()
    aggregates.aggregate(run)
    assert RunScores.objects.filter(run=run).count() == 1
    assert arrays.of_run(run.pk).case_dice[list(arrays.cases_of(run.pk).names).index("case_b")] == 0.125


def test_a_tryout_has_the_array_of_its_few_cases(team, phase):
    run = cast.submit_checked(team, phase).runs.get()
    run.cases.exclude(case__name__in=["case_a", "case_B"]).delete()
    for row in run.cases.select_related("case"):
        found = [builders.finding_result(key=str(one.channel)) for one in row.case.findings.all()]
        RunCase.objects.filter(pk=row.pk).update(result=builders.case_result(row.case.name, *found))
    aggregates.aggregate(run)
    assert arrays.of_run(run.pk).cases.names == ("case_B", "case_a")


# --- runs of before ---------------------------------------------------------------------------------------------------


def test_the_sweeper_makes_the_arrays_of_runs_of_before(runs):
    before = {row.run_id: (bytes(row.cases), bytes(row.findings), row.digest) for row in RunScores.objects.all()}
    RunScores.objects.all().delete()
    sweeper.sweep()
    after = {row.run_id: (bytes(row.cases), bytes(row.findings), row.digest) for row in RunScores.objects.all()}
    assert after == before != {}
    assert arrays.missing() == []


def test_it_makes_some_at_a_time_and_goes_on_where_it_was(runs, monkeypatch):
    RunScores.objects.all().delete()
    monkeypatch.setattr(arrays, "AT_ONCE", 2)
    left = []
    for _ in range(2):
        sweeper.sweep()
        left.append(len(runs) - RunScores.objects.count())
    assert left == [1, 0]


def test_one_that_cannot_be_made_does_not_keep_the_others_waiting(runs):
    RunScores.objects.all().delete()
    Run.objects.get(pk=runs[2].pk).cases.filter(case__name="case_a").update(result={"name": "case_a", "findings": []})
    Run.objects.get(pk=runs[1].pk).cases.update(result=None)
    sweeper.sweep()
    assert list(RunScores.objects.values_list("run", flat=True)) == [runs[0].pk]


def test_an_array_of_another_layout_is_not_read_and_is_made_anew(runs):
    dice = arrays.case_dice(keys(runs))
    RunScores.objects.update(layout=layout.LAYOUT + 1, findings=b"of another kind")
    assert (arrays.case_dice(keys(runs)) == dice).all()
    sweeper.sweep()
    assert set(RunScores.objects.values_list("layout", flat=True)) == {layout.LAYOUT}
    assert (arrays.case_dice(keys(runs)) == dice).all()


def test_they_go_with_their_run_and_with_nothing_else(runs):
    Submission.objects.filter(pk=runs[0].submission_id).delete()
    assert set(RunScores.objects.values_list("run", flat=True)) == {runs[1].pk, runs[2].pk}
