"""How well one case's mask would fit, had it been saved in another way: flipped, transposed, its findings reordered.

An estimate from a sample of voxels, and part of no score: `evaluation.command.hints` has the words for what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations, product
from statistics import fmean

import numpy as np

from evaluation.masks.run_lengths import Coordinates, Grid, Runs, coordinates
from evaluation.metrics.matching import dice

SAMPLE_VOXELS = 10_000  # per finding: a Dice estimated from them is off by 0.01 at most, nearly always
MAX_REORDERED = 16  # findings of a case, to look for another order of them

AXES = "HWD"
AS_SAVED = "HWD"


@dataclass(frozen=True)
class Fit:
    """How well one case's mask would fit, saved in other ways: mean Dice over its findings, estimated.

    Only findings that are neither empty in the reference nor in the prediction count. `turned` has all orientations
    that keep the shape, the plainest first, "HWD" being the mask as saved: "HwD" is flipped along W, "WHD" has its
    first two axes swapped. `order` maps each of these findings to the one whose channel fits it best, one to one, and
    `reordered` is the mean that this would give. `foreground` is the largest share of the volume that a finding fills.
    """

    turned: dict[str, float]
    order: dict[str, str]
    reordered: float
    foreground: float


def fit(findings: Mapping[str, tuple[Runs, Runs]]) -> Fit | None:
    """`Fit` of one case from (prediction, reference) of each finding; None if there is none with both."""
    pairs = {key: (mine, theirs) for key, (mine, theirs) in findings.items() if len(mine) and len(theirs)}
    if not pairs:
        return None
    grid = next(iter(pairs.values()))[0].grid
    samples = {key: _sample(mine) for key, (mine, _) in pairs.items()}
    turned = {
        code: fmean(_dice(_turn(samples[key], grid, code), *pair) for key, pair in pairs.items())
        for code in orientations(grid)
    }
    order = _best_order(samples, pairs)
    reordered = fmean(_dice(samples[channel], pairs[channel][0], pairs[key][1]) for key, channel in order.items())
    foreground = max(mine.voxels for mine, _ in pairs.values()) / math.prod(grid)
    return Fit(turned, order, reordered, foreground)


def orientations(grid: Grid) -> list[str]:
    """The codes (see `Fit`) of all flips and transpositions that keep the shape of a volume, plainest first."""
    codes = []
    for axes in permutations(range(3)):
        if all(grid[source] == grid[axis] for axis, source in enumerate(axes)):
            names = [AXES[source] for source in axes]
            codes += ["".join(code) for code in product(*((name, name.lower()) for name in names))]
    return sorted(codes, key=_changes)


def _changes(code: str) -> int:
    moved = sum(letter.upper() != axis for letter, axis in zip(code, AXES, strict=True))
    return 2 * moved + sum(letter.islower() for letter in code)


def _sample(runs: Runs) -> Coordinates:
    """The foreground voxels, or `SAMPLE_VOXELS` of them: one at random from each equal stretch."""
    ends = np.cumsum(runs.lengths(), dtype=np.int64)
    total = int(ends[-1])
    if total <= SAMPLE_VOXELS:
        chosen = np.arange(total)
    else:
        jitter = np.random.default_rng(0).random(SAMPLE_VOXELS)
        chosen = ((np.arange(SAMPLE_VOXELS) + jitter) * (total / SAMPLE_VOXELS)).astype(np.int64)
    run = np.searchsorted(ends, chosen, side="right")
    return np.stack(coordinates(runs.stop[run] - (ends[run] - chosen), runs.grid))


def _turn(voxels: Coordinates, grid: Grid, code: str) -> Coordinates:
    turned = np.empty_like(voxels)
    for axis, letter in enumerate(code):
        source = voxels[AXES.index(letter.upper())]
        turned[axis] = grid[axis] - 1 - source if letter.islower() else source
    return turned


def _dice(sample: Coordinates, prediction: Runs, reference: Runs) -> float:
    """Dice of the prediction, moved to where its sampled voxels now are, with the reference."""
    height, width, _ = reference.grid
    positions = sample[0] + height * (sample[1] + width * sample[2])
    run = np.searchsorted(reference.start, positions.astype(reference.start.dtype), side="right") - 1
    inside = (run >= 0) & (positions < reference.stop[run])
    return dice(round(float(inside.mean()) * prediction.voxels), prediction.voxels, reference.voxels)


def _best_order(samples: Mapping[str, Coordinates], pairs: Mapping[str, tuple[Runs, Runs]]) -> dict[str, str]:
    """For each finding the channel that fits it, one to one, best fits first; those that fit nothing stay."""
    if not 1 < len(pairs) <= MAX_REORDERED:
        return {key: key for key in pairs}
    fits = {
        (key, channel): _dice(samples[channel], pairs[channel][0], pairs[key][1])
        for key, channel in product(pairs, repeat=2)
    }
    order: dict[str, str] = {}
    # Where two fit equally well (mostly: not at all), the channel stays with its own finding.
    for key, channel in sorted(fits, key=lambda pair: (-fits[pair], pair[0] != pair[1])):
        if key not in order and channel not in order.values():
            order[key] = channel
    return {key: order[key] for key in pairs}
