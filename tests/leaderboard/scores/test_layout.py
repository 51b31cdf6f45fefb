"""The scores of a run as bytes: what comes back is what the results said, and bytes of today are read for ever."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings

import evaluation
from leaderboard.scores import layout
from tests.evaluation import builders
from tests.leaderboard.scores.results import case_results

DISTANCE = ("distance_tp", "distance_fp", "distance_fn")


def read_back(packed, names):
    """Of each case its name, its status and its findings, made of the bytes again."""
    cases, findings = layout.unpack_cases(packed.cases), layout.unpack_findings(packed.findings)
    case_of = layout.cases_of_findings(cases)
    return [
        (name, layout.STATUSES[cases["status"][place]], [finding_of(row) for row in findings[case_of == place]])
        for place, name in enumerate(names)
    ]


def finding_of(row):
    is_measured = row["distance_tp"] != layout.NOT_MEASURED
    return {
        "finding": str(row["channel"]),
        "category": row["category"].decode() or None,
        **{name: row[name].item() for name in ("dice", "dice_raw", "hit", "hit_05", "tp", "fp", "fn")},
        "n_reference": int(row["tp"] + row["fn"]),
        "n_predicted": int(row["tp"] + row["fp"]),
        **{name: row[name].item() if is_measured else None for name in DISTANCE},
    }


@given(case_results())
def test_what_comes_back_is_what_the_results_said(results):
    ordered = sorted(results, key=lambda case: case["name"])
    said = [(case["name"], case["status"], case["findings"]) for case in ordered]
    assert read_back(layout.pack(results), [case["name"] for case in ordered]) == said


@settings(deadline=None)  # the first one resamples for the first time
@given(case_results())
def test_the_mean_of_cases_is_to_the_bit_the_one_that_the_evaluation_makes_of_the_results(results):
    packed = layout.pack(results)
    cases, findings = layout.unpack_cases(packed.cases), layout.unpack_findings(packed.findings)
    means = layout.means_of_cases(findings["dice"], layout.cases_of_findings(cases), len(cases))
    made = evaluation.aggregate(results, seed=1, resamples=20)["summary"]
    found = evaluation.resampled_means(means, seed=1, resamples=20)
    assert found[0] == made["dice"]
    assert np.percentile(found[1:], evaluation.PERCENTILES).tolist() == made["confidence_intervals"]["dice"]


def test_the_order_of_results_does_not_matter():
    some = [builders.case_result(name, builders.finding_result()) for name in ("b", "B", "a", "é")]
    assert layout.pack(some) == layout.pack(some[::-1])


def test_bytes_of_layout_1_stay_readable():
    """As they lie in databases: a change of these is a new layout."""
    found = builders.finding_result("2d", dice=0.5, tp=1, fp=2, fn=258, key="3", distance=(4, 5, 6))
    lost = builders.finding_result(None, dice=0.0, tp=0, fn=1, key="0", distance=None)
    results = [builders.case_result("a", found, lost), {**builders.case_result("b", lost), "status": "failed"}]
    packed = layout.pack(results)
    assert layout.LAYOUT == 1
    assert packed.cases == bytes.fromhex("000200030100")
    half, zero, none = "000000000000e03f", "0000000000000000", "ffffffff"
    assert packed.findings == bytes.fromhex(
        f"{half}{zero}{zero}"  # dice
        f"{half}{zero}{zero}"  # dice_raw
        "01000000 00000000 00000000"  # tp
        "02000000 00000000 00000000"  # fp
        "02010000 01000000 01000000"  # fn
        f"04000000 {none} {none}"
        f"05000000 {none} {none}"
        f"06000000 {none} {none}"
        "0300 0000 0000"  # channel
        "3264 0000 0000"  # category
        "010000"  # hit
        "010000"  # hit_05
    )
    assert packed.digest == sha256(b'[["a", [3, 0]], ["b", [0]]]').hexdigest()


@pytest.mark.parametrize("name", ["a", "c"])
@pytest.mark.parametrize("channel", ["0", "2"])
def test_other_cases_or_findings_have_another_digest(name, channel):
    def digest(*about):
        return layout.pack([builders.case_result(one, builders.finding_result(key=key)) for one, key in about]).digest

    same = (name, channel) == ("a", "0")
    assert (digest(("a", "0"), ("b", "1")) == digest((name, channel), ("b", "1"))) is same


def test_a_finding_that_moves_to_the_next_case_changes_the_digest():
    first, second = builders.finding_result(key="0"), builders.finding_result(key="1")
    one = layout.pack([builders.case_result("a", first, second), builders.case_result("b", first)])
    other = layout.pack([builders.case_result("a", first), builders.case_result("b", second, first)])
    assert len(one.findings) == len(other.findings)
    assert one.digest != other.digest


@pytest.mark.parametrize("results", [[], [{"name": "a", "status": "scored", "dice": 0.5, "findings": []}]])
def test_without_a_case_or_a_finding_there_is_no_array(results):
    with pytest.raises(ValueError, match="at least one case"):
        layout.pack(results)


def test_bytes_that_were_cut_off_are_refused():
    packed = layout.pack([builders.case_result("a", builders.finding_result())])
    with pytest.raises(ValueError, match="no whole findings"):
        layout.unpack_findings(packed.findings[:-1])
