"""The look at one run, in a real child process, within its budget."""

import numpy as np
import pytest

from evaluation import Job, score_case
from evaluation.hints import WithinBudget, look
from evaluation.isolation.scorer import IsolatedScorer
from tests.evaluation import builders

SHAPE = (3, 16, 12, 10)


def enough(scorer, **more):
    return WithinBudget(scorer, seconds_per_case=30.0, seconds_per_run=120.0, **more)


@pytest.fixture(scope="module")
def scorer():
    with IsolatedScorer() as scorer:
        yield scorer


def run_of(folder, slip, n=4):
    """Jobs of a run whose nearly right masks were all saved with a slip, their results, and those without it."""
    jobs, results, meant = [], [], []
    for number in range(n):
        reference = np.zeros(SHAPE, np.uint8)
        for channel in range(3):
            reference[channel, 1 + number : 6 + number, 4 * channel : 4 * channel + 4, channel : channel + 3] = 1
        mask = np.roll(reference, 1, axis=1)
        mask[1] = 0
        files = [builders.mask_file(folder / f"{name}{number}.nii.gz", array) for name, array in (
            ("reference", reference), ("slip", slip(mask)), ("meant", mask)
        )]  # fmt: skip
        case = builders.a_case(SHAPE, ["2a"] * 3, (1.0, 1.0, 1.0), f"case_{number}.nii.gz")
        jobs.append(Job(case, files[0], files[1]))
        results.append(score_case(case, files[0], files[1]))
        meant.append(score_case(case, files[0], files[2]))
    return jobs, results, meant


def mean(results):
    return sum(case["dice"] for case in results) / len(results)


@pytest.mark.parametrize(
    ("slip", "kind"),
    [
        (lambda m: m[:, ::-1], "turned"),
        (lambda m: m[:, :, ::-1], "turned"),
        (lambda m: m[:, :, :, ::-1], "turned"),
        (lambda m: m[::-1], "reordered"),
        (lambda m: 1 - m, "inverted"),
    ],
)
def test_a_hint_gives_the_score_of_the_masks_as_they_were_meant(tmp_path, scorer, slip, kind):
    jobs, results, meant = run_of(tmp_path, slip)
    hint = look(jobs, results, enough(scorer))[0]
    assert hint["kind"] == kind
    assert hint["dice"] == pytest.approx(mean(results))
    assert hint["corrected_dice"] == pytest.approx(mean(meant))
    assert f"{mean(meant):.3f} instead of {mean(results):.3f}" in hint["text"]


def test_nothing_is_said_of_masks_that_fit(tmp_path, scorer):
    jobs, results, _ = run_of(tmp_path, lambda mask: mask)
    assert look(jobs, results, enough(scorer)) == []


def test_cases_without_a_usable_mask_count_as_they_are(tmp_path, scorer):
    jobs, results, meant = run_of(tmp_path, lambda m: m[:, ::-1])
    jobs.append(Job(jobs[0].case, jobs[0].reference, None))
    results.append(score_case(jobs[0].case, jobs[0].reference, None))
    hint = look(jobs, results, enough(scorer))[0]
    assert hint["cases"] == 5
    assert hint["corrected_dice"] == pytest.approx(mean([*meant, results[-1]]))


def test_a_spent_budget_ends_the_look(tmp_path, scorer):
    jobs, results, _ = run_of(tmp_path, lambda m: m[:, ::-1])
    asked = []
    real = IsolatedScorer.fit

    def note(job, seconds):
        asked.append(seconds)
        return real(scorer, job, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer, "fit", note)
        spent = scorer.spent_seconds
        scorer.spent_seconds = 1000.0
        assert look(jobs, results, WithinBudget(scorer, seconds_per_case=30.0, seconds_per_run=1000.0)) == []
        assert asked == []
        scorer.spent_seconds = spent
        assert look(jobs, results, WithinBudget(scorer, seconds_per_case=7.0, seconds_per_run=1000.0))
        assert asked == [7.0] * 4


def test_a_look_pauses_before_each_question_and_goes_on_without_a_child_that_rested(tmp_path, scorer):
    jobs, results, meant = run_of(tmp_path, lambda m: m[:, ::-1])
    pauses = []

    def pause():
        scorer.rest()
        pauses.append(scorer.pid)

    [hint] = look(jobs, results, enough(scorer, before_each=pause), max_cases=3)
    assert pauses == [None] * (4 + 3)
    assert "on 3 of the 3 cases (of 4) that were tried" in hint["text"]
    assert hint["corrected_dice"] == pytest.approx(mean(meant[:3]))
