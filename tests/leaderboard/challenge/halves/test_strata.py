"""What the halves have to have alike."""

import numpy as np
import pytest

from leaderboard.challenge.halves.strata import CaseFacts, strata
from tests.leaderboard.challenge.halves import realistic


def by_code(cases: list[CaseFacts]) -> dict[str, tuple[int, ...]]:
    return {one.code: one.counts for one in strata(cases)}


def test_findings_are_counted_by_case_in_every_group_that_a_board_can_rank_by():
    first = CaseFacts("a", (("1a", 0.1), ("2d", 0.2), ("2d", 0.3)), 1.0)
    second = CaseFacts("b", (("2d", 0.4),), 2.0)
    found = by_code([first, second])
    assert {code: found[code] for code in ("all", "focal", "non_focal", "1a", "2d")} == {
        "all": (3, 1),
        "focal": (2, 1),
        "non_focal": (1, 0),
        "1a": (1, 0),
        "2d": (2, 1),
    }
    assert "2g" not in found, "what no case has is no stratum"


def test_sizes_are_those_of_the_scores():
    cases = realistic.case_set(50)
    shares = [share for case in cases for _, share in case.findings]
    low, high = np.percentile(shares, [50, 75])
    found = by_code(cases)
    assert sum(found["small"]) == sum(share <= low for share in shares)
    assert sum(found["medium"]) == sum(low < share <= high for share in shares)
    assert sum(found["large"]) == sum(share > high for share in shares)


def test_spacing_is_counted_in_cases_by_quarters_of_the_voxels_volume():
    cases = [CaseFacts(f"{number}", (("2d", 0.1),), float(number)) for number in range(1, 9)]
    found = by_code(cases)
    assert found["voxel_q1"] == (1, 1, 0, 0, 0, 0, 0, 0)
    assert found["voxel_q4"] == (0, 0, 0, 0, 0, 0, 1, 1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_alike_cases_are_in_one_quarter(count):
    cases = [CaseFacts(f"{number}", (("2d", 0.1),), 0.7) for number in range(count)]
    found = by_code(cases)
    assert found["voxel_q1"] == (1,) * count
    assert "voxel_q2" not in found


def test_of_no_cases_and_of_cases_without_findings_there_is_next_to_nothing():
    assert strata([]) == []
    assert set(by_code([CaseFacts("a", (), 1.0)])) == {"voxel_q1"}
