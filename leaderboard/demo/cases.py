"""The case set of `./dev demo`: small, quick, and with one case for each fault that the demo's faulty entries have.

Exactly one case speaks of honeycombing (the entry `fragile` crashes on it) and exactly one other of a
pneumothorax (the entry `stuck` never finishes it). Neither is the first: a fault in the middle of a run is the
more telling one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from leaderboard.demo.synthesis import generate

SEED = 37
CASES = 8
SHAPE = (96, 96, 48)
SPACING_MM = (3.5, 3.5, 6.0)
CRASHES_FRAGILE = "honeycombing"
HANGS_STUCK = "pneumothorax"
BEST_FIRST = ("words", "fragile", "stuck", "side-only", "threshold")
"""The example's variants as their mean Dice ranks them on this set: about 0.51, 0.45, 0.42, 0.11, 0.08."""


def generate_demo(
    destination: Path, *, split: str = "test", seed: int = SEED, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write the demo's case set below `destination` (about a second); returns the path of its dataset.json."""
    return generate(
        destination, cases=CASES, shape=SHAPE, spacing_mm=SPACING_MM, seed=seed, split=split, progress=progress
    )
