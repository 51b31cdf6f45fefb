"""Competition ranks ("1224"), of exact or of rounded scores."""

from collections.abc import Sequence

import numpy as np

from leaderboard.certainty.arrays import Floats, Integers, finite

# Multiplying by a power of ten moves a number by far less than NEAR_HALF of the last decimal, up to LARGE of them.
NEAR_HALF = 1e-6
LARGE = 1e9


def ranks(scores: Floats | Sequence[float], decimals: int | None = None) -> Integers:
    """Ranks along the last axis, from 1, the highest score first; equal scores share the best rank that they take.

    With `decimals`, scores are `rounded` first. Raises ValueError on NaN and infinity.
    """
    values = finite(scores)
    if decimals is not None:
        values = rounded(values, decimals)
    order = np.argsort(-values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    is_lower = np.ones(values.shape, bool)
    is_lower[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    places = np.arange(1, values.shape[-1] + 1, dtype=np.int32)
    shared = np.maximum.accumulate(np.where(is_lower, places, 0), axis=-1)
    found = np.empty(values.shape, np.int32)
    np.put_along_axis(found, order, shared, axis=-1)
    return found


def rounded(values: Floats, decimals: int) -> Floats:
    """To the bit what float(f"{value:.{decimals}f}") gives for each: how a score is shown before a reveal.

    That looks at the exact binary number, so 0.0625 becomes 0.062, and 0.0235, which is a little more than it says,
    0.024. numpy.round multiplies first and may land on the other side.
    """
    scale = 10.0**decimals
    scaled = values * scale
    result = np.rint(scaled) / scale
    doubtful = (np.abs(np.abs(scaled - np.trunc(scaled)) - 0.5) < NEAR_HALF) | (np.abs(scaled) > LARGE)
    result[doubtful] = [float(f"{value:.{decimals}f}") for value in values[doubtful]]
    return result
