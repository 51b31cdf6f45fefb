"""Each rule of the metrics, by shapes that can be checked by hand. Volumes are (H, W, D)."""

import numpy as np
import pytest

from evaluation import Case, CaseStatus, EvaluationError, lost_case, score_case
from evaluation.metrics.matching import Counts, Pair, match_by_dice, match_by_distance, precision_recall_f1
from tests.evaluation import builders


def volume(*boxes, shape=(40, 12, 12), dtype=np.uint8):
    """A volume with boxes: (value, (h0, h1), (w0, w1), (d0, d1))."""
    result = np.zeros(shape, dtype)
    for value, *ranges in boxes:
        result[tuple(slice(*bounds) for bounds in ranges)] = value
    return result


@pytest.fixture
def score(tmp_path):
    """Scores one finding: its result."""

    def one(reference, prediction, category="2a", spacing=(1.0, 1.0, 1.0)):
        result = builders.score(tmp_path, reference[None], prediction[None], [category], spacing)
        assert result["status"] == "scored"
        return result["findings"][0]

    return one


def counts(finding, prefix=""):
    return tuple(finding[prefix + name] for name in ("tp", "fp", "fn"))


BOX = (1, (2, 6), (2, 6), (2, 6))  # 64 voxels


# Dice -----------------------------------------------------------------------------------------------------------------


def test_dice_of_two_empty_masks_is_exactly_one(score):
    finding = score(volume(), volume())
    assert (finding["dice"], finding["dice_raw"], finding["hit"]) == (1.0, 1.0, True)
    assert counts(finding) == counts(finding, "distance_") == (0, 0, 0)


def test_dice_of_an_empty_prediction_is_about_zero(score):
    finding = score(volume(BOX), volume())
    assert finding["dice"] == 1e-6 / (64 + 1e-6)
    assert not finding["hit"]
    assert counts(finding) == (0, 0, 1)


def test_dice_with_an_empty_reference_is_about_zero(score):
    finding = score(volume(), volume(BOX))
    assert finding["dice"] == 1e-6 / (64 + 1e-6)
    assert counts(finding) == counts(finding, "distance_") == (0, 1, 0)


def test_dice_is_of_the_union_of_all_entities(score):
    reference = volume((1, (0, 2), (0, 5), (0, 1)), (2, (10, 12), (0, 5), (0, 1)))
    prediction = volume((1, (0, 2), (0, 5), (0, 1)))
    assert score(reference, prediction)["dice"] == (20 + 1e-6) / (30 + 1e-6)


def test_dice_ignores_dropped_components_and_dice_raw_does_not(score):
    reference = volume(BOX)
    prediction = volume(BOX, (1, (20, 29), (0, 1), (0, 1)))
    finding = score(reference, prediction)
    assert finding["dice"] == 1.0
    assert finding["dice_raw"] == (128 + 1e-6) / (137 + 1e-6)


@pytest.mark.parametrize(("common", "hit", "hit_05"), [(2, True, True), (1, False, True), (0, False, False)])
def test_hits_include_their_thresholds(score, common, hit, hit_05):
    reference = volume((1, (0, 20), (0, 1), (0, 1)))
    prediction = volume((1, (20 - common, 40 - common), (0, 1), (0, 1)))  # Dice 0.1, 0.05, 0
    finding = score(reference, prediction)
    assert (finding["hit"], finding["hit_05"]) == (hit, hit_05)


# Instances ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "n"),
    [
        ((1, (5, 10), (0, 2), (0, 1)), 1),  # face
        ((1, (5, 10), (2, 4), (0, 1)), 1),  # edge in the H-W plane
        ((1, (5, 10), (0, 2), (1, 2)), 1),  # edge in the H-D plane
        ((1, (0, 5), (2, 4), (1, 2)), 1),  # edge in the W-D plane
        ((1, (5, 10), (2, 4), (1, 2)), 2),  # corner
    ],
)
def test_components_connect_by_faces_and_edges_not_corners(score, second, n):
    prediction = volume((1, (0, 5), (0, 2), (0, 1)), second)
    assert score(volume(), prediction)["n_predicted"] == n


def test_a_component_of_ten_voxels_stays_and_one_of_nine_goes(score):
    prediction = volume((1, (0, 10), (0, 1), (0, 1)), (1, (20, 29), (0, 1), (0, 1)))
    assert score(volume(), prediction)["n_predicted"] == 1


def test_a_models_own_instance_numbers_are_ignored(score):
    prediction = volume((1, (0, 5), (0, 2), (0, 1)), (2, (5, 10), (0, 2), (0, 1)))
    assert score(volume(), prediction)["n_predicted"] == 1


def test_an_entity_may_be_tiny_and_in_pieces(score):
    reference = volume((1, (0, 1), (0, 1), (0, 1)), (1, (30, 31), (9, 10), (9, 10)), (7, (20, 21), (0, 1), (0, 1)))
    assert score(reference, volume())["n_reference"] == 2


def columns(lengths, shape=(40, 24, 24)):
    """One component per length, each a column along H, in C order of (w, d)."""
    result = np.zeros(shape, np.uint8)
    places = [(w, d) for w in range(0, shape[1], 2) for d in range(0, shape[2], 2)]
    for length, (w, d) in zip(lengths, places, strict=False):
        result[:length, w, d] = 1
    return result


def test_only_the_fifty_largest_components_stay(score):
    prediction = columns([10, *[12] * 50, 11])
    finding = score(prediction, prediction)
    assert finding["n_predicted"] == 50
    assert finding["dice"] == (2 * 600 + 1e-6) / (621 + 600 + 1e-6)


def test_among_equals_at_the_cap_the_first_in_c_order_stays(score):
    prediction = columns([10] * 51)
    last = np.zeros_like(prediction)
    last[:10, 8, 4] = prediction[:10, 8, 4]  # the 51st of the places above
    assert last.any()
    assert score(last, prediction)["tp"] == 0
    assert score(columns([10]), prediction)["tp"] == 1


def test_c_order_has_h_slowest(score):
    # 50 equals that start at h = 0, and one that starts at h = 1 but at the smallest w and d.
    prediction = columns([10] * 51)
    prediction[:, 0, 0] = 0
    prediction[1:11, 0, 0] = 1
    reference = np.zeros_like(prediction)
    reference[1:11, 0, 0] = 1
    assert score(reference, prediction)["tp"] == 0


# Matching by Dice -----------------------------------------------------------------------------------------------------


def test_a_pair_at_exactly_the_threshold_matches(score):
    reference = volume((1, (0, 10), (0, 1), (0, 1)))
    prediction = volume((1, (8, 18), (0, 1), (0, 1)))  # 2 common of 10 and 10
    assert counts(score(reference, prediction)) == (1, 0, 0)


def test_a_pair_just_below_the_threshold_does_not_match(score):
    reference = volume((1, (0, 10), (0, 1), (0, 1)))
    prediction = volume((1, (8, 19), (0, 1), (0, 1)))
    assert counts(score(reference, prediction)) == (0, 1, 1)


def matched(*sizes):
    return [(match.entity, match.instance) for match in match_by_dice(*sizes)]


def test_matching_is_greedy_even_where_that_matches_fewer():
    common = np.array([[60, 40], [40, 0]])
    assert matched(common, np.array([100, 100]), np.array([100, 100])) == [(1, 1)]


def test_ties_go_to_the_lower_entity_then_the_lower_instance():
    # All of the four pairs tie. Entity 1 takes instance 1, so entity 2 is left with instance 2, which also ties;
    # without that pair, it is left with nothing.
    sizes = np.array([100, 100])
    assert matched(np.array([[50, 50], [50, 50]]), sizes, sizes) == [(1, 1), (2, 2)]
    assert matched(np.array([[50, 50], [50, 0]]), sizes, sizes) == [(1, 1)]
    assert matched(np.array([[50, 50], [0, 50]]), sizes, sizes) == [(1, 1), (2, 2)]


def test_the_best_pair_is_matched_first_and_keeps_its_dice():
    sizes = np.array([100, 100])
    found = match_by_dice(np.array([[50, 0], [0, 75]]), sizes, sizes)
    assert [match[:2] for match in found] == [(2, 2), (1, 1)]
    assert [match.dice for match in found] == pytest.approx([0.75, 0.5])


def test_an_instance_matches_only_one_entity(score):
    reference = volume((1, (0, 5), (0, 4), (0, 1)), (2, (5, 10), (0, 4), (0, 1)))
    prediction = volume((1, (0, 10), (0, 4), (0, 1)))
    assert counts(score(reference, prediction)) == (1, 0, 1)


def test_nothing_to_match_on_either_side():
    none, one = np.zeros(0, np.int64), np.array([10])
    assert matched(np.zeros((0, 1), np.int64), none, one) == []
    assert matched(np.zeros((1, 0), np.int64), one, none) == []
    assert matched(np.zeros((0, 0), np.int64), none, none) == []


# Matching by distance -------------------------------------------------------------------------------------------------


def shifted(step, axis=0):
    box = [(10, 14), (4, 7), (4, 7)]
    moved = list(box)
    moved[axis] = (box[axis][0] + step, box[axis][1] + step)
    return volume((1, *box)), volume((1, *moved))


@pytest.mark.parametrize(("step", "expected"), [(0, 1), (2, 1), (3, 0)])
def test_centroids_match_up_to_twice_the_spacing(score, step, expected):
    reference, prediction = shifted(step)
    assert counts(score(reference, prediction), "distance_") == (expected, 1 - expected, 1 - expected)


@pytest.mark.parametrize(("axis", "expected"), [(0, 1), (2, 1)])
def test_the_threshold_is_twice_the_largest_spacing(score, axis, expected):
    reference, prediction = shifted(2, axis)
    finding = score(reference, prediction, spacing=(0.5, 0.5, 2.0))
    assert finding["distance_tp"] == expected


def test_spacing_belongs_to_its_own_axis(score):
    along_h, along_d = shifted(4, 0), shifted(4, 2)
    assert score(*along_h, spacing=(0.5, 0.5, 1.0))["distance_tp"] == 1  # 2 mm of 2 mm
    assert score(*along_d, spacing=(0.5, 0.5, 1.0))["distance_tp"] == 0  # 4 mm of 2 mm


def test_a_focal_finding_is_measured_between_centroids_and_a_non_focal_one_between_surfaces(score):
    ball = volume((1, (18, 22), (4, 8), (4, 8)))
    large = volume((1, (6, 34), (0, 12), (0, 12)))  # same centre, far surface
    assert score(ball, large, "2d")["distance_tp"] == 1
    assert score(ball, large, "1e")["distance_tp"] == 0


def test_assd_of_two_parallel_plates(score):
    reference = volume((1, (10, 11), (0, 12), (0, 12)))
    for step, expected in ((2, 1), (3, 0)):
        prediction = volume((1, (10 + step, 11 + step), (0, 12), (0, 12)))
        assert score(reference, prediction, "1c")["distance_tp"] == expected


def test_an_edge_of_the_volume_is_surface(score):
    # A full volume has its outer voxels as surface. Seen from them a plate near one end is far away.
    full = volume((1, (0, 40), (0, 12), (0, 12)))
    assert score(full, full, "1a")["distance_tp"] == 1
    assert score(full, volume((1, (0, 2), (0, 12), (0, 12))), "1a")["distance_tp"] == 0


@pytest.mark.parametrize("category", ["3a", "", "1", "2", "22a"])
def test_other_categories_have_no_distance(score, category):
    finding = score(volume(BOX), volume(BOX), category)
    assert counts(finding, "distance_") == (None, None, None)


def test_without_a_spacing_there_is_no_distance(score):
    finding = score(volume(BOX), volume(BOX), spacing=None)
    assert counts(finding, "distance_") == (None, None, None)
    assert counts(finding) == (1, 0, 0)


def test_equal_distances_go_to_the_lower_entity_then_the_lower_instance():
    pairs = [Pair(1.0, 2, 1), Pair(1.0 + 1e-10, 1, 1), Pair(1.5, 2, 2), Pair(1.9, 1, 2)]
    # (1, 1) ties with (2, 1) and goes first; then (2, 2).
    assert match_by_distance(pairs, 2, 2, threshold_mm=2.0) == Counts(2, 0, 0)
    # Were (2, 1) first, entity 1 would have no instance left.
    assert match_by_distance(pairs[:3], 2, 2, threshold_mm=2.0) == Counts(2, 0, 0)
    assert match_by_distance([Pair(1.0, 2, 1), Pair(1.1, 1, 1), Pair(1.5, 2, 2)], 2, 2, threshold_mm=2.0).tp == 1


# Precision, recall ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((0, 0, 0), (1, 1, 1)),
        ((0, 0, 3), (1, 0, 0)),
        ((0, 3, 0), (0, 1, 0)),
        ((0, 2, 3), (0, 0, 0)),
        ((1, 1, 3), (0.5, 0.25, 1 / 3)),
    ],
)
def test_precision_recall_and_f1(found, expected):
    assert precision_recall_f1(*found) == pytest.approx(expected)


# Cases ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 12, 12, 12), (3, 12, 12, 1), (4, 4, 4, 4), (1, 1, 1, 16), (2, 16, 1, 1)])
def test_every_shape_scores_itself_perfectly(tmp_path, shape):
    mask = np.ones(shape, np.uint8)
    result = builders.score(tmp_path, mask, mask, ["1a", "2a", "1b", "2b"], (1.0, 1.0, 1.0))
    for finding in result["findings"]:
        assert (finding["dice"], *counts(finding), *counts(finding, "distance_")) == (1.0, 1, 0, 0, 1, 0, 0)


def test_equal_axis_lengths_are_not_confused(tmp_path):
    reference = np.zeros((12, 12, 12, 12), np.uint8)
    reference[3, :, 5, 7] = 1
    result = builders.score(tmp_path, reference, reference.transpose(3, 2, 1, 0))
    assert [finding["n_reference"] for finding in result["findings"]] == [0, 0, 0, 1, *[0] * 8]
    assert result["findings"][3]["dice"] < 0.1


def test_the_dice_of_a_case_is_the_mean_of_its_findings(tmp_path):
    mask = np.ones((2, 4, 4, 4), np.uint8)
    half = mask.copy()
    half[1] = 0
    result = builders.score(tmp_path, mask, half)
    assert result["dice"] == pytest.approx(0.5)


def test_findings_that_the_case_does_not_list_are_left_out(tmp_path):
    mask = np.ones((3, 4, 4, 4), np.uint8)
    mask[1] = 0
    path = builders.mask_file(tmp_path / "mask.nii.gz", mask)
    case = Case("case", ("0", "2"), {}, (4, 4, 4))
    assert [finding["finding"] for finding in score_case(case, path, path)["findings"]] == ["0", "2"]


def test_a_missing_prediction_is_worse_than_an_empty_one(tmp_path):
    reference = np.zeros((2, 6, 6, 6), np.uint8)
    reference[0, :3] = 1
    reference[0, 3:] = 2
    path = builders.mask_file(tmp_path / "reference.nii.gz", reference)
    case = builders.a_case(reference.shape, ["1a", "3x"], (1.0, 1.0, 1.0))
    result = score_case(case, path, None)
    assert (result["status"], result["dice"]) == ("missing", 0)
    first, second = result["findings"]
    assert (first["dice"], first["hit"], counts(first), counts(first, "distance_")) == (0, False, (0, 0, 2), (0, 0, 2))
    # The reference of the second finding is empty: an empty prediction would have Dice 1 there.
    assert (second["dice"], second["dice_raw"], second["hit"], second["hit_05"]) == (0, 0, False, False)
    assert (second["n_reference"], counts(second)) == (0, (0, 0, 0))
    assert counts(second, "distance_") == (None, None, None)
    assert result == lost_case(case, [2, 0], CaseStatus.MISSING, str(result["reason"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../case.nii.gz"}, "plain file name"),
        ({"name": ".."}, "plain file name"),
        ({"findings": ()}, "no findings"),
        ({"findings": ("a",)}, "finding keys"),
        ({"findings": ("00",)}, "finding keys"),
        ({"findings": ("1", "0")}, "channel order"),
        ({"findings": ("0", "0")}, "channel order"),
        ({"shape": (4, 4, 0)}, "shape"),
        ({"spacing_mm": (1.0, 1.0, 0.0)}, "spacing"),
        ({"spacing_mm": (1.0, 1.0, float("nan"))}, "spacing"),
    ],
)
def test_a_case_that_makes_no_sense_is_refused(changes, message):
    fields = {"name": "case", "findings": ("0",), "categories": {}, "shape": (4, 4, 4), "spacing_mm": None, **changes}
    with pytest.raises(EvaluationError, match=message):
        Case(**fields)
