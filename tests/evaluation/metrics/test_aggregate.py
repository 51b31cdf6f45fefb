"""From case results to a leaderboard row."""

import time
from typing import Any, cast

import numpy as np
import pytest

from evaluation import (
    COMPARED,
    OVERALL,
    EvaluationError,
    aggregate,
    intervals_of,
    paired_differences,
    resampled_means,
    resampled_numbers,
    seed_from,
    size_limits,
)
from tests.evaluation.builders import case_result, finding_result

CASES = [
    case_result("b", finding_result("2a", 1.0, tp=2, fp=1, fn=0)),
    case_result(
        "a", finding_result("1a", 0.2, tp=0, fp=0, fn=3), finding_result("2a", 0.05, tp=1, fp=3, fn=1, key="1")
    ),
]


def test_dice_is_the_mean_of_case_means_and_dice_per_finding_the_plain_mean():
    summary = aggregate(CASES, seed=1)["summary"]
    assert summary["dice"] == pytest.approx((1.0 + 0.125) / 2)
    assert summary["dice_per_finding"] == pytest.approx(1.25 / 3)
    assert (summary["total_cases"], summary["total_findings"]) == (2, 3)


def test_dice_raw_is_averaged_as_dice_is():
    one = finding_result(dice=0.2, dice_raw=0.1)
    two = [finding_result(dice=0.5, dice_raw=0.4, key="0"), finding_result(dice=0.7, dice_raw=1.0, key="1")]
    result = aggregate([case_result("a", one), case_result("b", *two)], seed=1)
    assert result["summary"]["dice_raw"] == pytest.approx((0.1 + 0.7) / 2)
    assert result["groups"]["focal"]["dice_raw"] == pytest.approx(0.5)


def test_hit_rates_are_over_findings():
    summary = aggregate(CASES, seed=1)["summary"]
    assert summary["hit_rate"] == pytest.approx(2 / 3)
    assert summary["hit_rate_05"] == 1.0


def test_counts_are_pooled_before_ratios():
    summary = aggregate(CASES, seed=1)["summary"]
    assert (summary["tp"], summary["fp"], summary["fn"]) == (3, 4, 4)
    assert summary["instance_precision"] == summary["instance_recall"] == pytest.approx(3 / 7)
    assert summary["instance_f1"] == pytest.approx(3 / 7)
    assert summary["distance_tp"] == 3
    assert summary["distance_f1"] == pytest.approx(3 / 7)


def test_groups_are_plain_means_and_absent_categories_are_left_out():
    groups = aggregate(CASES, seed=1)["groups"]
    assert list(groups) == ["focal", "non_focal", "1a", "2a"]
    assert (groups["2a"]["n"], groups["2a"]["hit_rate"]) == (2, 0.5)
    assert groups["2a"]["dice"] == pytest.approx(0.525)
    assert groups["focal"]["dice"] == groups["2a"]["dice"]
    assert (groups["1a"]["n"], groups["1a"]["fn"]) == (1, 3)


def test_size_groups_include_their_upper_limit():
    cases = [case_result(str(k), finding_result(dice=k / 10)) for k in range(5)]
    sizes = {(str(k), "0"): k / 100 for k in range(5)}
    limits = size_limits(list(sizes.values()))
    assert limits == (0.02, 0.03)
    groups = aggregate(cases, seed=1, sizes=sizes, limits=limits)["groups"]
    assert {name: groups[name]["n"] for name in ("small", "medium", "large")} == {"small": 3, "medium": 1, "large": 1}


def test_a_finding_without_category_is_in_no_category_group():
    assert aggregate([case_result("a", finding_result(None))], seed=1)["groups"] == {}


def test_without_distances_their_numbers_are_null():
    summary = aggregate([case_result("a", finding_result(distance=None))], seed=1)["summary"]
    assert (summary["distance_tp"], summary["distance_f1"]) == (None, None)
    assert summary["confidence_intervals"]["distance_f1"] is None
    assert summary["instance_f1"] == 1.0


def test_findings_without_distance_are_left_out_of_the_pooled_distances():
    case = case_result("a", finding_result("2a", tp=1, fn=1), finding_result("3a", distance=None, key="1"))
    assert aggregate([case], seed=1)["summary"]["distance_recall"] == 0.5


def random_cases(n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        case_result(
            f"case_{index:04d}",
            *(
                finding_result(
                    str(rng.choice(["1a", "1b", "2a", "2b", "2h"])),
                    float(rng.random()),
                    *rng.integers(0, 5, 3).tolist(),
                )
                | {"finding": str(key)}
                for key in range(rng.integers(1, 5))
            ),
        )
        for index in range(n)
    ]


def slow_bootstrap(cases, seed, number):
    """The definition, resample by resample."""
    cases = sorted(cases, key=lambda case: case["name"])
    rows = np.random.default_rng(seed).integers(0, len(cases), (1000, len(cases)))
    values = [value for row in rows if (value := number([cases[index] for index in row])) is not None]
    return np.percentile(values, [2.5, 97.5]).tolist(), 1000 - len(values)


def pooled_f1(cases, chosen=lambda finding: True):
    findings = [finding for case in cases for finding in case["findings"] if chosen(finding)]
    if not findings:
        return None
    tp, fp, fn = (sum(finding[name] for finding in findings) for name in ("tp", "fp", "fn"))
    precision, recall = tp / (tp + fp) if tp + fp else 1, tp / (tp + fn) if tp + fn else 1
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


def group_dice(cases, category):
    values = [finding["dice"] for case in cases for finding in case["findings"] if finding["category"] == category]
    return np.mean(values) if values else None


def test_confidence_intervals_are_those_of_the_definition():
    cases = random_cases(17)
    result = aggregate(cases, seed=99)
    summary, rare = result["summary"], result["groups"]["2h"]
    expected, _ = slow_bootstrap(cases, 99, lambda drawn: np.mean([case["dice"] for case in drawn]))
    assert summary["confidence_intervals"]["dice"] == pytest.approx(expected, abs=1e-12)
    expected, _ = slow_bootstrap(cases, 99, pooled_f1)
    assert summary["confidence_intervals"]["instance_f1"] == pytest.approx(expected, abs=1e-12)
    expected, skipped = slow_bootstrap(cases, 99, lambda drawn: group_dice(drawn, "2h"))
    assert rare["confidence_intervals"]["dice"] == pytest.approx(expected, abs=1e-12)
    assert rare["resamples_skipped"]["dice"] == skipped


def test_a_resample_without_the_group_is_skipped_and_counted():
    result = aggregate(CASES, seed=5)["groups"]["1a"]
    expected, skipped = slow_bootstrap(CASES, 5, lambda drawn: group_dice(drawn, "1a"))
    assert skipped > 100
    assert result["resamples_skipped"]["dice"] == result["resamples_skipped"]["instance_f1"] == skipped
    assert result["confidence_intervals"]["dice"] == pytest.approx(expected)


def test_every_headline_number_has_an_interval():
    result = aggregate(CASES, seed=1)
    headline = {"dice", "dice_raw", "hit_rate", "hit_rate_05"} | {
        f"{kind}_{name}" for kind in ("instance", "distance") for name in ("precision", "recall", "f1")
    }
    assert set(result["summary"]["confidence_intervals"]) == headline | {"dice_per_finding"}
    assert set(result["groups"]["2a"]["confidence_intervals"]) == headline


def test_the_order_of_cases_does_not_matter():
    cases = random_cases(9)
    assert aggregate(cases, seed=3) == aggregate(cases[::-1], seed=3)


def test_three_hundred_cases_are_quick():
    cases = random_cases(300)
    started = time.perf_counter()
    aggregate(cases, seed=1)
    assert time.perf_counter() - started < 1


def test_the_seed_depends_on_the_digest_alone():
    assert seed_from("abc") == seed_from("abc") == 0xBA7816BF8F01CFEA
    assert seed_from("abd") != seed_from("abc")


@pytest.mark.parametrize("cases", [[], [CASES[0], CASES[0]]])
def test_no_cases_or_the_same_case_twice_is_refused(cases):
    with pytest.raises(EvaluationError):
        aggregate(cases, seed=1)


def test_means_over_resamples_are_those_behind_the_intervals():
    cases = [case_result(f"{number:02}", finding_result(dice=number / 13)) for number in range(12)]
    dice = np.array([one["dice"] for one in cases])
    summary = aggregate(cases, seed=1)["summary"]
    means = resampled_means(np.stack([dice, 1 - dice]), seed=1)
    assert means.shape == (2, 1001)
    assert means[0, 0] == summary["dice"]
    assert np.percentile(means[0, 1:], [2.5, 97.5]).tolist() == summary["confidence_intervals"]["dice"]
    assert means[1] == pytest.approx(1 - means[0])


def test_the_same_numbers_have_the_same_means_however_they_lie_in_memory():
    """To the bit: a selection of cases comes column by column, and einsum would add it in another order."""
    values = np.random.default_rng(0).random((5, 40))
    half = np.arange(40) % 2 == 0
    selected = values[:, half]
    assert not selected.flags.c_contiguous
    one_by_one = [resampled_means(np.ascontiguousarray(row[half]), seed=1) for row in values]
    assert (resampled_means(selected, seed=1) == one_by_one).all()
    assert (resampled_means(selected[3], seed=1) == one_by_one[3]).all()


def test_without_cases_there_is_nothing_to_resample():
    with pytest.raises(EvaluationError, match="no cases"):
        resampled_means(np.empty((3, 0)), seed=1)


def better(result, by):
    """The case as another run has it, with a higher Dice and one entity more."""
    findings = [{**one, "dice": one["dice"] + by, "tp": one["tp"] + 1} for one in result["findings"]]
    return case_result(result["name"], *findings)


@pytest.mark.parametrize("metric", sorted(COMPARED))
def test_a_paired_difference_is_that_of_the_two_numbers(metric):
    others = [better(one, 0.2) for one in reversed(CASES)]
    [found] = paired_differences(CASES, [others], metric, seed=1)
    ours, theirs = (cast(dict[str, Any], aggregate(cases, seed=1)) for cases in (CASES, others))
    assert found[OVERALL].value == pytest.approx(theirs["summary"][metric] - ours["summary"][metric])
    assert set(found) == {OVERALL, *ours["groups"]}
    for code, group in ours["groups"].items():
        assert found[code].value == pytest.approx(theirs["groups"][code][metric] - group[metric]), code


def test_a_case_is_compared_with_itself():
    """Every case is better by the same: no resample says anything else, however much the cases differ."""
    cases = [case_result(str(number), finding_result(dice=number / 10)) for number in range(9)]
    same, found = paired_differences(cases, [cases, [better(one, 0.1) for one in cases]], "dice", seed=1)
    assert same[OVERALL] == (0.0, (0.0, 0.0))
    assert found[OVERALL].interval == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize("other", [[], [CASES[0]], [*CASES, case_result("c", finding_result())]])
def test_results_of_other_cases_are_not_compared(other):
    with pytest.raises(EvaluationError, match="same cases"):
        paired_differences(CASES, [other], "dice", seed=1)


def test_intervals_leave_out_resamples_in_which_a_number_is_not_defined():
    values = np.array(
        [np.arange(1000.0), np.where(np.arange(1000) < 500, np.nan, np.arange(1000.0)), np.full(1000, np.nan)]
    )
    assert intervals_of(values) == [(24.975, 974.025), (pytest.approx(512.475), pytest.approx(986.525)), None]


def test_numbers_of_groups_are_those_of_the_summary():
    """Of findings in arrays as of results: over all cases, and in groups that some resamples lack."""
    cases = [case_result(f"{number:02}", finding_result(dice=number / 20, tp=number)) for number in range(9)]
    dice, case_of = np.arange(9) / 20, np.arange(9)
    groups = {OVERALL: np.ones(9, bool), "one": case_of == 4}
    found = resampled_numbers("dice", {"n": np.ones(9), "dice": dice}, case_of, groups, seed=3)
    assert (found[OVERALL] == resampled_means(dice, seed=3)).all()
    assert found["one"][0] == pytest.approx(0.2)
    assert 0.2 < np.isnan(found["one"]).mean() < 0.5
    said = aggregate(cases, seed=3)["summary"]["confidence_intervals"]["dice"]
    assert said is not None
    assert intervals_of(found[OVERALL][None, 1:]) == [tuple(said)]


def test_without_findings_there_are_no_numbers_of_groups():
    with pytest.raises(EvaluationError, match="no cases"):
        resampled_numbers("dice", {"n": np.empty(0), "dice": np.empty(0)}, np.empty(0, int), {}, seed=3)
