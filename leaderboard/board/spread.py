"""How single findings are spread: by their size, and by the Dice that a run reached in them; in bins that may be shown.

Pure functions of arrays, all of them (findings,) and in one order, that of `FindingScores.findings`. Which cases feed a
number decides `in_scope`; whoever hands out a mean or a count has taken the findings in scope, and no others.

Before a reveal no bin of fewer than 10 findings is told. Sizes are those of the case set, the same for all runs: there
neighbours are put together until they are enough. How many findings lie in a bin of Dice is the run's own: there a bin
is left out, an empty one like one of nine, and with it as many more as would tell it (`Disclosure.shown_parts`), among
the hits and among the others: how many each of these are, the hit rate tells. A mask in a single finding, all others
left empty, so tells nothing of where its Dice lies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboard.board.disclosure import DECIMALS, Disclosure
from leaderboard.models import CaseSet, Standing
from leaderboard.scores.arrays import Cases, FindingScores
from leaderboard.scores.sizes import sizes_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

SIZE_EDGES_ML = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Where bins of sizes begin; the last one has no end. A nodule of 6 mm has 0.1 mL, one of 12 mm has 1 mL."""
DICE_EDGES = tuple(tenth / 10 for tenth in range(11))
"""Between these lie the bins of Dice; the last one has both of its ends."""
FIRST_HIT = 2
"""The place of the first bin of hits, which have a Dice of 0.1 or more, where "no Dice" is the first bin of all."""
NO_DICE = 0.5 * 10**-DECIMALS
"""What is shown as 0.000 counts as 0: where nothing overlaps, Dice is some 1e-9 (its smoothing)."""


def in_scope(scores: FindingScores, scope: str) -> Booleans:
    """Whether each finding is of a case that feeds the numbers of this `Standing.Scope`."""
    if scope == Standing.Scope.ALL:
        return np.ones(len(scores.findings), bool)
    in_half: Booleans = scores.cases.in_public_half[scores.case_of]
    return in_half


def within(scores: FindingScores, scope: str) -> FindingScores:
    """The same of these cases alone."""
    if scope == Standing.Scope.ALL:
        return scores
    kept, findings = scores.cases.in_public_half, in_scope(scores, scope)
    return replace(
        scores,
        cases=Cases(list(compress(scores.cases.names, kept)), kept[kept]),
        statuses=list(compress(scores.statuses, kept)),
        case_of=(np.cumsum(kept) - 1)[scores.case_of[findings]],
        findings=scores.findings[findings],
    )


def sizes_ml(case_set: CaseSet, scores: FindingScores) -> Floats:
    """The size of each finding's reference in mL; NaN of one that the case set does not have any more. One query."""
    return sizes_of(case_set, scores).ml


def spread_of(scores: FindingScores, sizes: Floats, scope: str, disclosure: Disclosure) -> dict[str, Any]:
    """What a row of a board keeps of the findings of this `Standing.Scope`, by their `sizes` and by their Dice.

    `sizes` are bins, each with `low`, `high` (mL), `n` and the mean `dice`; none where the size of one is not known.
    """
    here = in_scope(scores, scope)
    dice, sizes = scores.findings["dice"][here], sizes[here]
    bins = size_bins(sizes, disclosure) if not np.isnan(sizes).any() else NO_BINS
    means = bins.means(dice, disclosure)
    return {
        "sizes": [{**one._asdict(), "dice": mean} for one, mean in zip(bins.bins, means, strict=True)],
        "dice": dice_counts(dice, disclosure)._asdict(),
    }


# --- by size ----------------------------------------------------------------------------------------------------------


class SizeBin(NamedTuple):
    """`n` findings of a size in mL from `low` to below `high` (None: and larger)."""

    low: float
    high: float | None
    n: int


@dataclass(frozen=True, eq=False)
class SizeBins:
    """Bins of sizes that may be shown, the smallest first, and the place of each finding among them (findings,)."""

    bins: Sequence[SizeBin]
    place_of: Integers

    def means(self, values: Floats, disclosure: Disclosure) -> list[float]:
        """The mean in each bin of what each finding has (Dice: 0 to 1), as it is shown."""
        if not self.bins:
            return []
        sums = np.bincount(self.place_of, values, len(self.bins))
        return [disclosure.rounded(float(total) / one.n) for total, one in zip(sums, self.bins, strict=True)]


NO_BINS = SizeBins([], np.zeros(0, np.int64))


def size_bins(sizes: Floats, disclosure: Disclosure) -> SizeBins:
    """The bins of findings of these sizes in mL: neighbours together where one alone may not be shown, or is empty.

    Without any bin where all together may not be. Raises ValueError for a size that is not known.
    """
    if np.isnan(sizes).any():
        raise ValueError("the size of a finding is not known")
    counts = np.bincount(np.searchsorted(SIZE_EDGES_ML, sizes, side="right") - 1, minlength=len(SIZE_EDGES_ML))
    lows: list[float] = []
    totals: list[int] = []
    is_enough = True
    for low, count in zip(SIZE_EDGES_ML, counts.tolist(), strict=True):
        if is_enough:
            lows, totals = [*lows, low], [*totals, 0]
        totals[-1] += count
        is_enough = _is_enough(totals[-1], disclosure)
    if not is_enough and len(totals) > 1:
        lows.pop()
        totals[-2:] = [totals[-2] + totals[-1]]
    if not _is_enough(totals[-1], disclosure):
        return SizeBins([], np.zeros(len(sizes), np.int64))
    bins = [SizeBin(*one) for one in zip(lows, [*lows[1:], None], totals, strict=True)]
    return SizeBins(bins, np.searchsorted(lows, sizes, side="right") - 1)


def _is_enough(count: int, disclosure: Disclosure) -> bool:
    return count > 0 and disclosure.shows_group(count)


# --- by Dice ----------------------------------------------------------------------------------------------------------


class DiceCounts(NamedTuple):
    """How many of `n` findings have no Dice, and how many lie between neighbouring DICE_EDGES; None is "not shown"."""

    n: int
    zeros: int | None
    counts: Sequence[int | None]


def dice_counts(dice: Floats, disclosure: Disclosure) -> DiceCounts:
    """The histogram of the Dice of findings, each from 0 to 1."""
    is_zero = dice < NO_DICE
    counts, _ = np.histogram(dice[~is_zero], DICE_EDGES)
    told = [int(is_zero.sum()), *counts.tolist()]
    zeros, *others = [*_shown(told[:FIRST_HIT], disclosure), *_shown(told[FIRST_HIT:], disclosure)]
    return DiceCounts(len(dice), zeros, others)


def _shown(counts: Sequence[int], disclosure: Disclosure) -> list[int | None]:
    """The counts that may be told, when their sum is known."""
    return [count if shown else None for count, shown in zip(counts, disclosure.shown_parts(counts), strict=True)]
