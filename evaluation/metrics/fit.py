"""How well one case's mask would fit, had it been saved in another way: flipped, transposed, its findings reordered.

An estimate from a sample of voxels, to find out what is worth correcting and scoring: `evaluation.hints` does that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np

from evaluation.masks.correction import AS_SAVED, Order, channels_of, orientations, turn_voxels
from evaluation.masks.run_lengths import Channel, Coordinates, Runs, coordinates
from evaluation.metrics.matching import dice

SAMPLE_VOXELS = 6_000  # per finding: a Dice estimated from them is off by 0.013 at most, nearly always
MAX_REORDERED = 32  # findings of a case, to look for another order of them


@dataclass(frozen=True)
class Fit:
    """How well one case's mask would fit, saved in other ways: mean Dice over its findings, estimated.

    Only findings that are neither empty in the reference nor in the prediction count. `turned` has all orientations
    that keep the shape, the plainest first, "HWD" being the mask as saved: "HwD" is flipped along W, "WHD" has its
    first two axes swapped. `order` maps each of these findings to the one whose channel fits it best, one to one, and
    `reordered` is the mean that this would give; `orders` has the means for the orders that a slip gives all cases.
    `foreground` is the largest share of the volume that a finding fills, `channels` how many findings the mask holds.
    """

    turned: dict[str, float]
    order: dict[str, str]
    reordered: float
    orders: dict[str, float]
    foreground: float
    channels: int


def fit(findings: Mapping[str, tuple[Channel, Channel]], channels: int | None = None) -> Fit | None:
    """`Fit` of one case from (prediction, reference) of each finding; None if there is none with both.

    `channels`: how many the mask has, if it has more than these findings.
    """
    pairs = {
        key: (mine.unpacked(), theirs.unpacked())
        for key, (mine, theirs) in findings.items()
        if len(mine) and len(theirs)
    }
    if not pairs:
        return None
    grid = next(iter(pairs.values()))[0].grid
    samples = {key: _sample(mine) for key, (mine, _) in pairs.items()}
    turned = {
        code: fmean(_dice(turn_voxels(samples[key], grid, code), *pair) for key, pair in pairs.items())
        for code in orientations(grid)
    }
    crossed = _crossed(samples, pairs)
    order = _best_order(list(pairs), crossed)
    reordered = fmean(crossed.get(pair, turned[AS_SAVED]) for pair in order.items())
    count = channels or 1 + max(map(int, findings))
    orders = {str(rule): _dice_in_order(rule, list(pairs), crossed, count) for rule in Order}
    foreground = max(mine.voxels for mine, _ in pairs.values()) / math.prod(grid)
    return Fit(turned, order, reordered, orders, foreground, count)


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


def _dice(sample: Coordinates, prediction: Runs, reference: Runs) -> float:
    """Dice of the prediction, moved to where its sampled voxels now are, with the reference."""
    height, width, _ = reference.grid
    positions = sample[0] + height * (sample[1] + width * sample[2])
    run = np.searchsorted(reference.start, positions.astype(reference.start.dtype), side="right") - 1
    inside = (run >= 0) & (positions < reference.stop[run])
    return dice(round(float(inside.mean()) * prediction.voxels), prediction.voxels, reference.voxels)


def _crossed(
    samples: Mapping[str, Coordinates], pairs: Mapping[str, tuple[Runs, Runs]]
) -> dict[tuple[str, str], float]:
    """The Dice of each finding's reference with each finding's channel; none where there is no other order to try."""
    if not 1 < len(pairs) <= MAX_REORDERED:
        return {}
    return {
        (key, channel): _dice(samples[channel], pairs[channel][0], pairs[key][1])
        for key, channel in product(pairs, repeat=2)
    }


def _best_order(keys: Sequence[str], crossed: Mapping[tuple[str, str], float]) -> dict[str, str]:
    """For each finding the channel that fits it, one to one, best fits first; those that fit nothing stay."""
    if not crossed:
        return {key: key for key in keys}
    order: dict[str, str] = {}
    # Where two fit equally well (mostly: not at all), the channel stays with its own finding.
    for key, channel in sorted(crossed, key=lambda pair: (-crossed[pair], pair[0] != pair[1])):
        if key not in order and channel not in order.values():
            order[key] = channel
    return {key: order[key] for key in keys}


def _dice_in_order(rule: Order, keys: Sequence[str], crossed: Mapping[tuple[str, str], float], count: int) -> float:
    """The mean Dice if the channels had been saved in this order; a channel without content fits nothing."""
    channels = channels_of(rule, count)
    return fmean(crossed.get((key, str(channels[int(key)])), 0.0) for key in keys)
