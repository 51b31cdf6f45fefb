"""Why a score may be lower than the model deserves: guesses about how masks were saved. They never change a score.

`fit` estimates the Dice that a case would have had flipped, transposed, or with its findings in another order, and
`advice` speaks up when most of the cases agree, since a single wrong mask may fit some other way round by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.matching import dice
from evaluation.runs import Grid, Runs

POOR_DICE = 0.2
MAX_CASES = 24  # that are looked at
SAMPLE_VOXELS = 10_000  # per finding: a Dice estimated from them is off by 0.01 at most, nearly always
MAX_REORDERED = 16  # findings of a case, to look for another order of them

# What must be gained by saving the masks differently, in mean Dice over the cases looked at. Two large masks put down
# at random overlap in one of many orientations rather often, so the fewer cases, the more each of them must gain.
MIN_GAIN, MIN_GAIN_OF_ONE = 0.15, 0.7
MIN_GAIN_OF_POOR = 0.5  # when only the poor cases were looked at: these are bound to fit better in some other way
EQUAL_DICE = 0.02  # estimates that differ by less are equal
MIN_CASE_GAIN = 0.05  # from here on a case is among those that would fit better
NOTHING_PREDICTED = 0.9  # of the findings that have something to find
INVERTED = 0.5  # of the volume; findings of lung and pleura fill far less

AXES = "HWD"
AS_SAVED = "HWD"

Voxels = NDArray[np.int64]  # one row per axis


@dataclass(frozen=True)
class Fit:
    """How well one case's mask would fit, saved in other ways: mean Dice over its findings, estimated.

    Only findings that are neither empty in the reference nor in the prediction count. `turned` has all orientations
    that keep the shape, "HWD" being the mask as saved: "HwD" is flipped along W, "WHD" has its first two axes swapped.
    `order` maps each of these findings to the one whose channel fits it best, one to one, and `reordered` is the mean
    that this would give. `foreground` is the largest share of the volume that a finding fills.
    """

    turned: dict[str, float]
    order: dict[str, str]
    reordered: float
    foreground: float


def worth_a_look(results: Sequence[dict[str, Any]]) -> list[int]:
    """Indices of the cases to `fit`: none of a good run, the first ones of a poor run, else the first poor ones.

    Of a poor run also the better cases are taken, for they could speak against another orientation.
    """
    dices = {index: _mean_dice_of_content(case) for index, case in enumerate(results)}
    comparable = [index for index, mean in dices.items() if mean is not None]
    poor = [index for index in comparable if (dices[index] or 0) < POOR_DICE]
    return (comparable if poor and _is_poor_run(results) else poor)[:MAX_CASES]


def _is_poor_run(results: Sequence[dict[str, Any]]) -> bool:
    dices = [mean for mean in map(_mean_dice_of_content, results) if mean is not None]
    return 2 * sum(mean < POOR_DICE for mean in dices) >= len(dices)


def _mean_dice_of_content(result: dict[str, Any]) -> float | None:
    """Mean Dice over a case's findings with something in both masks; None if there is none."""
    dices = [finding["dice"] for finding in result["findings"] if finding["n_reference"] and finding["n_predicted"]]
    return _mean(dices) if dices else None


def fit(findings: Mapping[str, tuple[Runs, Runs]]) -> Fit | None:
    """`Fit` of one case from (prediction, reference) of each finding; None if there is none with both."""
    pairs = {key: (mine, theirs) for key, (mine, theirs) in findings.items() if len(mine) and len(theirs)}
    if not pairs:
        return None
    grid = next(iter(pairs.values()))[0].grid
    samples = {key: _sample(mine) for key, (mine, _) in pairs.items()}
    turned = {
        code: _mean([_dice(_turn(samples[key], grid, code), *pair) for key, pair in pairs.items()])
        for code in orientations(grid)
    }
    order = _best_order(samples, pairs)
    reordered = [_dice(samples[channel], pairs[channel][0], pairs[key][1]) for key, channel in order.items()]
    foreground = max(_voxels(mine) for mine, _ in pairs.values()) / math.prod(grid)
    return Fit(turned, order, _mean(reordered), foreground)


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


def _sample(runs: Runs) -> Voxels:
    """(h, w, d) of the foreground voxels, at most `SAMPLE_VOXELS` of them: one at random from each equal stretch."""
    ends = np.cumsum(runs.stop - runs.start, dtype=np.int64)
    total = int(ends[-1])
    if total <= SAMPLE_VOXELS:
        chosen = np.arange(total)
    else:
        jitter = np.random.default_rng(0).random(SAMPLE_VOXELS)
        chosen = ((np.arange(SAMPLE_VOXELS) + jitter) * (total / SAMPLE_VOXELS)).astype(np.int64)
    run = np.searchsorted(ends, chosen, side="right")
    positions = runs.stop[run].astype(np.int64) - (ends[run] - chosen)
    row, h = np.divmod(positions, runs.grid[0])
    d, w = np.divmod(row, runs.grid[1])
    return np.stack([h, w, d])


def _turn(voxels: Voxels, grid: Grid, code: str) -> Voxels:
    turned = np.empty_like(voxels)
    for axis, letter in enumerate(code):
        source = voxels[AXES.index(letter.upper())]
        turned[axis] = grid[axis] - 1 - source if letter.islower() else source
    return turned


def _dice(sample: Voxels, prediction: Runs, reference: Runs) -> float:
    """Dice of the prediction, moved to where its sampled voxels now are, with the reference."""
    height, width, _ = reference.grid
    positions = sample[0] + height * (sample[1] + width * sample[2])
    run = np.searchsorted(reference.start, positions.astype(reference.start.dtype), side="right") - 1
    inside = (run >= 0) & (positions < reference.stop[run])
    voxels = _voxels(prediction)
    return dice(round(float(inside.mean()) * voxels), voxels, _voxels(reference))


def _best_order(samples: Mapping[str, Voxels], pairs: Mapping[str, tuple[Runs, Runs]]) -> dict[str, str]:
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


def _voxels(runs: Runs) -> int:
    return int((runs.stop - runs.start).sum(dtype=np.int64))


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def advice(results: Sequence[dict[str, Any]], fits: Sequence[Fit]) -> list[str]:
    """What to say about a run, from all case results and the fits of the cases that were `worth_a_look`."""
    hints = [*_about_empty_masks(results)]
    if fits:
        poor_run = _is_poor_run(results)
        hints += [*_about_inverted_masks(fits), *_about_axes(fits, poor_run), *_about_order(fits, poor_run)]
    return hints


def _about_empty_masks(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    findings = [finding for case in results if case["status"] == "scored" for finding in case["findings"]]
    wanted = [finding for finding in findings if finding["n_reference"]]
    empty = sum(finding["n_predicted"] == 0 for finding in wanted)
    if wanted and empty >= NOTHING_PREDICTED * len(wanted):
        yield (
            f"nothing is predicted for {empty} of {len(wanted)} findings: their channels are empty or hold only "
            "fragments of fewer than 10 voxels. Was a threshold too high, or a channel left out when saving?"
        )


def _about_inverted_masks(fits: Sequence[Fit]) -> Iterator[str]:
    inverted = sum(fit.foreground > INVERTED for fit in fits)
    if 2 * inverted > len(fits):
        yield (
            f"on {inverted} of {len(fits)} cases looked at, a finding fills more than half of the volume. Are "
            "foreground and background swapped? Every voxel that is not 0 is foreground."
        )


def _about_axes(fits: Sequence[Fit], poor_run: bool) -> Iterator[str]:
    """The orientation with the highest mean, if it is much better; among equals the plainest."""
    codes = sorted({code for fit in fits for code in fit.turned})
    dices = {code: [fit.turned.get(code, fit.turned[AS_SAVED]) for fit in fits] for code in codes}
    best = max(codes, key=lambda code: (round(_mean(dices[code]), 2), -_changes(code)))
    # What is the right way round for one case is so for most of them; what fits by chance is another one each time.
    won = sum(dice >= max(fit.turned.values()) - EQUAL_DICE for dice, fit in zip(dices[best], fits, strict=True))
    evidence = _evidence(dices[AS_SAVED], dices[best], poor_run)
    if evidence and 2 * won > len(fits):
        yield f"{evidence} if the masks were {describe(best)}. {_how_to_save(best, poor_run)}"


def _how_to_save(code: str, poor_run: bool) -> str:
    if not poor_run:
        return "Most cases do fit as they are: were these saved in another way, or does the model confuse the sides?"
    return (
        "Save masks in the array order of the CT's file (nibabel's get_fdata), without reorienting. In an array "
        f"(F, H, W, D), {as_numpy(code)} would undo it."
    )


def _about_order(fits: Sequence[Fit], poor_run: bool) -> Iterator[str]:
    several = [fit for fit in fits if len(fit.order) > 1]
    evidence = _evidence([fit.turned[AS_SAVED] for fit in several], [fit.reordered for fit in several], poor_run)
    if evidence:
        example = max(several, key=lambda fit: fit.reordered - fit.turned[AS_SAVED]).order
        moved = ", ".join(
            f"channel {channel} shows finding {key}" for key, channel in example.items() if channel != key
        )
        yield (
            f"{evidence} if the findings were in another order (for example: {moved}). Channel 0 belongs to the "
            'finding with key "0", and so on; sort the keys as numbers.'
        )


def _evidence(as_saved: Sequence[float], otherwise: Sequence[float], poor_run: bool) -> str:
    """ "on 9 of 10 cases ... Dice would be higher", or "" where another way to save does not clearly win."""
    gains = [after - before for before, after in zip(as_saved, otherwise, strict=True)]
    better = sum(gain > MIN_CASE_GAIN for gain in gains)
    if not gains or 2 * better <= len(gains):
        return ""
    floor = MIN_GAIN if poor_run else MIN_GAIN_OF_POOR
    if _mean(gains) < max(floor, MIN_GAIN_OF_ONE / math.sqrt(len(gains))) or _mean(otherwise) < 2 * _mean(as_saved):
        return ""
    which = "" if poor_run else "poorly scored "
    return (
        f"on {better} of {len(gains)} {which}cases looked at, Dice would be far better "
        f"(mean {_mean(otherwise):.2f} instead of {_mean(as_saved):.2f})"
    )


def describe(code: str) -> str:
    """An orientation in words: "flipped along H and W"."""
    flipped = [axis for axis, letter in zip(AXES, code, strict=True) if letter.islower()]
    moved = [axis for axis, letter in zip(AXES, code, strict=True) if letter.upper() != axis]
    words = []
    if moved:
        words.append(f"transposed (H, W, D become {', '.join(code.upper())})")
    if flipped:
        words.append(f"flipped along {' and '.join(flipped)}" if len(flipped) < 3 else "flipped along all three axes")
    return ", then ".join(words) or "as saved"


def as_numpy(code: str) -> str:
    """The numpy expression, without spaces, that turns a `mask` of shape (F, H, W, D) so."""
    expression = "mask"
    if code.upper() != AS_SAVED:
        expression = f"np.transpose(mask, {(0, *(AXES.index(letter) + 1 for letter in code.upper()))})"
    flipped = tuple(axis for axis, letter in enumerate(code, 1) if letter.islower())
    return (f"np.flip({expression}, {flipped})" if flipped else expression).replace(" ", "")
