"""Guesses about how a mask was saved: they find the usual errors, and keep silent about a model that is just wrong."""

import numpy as np
import pytest

from evaluation.command import hints
from evaluation.command.hints import advice, describe, worth_a_look
from tests.evaluation import builders
from tests.evaluation.volumes import CUBE, GRID, blob, fitted


def result(dice, n_predicted=1, status="scored"):
    """The result of a case with one finding."""
    finding = builders.finding_result(dice=dice, n_reference=1, n_predicted=n_predicted)
    return {**builders.case_result("case", finding), "status": status}


def judge(cases):
    """Advice on cases, each a list of (prediction, reference) volumes."""
    fits = [fitted(pairs) for pairs in cases]
    results = [result(found.turned["HWD"]) for found in fits]
    return advice(results, [fits[index] for index in worth_a_look(results)])


def saved_so(change, grid=GRID, n=6, findings=2):
    """Cases whose masks are nearly right but for a change on saving."""
    rng = np.random.default_rng(1)
    cases = []
    for _ in range(n):
        lesions = [blob(rng, grid, 0.15) for _ in range(findings)]
        cases.append([(change(np.roll(lesion, 1, 0)), lesion) for lesion in lesions])
    return cases


class TestAdviceOnOrientation:
    @pytest.mark.parametrize(
        ("change", "grid", "said", "remedy"),
        [
            (lambda m: m[::-1], GRID, "flipped along H", "np.flip(mask,(1,))"),
            (lambda m: m[:, ::-1], GRID, "flipped along W", "np.flip(mask,(2,))"),
            (lambda m: m[:, :, ::-1], GRID, "flipped along D", "np.flip(mask,(3,))"),
            (lambda m: m[::-1, ::-1], GRID, "flipped along H and W", "np.flip(mask,(1,2))"),
            (
                lambda m: m.transpose(1, 0, 2),
                GRID,
                "transposed (H, W, D become W, H, D)",
                "np.transpose(mask,(0,2,1,3))",
            ),
            (
                lambda m: m.transpose(2, 1, 0),
                CUBE,
                "transposed (H, W, D become D, W, H)",
                "np.transpose(mask,(0,3,2,1))",
            ),
        ],
    )
    def test_it_names_the_flip_or_transposition_and_the_remedy(self, change, grid, said, remedy):
        (hint,) = judge(saved_so(change, grid))
        assert f"if the masks were {said}." in hint
        assert remedy in hint

    def test_it_keeps_silent_about_masks_that_fit(self):
        assert judge(saved_so(lambda mask: mask)) == []

    def test_it_says_how_many_cases_and_how_much_better(self):
        (hint,) = judge(saved_so(lambda mask: mask[::-1]))
        assert hint.startswith("on 6 of 6 cases looked at, Dice would be far better (mean 0.")

    def test_a_weak_model_is_recognised_over_many_cases(self):
        rng = np.random.default_rng(5)
        cases = saved_so(lambda mask: mask[:, ::-1], n=24, findings=1)
        for number in range(0, 24, 3):  # a third is simply wrong
            cases[number] = [(blob(rng, GRID, 0.15), cases[number][0][1])]
        assert "flipped along W" in judge(cases)[0]

    def test_a_single_case_must_fit_very_well_some_other_way(self):
        assert "flipped along D" in judge(saved_so(lambda mask: np.roll(mask, -1, 0)[:, :, ::-1], n=1))[0]
        assert judge(saved_so(lambda mask: np.roll(mask, 1, 0)[:, :, ::-1], n=1)) == []

    def test_when_most_cases_fit_it_keeps_silent_about_the_others(self):
        assert judge(saved_so(lambda mask: mask, n=9) + saved_so(lambda mask: mask[::-1], n=6)) == []

    @pytest.mark.parametrize("grid", [GRID, CUBE])
    @pytest.mark.parametrize(("radius", "n"), [(0.1, 1), (0.1, 24), (0.2, 5), (0.2, 24), (0.35, 10), (0.35, 24)])
    def test_random_masks_raise_no_alarm(self, grid, radius, n):
        alarms = 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            alarms += bool(judge([[(blob(rng, grid, radius), blob(rng, grid, radius))] for _ in range(n)]))
        assert alarms == 0

    def test_a_model_that_ignores_the_text_raises_no_alarm(self):
        rng = np.random.default_rng(2)
        cases = []
        for _ in range(12):
            lesions = [blob(rng, GRID, 0.15) for _ in range(3)]
            union = lesions[0] | lesions[1] | lesions[2]
            cases.append([(union, lesion) for lesion in lesions])
        assert judge(cases) == []


class TestOtherAdvice:
    def test_findings_in_another_order(self):
        cases = [[(b[0], a[1]), (a[0], b[1])] for a, b in saved_so(lambda mask: mask)]
        (hint,) = judge(cases)
        assert "if the findings were in another order" in hint
        assert "channel 1 shows finding 0, channel 0 shows finding 1" in hint

    def test_foreground_and_background_swapped(self):
        (hint,) = judge(saved_so(np.logical_not))
        assert "fills more than half of the volume" in hint

    def test_nothing_predicted_at_all(self):
        (hint,) = advice([result(0.0, n_predicted=0)] * 9 + [result(0.9)], [])
        assert hint.startswith("nothing is predicted for 9 of 10 findings")

    def test_lost_cases_are_not_called_empty(self):
        assert advice([result(0.0, n_predicted=0, status="missing")] * 9 + [result(0.9)], []) == []


class TestWhichCasesAreLookedAt:
    def test_none_of_a_good_run(self):
        assert worth_a_look([result(0.5)] * 30) == []

    def test_the_first_ones_of_a_poor_run_good_or_not(self):
        assert worth_a_look([result(0.9), *[result(0.01)] * 40]) == list(range(hints.MAX_CASES))

    def test_none_of_a_run_with_few_poor_ones(self):
        assert worth_a_look([result(0.9), result(0.1), result(0.9), result(0.9), result(0.0)]) == []

    def test_no_case_without_two_masks_to_compare(self):
        assert worth_a_look([result(0.0, n_predicted=0), result(0.0, n_predicted=0, status="invalid")]) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("HWD", "as saved"),
        ("hWd", "flipped along H and D"),
        ("hwd", "flipped along all three axes"),
        ("wHD", "transposed (H, W, D become W, H, D), then flipped along H"),
    ],
)
def test_orientations_have_words(code, words):
    assert describe(code) == words
