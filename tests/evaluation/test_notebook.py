"""Scoring from notebooks: arrays and files in, the server's numbers out."""

import csv
import dataclasses
import doctest
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import evaluation
from evaluation import (
    CaseScore,
    CaseStatus,
    EvaluationError,
    FindingScore,
    InvalidMask,
    categories,
    errors,
    score_case,
    summarise,
    system,
)
from evaluation import notebook as notebooks
from evaluation.command import cli
from evaluation.masks import arrays, run_lengths
from evaluation.metrics import aggregate, cases
from tests.evaluation import builders
from tests.evaluation.metrics.test_against_reference import masks

SPACING = (0.7, 0.7, 2.5)
TYPES = (np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint64, np.float16, np.float32, np.float64)
slow = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lesions(findings=2, shape=(12, 13, 9)):
    """A reference with two lesions in each finding, and a prediction that finds one of them."""
    reference = np.zeros((findings, *shape), np.int16)
    reference[:, 1:5, 2:6, 1:5] = 1
    reference[:, 7:11, 8:12, 4:8] = 2
    return reference, (reference == 1).astype(np.uint8)


class Tensor:
    """What a tensor of another library shows to NumPy."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


def in_memory(array, order):
    """The same array, lying in memory in another order; some of these have gaps, or run backwards."""
    if order == "every second voxel":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if order == "backwards":
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if order == "other byte order":
        return array.astype(array.dtype.newbyteorder(">"))
    if order == "tensor":
        return Tensor(array)
    return np.array(array, order=order)


ORDERS = ("C", "F", "every second voxel", "backwards", "other byte order", "tensor")


# --- the same numbers as files ----------------------------------------------------------------------------------------


@slow
@given(masks(), st.sampled_from(TYPES), st.sampled_from(ORDERS), st.sampled_from([1, 20, run_lengths.BLOCK_VOXELS]))
def test_arrays_have_the_numbers_of_the_files_that_hold_them(drawn, dtype, order, block_voxels):
    reference, prediction, categories, spacing = drawn
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        expected = builders.score(Path(folder), reference.astype(np.int16), prediction, categories, spacing)
        patch.setattr(arrays, "BLOCK_VOXELS", block_voxels)
        found = evaluation.score(
            in_memory(reference, order),
            in_memory(prediction.astype(dtype), order),
            spacing=spacing,
            categories=categories,
            name="case.nii.gz",
        )
    assert found.as_dict() == expected


@slow
@given(masks())
def test_files_have_the_numbers_that_the_server_gives_them(drawn):
    reference, prediction, categories, spacing = drawn
    with tempfile.TemporaryDirectory() as folder:
        expected = builders.score(Path(folder), reference.astype(np.int16), prediction, categories, spacing)
        paths = Path(folder) / "reference.nii.gz", str(Path(folder) / "prediction.nii.gz")
        found = evaluation.score(*paths, spacing=spacing, categories=dict(enumerate(categories)))
    assert found.as_dict() == expected | {"name": "reference.nii.gz"}


def test_a_file_and_an_array_can_be_compared(tmp_path):
    reference, prediction = lesions()
    file = builders.mask_file(tmp_path / "case_0001.nii", reference)
    expected = evaluation.score(reference, prediction, spacing=SPACING, categories=["2d", "1c"], name="case_0001.nii")
    assert evaluation.score(file, prediction, spacing=SPACING, categories=["2d", "1c"]) == expected
    assert evaluation.score(reference, builders.mask_file(tmp_path / "case_0001.nii", prediction)).name == (
        "case_0001.nii"
    )


@pytest.mark.parametrize("shape", [(12, 13, 9), (1, 12, 13, 9), (1, 12, 13, 9, 1)])
def test_an_array_of_three_axes_is_one_finding(shape):
    reference, prediction = lesions(1)
    expected = evaluation.score(reference, prediction)
    assert evaluation.score(reference.reshape(shape), prediction.reshape(shape)) == expected
    assert evaluation.score(reference[0], prediction.reshape(shape)) == expected


def test_several_findings_of_one_slice_may_lack_the_last_axis():
    reference, prediction = (mask[..., 2:3] for mask in lesions())
    assert evaluation.score(reference, prediction[..., 0]) == evaluation.score(reference, prediction)


# --- what is no mask --------------------------------------------------------------------------------------------------

WRONG = {
    "probabilities": lambda mask: mask * 0.5,
    "not finite": lambda mask: np.where(mask, np.nan, 0.0),
    "infinite": lambda mask: np.where(mask, np.inf, 0.0),
    "negative": lambda mask: -mask.astype(np.int16),
    "too many": lambda mask: mask.astype(np.int32) * 256,
    "far too large": lambda mask: mask.astype(np.float64) * 1e300,
    "far too large whole numbers": lambda mask: mask.astype(np.uint64) * (2**63 + 7),
    "findings last": lambda mask: np.moveaxis(mask, 0, -1),
    "transposed": lambda mask: mask.transpose(0, 3, 2, 1),
    "a slice too few": lambda mask: mask[..., 1:],
    "two axes": lambda mask: mask[0, 0],
}


@pytest.mark.parametrize("kind", WRONG)
def test_arrays_are_refused_in_the_words_in_which_files_are(tmp_path, kind):
    reference, prediction = lesions()
    wrong = WRONG[kind](prediction)
    expected = builders.score(tmp_path, reference, wrong)
    assert expected["status"] == "invalid"
    with pytest.raises(InvalidMask) as refusal:
        evaluation.score(reference, wrong)
    assert str(refusal.value) == expected["reason"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((2, 3, 3, 3), complex), "voxels are complex128; give an array of booleans or numbers"),
        (np.full((2, 3, 3, 3), "1"), "voxels are <U1; give"),
        (object(), "voxels are object; give"),
        (np.zeros((2, 0, 3, 3)), r"shape \(2, 0, 3, 3\) has no voxels"),
    ],
)
def test_what_is_no_array_of_numbers_is_said(wrong, words):
    reference, _ = lesions()
    for masks_given in ((reference, wrong), (wrong, reference)):
        with pytest.raises(InvalidMask, match=words):
            evaluation.score(*masks_given)


def test_of_several_wrong_values_the_one_is_named_that_comes_first_in_a_file(tmp_path):
    reference, prediction = lesions()
    wrong = prediction.astype(np.float64)
    wrong[0, 4, 5, 3], wrong[1, 2, 3, 2], wrong[1, 1, 2, 3] = 0.125, 0.5, 0.25
    with pytest.raises(InvalidMask, match=r"found 0\.5;") as refusal:
        evaluation.score(reference, wrong)
    assert str(refusal.value) == builders.score(tmp_path, reference, wrong)["reason"]


def test_a_reference_of_fractions_is_refused():
    reference, prediction = lesions()
    with pytest.raises(InvalidMask, match="values are not integers"):
        evaluation.score(reference * 0.5, prediction)


def test_a_reference_file_that_is_none_is_an_error(tmp_path):
    with pytest.raises(
        EvaluationError, match=r"the reference of case_0001\.nii is unusable: the file cannot be opened"
    ):
        evaluation.score(tmp_path / "case_0001.nii", lesions()[1])


def test_a_file_that_is_no_mask_has_the_result_that_it_gets_on_the_server(tmp_path):
    reference, prediction = lesions()
    wrong = builders.mask_file(tmp_path / "case_0001.nii", prediction * 0.5)
    result = evaluation.score(reference, wrong, spacing=SPACING, categories=["2d", "1c"])
    assert (result.status, result.dice, result.findings[0].fn) == (CaseStatus.INVALID, 0.0, 2)
    assert "values are not integers: found 0.5" in repr(result)


def test_without_a_prediction_a_case_is_missing(tmp_path):
    reference, _ = lesions()
    for nothing in (None, tmp_path / "nothing.nii.gz"):
        result = evaluation.score(reference, nothing)
        assert (result.status, result.dice, result.findings[1].fn) == (CaseStatus.MISSING, 0.0, 2)
        assert "no file of this name was found" in repr(result)


# --- spacing and categories -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "categories", [["2d", None], ("2d", None), {"0": "2d"}, {0: "2d"}, {0: "2d", 1: None}, np.array(["2d", None])]
)
def test_categories_are_a_list_or_a_dictionary(categories):
    result = evaluation.score(*lesions(), spacing=np.array(SPACING), categories=categories)
    assert [finding.category for finding in result.findings] == ["2d", None]
    assert [finding.distance_tp for finding in result.findings] == [1, None]


def test_one_finding_has_one_category():
    reference, prediction = lesions(1)
    assert evaluation.score(reference[0], prediction[0], categories="2d").findings[0].category == "2d"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"categories": ["2d"]}, "categories must be one for each finding: there are 2, not 1"),
        ({"categories": []}, "there are 2, not 0"),
        ({"categories": {"2": "2d"}}, "categories are given for 2, but findings end at 1"),
        ({"spacing": (0.7, 0.7)}, "spacing must be three positive numbers in mm"),
        ({"spacing": (0.7, 0.7, 0.0)}, "spacing must be three positive numbers in mm"),
        ({"spacing": 0.7}, "spacing must be three positive numbers in mm"),
        ({"spacing": "abc"}, "spacing must be three positive numbers in mm"),
        ({"name": "folder/case"}, "is not a plain file name"),
    ],
)
def test_what_cannot_be_is_an_error(options, words):
    with pytest.raises(EvaluationError, match=words):
        evaluation.score(*lesions(), **options)


# --- what a notebook shows --------------------------------------------------------------------------------------------


def test_a_result_shows_as_a_short_table():
    result = evaluation.score(*lesions(), spacing=SPACING, categories=["2d", None], name="case_0001")
    assert repr(result).splitlines() == [
        "case_0001: scored, Dice 0.6667, 2 findings in 12 x 13 x 9 voxels",
        "finding  category    Dice     raw  hit  lesions  predicted     TP/FP/FN  by distance",
        "0        2d        0.6667  0.6667  yes        2          1        1/0/1        1/0/1",
        "1        -         0.6667  0.6667  yes        2          1        1/0/1            -",
        "distance metrics left out where there is no category 1x or 2x: 1",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "distance metrics left out: no spacing was given"),
        ({"categories": ["2d", "1c"]}, "distance metrics left out: no spacing was given"),
        ({"spacing": SPACING}, "distance metrics left out: no finding has a category 1x or 2x"),
    ],
)
def test_a_result_says_why_distances_are_not_measured(options, words):
    result = evaluation.score(*lesions(), **options)
    assert repr(result).splitlines()[-1] == words
    assert result.findings[0].distance_tp is None


def test_a_result_with_everything_says_nothing_more():
    result = evaluation.score(*lesions(), spacing=SPACING, categories=["2d", "1c"])
    assert "left out" not in repr(result)


def test_the_table_of_many_findings_stays_short():
    reference = np.ones((30, 3, 3, 3), bool)
    shown = repr(evaluation.score(reference, reference)).splitlines()
    assert len(shown) == 2 + notebooks.MAX_FINDINGS_SHOWN + 2
    assert shown[-2] == "... and 10 more"


def test_results_are_typed_and_cannot_be_changed():
    result = evaluation.score(*lesions())
    assert isinstance(result, CaseScore)
    assert isinstance(result.findings[0], FindingScore)
    for one, field in ((result, "dice"), (result.findings[0], "dice")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, field, 1.0)


def test_rows_are_plain_and_hold_what_the_csv_does(tmp_path):
    reference, prediction = lesions()
    result = evaluation.score(reference, prediction, spacing=SPACING, categories=["2d", None], name="case_0001")
    rows = result.rows()
    assert [row["finding"] for row in rows] == ["0", "1"]
    assert {*csv_columns()} < rows[0].keys() == rows[1].keys()
    assert {type(value) for row in rows for value in row.values()} == {str, float, bool, int, type(None)}
    assert json.loads(json.dumps(rows)) == rows


def csv_columns():
    from evaluation.command.report import csv_text

    return next(csv.reader(csv_text([]).splitlines()))


# --- the table of many cases ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def challenge(tmp_path_factory):
    """Folders of cases, their dataset file, and the names of the cases."""
    root = tmp_path_factory.mktemp("challenge")
    for folder in ("gt", "pred"):
        (root / folder).mkdir()
    rng = np.random.default_rng(3)
    entries = []
    for number in range(12):
        name = f"case_{number:02d}.nii.gz"
        reference, prediction = lesions(1 + number % 3)
        builders.mask_file(root / "gt" / name, reference)
        builders.mask_file(root / "pred" / name, np.roll(prediction, rng.integers(-1, 2, 3), (1, 2, 3)))
        codes = {str(key): str(rng.choice(["1a", "2c", "2d"])) for key in range(len(reference))}
        entries.append({"name": name, "findings": codes, "categories": codes, "spacing": list(SPACING)})
    (root / "pred" / entries[5]["name"]).unlink()
    (root / "dataset.json").write_text(json.dumps({"val": entries}))
    return root, entries


@pytest.fixture(scope="module")
def results(challenge):
    root, entries = challenge
    return [
        evaluation.score(
            root / "gt" / entry["name"],
            root / "pred" / entry["name"],
            spacing=entry["spacing"],
            categories=entry["categories"],
        )
        for entry in entries
    ]


@pytest.fixture(scope="module")
def document(challenge):
    root, _ = challenge
    folders = ["--gt_dir", f"{root / 'gt'}", "--pred_dir", f"{root / 'pred'}", "--num_workers", "1", "--quiet"]
    files = ["--dataset_json", f"{root / 'dataset.json'}", "--output_json", f"{root / 'out.json'}"]
    cli.main([*folders, *files])
    return json.loads((root / "out.json").read_text())


def test_every_case_has_the_numbers_of_the_command_line(results, document):
    assert [result.as_dict() for result in results] == document["cases"]


def test_the_table_has_the_numbers_of_the_command_line(results, document):
    overall, *groups = summarise(results)
    expected = {"overall": document["summary"], **document["groups"]}
    assert [row["group"] for row in (overall, *groups)] == list(expected)
    for row in (overall, *groups):
        numbers = expected[row["group"]]
        assert row["n"] == numbers.get("n", numbers.get("total_findings"))
        for name in (*notebooks.NUMBERS, *notebooks.COUNTS):
            assert row[name] == numbers.get(name, numbers["dice"])
        for name in ("dice", "hit_rate", "instance_f1", "distance_f1"):
            assert [row[f"{name}_low"], row[f"{name}_high"]] == numbers["confidence_intervals"][name]
    assert overall["dice_per_finding"] != overall["dice"]


def test_the_table_is_plain_and_every_row_has_the_same_columns(results):
    table = summarise(results)
    assert {tuple(row) for row in table} == {tuple(table[0])}
    assert {type(value) for row in table for value in row.values()} <= {str, float, int, type(None)}


def test_arrays_need_no_names(challenge, results):
    unnamed = [dataclasses.replace(result, name=None) for result in results]
    assert summarise(unnamed)[0]["dice"] == summarise(results)[0]["dice"]


def test_two_results_for_one_case_are_an_error(results):
    with pytest.raises(EvaluationError, match=r"two results are for the case case_03\.nii\.gz: give `score` another"):
        summarise([*results, results[3]])


def test_nothing_cannot_be_summarised():
    with pytest.raises(EvaluationError, match="there are no"):
        summarise([])


def test_a_set_without_distances_has_none_in_the_table():
    overall, *_ = summarise([evaluation.score(*lesions())])
    assert (overall["distance_f1"], overall["distance_f1_low"], overall["distance_tp"]) == (None, None, None)


# --- the package itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "functions"),
    [
        (notebooks, {"score", "summarise", "rows", "as_dict"}),
        (categories, {"kind_of"}),
        (errors, {"mask_problem"}),
        (aggregate, {"aggregate", "seed_from", "size_group", "size_limits"}),
        (cases, {"lost_case"}),
        (system, {"isolation_lacks"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_example_of_the_documentation_is_true(module, functions):
    assert doctest.testmod(module).failed == 0
    examples = {test.name.rpartition(".")[2] for test in doctest.DocTestFinder().find(module) if test.examples}
    assert examples == functions


@pytest.mark.parametrize("name", ["score", "summarise", "CaseScore", "FindingScore"])
def test_the_package_names_it(name):
    assert name in evaluation.__all__
    assert getattr(evaluation, name) is getattr(notebooks, name)


def test_to_import_the_package_loads_nothing_that_measures():
    program = "import evaluation, sys; print(evaluation.score, {'scipy', 'cc3d'} & sys.modules.keys())"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.endswith("set()\n")


def test_score_case_is_there_as_ever(tmp_path):
    reference, prediction = lesions()
    assert evaluation.score_case is score_case
    result = builders.score(tmp_path, reference, prediction)
    assert evaluation.score(reference, prediction, name="case.nii.gz").as_dict() == result


def test_the_example_of_the_readme_is_true():
    tried = doctest.testfile(str(Path(evaluation.__file__).parent / "README.md"), module_relative=False)
    assert tried.attempted > 5
    assert tried.failed == 0
