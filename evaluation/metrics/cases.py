"""What a case is and what its score is made of, without the libraries that measure masks.

The server and the command line know cases by these; only the processes that score load the rest (`metrics.scoring`),
which takes half a second and 40 MB.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evaluation.categories import kind_of
from evaluation.errors import EvaluationError
from evaluation.masks.run_lengths import Spacing
from evaluation.metrics.matching import HIT_DICE, LENIENT_HIT_DICE, Counts, Match
from evaluation.results import CaseResult, CaseStatus, FindingResult

VERSION = "1"

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


class Matching(NamedTuple):
    """Which entities and predicted instances of a finding were matched by Dice, best first, and which are left over.

    An entity is named by its value in the reference. An instance has its number, in C order of the first voxels, among
    all components of 10 voxels or more, also where only the 50 largest of them count.
    """

    pairs: tuple[Match, ...] = ()
    entities: tuple[int, ...] = ()
    instances: tuple[int, ...] = ()


@dataclass(frozen=True)
class Assessment:
    """A case's result and, of each of its findings, the reference voxels (for the size groups) and the matching.

    `mask_digest` names what the prediction holds (see evaluation.masks.mask_digest); empty where it holds nothing.
    `same_channels`: it holds the same, and something, in the channel of each of its findings, of which it has several.
    """

    result: CaseResult
    reference_voxels: tuple[int, ...]
    matchings: tuple[Matching, ...]
    mask_digest: str = ""
    same_channels: bool = False


def lost_case(case: Case, n_reference: Sequence[int], status: CaseStatus, reason: str) -> CaseResult:
    """The result of a case without a usable prediction: Dice 0 and no hit whatever the reference, all entities missed.

    `n_reference` are the entity counts of the findings, in their order; `status` is any but `SCORED`.

    >>> import evaluation
    >>> case = evaluation.Case("case_0001.nii.gz", ("0",), {"0": "2d"}, (512, 512, 300))
    >>> lost = evaluation.lost_case(case, [3], evaluation.CaseStatus.MISSING, "no file of this name was found")
    >>> lost["dice"], lost["findings"][0]["fn"]
    (0.0, 3)
    """
    findings = []
    for key, count in zip(case.findings, n_reference, strict=True):
        missed = Counts(0, 0, count)
        distance = missed if case.measures_distance(key) else None
        findings.append(finding_result(case, key, 0.0, 0.0, missed, distance))
    return {"name": case.name, "status": status, "reason": reason, "dice": 0.0, "findings": findings}


def mean_dice(findings: Sequence[FindingResult]) -> float:
    """A case's Dice. Added up exactly and rounded once: what Python's `sum` gives depends on its version."""
    return math.fsum(finding["dice"] for finding in findings) / len(findings)


def finding_result(
    case: Case,
    key: str,
    dice: float,
    dice_raw: float,
    counts: Counts,
    distance: Counts | None,
) -> FindingResult:
    """The result of one finding; `distance` counts are None where the finding takes no part in them."""
    return {
        "finding": key,
        "category": case.categories.get(key),
        "dice": dice,
        "dice_raw": dice_raw,
        "hit": dice >= HIT_DICE,
        "hit_05": dice >= LENIENT_HIT_DICE,
        "n_reference": counts.tp + counts.fn,
        "n_predicted": counts.tp + counts.fp,
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "distance_tp": distance.tp if distance else None,
        "distance_fp": distance.fp if distance else None,
        "distance_fn": distance.fn if distance else None,
    }
