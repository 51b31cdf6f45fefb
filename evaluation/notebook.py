"""Scoring one case at a time, for notebooks and programs: arrays or files in, typed results and plain tables out.

`score` gives the numbers of the server and of the command line, by the same code, in this very process. Nothing limits
what a file may take here: files of strangers are for `evaluation.isolation`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from evaluation.categories import kind_of
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.masks.arrays import numbers_of, prediction_of, reference_of
from evaluation.masks.prepared import Reference, open_reference
from evaluation.masks.reading import reference_shape
from evaluation.masks.run_lengths import Shape, Spacing
from evaluation.metrics.aggregate import COMPARED, aggregate, seed_from, size_limits
from evaluation.metrics.cases import Assessment, Case
from evaluation.results import CaseResult, CaseStatus, FindingResult, Group, Summary

if TYPE_CHECKING:
    from evaluation.metrics.scoring import Prediction


class SupportsArray(Protocol):
    """What NumPy can make an array of, such as a tensor in main memory."""

    def __array__(self) -> Any:
        """The array."""


Mask = SupportsArray | Sequence[Any] | str | os.PathLike[str]
Categories = Sequence[str | None] | Mapping[str, str | None] | Mapping[int, str | None] | str

UNNAMED = "case"
MAX_FINDINGS_SHOWN = 20
ROW = "{:<7}  {:<8}  {:>6}  {:>6}  {:>3}  {:>7}  {:>9}  {:>11}  {:>11}"
HEADER = ROW.format("finding", "category", "Dice", "raw", "hit", "lesions", "predicted", "TP/FP/FN", "by distance")
NUMBERS = (
    *("dice", "dice_per_finding", "dice_raw", "hit_rate", "hit_rate_05"),
    *("instance_precision", "instance_recall", "instance_f1"),
    *("distance_precision", "distance_recall", "distance_f1"),
)
COUNTS = ("tp", "fp", "fn", "distance_tp", "distance_fp", "distance_fn")


@dataclass(frozen=True)
class FindingScore:
    """One finding: what the native JSON says of it, and how many voxels its reference has.

    Dice is from 0 to 1; `hit` is a Dice of 0.1 or more, `hit_05` one of 0.05; tp, fp and fn count lesions and predicted
    instances; those by distance are None where they are not measured.
    """

    finding: str
    category: str | None
    dice: float
    dice_raw: float
    hit: bool
    hit_05: bool
    n_reference: int
    n_predicted: int
    tp: int
    fp: int
    fn: int
    distance_tp: int | None
    distance_fp: int | None
    distance_fn: int | None
    reference_voxels: int


@dataclass(frozen=True, repr=False)
class CaseScore:
    """The result of `score`: `dice` is the mean over the findings; what was not scored has a `reason`, and Dice 0.

    `name` is None where neither a name nor a file was given. `shape` and `spacing_mm` are those of the volume: H, W, D.
    """

    name: str | None
    status: CaseStatus
    reason: str | None
    dice: float
    findings: tuple[FindingScore, ...]
    shape: tuple[int, int, int]
    spacing_mm: Spacing | None

    def __repr__(self) -> str:
        named = f"{self.name}: " if self.name else ""
        count = f"{len(self.findings)} finding" + ("s" if len(self.findings) > 1 else "")
        about = f"{named}{self.status}, Dice {self.dice:.4f}, {count} in {' x '.join(map(str, self.shape))} voxels"
        lines = [_line(finding) for finding in self.findings[:MAX_FINDINGS_SHOWN]]
        if len(self.findings) > len(lines):
            lines.append(f"... and {len(self.findings) - len(lines)} more")
        return "\n".join([about, *([self.reason] if self.reason else []), HEADER, *lines, *self._without_distance()])

    def rows(self) -> list[dict[str, Any]]:
        """A plain dictionary for each finding, with what is said of the case in the first columns.

        `pandas.DataFrame([row for one in results for row in one.rows()])` is a table of all findings.

        >>> import evaluation, numpy
        >>> mask = numpy.zeros((2, 20, 20, 10), bool)
        >>> mask[:, 5:9, 5:9, 2:6] = True
        >>> for row in evaluation.score(mask, mask, categories=["2d", "1c"], name="case_0001").rows():
        ...     print(row["case"], row["finding"], row["category"], row["dice"], row["hit"], row["tp"])
        case_0001 0 2d 1.0 True 1
        case_0001 1 1c 1.0 True 1
        """
        about = {"case": self.name, "status": str(self.status), "reason": self.reason, "case_dice": self.dice}
        return [about | vars(finding) for finding in self.findings]

    def as_dict(self) -> CaseResult:
        """What the native JSON says of the case.

        >>> import evaluation, numpy
        >>> mask = numpy.ones((4, 4, 4), bool)
        >>> sorted(evaluation.score(mask, mask).as_dict())
        ['dice', 'findings', 'name', 'reason', 'status']
        """
        findings = [
            cast("FindingResult", {key: value for key, value in vars(one).items() if key != "reference_voxels"})
            for one in self.findings
        ]
        name = self.name or UNNAMED
        return {"name": name, "status": self.status, "reason": self.reason, "dice": self.dice, "findings": findings}

    def _without_distance(self) -> list[str]:
        """Why distances were not measured, where they were not."""
        if self.spacing_mm is None:
            return ["distance metrics left out: no spacing was given"]
        without = [one.finding for one in self.findings if kind_of(one.category) is None]
        if len(without) == len(self.findings):
            return ["distance metrics left out: no finding has a category 1x or 2x"]
        return (
            [f"distance metrics left out where there is no category 1x or 2x: {', '.join(without)}"] if without else []
        )


def score(
    reference: Mask,
    prediction: Mask | None,
    *,
    spacing: Iterable[float] | None = None,
    categories: Categories | None = None,
    name: str | None = None,
) -> CaseScore:
    """Score one case as the challenge server does.

    Args:
        reference: What is to be found, as an array or as the path of a NIfTI file: (F, H, W, D), findings first, or
            (H, W, D) for one finding. Every number but 0 is one lesion.
        prediction: What was found, likewise; whole numbers from 0 to 255, and everything but 0 is foreground. Without
            one (None, or a path where there is no file), the case is missing.
        spacing: Of the voxels, in mm along H, W and D; never taken from a mask. Without it no distances are measured.
        categories: The code of each finding ("2d"), as a list in the order of the channels, or as a dictionary by
            channel; None where there is none. Without them no distances are measured.
        name: What tables call the case; if not given, the name of the file. Arrays need none.

    Returns:
        The numbers of each finding, to the bit those that the server and `rexg score` give. A file that is no mask of
        the case has the result that it gets there: status "invalid", a reason, Dice 0.

    Raises:
        InvalidMask: An array is no mask; in the words in which a file of that content is refused.
        EvaluationError: Something else is unusable: the reference file, the spacing, the categories.

    >>> import evaluation, numpy
    >>> reference = numpy.zeros((20, 20, 10), int)
    >>> reference[2:8, 2:8, 2:6] = 1  # two lesions
    >>> reference[12:16, 12:16, 2:6] = 2
    >>> prediction = reference == 1
    >>> result = evaluation.score(reference, prediction, spacing=(0.7, 0.7, 2.5), categories=["2d"])
    >>> round(result.dice, 4), result.findings[0].tp, result.findings[0].fn
    (0.8182, 1, 1)
    >>> result
    scored, Dice 0.8182, 1 finding in 20 x 20 x 10 voxels
    finding  category    Dice     raw  hit  lesions  predicted     TP/FP/FN  by distance
    0        2d        0.8182  0.8182  yes        2          1        1/0/1        1/0/1
    """
    from evaluation.metrics.scoring import assess  # loads SciPy, which only who scores has to wait for

    named = name or next((path.name for path in (_path(reference), _path(prediction)) if path is not None), None)
    opened = _Opened(reference, named or UNNAMED)
    shape = opened.shape
    keys = tuple(str(channel) for channel in range(shape[0]))
    case = Case(named or UNNAMED, keys, _codes(categories, shape[0]), shape[1:], _spacing(spacing))
    return _case_score(named, case, assess(case, opened.read, _predicted(prediction, shape)))


def summarise(results: Iterable[CaseScore]) -> list[dict[str, Any]]:
    """The results of many cases as a table that `pandas.DataFrame` takes as it is: a plain dictionary for each row.

    The first row, "overall", is the whole set; its `dice` is the ranking number, the mean over cases of the mean over
    a case's findings. The others are the groups that have findings: focal and non_focal, the categories, and small,
    medium and large. There `dice` is the mean over the `n` findings, which overall is `dice_per_finding`. `dice_low`
    and `dice_high` are the ends of the 95 % interval, and so on. Of the same cases, under the same names, all numbers
    are those of the command line.

    Raises `EvaluationError` without any result, or with two for one case. Results without a name are each another case.

    >>> import evaluation, numpy
    >>> mask = numpy.zeros((2, 20, 20, 10), bool)
    >>> mask[:, 5:9, 5:9, 2:6] = True
    >>> predictions = mask, numpy.roll(mask, 1, axis=1)
    >>> results = [evaluation.score(mask, prediction, categories=["2d", "1c"]) for prediction in predictions]
    >>> for row in evaluation.summarise(results):
    ...     print(row["group"], row["n"], round(row["dice"], 4), row["hit_rate"], row["tp"])
    overall 4 0.875 1.0 4
    focal 2 0.875 1.0 2
    non_focal 2 0.875 1.0 2
    1c 2 0.875 1.0 2
    2d 2 0.875 1.0 2
    small 4 0.875 1.0 4
    """
    cases = dict(_named(list(results)))
    sizes = {
        (name, finding.finding): finding.reference_voxels / _voxels(result.shape)
        for name, result in cases.items()
        for finding in result.findings
    }
    found = aggregate(
        [{**result.as_dict(), "name": name} for name, result in cases.items()],
        seed=seed_from("\n".join(sorted(cases))),
        sizes=sizes,
        limits=size_limits(list(sizes.values())),
    )
    groups = [_row(code, group["n"], group) for code, group in found["groups"].items()]
    return [_row("overall", found["summary"]["total_findings"], found["summary"]), *groups]


# --- what goes in -----------------------------------------------------------------------------------------------------


class _Opened:
    """A reference, as a file or as an array. Raises `EvaluationError` if it is unusable."""

    def __init__(self, mask: Mask, name: str) -> None:
        self._path = _path(mask)
        if self._path is None:
            self._known = reference_of(numbers_of(mask))
            self.shape: Shape = self._known.shape
            return
        try:
            self.shape = reference_shape(self._path)
        except InvalidMask as error:
            raise EvaluationError(f"the reference of {name} is unusable: {error}") from error

    def read(self) -> Reference:
        """From its beginning."""
        return open_reference(self._path) if self._path is not None else self._known


def _path(mask: Mask | None) -> Path | None:
    return Path(mask) if isinstance(mask, str | os.PathLike) else None


def _predicted(mask: Mask | None, shape: Shape) -> Prediction | None:
    path = _path(mask)
    if path is not None:
        return path if os.path.lexists(path) else None
    return prediction_of(numbers_of(mask), shape) if mask is not None else None


def _codes(categories: Categories | None, findings: int) -> dict[str, str]:
    """The category of each finding that has one, by its key."""
    if isinstance(categories, Mapping):
        given = {str(key): code for key, code in categories.items()}
    else:
        listed = (
            [categories]
            if isinstance(categories, str)
            else list([None] * findings if categories is None else categories)
        )
        if len(listed) != findings:
            raise EvaluationError(f"categories must be one for each finding: there are {findings}, not {len(listed)}")
        given = {str(channel): code for channel, code in enumerate(listed)}
    unknown = given.keys() - {str(channel) for channel in range(findings)}
    if unknown:
        raise EvaluationError(
            f"categories are given for {', '.join(sorted(unknown))}, but findings end at {findings - 1}"
        )
    return {key: str(code) for key, code in given.items() if code is not None}


def _spacing(sizes: Iterable[float] | None) -> Spacing | None:
    """Whether they can be a spacing, a `Case` says."""
    if sizes is None:
        return None
    try:
        return cast("Spacing", tuple(float(size) for size in sizes))
    except (TypeError, ValueError):
        raise EvaluationError(f"spacing must be three positive numbers in mm (H, W, D), not {sizes!r}") from None


# --- what comes out ---------------------------------------------------------------------------------------------------


def _case_score(name: str | None, case: Case, assessment: Assessment) -> CaseScore:
    result = assessment.result
    findings = (
        FindingScore(**finding, reference_voxels=voxels)
        for finding, voxels in zip(result["findings"], assessment.reference_voxels, strict=True)
    )
    return CaseScore(
        name, result["status"], result["reason"], result["dice"], tuple(findings), case.shape, case.spacing_mm
    )


def _line(finding: FindingScore) -> str:
    counts = f"{finding.tp}/{finding.fp}/{finding.fn}"
    measured = finding.distance_tp is not None
    distance = f"{finding.distance_tp}/{finding.distance_fp}/{finding.distance_fn}" if measured else "-"
    numbers = (f"{finding.dice:.4f}", f"{finding.dice_raw:.4f}", "yes" if finding.hit else "no")
    about = (finding.finding, finding.category or "-")
    return ROW.format(*about, *numbers, finding.n_reference, finding.n_predicted, counts, distance)


def _named(results: Sequence[CaseScore]) -> list[tuple[str, CaseScore]]:
    """Each with its name; those that have none are numbered."""
    digits = len(str(len(results)))
    named = [(result.name or f"{UNNAMED} {number:0{digits}}", result) for number, result in enumerate(results, start=1)]
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise EvaluationError(f"two results are for the case {twice[0]}: give `score` another `name` for each case")
    return named


def _voxels(shape: tuple[int, int, int]) -> int:
    height, width, depth = shape
    return height * width * depth


def _row(code: str, n: int, numbers: Summary | Group) -> dict[str, Any]:
    """A row of the table: the interval of a number behind it, where it is one that results are compared by."""
    known: Mapping[str, Any] = {"dice_per_finding": numbers["dice"], **numbers}
    intervals: Mapping[str, Any] = numbers["confidence_intervals"]
    row: dict[str, Any] = {"group": code, "n": n}
    for number in NUMBERS:
        row[number] = known[number]
        if number in COMPARED:
            row[f"{number}_low"], row[f"{number}_high"] = intervals[number] or (None, None)
    return row | {count: known[count] for count in COUNTS}
