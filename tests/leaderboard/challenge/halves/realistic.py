"""Case sets like the challenge's, in numbers: categories as on the live board of July 2026, sizes and spacing alike."""

import random

from leaderboard.challenge.halves.strata import CaseFacts

# Findings of each category on the earlier private test set, of 226; honeycombing had none there.
CATEGORIES = {
    "1a": 1,
    "1b": 4,
    "1c": 17,
    "1d": 6,
    "1e": 7,
    "1f": 3,
    "2a": 49,
    "2b": 36,
    "2c": 36,
    "2d": 58,
    "2e": 7,
    "2f": 1,
    "2g": 1,
    "2h": 1,
}


def case_set(count: int, *, seed: int = 1) -> list[CaseFacts]:
    """So many cases of about 2.3 findings; the same for the same seed."""
    rng = random.Random(seed)
    return [_case(number, rng) for number in range(count)]


def _case(number: int, rng: random.Random) -> CaseFacts:
    (findings,) = rng.choices((1, 2, 3, 4, 5), (30, 33, 20, 12, 5))
    categories = rng.choices(list(CATEGORIES), list(CATEGORIES.values()), k=findings)
    shares = [min(0.5, rng.lognormvariate(-7 if one[0] == "1" else -9, 1.8)) for one in categories]
    in_plane, slices = rng.uniform(0.30, 0.98), rng.choice((0.625, 1.0, 1.0, 1.0, 1.25, 1.5, 2.0, 5.0))
    return CaseFacts(
        f"case_{number:04}.nii.gz", tuple(zip(categories, shares, strict=True)), in_plane * in_plane * slices
    )
