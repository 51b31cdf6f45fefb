"""Why a score may be lower than the model deserves: guesses about how masks were saved. They never change a score.

`advice` speaks up when most of the cases of a poor run would fit far better saved in one other way (`metrics.fit`),
since a single wrong mask may fit some other way round by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

from evaluation.metrics.fit import AS_SAVED, AXES, Fit
from evaluation.results import CaseResult, CaseStatus

POOR_DICE = 0.3  # near that of honest models, too: what protects them from false alarms is `_evidence`
MAX_CASES = 24  # that are looked at

# What must be gained in Dice by saving the mask of a single case differently. The mean over n cases must gain this
# divided by the root of n: two large masks put down at random overlap in one of many orientations rather often.
MIN_GAIN_OF_ONE = 0.7
EQUAL_DICE = 0.02  # estimates that differ by less are equal
NOTHING_PREDICTED = 0.9  # of the findings that have something to find
INVERTED = 0.5  # of the volume; findings of lung and pleura fill far less


def worth_a_look(results: Sequence[CaseResult]) -> list[int]:
    """Indices of the cases to `fit`: the first ones of a run in which at least half of the cases are poor, else none.

    Also the better cases of such a run, for they could speak against another orientation.
    """
    dices = {index: mean for index, case in enumerate(results) if (mean := _mean_dice_of_content(case)) is not None}
    poor = sum(mean < POOR_DICE for mean in dices.values())
    return list(dices)[:MAX_CASES] if 2 * poor >= len(dices) else []


def _mean_dice_of_content(result: CaseResult) -> float | None:
    """Mean Dice over a case's findings with something in both masks; None if there is none."""
    dices = [finding["dice"] for finding in result["findings"] if finding["n_reference"] and finding["n_predicted"]]
    return fmean(dices) if dices else None


def advice(results: Sequence[CaseResult], fits: Sequence[Fit]) -> list[str]:
    """What to say about a run, from all case results and the fits of the cases that were `worth_a_look`."""
    hints = [*_about_empty_masks(results)]
    if fits:
        hints += [*_about_inverted_masks(fits), *_about_axes(fits), *_about_order(fits)]
    return hints


def _about_empty_masks(results: Sequence[CaseResult]) -> Iterator[str]:
    findings = [finding for case in results if case["status"] == CaseStatus.SCORED for finding in case["findings"]]
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


def _about_axes(fits: Sequence[Fit]) -> Iterator[str]:
    """The orientation with the highest mean, if it is much better; among equals the plainest."""
    codes = dict.fromkeys(code for fit in fits for code in fit.turned)  # plainest first, and `max` takes the first
    dices = {code: [fit.turned.get(code, fit.turned[AS_SAVED]) for fit in fits] for code in codes}
    best = max(codes, key=lambda code: round(fmean(dices[code]), 2))
    # What is the right way round for one case is so for most of them; what fits by chance is another one each time.
    won = sum(dice >= max(fit.turned.values()) - EQUAL_DICE for dice, fit in zip(dices[best], fits, strict=True))
    evidence = _evidence(dices[AS_SAVED], dices[best])
    if evidence and 2 * won > len(fits):
        yield (
            f"{evidence} if the masks were {describe(best)}. Save masks in the array order of the CT's file (nibabel's "
            f"get_fdata), without reorienting. In an array (F, H, W, D), {as_numpy(best)} would undo it."
        )


def _about_order(fits: Sequence[Fit]) -> Iterator[str]:
    several = [fit for fit in fits if len(fit.order) > 1]
    evidence = _evidence([fit.turned[AS_SAVED] for fit in several], [fit.reordered for fit in several])
    if evidence:
        example = max(several, key=lambda fit: fit.reordered - fit.turned[AS_SAVED]).order
        moved = ", ".join(
            f"channel {channel} shows finding {key}" for key, channel in example.items() if channel != key
        )
        yield (
            f"{evidence} if the findings were in another order (for example: {moved}). Channel 0 belongs to the "
            'finding with key "0", and so on; sort the keys as numbers.'
        )


def _evidence(as_saved: Sequence[float], otherwise: Sequence[float]) -> str:
    """Say "on 9 of 10 cases ... Dice would be higher", or "" where another way to save does not clearly win."""
    gains = [after - before for before, after in zip(as_saved, otherwise, strict=True)]
    better = sum(gain > EQUAL_DICE for gain in gains)
    if 2 * better <= len(gains):  # also without any case
        return ""
    before, after = fmean(as_saved), fmean(otherwise)
    if after - before < MIN_GAIN_OF_ONE / math.sqrt(len(gains)) or after < 2 * before:
        return ""
    return (
        f"on {better} of {len(gains)} cases looked at, Dice would be far better "
        f"(mean {after:.2f} instead of {before:.2f})"
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
