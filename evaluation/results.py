"""The types of what the evaluation gives: one case, a whole set, a group of findings.

All are plain dictionaries, listed as they are in the native JSON, so that they can be stored, sent and printed. Read
back from JSON, a word of these lists is a plain string: equal to the member, and only `==` says so, not `is`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypedDict, TypeVar

T = TypeVar("T")


class CaseStatus(StrEnum):
    """What became of a case. All but the first mean Dice 0 and every entity missed, and have a reason."""

    SCORED = "scored"
    MISSING = "missing"  # there is no prediction
    INVALID = "invalid"  # the prediction cannot be read as a mask of the case, or costs too much
    FAILED = "failed"  # the algorithm that should have made it failed; only the server knows of that


class SizeGroup(StrEnum):
    """A finding's size among those of its case set: up to the median, up to the 75th percentile, above."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class FindingResult(TypedDict):
    """One finding. Dice from 0 to 1; counts of entities and instances; distance counts None where not measured."""

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


class CaseResult(TypedDict):
    """One case: `reason` is None if it was scored; `dice` is the mean over its findings."""

    name: str
    status: CaseStatus
    reason: str | None
    dice: float
    findings: list[FindingResult]


Interval = list[float]  # of two numbers, low and high


class OfGroup(TypedDict, Generic[T]):
    """Something about each number of a group that has a bootstrap distribution."""

    dice: T
    dice_raw: T
    hit_rate: T
    hit_rate_05: T
    instance_precision: T
    instance_recall: T
    instance_f1: T
    distance_precision: T
    distance_recall: T
    distance_f1: T


class OfSummary(OfGroup[T], Generic[T]):
    """The same of a summary."""

    dice_per_finding: T


class Numbers(TypedDict):
    """What a summary and a group have in common: numbers from 0 to 1, and pooled counts.

    Those of distances are None if none of the findings takes part in the distance metrics.
    """

    dice: float
    dice_raw: float
    hit_rate: float
    hit_rate_05: float
    instance_precision: float
    instance_recall: float
    instance_f1: float
    distance_precision: float | None
    distance_recall: float | None
    distance_f1: float | None
    tp: int
    fp: int
    fn: int
    distance_tp: int | None
    distance_fp: int | None
    distance_fn: int | None


class Group(Numbers):
    """A population of `n` findings, at least one: a kind, a category, a size. Dice is the mean over its findings.

    An interval is None if no resample had the number; `resamples_skipped` counts those that did not.
    """

    n: int
    confidence_intervals: OfGroup[Interval | None]
    resamples_skipped: OfGroup[int]


class Summary(Numbers):
    """A whole set. `dice`, the ranking number, is the mean over cases of the case's mean, and `dice_raw` likewise."""

    total_cases: int
    total_findings: int
    dice_per_finding: float
    confidence_intervals: OfSummary[Interval | None]
    resamples_skipped: OfSummary[int]


class Aggregates(TypedDict):
    """What `aggregate` gives: the whole set, and the groups that have findings, by their code ("focal", "2d", ...)."""

    summary: Summary
    groups: dict[str, Group]
