"""Whether what headers say about a volume's place can be: what is allowed, and yet is mostly a slip of an export."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboard.challenge.casesets import problems
from leaderboard.challenge.casesets.nifti import Placing, Values
from leaderboard.challenge.casesets.problems import Report

_SAME = 0.01  # of a spacing: what rounding to a few digits changes
_LEAST_CASES = 5  # from which one can be far from the rest
_FACTOR = 2.0
_SPREADS = 5.0
_AIR = -500  # HU: every chest has air, and what surrounds it


class Extent(NamedTuple):
    """Shape and spacing of a case."""

    name: str
    shape: Sequence[int]
    spacing_mm: Sequence[float]


def look_at_place(report: Report, name: str, placing: Placing) -> None:
    """Warn of what a CT's header says about its place."""
    stated = "x".join(f"{abs(step):g}" for step in placing.pixdim).replace("x", " x ")
    if any(abs(step) < 1e-6 for step in placing.pixdim):
        report.say(problems.PIXDIM_ZERO, name, f"its CT states a spacing of {stated} mm")
        return
    axes = placing.axes
    if axes is None:
        report.say(problems.IDENTITY, name, f"its CT has no affine, and states {stated} mm")
        return
    if np.allclose(np.abs(axes), np.eye(3), atol=1e-6):
        report.say(problems.IDENTITY, name, "its CT has an identity affine: 1 x 1 x 1 mm")
    lengths = np.linalg.norm(axes, axis=0)
    if not np.allclose(lengths, np.abs(placing.pixdim), rtol=_SAME):
        said = " x ".join(f"{step:.3g}" for step in lengths)
        report.say(problems.DISAGREEING, name, f"the affine of its CT has {said} mm, its pixdim {stated} mm")
    elif _disagree(placing.sform, placing.qform):
        report.say(problems.DISAGREEING, name, "the sform and the qform of its CT turn its axes differently")


def look_at_mask(report: Report, name: str, ct: Placing, mask: Placing) -> None:
    """Warn of a mask that says it lies elsewhere. One without a place of its own lies where its CT does."""
    if mask.axes is None or ct.axes is None or np.allclose(np.abs(mask.axes), np.eye(3), atol=1e-6):
        return
    if _disagree(ct.axes, mask.axes):
        report.say(problems.MASK_PLACE, name, "the affine of its mask is neither its CT's nor the identity")


def _disagree(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    if one is None or other is None:
        return False
    return not np.allclose(one, other, atol=_SAME * float(np.abs(one).max()))


def look_at_values(report: Report, name: str, values: Values) -> None:
    """Warn of a CT whose values are no Hounsfield units, though they fit 16 bits."""
    if values.low > _AIR:
        words = f"the values of its CT go from {values.low:,.0f} to {values.high:,.0f}: none is near air's -1000 HU"
        report.say(problems.NOT_HU, name, words)


def look_at_extents(report: Report, extents: Sequence[Extent]) -> None:
    """Warn of cases whose spacing or shape is far from that of the others, along any axis."""
    if len(extents) < _LEAST_CASES:
        return
    for place, axis in enumerate("HWD"):
        for what, unit, values in (
            ("spacing", " mm", [float(one.spacing_mm[place]) for one in extents]),
            ("shape", " voxels", [float(one.shape[place]) for one in extents]),
        ):
            middle = median(values)
            for at in _far(values):
                words = f"its {what} along {axis} is {values[at]:g}{unit}; half of the cases have {middle:g} or less"
                report.say(problems.FAR, extents[at].name, words)


def _far(values: Sequence[float]) -> list[int]:
    """Places of values that are more than `_FACTOR` times the median or below its part, and than most spread."""
    logs = [math.log(value) for value in values]
    middle = median(logs)
    spread = 1.4826 * median(abs(one - middle) for one in logs)
    most = max(math.log(_FACTOR), _SPREADS * spread)
    return [at for at, one in enumerate(logs) if abs(one - middle) > most + 1e-9]
