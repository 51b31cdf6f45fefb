"""One case: a reference mask and a prediction in, the finding-by-finding result out.

A prediction that is missing or unreadable never raises: it is a result too, the worst one there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from evaluation.categories import Kind, kind_of
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.masks.correction import Correction
from evaluation.masks.mask_digest import MaskDigest
from evaluation.masks.prepared import Reference, open_reference
from evaluation.masks.reading import read_prediction
from evaluation.masks.run_lengths import Channel, Shape
from evaluation.metrics import matching
from evaluation.metrics.cases import Assessment, Case, Matching, finding_result, lost_case, mean_dice
from evaluation.metrics.distances import match_focal, match_non_focal
from evaluation.metrics.instances import Instances, entities, overlaps, predicted_instances
from evaluation.results import CaseResult, CaseStatus, FindingResult

_Item = TypeVar("_Item")
Prediction = Path | Sequence[Channel]  # a file, or the findings of a mask that was checked


def score_case(case: Case, reference: Path, prediction: Path | None) -> CaseResult:
    """One element of the native JSON's "cases".

    Without a prediction the status is "missing", with an unusable one "invalid" and a reason says what to change in it.
    Raises `EvaluationError` only if the reference is unusable.
    """
    return assess(case, lambda: open_reference(reference), prediction).result


def assess(
    case: Case,
    open_it: Callable[[], Reference],
    prediction: Prediction | None,
    correction: Correction | None = None,
    compared: dict[str, tuple[Channel, Channel]] | None = None,
) -> Assessment:
    """`score_case` together with the sizes of the findings; `open_it` gives the reference from its beginning.

    With a `correction` it is the score of the mask as it would be when saved that way. `compared` gets the (prediction,
    reference) of each finding.
    """
    try:
        reference = open_it()
        _check_reference(case, reference.shape)
        if prediction is None:
            return _lost(case, reference, CaseStatus.MISSING, "no file of this name was found")
        try:
            return _compare(
                case, reference, prediction, correction or Correction(), {} if compared is None else compared
            )
        except _BadPrediction as error:  # some of the reference may have been read by then
            return _lost(case, open_it(), CaseStatus.INVALID, str(error))
    except InvalidMask as error:
        raise EvaluationError(f"the reference of {case.name} is unusable: {error}") from error


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
    voxels = tuple(finding.voxels for finding in wanted)
    return Assessment(result, voxels, tuple(Matching(entities=finding.names) for finding in wanted))


def _compare(
    case: Case,
    reference: Reference,
    prediction: Prediction,
    correction: Correction,
    compared: dict[str, tuple[Channel, Channel]],
) -> Assessment:
    findings, voxels, matchings, digest = [], [], [], MaskDigest()
    predicted = _chosen(case, correction.apply(_predicted(prediction, reference.shape)))
    wanted = _chosen(case, reference.findings)
    for (key, runs), (_, finding) in zip(predicted, wanted, strict=True):
        compared[key] = runs, finding.runs
        known = entities(finding)
        digest.add(key, runs)
        result, matched = _score_finding(case, key, known, predicted_instances(runs))
        findings.append(result)
        matchings.append(matched)
        voxels.append(known.voxels)
    scored = CaseResult(
        name=case.name, status=CaseStatus.SCORED, reason=None, dice=mean_dice(findings), findings=findings
    )
    return Assessment(scored, tuple(voxels), tuple(matchings), digest.value(), digest.same_channels)


def _predicted(prediction: Prediction, shape: Shape) -> Iterator[Channel]:
    try:
        yield from read_prediction(prediction, shape) if isinstance(prediction, Path) else prediction
    except InvalidMask as error:
        raise _BadPrediction(str(error)) from error


def _chosen(case: Case, channels: Iterable[_Item]) -> Iterator[tuple[str, _Item]]:
    """The channels that the case lists as findings; the dataset may leave some of a mask's channels out."""
    wanted = {int(key): key for key in case.findings}
    return ((wanted[index], channel) for index, channel in enumerate(channels) if index in wanted)


def _score_finding(case: Case, key: str, reference: Instances, prediction: Instances) -> tuple[FindingResult, Matching]:
    common = overlaps(reference, prediction)
    kept = matching.dice(int(common[1:, 1:].sum()), reference.voxels, prediction.voxels)
    raw = matching.dice(int(common[1:].sum()), reference.voxels, int(prediction.sizes.sum()))
    matches = matching.match_by_dice(common[1:, 1:], reference.sizes[1:], prediction.sizes[1:])
    counts = matching.counted(len(matches), reference.count, prediction.count)
    distance = _distance_counts(case, key, reference, prediction)
    return finding_result(case, key, kept, raw, counts, distance), _named(matches, reference, prediction)


def _named(matches: Sequence[matching.Match], reference: Instances, prediction: Instances) -> Matching:
    """The matches by the names of the instances, and the names of those that are left over."""
    pairs = [matching.Match(reference.names[i - 1], prediction.names[j - 1], dice) for i, j, dice in matches]
    entities, instances = {pair.entity for pair in pairs}, {pair.instance for pair in pairs}
    return Matching(
        tuple(pairs),
        tuple(name for name in reference.names if name not in entities),
        tuple(name for name in prediction.names if name not in instances),
    )


def _distance_counts(case: Case, key: str, reference: Instances, prediction: Instances) -> matching.Counts | None:
    if case.spacing_mm is None or not case.measures_distance(key):
        return None
    match = match_focal if kind_of(case.categories[key]) is Kind.FOCAL else match_non_focal
    return match(reference, prediction, case.spacing_mm)
