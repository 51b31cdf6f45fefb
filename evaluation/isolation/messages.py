"""What the scoring process and its parent say to each other: one JSON object per line, each way.

C code parses hostile bytes in the child, so the parent believes nothing it says: an answer has exactly the expected
fields, belongs to the case that was asked for, and its numbers can go together. Anything else is a `MalformedMessage`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, cast

from evaluation.masks.correction import Correction, Order, orientations
from evaluation.masks.reading import MAX_FINDINGS
from evaluation.metrics.cases import Assessment, Case, Matching, lost_case, mean_dice
from evaluation.metrics.fit import Fit
from evaluation.metrics.matching import HIT_DICE, LENIENT_HIT_DICE, MATCH_DICE, Match
from evaluation.results import CaseResult, CaseStatus, FindingResult

READY = b"ready\n"  # a child's first line
ORDER_BYTES = 4096  # at most, of an order to the fork server or its reply
MAX_REASON = 2000  # characters
MAX_ENTITY = 2**63  # the value of a reference's entity, or the negative of it
MEAN_TOLERANCE = 1e-12
DIGEST = re.compile("sha256:[0-9a-f]{64}")

COUNTS = ("n_reference", "n_predicted", "tp", "fp", "fn")
DISTANCE_COUNTS = ("distance_tp", "distance_fp", "distance_fn")


class MalformedMessage(Exception):
    """An answer that this package's code cannot give: whoever gave it is broken."""


class Task(StrEnum):
    """What the child is to do.

    Score a case; say whether its prediction can be read as its mask, to the last byte; or tell how the prediction would
    fit (see evaluation.metrics.fit).
    """

    SCORE = "score"
    CHECK = "check"
    FIT = "fit"


@dataclass(frozen=True)
class Request:
    """One piece of work for the child.

    `reference` is a mask or, if `prepared`, what masks.prepared made of one. `seconds` are of processor time. With a
    `correction` the prediction is scored as if it had been saved that way.
    """

    task: Task
    case: Case
    reference: Path
    prediction: Path | None
    seconds: float
    prepared: bool = False
    correction: Correction | None = None


class Cause(StrEnum):
    """Why the child, itself in good health, has no result."""

    UNUSABLE_REFERENCE = "unusable reference"
    DAMAGED_PREPARED = "damaged prepared reference"
    OUT_OF_MEMORY = "out of memory"
    EXCEPTION = "exception"


@dataclass(frozen=True)
class Checked:
    """The child's answer to "check": what is wrong with the prediction, if anything is."""

    reason: str | None


@dataclass(frozen=True)
class Failure:
    """The child's answer when it has no result; `detail` is what people should read, or the traceback."""

    cause: Cause
    detail: str = ""


def encode_request(request: Request) -> bytes:
    """The request as a line."""
    prediction = str(request.prediction.absolute()) if request.prediction is not None else None
    case = {**vars(request.case), "categories": dict(request.case.categories)}
    fields = {"case": case, "reference": str(request.reference.absolute()), "prediction": prediction}
    correction = vars(request.correction) if request.correction is not None else None
    return _line({**vars(request), **fields, "correction": correction})


def decode_request(line: bytes) -> Request:
    """The request that `encode_request` made a line of. The parent is trusted: nothing is checked."""
    fields = json.loads(line)
    case = fields["case"]
    spacing = tuple(case["spacing_mm"]) if case["spacing_mm"] is not None else None
    case |= {"findings": tuple(case["findings"]), "shape": tuple(case["shape"]), "spacing_mm": spacing}
    prediction = Path(fields["prediction"]) if fields["prediction"] is not None else None
    paths = {"reference": Path(fields["reference"]), "prediction": prediction}
    about = {"task": Task(fields["task"]), "case": Case(**case), "correction": _correction(fields["correction"])}
    return Request(**{**fields, **paths, **about})


def _correction(fields: dict[str, Any] | None) -> Correction | None:
    if fields is None:
        return None
    channels = fields["channels"]
    return Correction(**{**fields, "channels": Order(channels) if isinstance(channels, str) else tuple(channels)})


def encode_answer(answer: Assessment | Checked | Fit | Failure | None) -> bytes:
    """The answer as a line; None is the answer to "fit" where there is nothing to fit."""
    if isinstance(answer, Failure):
        return _line({"failure": answer.cause, "detail": answer.detail})
    if isinstance(answer, Checked):
        return _line({"reason": answer.reason})
    if isinstance(answer, Assessment):
        return _line(vars(answer))
    return _line({"fit": asdict(answer) if answer is not None else None})


def decode_assessment(line: bytes, request: Request) -> Assessment | Failure:
    """The answer to "score". Raises `MalformedMessage`."""
    answer = _object(line)
    if "failure" in answer:
        return _failure(answer, request)
    _require_fields(answer, {"result", "reference_voxels", "matchings", "mask_digest", "same_channels"})
    volume = math.prod(request.case.shape)
    voxels = _list(answer["reference_voxels"], len(request.case.findings))
    for count in voxels:
        _require_count(count, volume)
    result = _case_result(answer["result"], request, voxels)
    found = zip(_list(answer["matchings"], len(result["findings"])), result["findings"], strict=True)
    matchings = tuple(_matching(value, finding, volume) for value, finding in found)
    digest, same = _mask_digest(answer["mask_digest"], result), answer["same_channels"]
    _require(same is False or (same is True and digest and len(matchings) > 1), "equal channels that there are not")
    return Assessment(result, tuple(voxels), matchings, digest, same)


def decode_checked(line: bytes, request: Request) -> Checked | Failure:
    """The answer to "check". Raises `MalformedMessage`."""
    answer = _object(line)
    if "failure" in answer:
        return _failure(answer, request)
    _require_fields(answer, {"reason"})
    if answer["reason"] is not None:
        _require_reason(answer["reason"])
    return Checked(answer["reason"])


def decode_fit(line: bytes, request: Request) -> Fit | Failure | None:
    """The answer to "fit". Raises `MalformedMessage`."""
    answer = _object(line)
    if "failure" in answer:
        return _failure(answer, request)
    _require_fields(answer, {"fit"})
    fields = answer["fit"]
    if fields is None:
        return None
    _require_fields(fields, {"turned", "order", "reordered", "orders", "foreground", "channels"})
    turned, order, orders = _dict(fields["turned"]), _dict(fields["order"]), _dict(fields["orders"])
    _require(list(turned) == orientations(request.case.shape), "other orientations than the volume has")
    _require(list(orders) == list(Order), "other orders than those of a slip")
    for dice in (*turned.values(), *orders.values(), fields["reordered"]):
        _require_number(dice, 2.0)  # an estimate from a sample may exceed 1
    known = [key for key in request.case.findings if key in order]
    _require(list(order) == known, "an order of other findings")
    _require(all(isinstance(channel, str) for channel in order.values()), "an order of something else than findings")
    _require(sorted(order.values()) == sorted(known), "an order that is not one to one")
    _require_number(fields["foreground"], 1.0)
    _require_count(fields["channels"], MAX_FINDINGS)
    _require(int(request.case.findings[-1]) < fields["channels"], "fewer channels than findings")
    return Fit(**fields)


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    """The object that is alone on its line."""
    _require(line.endswith(b"\n") and line.count(b"\n") == 1, "not one line")
    try:
        return _dict(json.loads(line, parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        raise MalformedMessage("not JSON") from None


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedMessage(f"{name} is no number")


def _failure(answer: dict[str, Any], request: Request) -> Failure:
    _require_fields(answer, {"failure", "detail"})
    _require(isinstance(answer["detail"], str) and answer["failure"] in list(Cause), "an unknown failure")
    failure = Failure(Cause(answer["failure"]), answer["detail"])
    _require(failure.cause is not Cause.DAMAGED_PREPARED or request.prepared, "damage of what it was not given")
    return failure


def _mask_digest(value: Any, result: CaseResult) -> str:
    _require(isinstance(value, str) and (not value or DIGEST.fullmatch(value)), "no digest")
    _require(not value or result["status"] == CaseStatus.SCORED, "a digest without a usable prediction")
    return str(value)


def _matching(value: Any, finding: FindingResult, volume: int) -> Matching:
    pairs, entities, instances = _list(value, 3)
    matches = tuple(_match(pair) for pair in _list(pairs, finding["tp"]))
    _require(list(matches) == sorted(matches, key=lambda match: -match.dice), "pairs that are not best first")
    _require_names(_list(entities, finding["fn"]), [match.entity for match in matches], -MAX_ENTITY, MAX_ENTITY)
    _require_names(_list(instances, finding["fp"]), [match.instance for match in matches], 1, volume)
    return Matching(matches, tuple(entities), tuple(instances))


def _match(value: Any) -> Match:
    match = Match(*_list(value, 3))
    _require_number(match.dice, 1.0)
    _require(match.dice >= MATCH_DICE, "a pair that does not match")
    return match


def _require_names(left_over: list[Any], matched: list[Any], lowest: int, highest: int) -> None:
    """Whole numbers but 0, each once, those left over in order."""
    names = [*left_over, *matched]
    possible = all(type(name) is int and name and lowest <= name <= highest for name in names)
    _require(possible, "an impossible name")
    _require(len(set(names)) == len(names) and left_over == sorted(left_over), "names that are not one to one")


def _case_result(value: Any, request: Request, reference_voxels: list[int]) -> CaseResult:
    _require_fields(value, CaseResult.__required_keys__)
    case = request.case
    _require(value["name"] == case.name, "another case")
    findings = [
        _finding_result(finding, case, key, voxels)
        for key, finding, voxels in zip(
            case.findings, _list(value["findings"], len(case.findings)), reference_voxels, strict=True
        )
    ]
    dice, reason = value["dice"], value["reason"]
    _require_number(dice, 1.0)
    _require(abs(dice - mean_dice(findings)) <= MEAN_TOLERANCE, "a Dice that is not the mean of the findings'")
    if request.prediction is not None and value["status"] == CaseStatus.SCORED:
        _require(reason is None, "a scored case with a reason")
        return CaseResult(name=case.name, status=CaseStatus.SCORED, reason=None, dice=dice, findings=findings)
    status = CaseStatus.MISSING if request.prediction is None else CaseStatus.INVALID
    _require(value["status"] == status, "an impossible status")
    _require_reason(reason)
    lost = lost_case(case, [finding["n_reference"] for finding in findings], status, reason)
    _require(value == lost, "something found without a usable prediction")
    return lost


def _finding_result(finding: Any, case: Case, key: str, reference_voxels: int) -> FindingResult:
    _require_fields(finding, FindingResult.__required_keys__)
    _require(finding["finding"] == key, "another finding")
    _require(finding["category"] == case.categories.get(key), "another category")
    for name in ("dice", "dice_raw"):
        _require_number(finding[name], 1.0)
    _require(finding["hit"] is (finding["dice"] >= HIT_DICE), "a hit that does not go with its Dice")
    _require(finding["hit_05"] is (finding["dice"] >= LENIENT_HIT_DICE), "a lenient hit that does not go with its Dice")
    for name in COUNTS:
        _require_count(finding[name], math.prod(case.shape))
    _require(finding["n_reference"] <= reference_voxels, "more entities than voxels")
    _require_sums(finding, [finding[name] for name in ("tp", "fp", "fn")])
    distances = [finding[name] for name in DISTANCE_COUNTS]
    if case.measures_distance(key):
        for count in distances:
            _require_count(count, math.prod(case.shape))
        _require_sums(finding, distances)
    else:
        _require(distances == [None, None, None], "distances that nobody measures")
    return cast("FindingResult", finding)


def _require_sums(finding: dict[str, Any], counts: list[int]) -> None:
    tp, fp, fn = counts
    _require(finding["n_reference"] == tp + fn and finding["n_predicted"] == tp + fp, "counts that do not add up")


def _require_fields(value: Any, names: AbstractSet[str]) -> None:
    _require(_dict(value).keys() == names, "other fields than expected")


def _require_reason(value: Any) -> None:
    _require(isinstance(value, str) and 0 < len(value) <= MAX_REASON and value.isprintable(), "no proper reason")


def _require_count(value: Any, highest: int) -> None:
    # `type`, here and below, for True is an int, too.
    _require(type(value) is int and 0 <= value <= highest, "an impossible count")


def _require_number(value: Any, highest: float) -> None:
    _require(type(value) is float and 0.0 <= value <= highest, "an impossible number")


def _list(value: Any, length: int) -> list[Any]:
    _require(isinstance(value, list) and len(value) == length, f"not a list of {length}")
    return list(value)


def _dict(value: Any) -> dict[str, Any]:
    _require(isinstance(value, dict), "not an object")
    return dict(value)


def _require(sound: object, what: str) -> None:
    if not sound:
        raise MalformedMessage(what)
