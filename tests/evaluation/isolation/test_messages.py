"""What the scoring process answers is believed only if it can be true."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.isolation.messages import (
    Cause,
    Failure,
    MalformedMessage,
    Request,
    Task,
    decode_assessment,
    decode_fit,
    decode_request,
    encode_answer,
    encode_request,
)
from evaluation.masks.correction import Correction, Order, orientations
from evaluation.metrics.cases import Assessment, Matching, lost_case
from evaluation.metrics.fit import Fit
from evaluation.metrics.matching import Match
from evaluation.results import CaseStatus
from tests.evaluation import builders

CASE = builders.a_case((2, 8, 9, 9), ["2a"], (1.0, 1.0, 2.5))  # the second finding has no category, so no distances
SCORE = Request(Task.SCORE, CASE, Path("/masks/reference"), Path("/masks/prediction"), 1.5)
MISSING = replace(SCORE, prediction=None)
RESULT = builders.case_result(
    "case.nii.gz",
    builders.finding_result("2a", 0.3, tp=1, fp=2, fn=3, key="0", distance=(2, 1, 2)),
    builders.finding_result(None, 0.07, tp=0, fp=1, fn=1, key="1", distance=None),
)
VOXELS = (100, 7)
MATCHINGS = (Matching((Match(7, 2, 0.25),), (-1, 3, 9), (1, 3)), Matching((), (1,), (1,)))
ASSESSMENT = Assessment(RESULT, VOXELS, MATCHINGS)
DIGEST = "sha256:" + "0" * 64
INVALID = Assessment(
    lost_case(CASE, [4, 1], CaseStatus.INVALID, "it is damaged"),
    VOXELS,
    (Matching(entities=(-1, 3, 7, 9)), Matching(entities=(1,))),
)
LOOK = replace(SCORE, task=Task.FIT)
ORDERS = dict.fromkeys(map(str, Order), 0.5)
FIT = Fit(dict.fromkeys(orientations(CASE.shape), 0.25), {"0": "1", "1": "0"}, 0.5, ORDERS, 0.125, 2)


def answer(assessment=ASSESSMENT):
    return json.loads(encode_answer(assessment))


def line(value):
    return json.dumps(value).encode() + b"\n"


def changed(value, path, new):
    """A copy of nested lists and dictionaries with another value at a place; `...` takes it away."""
    copied = copy.deepcopy(value)
    *way, last = path
    inner = copied
    for step in way:
        inner = inner[step]
    if new is ...:
        del inner[last]
    else:
        inner[last] = new
    return copied


class TestRequests:
    @pytest.mark.parametrize(
        "request_",
        [
            *(SCORE, MISSING, LOOK, replace(SCORE, prepared=True)),
            replace(SCORE, correction=Correction("hWD", (1, 0), inverted=True)),
            replace(SCORE, correction=Correction(channels=Order.REVERSED)),
        ],
    )
    def test_they_arrive_as_they_were_sent(self, request_):
        assert decode_request(encode_request(request_)) == request_

    def test_names_that_are_no_text_arrive_too(self):
        odd = replace(SCORE, prediction=Path("/masks/\udcff\n"))
        assert encode_request(odd).count(b"\n") == 1
        assert decode_request(encode_request(odd)) == odd

    def test_without_a_spacing(self):
        bare = replace(SCORE, case=replace(CASE, spacing_mm=None))
        assert decode_request(encode_request(bare)) == bare


class TestTrueAnswers:
    def test_a_scored_case(self):
        assert decode_assessment(line(answer()), SCORE) == ASSESSMENT

    @pytest.mark.parametrize("same", [False, True])
    def test_what_is_known_of_the_prediction(self, same):
        known = replace(ASSESSMENT, mask_digest=DIGEST, same_channels=same)
        assert decode_assessment(line(answer(known)), SCORE) == known

    def test_an_invalid_and_a_missing_case(self):
        assert decode_assessment(line(answer(INVALID)), SCORE) == INVALID
        missing = replace(INVALID, result=lost_case(CASE, [4, 1], CaseStatus.MISSING, "no file"))
        assert decode_assessment(line(answer(missing)), MISSING) == missing

    @pytest.mark.parametrize("cause", Cause)
    def test_a_failure(self, cause):
        failure = Failure(cause, "as it happened")
        assert decode_assessment(encode_answer(failure), replace(SCORE, prepared=True)) == failure
        assert decode_fit(encode_answer(failure), replace(LOOK, prepared=True)) == failure

    @pytest.mark.parametrize("fit", [FIT, None, replace(FIT, order={})])
    def test_a_fit(self, fit):
        assert decode_fit(encode_answer(fit), LOOK) == fit


def finding(index, name):
    return ("result", "findings", index, name)


def matching(*way):
    return ("matchings", *way)


LIES = {
    "a field too few": (("result", "reason"), ...),
    "a field too many": (("result", "more"), 1),
    "an answer with a field too many": (("more",), 1),
    "a finding with a field too few": (finding(0, "tp"), ...),
    "a finding with a field too many": (finding(0, "more"), 1),
    "no result": (("result",), None),
    "another case": (("result", "name"), "other.nii.gz"),
    "a finding too few": (("result", "findings", 1), ...),
    "findings that are no list": (("result", "findings"), {"0": 1, "1": 2}),
    "a finding that is no object": (("result", "findings", 0), 5),
    "another finding": (finding(0, "finding"), "1"),
    "another category": (finding(0, "category"), "1a"),
    "a category from nowhere": (finding(1, "category"), "2a"),
    "an unknown status": (("result", "status"), "best"),
    "a status that is no text": (("result", "status"), ["scored"]),
    "missing, though there is a file": (("result", "status"), "missing"),
    "invalid, but with Dice": (("result", "status"), "invalid"),
    "scored, but with a reason": (("result", "reason"), "why not"),
    "a mean of other numbers": (("result", "dice"), 0.1851),
    "a mean that is no number": (("result", "dice"), None),
    "Dice above 1": (finding(0, "dice"), 1.5),
    "Dice below 0": (finding(0, "dice_raw"), -0.1),
    "Dice as text": (finding(0, "dice_raw"), "0.3"),
    "Dice as a truth": (finding(0, "dice_raw"), True),
    "Dice that is no number": (finding(0, "dice_raw"), float("nan")),
    "Dice without end": (finding(0, "dice_raw"), float("inf")),
    "a hit below 0.1": (finding(1, "hit"), True),
    "no hit above 0.1": (finding(0, "hit"), False),
    "no lenient hit above 0.05": (finding(1, "hit_05"), False),
    "a hit that is a number": (finding(0, "hit"), 1),
    "a negative count": (finding(0, "fp"), -1),
    "a count with a fraction": (finding(0, "tp"), 1.0),
    "a count that is a truth": (finding(0, "tp"), True),
    "an enormous count": (finding(0, "n_predicted"), 10**30),
    "entities that do not add up": (finding(0, "n_reference"), 5),
    "instances that do not add up": (finding(0, "n_predicted"), 4),
    "distances of another sum": (finding(0, "distance_fp"), 2),
    "distances that nobody measures": (finding(1, "distance_tp"), 0),
    "a distance left out": (finding(0, "distance_fn"), None),
    "voxels of another number of findings": (("reference_voxels",), [100]),
    "voxels that are no list": (("reference_voxels",), 100),
    "negative voxels": (("reference_voxels", 0), -1),
    "more voxels than the volume has": (("reference_voxels", 0), 8 * 9 * 9 + 1),
    "fewer voxels than entities": (("reference_voxels", 0), 3),
    "a digest that is a number": (("mask_digest",), 7),
    "a digest that is none": (("mask_digest",), "sha256:" + "0" * 63),
    "a digest with more behind it": (("mask_digest",), DIGEST + "\n"),
    "equal channels of nothing": (("same_channels",), True),
    "equal channels as a number": (("same_channels",), 0),
    "a matching too few": (("matchings", 1), ...),
    "matchings that are no list": (("matchings",), None),
    "a matching without instances": (matching(0, 2), ...),
    "a pair too few": (matching(0, 0), []),
    "a pair too many": (matching(1, 0), [[1, 1, 0.5]]),
    "a pair that is no pair": (matching(0, 0, 0, 2), ...),
    "a pair below the threshold": (matching(0, 0, 0, 2), 0.19),
    "a pair of more than all": (matching(0, 0, 0, 2), 1.25),
    "a pair as text": (matching(0, 0, 0, 2), "0.25"),
    "a pair that is a whole number": (matching(0, 0, 0, 2), 1),
    "an entity 0": (matching(0, 0, 0, 0), 0),
    "an entity that is a truth": (matching(0, 0, 0, 0), True),
    "an enormous entity": (matching(0, 1, 2), 2**63 + 1),
    "an entity both matched and left over": (matching(0, 0, 0, 0), 9),
    "entities twice": (matching(0, 1, 1), 9),
    "entities out of order": (matching(0, 1), [3, -1, 9]),
    "an entity too few": (matching(0, 1), [3, 9]),
    "an instance below 1": (matching(0, 2, 0), -1),
    "an instance beyond the volume": (matching(0, 2, 1), 8 * 9 * 9 + 1),
    "an instance with a fraction": (matching(0, 2, 1), 3.0),
    "an instance both matched and left over": (matching(0, 0, 0, 1), 3),
    "an instance too many": (matching(0, 2), [1, 3, 4]),
}


class TestLies:
    @pytest.mark.parametrize("lie", LIES)
    def test_a_result_that_cannot_be_is_refused(self, lie):
        path, value = LIES[lie]
        with pytest.raises(MalformedMessage):
            decode_assessment(line(changed(answer(), path, value)), SCORE)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("result", "reason"), None),
            (("result", "reason"), ""),
            (("result", "reason"), "x" * 2001),
            (("result", "reason"), "two\nlines"),
            (("result", "reason"), "\0"),
            (finding(0, "dice_raw"), 0.5),
            (matching(0, 2), [1]),
            (("mask_digest",), DIGEST),
            (("result", "status"), "scored"),
            (("result", "status"), "failed"),
        ],
    )
    def test_a_lost_case_has_a_reason_and_nothing_else(self, path, value):
        with pytest.raises(MalformedMessage):
            decode_assessment(line(changed(answer(INVALID), path, value)), SCORE)

    def test_a_prediction_that_does_not_exist_is_not_scored(self):
        with pytest.raises(MalformedMessage, match="status"):
            decode_assessment(line(answer()), MISSING)

    @pytest.mark.parametrize(
        "said",
        [
            b"",
            b"\n",
            b"\xff\n",
            b"[1]\n",
            b"null\n",
            b"{}\n",
            b"[" * 100_000 + b"\n",
            b"9" * 5000 + b"\n",
            line(answer()).rstrip(),
            line(answer()) + b"\n",
            line(answer()) * 2,
            line(answer()) + b"more",
            line(answer()).replace(b"0.07", b"1e999"),
            line({"fit": None}),
        ],
    )
    def test_anything_but_one_line_with_one_object_is_refused(self, said):
        with pytest.raises(MalformedMessage):
            decode_assessment(said, SCORE)

    @pytest.mark.parametrize(
        "failure",
        [
            {"failure": "bad luck", "detail": ""},
            {"failure": ["exception"], "detail": ""},
            {"failure": "exception"},
            {"failure": "exception", "detail": None},
            {"failure": "damaged prepared reference", "detail": ""},
        ],
    )
    def test_a_failure_that_cannot_be_is_refused(self, failure):
        with pytest.raises(MalformedMessage):
            decode_assessment(line(failure), SCORE)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("fit",), 5),
            (("fit", "more"), 1),
            (("fit", "turned", "HWD"), ...),
            (("fit", "turned", "HWX"), 0.5),
            (("fit", "turned", "HWD"), 3.0),
            (("fit", "turned", "HWD"), "1"),
            (("fit", "turned"), []),
            (("fit", "reordered"), float("nan")),
            (("fit", "foreground"), 1.5),
            (("fit", "orders", "reversed"), ...),
            (("fit", "orders", "reversed"), 3.0),
            (("fit", "orders", "by chance"), 0.5),
            (("fit", "channels"), 1),
            (("fit", "channels"), 10**9),
            (("fit", "channels"), True),
            (("fit", "order", "0"), "0"),
            (("fit", "order", "0"), 1),
            (("fit", "order", "7"), "7"),
            (("result",), RESULT),
        ],
    )
    def test_a_fit_that_cannot_be_is_refused(self, path, value):
        with pytest.raises(MalformedMessage):
            decode_fit(line(changed(json.loads(encode_answer(FIT)), path, value)), LOOK)
