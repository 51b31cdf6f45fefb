"""One case: a reference mask and a prediction in, the finding-by-finding result out.

A prediction that is missing or unreadable never raises: it is a result too, the worst one there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from evaluation.categories import Kind, kind_of
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.masks.correction import Correction
from evaluation.masks.mask_digest import MaskDigest
from evaluation.masks.prepared import Reference, open_reference
from evaluation.masks.reading import read_prediction
from evaluation.masks.run_lengths import Runs, Shape, Spacing
from evaluation.metrics import matching
from evaluation.metrics.distances import match_focal, match_non_focal
from evaluation.metrics.instances import Instances, entities, overlaps, predicted_instances
from evaluation.results import CaseResult, CaseStatus, FindingResult

VERSION = "1"

_Channel = TypeVar("_Channel")
_NAME = re.compile(r"[^/\\\0]+")


@dataclass(frozen=True)
class Case:
    """What is known of a case besides its masks.

    `findings` are the keys "0", "1", ... in channel order: the number is the index on the first axis of the mask.
    `categories` maps a key to its code ("2d"), where it has one. `shape` and `spacing_mm` are those of the CT: H, W, D.
    """

    name: str
    findings: tuple[str, ...]
    categories: Mapping[str, str]
    shape: tuple[int, int, int]
    spacing_mm: Spacing | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in (".", ".."):
            raise EvaluationError(f"{self.name!r} is not a plain file name")
        if not self.findings:
            raise EvaluationError(f"{self.name}: no findings")
        if not all(re.fullmatch(r"0|[1-9][0-9]{0,3}", key) for key in self.findings):
            raise EvaluationError(f'{self.name}: finding keys are the numbers "0", "1", ... in decimal')
        if list(self.findings) != sorted(set(self.findings), key=int):
            raise EvaluationError(f"{self.name}: findings must be in channel order, each once")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise EvaluationError(f"{self.name}: shape must be three positive numbers (H, W, D), not {self.shape}")
        sizes = self.spacing_mm
        if sizes is not None and not (len(sizes) == 3 and all(0 < size < 1e6 for size in sizes)):
            raise EvaluationError(f"{self.name}: spacing must be three positive numbers in mm, not {self.spacing_mm}")

    def measures_distance(self, key: str) -> bool:
        """Whether the finding takes part in the distance metrics: it has a spacing and a category 1x or 2x."""
        return self.spacing_mm is not None and kind_of(self.categories.get(key)) is not None


@dataclass(frozen=True)
class Assessment:
    """A case's result and, for the size groups, the reference voxels of each of its findings.

    `mask_digest` names what the prediction holds (see evaluation.masks.mask_digest); empty where it holds nothing.
    """

    result: CaseResult
    reference_voxels: tuple[int, ...]
    mask_digest: str = ""


def score_case(case: Case, reference: Path, prediction: Path | None) -> CaseResult:
    """One element of the native JSON's "cases".

    Without a prediction the status is "missing", with an unusable one "invalid" and a reason says what to change in it.
    Raises `EvaluationError` only if the reference is unusable.
    """
    return assess(case, lambda: open_reference(reference), prediction).result


def assess(
    case: Case, open_it: Callable[[], Reference], prediction: Path | None, correction: Correction | None = None
) -> Assessment:
    """`score_case` together with the sizes of the findings; `open_it` gives the reference from its beginning.

    With a `correction` it is the score of the mask as it would be when saved that way.
    """
    try:
        reference = open_it()
        _check_reference(case, reference.shape)
        if prediction is None:
            return _lost(case, reference, CaseStatus.MISSING, "no file of this name was found")
        try:
            return _compare(case, reference, prediction, correction or Correction())
        except _BadPrediction as error:  # some of the reference may have been read by then
            return _lost(case, open_it(), CaseStatus.INVALID, str(error))
    except InvalidMask as error:
        raise EvaluationError(f"the reference of {case.name} is unusable: {error}") from error


def lost_case(case: Case, n_reference: Sequence[int], status: CaseStatus, reason: str) -> CaseResult:
    """The result of a case without a usable prediction: Dice 0 and no hit whatever the reference, all entities missed.

    `n_reference` are the entity counts of the findings, in their order; `status` is any but `SCORED`.
    """
    findings = []
    for key, count in zip(case.findings, n_reference, strict=True):
        missed = matching.Counts(0, 0, count)
        distance = missed if case.measures_distance(key) else None
        findings.append(_finding_result(case, key, 0.0, 0.0, missed, distance))
    return {"name": case.name, "status": status, "reason": reason, "dice": 0.0, "findings": findings}


class _BadPrediction(Exception):
    """Keeps what is wrong with the prediction apart from what is wrong with the reference."""


def _check_reference(case: Case, shape: Shape) -> None:
    if shape[1:] != tuple(case.shape):
        raise InvalidMask(f"its shape is {shape}, but the case is {tuple(case.shape)}")
    if int(max(case.findings, key=int)) >= shape[0]:
        raise InvalidMask(f"it has {shape[0]} findings, but the case lists {', '.join(case.findings)}")


def _lost(case: Case, reference: Reference, status: CaseStatus, reason: str) -> Assessment:
    wanted = [entities(finding) for _, finding in _chosen(case, reference.findings)]
    result = lost_case(case, [finding.count for finding in wanted], status, reason)
    return Assessment(result, tuple(finding.voxels for finding in wanted))


def _compare(case: Case, reference: Reference, prediction: Path, correction: Correction) -> Assessment:
    findings, voxels, digest = [], [], MaskDigest()
    predicted = _chosen(case, correction.apply(_predicted(prediction, reference.shape)))
    wanted = _chosen(case, reference.findings)
    for (key, runs), (_, finding) in zip(predicted, wanted, strict=True):
        known = entities(finding)
        digest.add(key, runs)
        findings.append(_score_finding(case, key, known, predicted_instances(runs)))
        voxels.append(known.voxels)
    mean = sum(finding["dice"] for finding in findings) / len(findings)
    result = CaseResult(name=case.name, status=CaseStatus.SCORED, reason=None, dice=mean, findings=findings)
    return Assessment(result, tuple(voxels), digest.value())


def _predicted(prediction: Path, shape: Shape) -> Iterator[Runs]:
    try:
        yield from read_prediction(prediction, shape)
    except InvalidMask as error:
        raise _BadPrediction(str(error)) from error


def _chosen(case: Case, channels: Iterable[_Channel]) -> Iterator[tuple[str, _Channel]]:
    """The channels that the case lists as findings; the dataset may leave some of a mask's channels out."""
    wanted = {int(key): key for key in case.findings}
    return ((wanted[index], channel) for index, channel in enumerate(channels) if index in wanted)


def _score_finding(case: Case, key: str, reference: Instances, prediction: Instances) -> FindingResult:
    common = overlaps(reference, prediction)
    kept = matching.dice(int(common[1:, 1:].sum()), reference.voxels, prediction.voxels)
    raw = matching.dice(int(common[1:].sum()), reference.voxels, int(prediction.sizes.sum()))
    counts = matching.match_by_dice(common[1:, 1:], reference.sizes[1:], prediction.sizes[1:])
    return _finding_result(case, key, kept, raw, counts, _distance_counts(case, key, reference, prediction))


def _distance_counts(case: Case, key: str, reference: Instances, prediction: Instances) -> matching.Counts | None:
    if case.spacing_mm is None or not case.measures_distance(key):
        return None
    match = match_focal if kind_of(case.categories[key]) is Kind.FOCAL else match_non_focal
    return match(reference, prediction, case.spacing_mm)


def _finding_result(
    case: Case,
    key: str,
    dice: float,
    dice_raw: float,
    counts: matching.Counts,
    distance: matching.Counts | None,
) -> FindingResult:
    return {
        "finding": key,
        "category": case.categories.get(key),
        "dice": dice,
        "dice_raw": dice_raw,
        "hit": dice >= matching.HIT_DICE,
        "hit_05": dice >= matching.LENIENT_HIT_DICE,
        "n_reference": counts.tp + counts.fn,
        "n_predicted": counts.tp + counts.fp,
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "distance_tp": distance.tp if distance else None,
        "distance_fp": distance.fp if distance else None,
        "distance_fn": distance.fn if distance else None,
    }
