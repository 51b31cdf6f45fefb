"""What both halves of a case set have to have alike, as counts by case.

They are the groups by which a board can rank (all findings, focal and non-focal, small, medium and large, the
categories), counted in findings, and the quarters of voxel spacing, counted in cases. Sizes and their limits are those
of the scores (`evaluation.size_limits`): shares of the volume, with percentiles over all findings of the set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

import evaluation
from leaderboard.challenge.categories import ALL, GROUPS

QUARTERS = ("smallest quarter", "second quarter", "third quarter", "largest quarter")


@dataclass(frozen=True)
class CaseFacts:
    """What is balanced of a case.

    `findings` are (category, size as a share of the volume: 0 to 1), `voxel_mm3` is the volume of a voxel in mm³.
    """

    name: str
    findings: tuple[tuple[str, float], ...]
    voxel_mm3: float


@dataclass(frozen=True)
class Stratum:
    """A group of findings, or of cases: how many of it each case has, in the order of the cases."""

    kind: str  # "findings" or "spacing"
    code: str
    label: str
    counts: tuple[int, ...]


def strata(cases: Sequence[CaseFacts]) -> list[Stratum]:
    """All that occur among the cases, in the order in which they are told; none of no cases."""
    if not cases:
        return []
    found = [*_of_findings(cases), *_of_spacing(cases)]
    return [one for one in found if any(one.counts)]


def _of_findings(cases: Sequence[CaseFacts]) -> list[Stratum]:
    shares = [share for case in cases for _, share in case.findings]
    limits = evaluation.size_limits(shares) if shares else (0.0, 0.0)
    codes = [[_codes(category, share, limits) for category, share in case.findings] for case in cases]
    return [
        Stratum("findings", code, label, tuple(sum(code in its for its in of_case) for of_case in codes))
        for code, label in GROUPS.items()
    ]


def _codes(category: str, share: float, limits: tuple[float, float]) -> set[str | None]:
    return {ALL, category, evaluation.kind_of(category), evaluation.size_group(share, limits)}


def _of_spacing(cases: Sequence[CaseFacts]) -> list[Stratum]:
    limits = _quartiles([case.voxel_mm3 for case in cases])
    quarter = [sum(case.voxel_mm3 > limit for limit in limits) for case in cases]
    return [
        Stratum("spacing", f"voxel_q{number + 1}", f"Voxels: {label}", tuple(int(one == number) for one in quarter))
        for number, label in enumerate(QUARTERS)
    ]


def _quartiles(values: Sequence[float]) -> list[float]:
    """Linear between neighbours, as numpy's percentiles are; what equals a limit lies below it."""
    return quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
