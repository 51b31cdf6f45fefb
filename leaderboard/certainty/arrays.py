"""The arrays that everything here takes and gives, and what is refused of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]
Booleans = NDArray[np.bool_]


def finite(values: Any) -> Floats:
    """The values as float64. Raises ValueError where one is NaN or infinite: such a number has no rank."""
    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise ValueError("every score must be a finite number")
    return found


def scores_of_cases(values: Any) -> Floats:
    """Scores (teams, cases) as float64; no team is fine. Raises ValueError on other shapes, without cases, on NaN."""
    found = finite(values)
    if found.ndim != 2 or (len(found) and not found.shape[1]):
        raise ValueError(f"scores must be (teams, cases) with at least one case, not {found.shape}")
    return found
