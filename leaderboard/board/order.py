"""How sure the order of a version of a board is, as it is kept beside it.

The rows that hold a rank are told by their place among these, from 0.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evaluation import RESAMPLES
from leaderboard.board.disclosure import Disclosure
from leaderboard.certainty.assessment import Certainty
from leaderboard.certainty.pairs import neither_better
from leaderboard.certainty.stability import RankFrequencies
from leaderboard.models import BoardCertainty, BoardVersion

WAYS = {
    "rank_then_mean": "Rank, then mean",
    "test_then_rank": "Test, then rank",
    "median": "Median Dice",
    "hit_rate": "Hit rate",
    "instance_f1": "Instance F1",
    "distance_f1": "Distance F1",
}
"""Ways to rank other than by mean Dice, and what they are called."""


def packed(found: Certainty, disclosure: Disclosure) -> bytes:
    """What is not in columns of its own, as `Order.of` reads it; how often ranks are taken as it may be known."""
    often, others = found.stability.frequencies, {**found.methods, **found.metrics}
    counts = [disclosure.rounded_count(count, found.stability.resamples) for count in often.counts.tolist()]
    told = np.array(counts, np.uint16) > 0
    tau = found.stability.tau_percentiles
    told_of = io.BytesIO()
    np.savez_compressed(
        told_of,
        teams=often.teams[told].astype(np.uint16),
        ranks=often.ranks[told].astype(np.uint16),
        counts=np.array(counts, np.uint16)[told],
        medians=found.stability.medians.astype(np.uint16),
        better=np.packbits(found.pairs.better),
        ways=np.array(list(others)),
        ranks_by=np.array([one.ranks for one in others.values()], np.uint16),
        taus=np.array([np.nan if one.tau is None else one.tau for one in others.values()]),
        tau=np.array([disclosure.rounded(value) for value in tau or ()]),
    )
    return told_of.getvalue()


def certainty_of(version: BoardVersion) -> BoardCertainty | None:
    """What is stored of a version; None where its order has none, or it was made before there was any."""
    return getattr(version, "certainty", None)


@dataclass(frozen=True)
class OtherRanking:
    """The ranks (rows,) by another way, what it is called, and Kendall's tau-b with the official ones, if defined."""

    label: str
    ranks: list[int]
    tau: float | None


@dataclass(frozen=True, eq=False)
class Order:
    """How sure the order of a version is; the rows that hold a rank are told by their place among these, from 0.

    `better` (rows, rows): at [i, j] whether i is significantly better than j. `tau` are the percentiles (2.5, 25, 50,
    75, 97.5) of Kendall's tau-b between the ranking and that of each resample, None where it is not defined. `medians`
    are the ranks that rows take in the middle of all resamples: those that `frequencies` tells need not be all.
    """

    lows: list[int]
    highs: list[int]
    tied_with_the_top: list[bool]
    frequencies: RankFrequencies
    medians: list[int]
    better: NDArray[np.bool_]
    others: list[OtherRanking]
    tau: list[float] | None

    @classmethod
    def of(cls, stored: BoardCertainty) -> Self:
        """As it was stored."""
        packed = np.load(io.BytesIO(stored.packed))
        rows = len(stored.tied_with_the_top)
        better = np.unpackbits(packed["better"], count=rows * rows).reshape(rows, rows).astype(bool)
        others = zip(packed["ways"].tolist(), packed["ranks_by"].tolist(), packed["taus"].tolist(), strict=True)
        return cls(
            stored.lows,
            stored.highs,
            stored.tied_with_the_top,
            RankFrequencies(*(packed[name].astype(np.int32) for name in ("teams", "ranks", "counts"))),
            # Versions of before medians were kept: the middle of the interval stands for it.
            packed["medians"].tolist()
            if "medians" in packed
            else [(low + high) // 2 for low, high in zip(stored.lows, stored.highs, strict=True)],
            better,
            [OtherRanking(WAYS[way], ranks, None if np.isnan(tau) else tau) for way, ranks, tau in others],
            packed["tau"].tolist() or None,
        )

    @property
    def may_be_first(self) -> list[int]:
        """The rows whose interval of ranks begins at 1."""
        return [place for place, low in enumerate(self.lows) if low == 1]

    @cached_property
    def _alike(self) -> NDArray[np.bool_]:
        return neither_better(self.better)

    @property
    def open_neighbours(self) -> int:
        """How many rows can't be told from the one before."""
        return int(np.count_nonzero(np.diagonal(self._alike, 1)))

    def on_podium(self, ranks: Sequence[int]) -> set[int]:
        """The rows that take one of these ranks in some resample."""
        return {place for rank in ranks for place, _ in self.frequencies.at(rank)}

    def not_told_from(self, place: int) -> list[int]:
        """The rows that a row can't be told from."""
        alike: list[int] = np.flatnonzero(self._alike[place]).tolist()
        return alike

    def shares(self, place: int) -> dict[int, float]:
        """In which share of resamples, from 0 to 1, a row takes each rank; without what hardly ever happens."""
        return {rank: count / RESAMPLES for rank, count in self.frequencies.of(place)}
