"""Guesses about how a mask was saved: they find the usual errors, and keep silent about a model that is just wrong."""

import numpy as np
import pytest

from evaluation.hints import judging
from evaluation.hints.judging import about_repeated_masks, describe, prove, suspicions, worth_a_look
from evaluation.metrics.cases import Assessment, Matching
from tests.evaluation import builders
from tests.evaluation.volumes import CUBE, GRID, blob, fitted


def result(*dices, n_predicted=1, status="scored", name="case"):
    """The result of a case with findings of these Dice."""
    findings = [builders.finding_result(dice=dice, n_reference=1, n_predicted=n_predicted) for dice in dices]
    return {**builders.case_result(name, *findings), "status": status}


def suspect(cases):
    """What is suspicious about cases, each a list of (prediction, reference) volumes."""
    fits = [fitted(pairs) for pairs in cases]
    results = [result(found.turned["HWD"], name=str(number)) for number, found in enumerate(fits)]
    return suspicions(results, {str(index): fits[index] for index in worth_a_look(results)})


def judge(cases):
    """The words for what is suspicious."""
    return [f"{one.what}. {one.remedy}" for one in suspect(cases)]


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
        assert hint.startswith(f"if the masks were {said}. ")
        assert remedy in hint

    def test_it_keeps_silent_about_masks_that_fit(self):
        assert judge(saved_so(lambda mask: mask)) == []

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
    @pytest.mark.parametrize(
        ("moved", "said"),
        [
            (lambda keys: keys[::-1], "if the findings were in reverse order."),
            (lambda keys: sorted(keys, key=str), "if the findings were in the order of their numbers."),
            (lambda keys: keys[-1:] + keys[:-1], "if each finding were one channel lower."),
            (lambda keys: keys[1:] + keys[:1], "if each finding were one channel higher."),
        ],
    )
    def test_an_order_of_findings_that_a_slip_makes_has_a_name(self, moved, said):
        cases = saved_so(lambda mask: mask, findings=12)
        order = moved(list(range(12)))
        (hint,) = judge([[(case[saved][0], one[1]) for saved, one in zip(order, case, strict=True)] for case in cases])
        assert hint.startswith(said)

    def test_findings_in_any_other_order(self):
        orders = [(1, 3, 0, 2), (2, 0, 3, 1), (1, 0, 3, 2), (2, 3, 0, 1), (1, 2, 3, 0), (3, 0, 1, 2)]
        cases = saved_so(lambda mask: mask, findings=4)
        mixed = [
            [(case[saved][0], one[1]) for saved, one in zip(order, case, strict=True)]
            for order, case in zip(orders, cases, strict=True)
        ]
        (found,) = suspect(mixed)
        assert "in another order, of each case its best one (for example: channel" in found.what
        for number, order in enumerate(orders):
            assert [order[channel] for channel in found.correction(str(number)).channels] == [0, 1, 2, 3]
        assert found.correction("of a case that was not looked at") is None

    def test_a_case_of_one_finding_says_nothing_about_the_order(self):
        cases = [[(b[0], a[1]), (a[0], b[1])] for a, b in saved_so(lambda mask: mask)]
        results = [result(0.0, 0.0, name=str(number)) for number in range(6)]
        fits = {str(number): fitted(pairs) for number, pairs in enumerate(cases)}
        good = [result(0.9, name=f"good {number}") for number in range(20)]
        assert worth_a_look([*good, *results]) == list(range(20, 26))
        assert [one.kind for one in suspicions([*good, *results], fits)] == ["reordered"]

    def test_foreground_and_background_swapped(self):
        (hint,) = judge(saved_so(np.logical_not))
        assert "fills more than half of the volume" in hint

    def test_nothing_predicted_at_all(self):
        (found,) = suspicions([result(0.0, n_predicted=0)] * 9 + [result(0.9)], {})
        assert found.what.startswith("nothing is predicted for 9 of 10 findings")
        assert prove(found, [], [], 10) == {
            "kind": "empty", "text": found.what, "cases": 10, "dice": None, "corrected_dice": None
        }  # fmt: skip

    def test_lost_cases_are_not_called_empty(self):
        assert suspicions([result(0.0, n_predicted=0, status="missing")] * 9 + [result(0.9)], {}) == []


def told(*arguments):
    """What `prove` says, which must be something."""
    hint = prove(*arguments)
    assert hint is not None
    return hint


class TestWhatIsSaid:
    @pytest.fixture
    def flipped(self):
        (found,) = suspect(saved_so(lambda mask: mask[::-1]))
        return found

    def test_it_gives_the_scores_of_the_corrected_masks_and_no_estimate(self, flipped):
        hint = told(flipped, [result(0.0)] * 3, [result(0.25), result(0.25), result(0.0)], 3)
        assert hint["text"].startswith(
            "on 2 of 3 cases, Dice would be better if the masks were flipped along H: 0.167 instead of 0.000."
        )
        assert (hint["dice"], hint["cases"]) == (0.0, 3)
        assert hint["corrected_dice"] == pytest.approx(0.5 / 3)

    def test_it_says_of_how_many_cases_if_not_of_all(self, flipped):
        hint = told(flipped, [result(0.0)] * 2, [result(0.4)] * 2, 90)
        assert hint["text"].startswith("on 2 of the 2 cases (of 90) that were tried, ")

    def test_a_correction_that_does_not_help_is_not_told(self, flipped):
        assert prove(flipped, [result(0.1)] * 3, [result(0.1)] * 3, 3) is None
        assert prove(flipped, [], [], 3) is None

    def test_a_finding_that_fills_the_volume_is_told_anyway(self):
        (found,) = suspect(saved_so(np.logical_not))
        assert told(found, [], [], 6)["corrected_dice"] is None
        assert "Dice would be 0.500 instead of 0.000" in told(found, [result(0.0)], [result(0.5)], 6)["text"]


class TestWhichCasesAreLookedAt:
    def test_none_of_a_good_run(self):
        assert worth_a_look([result(0.5)] * 30) == []

    def test_the_first_ones_of_a_poor_run_good_or_not(self):
        assert worth_a_look([result(0.9), *[result(0.01)] * 40]) == list(range(judging.MAX_CASES))

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


class TestOneMaskForAllFindings:
    def assessments(self, *cases):
        """Each of some Dice, and whether its channels are equal."""
        return [
            Assessment(result(*dices), (1,) * len(dices), (Matching(),) * len(dices), "sha256:0", same)
            for dices, same in cases
        ]

    def said(self, *cases):
        return [hint["text"] for hint in about_repeated_masks(self.assessments(*cases))]

    def test_it_is_said_where_most_cases_with_several_findings_are_so(self):
        (text,) = self.said(((0.7, 0.1), True), ((0.6, 0.0), True), ((0.5, 0.4), False), ((0.3,), False))
        assert text.startswith(
            "on 2 of the 3 cases with several findings, every channel holds the same mask. Was one text"
        )

    def test_half_of_the_cases_are_not_most(self):
        assert self.said(((0.7, 0.1), True), ((0.5, 0.4), False)) == []

    def test_masks_that_fit_each_of_their_findings_may_be_equal(self):
        assert self.said(((0.7, 0.5), True)) == []
        assert len(self.said(((0.7, 0.49), True))) == 1

    def test_without_several_findings_or_without_masks_there_is_nothing_to_say(self):
        assert self.said() == self.said(((0.1,), False)) == []
        lost = Assessment(result(0.0, 0.0), (1, 1), (Matching(),) * 2)
        assert about_repeated_masks([lost]) == []
