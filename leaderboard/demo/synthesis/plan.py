"""Which findings each case gets.

Decided for the whole set at once, so that a set's mix is right even when it is small. Categories are dealt like cards:
a deck with every category in proportion (each at least once when the deck is large enough), shuffled, and handed out
case by case. What happens inside a case depends only on its own plan and its own seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation import CATEGORIES
from leaderboard.demo.synthesis.grid import Shape, Spacing
from leaderboard.demo.synthesis.kinds import SHARES

FINDINGS_PER_CASE = {1: 0.22, 2: 0.38, 3: 0.28, 4: 0.12}
# The same kind of lesion twice in a case, in two places, is what makes the words of a finding matter.
REPEATABLE = frozenset({"2a", "2b", "2c", "2d"})


@dataclass(frozen=True)
class CasePlan:
    """`seed` alone decides everything random inside the case."""

    name: str
    shape: Shape
    spacing_mm: Spacing
    categories: tuple[str, ...]
    seed: tuple[int, int]
    protocol: str


def plan_cases(
    cases: int,
    *,
    shape: Shape | tuple[Shape, Shape],
    spacing_mm: Spacing | tuple[Spacing, Spacing],
    seed: int,
) -> list[CasePlan]:
    """Plans of `cases` cases. A pair of shapes or spacings is a range; equal in-plane bounds stay equal."""
    rng = np.random.default_rng([seed, 0])
    sizes = rng.choice(list(FINDINGS_PER_CASE), size=cases, p=list(FINDINGS_PER_CASE.values()))
    hands = _deal(_deck(int(sizes.sum()), rng), [int(size) for size in sizes])
    plans = []
    for number, categories in enumerate(hands, start=1):
        own = np.random.default_rng([seed, number])
        h, w, d = _between(shape, own)
        sh, sw, sd = _between(spacing_mm, own)
        plans.append(
            CasePlan(
                name=f"case_{number:04d}.nii.gz",
                shape=(round(h), round(w), round(d)),
                spacing_mm=(round(sh, 4), round(sw, 4), round(sd, 4)),
                categories=categories,
                seed=(seed, number),
                protocol=f"protocol{own.integers(1, 3)}",
            )
        )
    return plans


def _between(
    bounds: Shape | Spacing | tuple[Shape, Shape] | tuple[Spacing, Spacing], rng: np.random.Generator
) -> tuple[float, ...]:
    first, second = bounds[0], bounds[1]
    if not isinstance(first, tuple) or not isinstance(second, tuple):
        return tuple(float(value) for value in bounds if not isinstance(value, tuple))
    in_plane, through = rng.uniform(size=2)
    return tuple(
        low + (high - low) * float(share)
        for low, high, share in zip(first, second, (in_plane, in_plane, through), strict=True)
    )


def _deck(count: int, rng: np.random.Generator) -> list[str]:
    if count < len(CATEGORIES):
        shares = [SHARES[category] for category in CATEGORIES]
        return [str(card) for card in rng.choice(list(CATEGORIES), size=count, replace=False, p=shares)]
    wanted = np.array([SHARES[category] for category in CATEGORIES]) * count
    dealt = np.maximum(np.floor(wanted), 1)
    while dealt.sum() > count:  # tiny sets: every category once, taken from the most frequent ones
        dealt[np.argmax(np.where(dealt > 1, dealt - wanted, -np.inf))] -= 1
    while dealt.sum() < count:
        dealt[np.argmax(wanted - dealt)] += 1
    deck = [category for category, number in zip(CATEGORIES, dealt, strict=True) for _ in range(int(number))]
    return [deck[position] for position in rng.permutation(count)]


def _deal(deck: list[str], sizes: list[int]) -> list[tuple[str, ...]]:
    hands: list[list[str]] = [[] for _ in sizes]
    for hand, size in zip(hands, sizes, strict=True):
        while len(hand) < size:
            position = next((index for index, card in enumerate(deck) if _fits(card, hand)), None)
            if position is not None:
                hand.append(deck.pop(position))
            else:  # only cards left that this hand cannot take
                hand.append(next(card for card in sorted(REPEATABLE) if _fits(card, hand)))
    return [tuple(hand) for hand in hands]


def _fits(card: str, hand: list[str]) -> bool:
    return hand.count(card) < (2 if card in REPEATABLE else 1)
