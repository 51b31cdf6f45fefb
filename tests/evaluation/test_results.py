"""Results are what their types say: the same fields, and values of the types stated."""

import json
import types
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pytest

from evaluation import Aggregates, CaseResult, CaseStatus, Hint, aggregate, lost_case, score_case
from evaluation.command.report import NativeDocument, native, params
from tests.evaluation import builders

SHAPE = (3, 8, 8, 8)
HINT: Hint = {"kind": "turned", "text": "on 3 of 3 cases", "cases": 3, "dice": 0.1, "corrected_dice": 0.4}
CASE = builders.a_case(SHAPE, ["1a", "2a"], (1.0, 1.0, 2.5))  # the third finding has no category, so no distances


def misfit(value: Any, wanted: Any, bound: dict[Any, Any] | None = None, path: str = "") -> str:
    """Where a value is not of the type, or "": TypedDicts (generic ones, too), lists, dictionaries, unions, classes."""
    wanted = (bound or {}).get(wanted, wanted)
    origin, arguments = get_origin(wanted) or wanted, get_args(wanted)
    if origin in (Union, types.UnionType):
        misfits = [misfit(value, option, bound, path) for option in arguments]
        return "" if "" in misfits else misfits[0]
    if is_typeddict(origin):
        bound = dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=True))
        hints = get_type_hints(origin)
        if not isinstance(value, dict) or value.keys() != hints.keys():
            return f"{path}: other fields than {sorted(hints)}"
        found = (misfit(value[name], hint, bound, f"{path}.{name}") for name, hint in hints.items())
        return next((one for one in found if one), "")
    if origin in (list, dict):
        if type(value) is not origin:
            return f"{path}: no {origin.__name__}"
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        found = (misfit(part, arguments[-1], bound, f"{path}[{index}]") for index, part in parts)
        return next((one for one in found if one), "")
    return "" if type(value) is origin else f"{path}: {value!r} is no {origin.__name__}"


def results(tmp_path) -> list[CaseResult]:
    reference = np.zeros(SHAPE, np.uint8)
    reference[:, :4, :4] = 1
    path = builders.mask_file(tmp_path / "reference.nii.gz", reference)
    damaged = builders.write(tmp_path / "damaged.nii.gz", b"no")
    scored, missing, invalid = (score_case(CASE, path, prediction) for prediction in (path, None, damaged))
    failed = lost_case(CASE, [1, 1, 1], CaseStatus.FAILED, "out of memory")
    return [{**case, "name": str(index)} for index, case in enumerate((scored, missing, invalid, failed))]


def test_a_case_result_of_every_status_is_what_its_type_says(tmp_path):
    found = results(tmp_path)
    assert [case["status"] for case in found] == list(CaseStatus)
    assert [misfit(case, CaseResult) for case in found] == [""] * 4


@pytest.mark.parametrize("resamples", [0, 20])
def test_the_aggregates_are_what_their_types_say(tmp_path, resamples):
    sizes = {(str(case), str(finding)): 0.1 * finding for case in range(4) for finding in range(3)}
    found = aggregate(results(tmp_path), seed=1, sizes=sizes, limits=(0.1, 0.15), resamples=resamples)
    assert misfit(found, Aggregates) == ""
    assert list(found["groups"]) == ["focal", "non_focal", "1a", "2a", "small", "large"]


def test_so_are_those_of_findings_without_distances(tmp_path):
    bare = [case for case in results(tmp_path) if case["findings"].pop(0) and case["findings"].pop(0)]
    found = aggregate(bare, seed=1)
    assert misfit(found, Aggregates) == ""
    assert (found["summary"]["distance_tp"], found["summary"]["distance_f1"]) == (None, None)


def test_the_native_document_is_what_its_type_says(tmp_path):
    found = results(tmp_path)
    document = native(found, aggregate(found, seed=1, resamples=5), params(1, (0.1, 0.2), None), [HINT])
    assert misfit(document, NativeDocument) == ""


def test_json_holds_plain_words_that_are_equal_to_the_members(tmp_path):
    read = json.loads(json.dumps(results(tmp_path)))
    assert [case["status"] for case in read] == ["scored", "missing", "invalid", "failed"]
    assert read == results(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("findings", 0, "tp"), 1.0),
        (("findings", 0, "hit"), 1),
        (("findings", 0, "category"), CaseStatus.SCORED),
        (("findings",), ()),
        (("dice",), None),
        (("more",), 1),
    ],
)
def test_a_value_of_another_type_would_be_found(tmp_path, place, value):
    case: Any = results(tmp_path)[0]
    *way, last = place
    inner = case
    for step in way:
        inner = inner[step]
    inner[last] = value
    assert misfit(case, CaseResult) != ""
