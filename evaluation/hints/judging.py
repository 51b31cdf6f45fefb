"""What the fits of a run's cases make suspicious, and what is said of it once the corrected masks were scored.

`suspicions` speaks up when most of the cases of a poor run would fit far better saved in one other way (`metrics.fit`),
since a single wrong mask may fit some other way round by chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import TypedDict

from evaluation.masks.correction import AS_SAVED, AXES, Correction, Order
from evaluation.metrics.cases import Assessment
from evaluation.metrics.fit import Fit
from evaluation.results import CaseResult, CaseStatus

POOR_DICE = 0.3  # near that of honest models, too: what protects them from false alarms is `_is_evident`
MAX_CASES = 24  # whose fit is looked at

# What must be gained in Dice by saving the mask of a single case differently. The mean over n cases must gain this
# divided by the root of n: two large masks put down at random overlap in one of many orientations rather often.
MIN_GAIN_OF_ONE = 0.7
EQUAL_DICE = 0.02  # estimates that differ by less are equal
SAME_DICE = 0.0005  # scores that differ by less read alike
NOTHING_PREDICTED = 0.9  # of the findings that have something to find
INVERTED = 0.5  # of the volume; findings of lung and pleura fill far less
FITTING = 0.5  # Dice from which a mask may rightly stand in several channels: so do the findings of its reference


AS_IS = Correction()


class HintKind(StrEnum):
    """What masks look like."""

    EMPTY = "empty"
    INVERTED = "inverted"
    TURNED = "turned"
    REORDERED = "reordered"
    REPEATED = "repeated"


class Hint(TypedDict):
    """What a run is told.

    `cases` were looked at. `dice` and `corrected_dice` are the ranking metric over these cases, with the masks as they
    were saved and with them corrected; None where there is nothing to correct.
    """

    kind: str
    text: str
    cases: int
    dice: float | None
    corrected_dice: float | None


@dataclass(frozen=True)
class Suspicion:
    """A guess, to be proven by scoring corrected masks; without a `correction` it is said as it is.

    `correction` gives that of a case by its name, `AS_IS` where it is right as saved, None where it is not known.
    `what` and `remedy` are the words before and behind the numbers. `stands`: told even if correcting helps little.
    """

    kind: HintKind
    cases: int
    what: str
    remedy: str = ""
    correction: Callable[[str], Correction | None] | None = None
    stands: bool = False


# --- which cases ------------------------------------------------------------------------------------------------------


def worth_a_look(results: Sequence[CaseResult]) -> list[int]:
    """Indices of the cases to `fit`: the first ones of a run in which at least half of the cases are poor, else none.

    The same of those with several findings, which alone suffer from a wrong order. Also the better cases of such a run,
    for they could speak against another way to save.
    """
    dices = {index: found for index, case in enumerate(results) if (found := _dices_of_content(case))}
    if _are_mostly_poor(dices.values()):
        return list(dices)[:MAX_CASES]
    several = {index: found for index, found in dices.items() if len(found) > 1}
    return list(several)[:MAX_CASES] if _are_mostly_poor(several.values()) else []


def is_poor(result: CaseResult) -> bool:
    """Whether a run of such cases is `worth_a_look`."""
    dices = _dices_of_content(result)
    return bool(dices) and fmean(dices) < POOR_DICE


def _are_mostly_poor(cases: Iterable[Sequence[float]]) -> bool:
    means = [fmean(dices) for dices in cases]
    return bool(means) and 2 * sum(mean < POOR_DICE for mean in means) >= len(means)


def _dices_of_content(result: CaseResult) -> list[float]:
    """The Dice of a case's findings with something in both masks."""
    return [finding["dice"] for finding in result["findings"] if finding["n_reference"] and finding["n_predicted"]]


# --- what is suspicious -----------------------------------------------------------------------------------------------


def suspicions(results: Sequence[CaseResult], fits: Mapping[str, Fit]) -> list[Suspicion]:
    """What to prove about a run, from all case results and the fits, by case name, of those `worth_a_look`."""
    found = [*_about_empty_masks(results)]
    if fits:
        found += [*_about_inverted_masks(fits), *_about_axes(fits), *_about_order(fits)]
    return found


def _about_empty_masks(results: Sequence[CaseResult]) -> Iterator[Suspicion]:
    findings = [finding for case in results if case["status"] == CaseStatus.SCORED for finding in case["findings"]]
    wanted = [finding for finding in findings if finding["n_reference"]]
    empty = sum(finding["n_predicted"] == 0 for finding in wanted)
    if wanted and empty >= NOTHING_PREDICTED * len(wanted):
        what = (
            f"nothing is predicted for {empty} of {len(wanted)} findings: their channels are empty or hold only "
            "fragments of fewer than 10 voxels. Was a threshold too high, or a channel left out when saving?"
        )
        yield Suspicion(HintKind.EMPTY, len(results), what)


def _about_inverted_masks(fits: Mapping[str, Fit]) -> Iterator[Suspicion]:
    inverted = sum(fit.foreground > INVERTED for fit in fits.values())
    if 2 * inverted > len(fits):
        yield Suspicion(
            HintKind.INVERTED,
            len(fits),
            f"on {inverted} of {len(fits)} cases looked at, a finding fills more than half of the volume. Are "
            "foreground and background swapped? Every voxel that is not 0 is foreground.",
            correction=lambda _name: Correction(inverted=True),
            stands=True,
        )


def _about_axes(fits: Mapping[str, Fit]) -> Iterator[Suspicion]:
    """The orientation with the highest mean, if it is much better; among equals the plainest."""
    codes = dict.fromkeys(code for fit in fits.values() for code in fit.turned)  # plainest first, as `max` takes it
    dices = {code: [fit.turned.get(code, fit.turned[AS_SAVED]) for fit in fits.values()] for code in codes}
    best = max(codes, key=lambda code: round(fmean(dices[code]), 2))
    # What is the right way round for one case is so for most of them; what fits by chance is another one each time.
    won = sum(
        dice >= max(fit.turned.values()) - EQUAL_DICE for dice, fit in zip(dices[best], fits.values(), strict=True)
    )
    if 2 * won > len(fits) and _is_evident(dices[AS_SAVED], dices[best]):
        yield Suspicion(
            HintKind.TURNED,
            len(fits),
            f"if the masks were {describe(best)}",
            "Save masks in the array order of the CT's file (nibabel's get_fdata), without reorienting. In an array "
            f"(F, H, W, D), {as_numpy(best)} would undo it.",
            # A case whose shape it would change was not saved that way.
            lambda name: Correction(turn=best) if name not in fits or best in fits[name].turned else AS_IS,
        )


def _about_order(fits: Mapping[str, Fit]) -> Iterator[Suspicion]:
    several = {name: fit for name, fit in fits.items() if len(fit.order) > 1}
    as_saved = [fit.turned[AS_SAVED] for fit in several.values()]
    if not _is_evident(as_saved, [fit.reordered for fit in several.values()]):
        return
    best = max(Order, key=lambda rule: round(fmean(fit.orders[rule] for fit in several.values()), 2))
    if fmean(fit.orders[best] for fit in several.values()) >= fmean(f.reordered for f in several.values()) - EQUAL_DICE:
        what, remedy = _ORDERS[best]
        yield Suspicion(HintKind.REORDERED, len(several), what, remedy, lambda _name: Correction(channels=best))
        return
    example = max(several.values(), key=lambda fit: fit.reordered - fit.turned[AS_SAVED]).order
    moved = ", ".join(f"channel {channel} shows finding {key}" for key, channel in example.items() if channel != key)
    yield Suspicion(
        HintKind.REORDERED,
        len(several),
        f"if the findings were in another order, of each case its best one (for example: {moved})",
        f"{_CHANNELS}; sort the keys as numbers.",
        lambda name: Correction(channels=_order_of_all(fits[name])) if name in fits else None,
    )


_CHANNELS = 'Channel 0 belongs to the finding with key "0", and so on'
_ORDERS = {
    Order.REVERSED: (
        "if the findings were in reverse order",
        f"{_CHANNELS}. In an array (F, H, W, D), mask[::-1] would undo it.",
    ),
    Order.AS_TEXT: (
        "if the findings were in the order of their numbers",
        f"{_CHANNELS}. It looks as if the keys were sorted as text (0, 1, 10, 11, 2): sort them as numbers.",
    ),
    Order.FROM_NEXT: (
        "if each finding were one channel lower",
        f"{_CHANNELS}. In an array (F, H, W, D), np.roll(mask,-1,0) would undo it.",
    ),
    Order.FROM_PREVIOUS: (
        "if each finding were one channel higher",
        f"{_CHANNELS}. In an array (F, H, W, D), np.roll(mask,1,0) would undo it.",
    ),
}


def _order_of_all(fit: Fit) -> tuple[int, ...]:
    """The best order of one case for all channels of its mask; those that no finding was fitted with stay."""
    channels = list(range(fit.channels))
    for key, channel in fit.order.items():
        channels[int(key)] = int(channel)
    return tuple(channels)


def _is_evident(as_saved: Sequence[float], otherwise: Sequence[float]) -> bool:
    """Whether another way to save clearly wins, by the estimates."""
    gains = [after - before for before, after in zip(as_saved, otherwise, strict=True)]
    if 2 * sum(gain > EQUAL_DICE for gain in gains) <= len(gains):  # also without any case
        return False
    before, after = fmean(as_saved), fmean(otherwise)
    return after - before >= MIN_GAIN_OF_ONE / math.sqrt(len(gains)) and after >= 2 * before


def correction_of(suspicion: Suspicion, result: CaseResult) -> Correction | None:
    """How the mask of a case is to be corrected: `AS_IS` also without a usable one, None where it is not known."""
    if suspicion.correction is None:
        return None
    correction = suspicion.correction(result["name"])
    return AS_IS if correction is not None and result["status"] != CaseStatus.SCORED else correction


def about_repeated_masks(assessments: Sequence[Assessment]) -> list[Hint]:
    """What is said if most cases with several findings have one mask for all of them."""
    several = [one for one in assessments if one.mask_digest and len(one.result["findings"]) > 1]
    repeated = [one for one in several if one.same_channels and not _fits_all(one.result)]
    if 2 * len(repeated) <= len(several):
        return []
    what = (
        f"on {len(repeated)} of the {len(several)} cases with several findings, every channel holds the same mask. Was "
        "one text used for all findings, or one array saved in every channel? Each finding needs a mask of its own: "
        f"{_CHANNELS}."
    )
    return [_hint(Suspicion(HintKind.REPEATED, len(several), what), what, len(several))]


def _fits_all(result: CaseResult) -> bool:
    return all(finding["dice"] >= FITTING for finding in result["findings"])


# --- what is said -----------------------------------------------------------------------------------------------------


def prove(
    suspicion: Suspicion, as_saved: Sequence[CaseResult], corrected: Sequence[CaseResult], of: int
) -> Hint | None:
    """What is said of a suspicion, by the scores of the same cases as saved and corrected, out of a run `of` so many.

    None if the correction does not help, or nothing could be scored.
    """
    if suspicion.correction is None:
        return _hint(suspicion, suspicion.what, suspicion.cases)
    before = fmean(case["dice"] for case in as_saved) if as_saved else 0.0
    after = fmean(case["dice"] for case in corrected) if corrected else 0.0
    if after - before < SAME_DICE:
        return _hint(suspicion, suspicion.what, suspicion.cases) if suspicion.stands else None
    better = sum(now["dice"] - then["dice"] >= SAME_DICE for then, now in zip(as_saved, corrected, strict=True))
    count = len(corrected)
    where = f"{better} of {count} cases" if count == of else f"{better} of the {count} cases (of {of}) that were tried"
    numbers = f"{after:.3f} instead of {before:.3f}. The masks were so corrected and scored to tell this."
    if suspicion.stands:
        text = f"{suspicion.what} With them swapped, Dice would be {numbers}"
    else:
        text = f"on {where}, Dice would be better {suspicion.what}: {numbers} {suspicion.remedy}"
    return _hint(suspicion, text, count, before, after)


def best_first(hints: Iterable[Hint | None]) -> list[Hint]:
    """What is told, the one that promises most at the top."""
    return sorted((hint for hint in hints if hint is not None), key=lambda hint: -(hint["corrected_dice"] or 0.0))


def _hint(
    suspicion: Suspicion, text: str, cases: int, dice: float | None = None, corrected: float | None = None
) -> Hint:
    return {"kind": str(suspicion.kind), "text": text, "cases": cases, "dice": dice, "corrected_dice": corrected}


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
