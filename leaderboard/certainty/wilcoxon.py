"""The one-sided Wilcoxon signed-rank test, of many pairs at once.

As R's `wilcox.test(x, y, paired = TRUE, alternative = "greater")` by default up to R 4.5: differences of 0 are left
out; p-values are exact for fewer than 50 differences without ties and without zeroes, else by the normal approximation
with correction for continuity and ties. (From R 4.6 on, the default is exact with ties and zeroes, too.) They agree
with R's to 1e-12 of themselves. challengeR says `exact = FALSE`, and so differs from this below 50 cases, there alone.

Half a million tests are one sort of each pair's differences. A float's bits, without the sign, are in the order of its
size; so the size is kept as a whole number and the sign in its last place, and what comes out of the sort has both.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from leaderboard.certainty.arrays import Floats

EXACT_BELOW = 50
CONTINUITY = 0.5
ONE = np.uint64(1)
SIGN = np.uint64(63)  # the place of a float64's sign


def signed_rank(differences: Floats) -> tuple[Floats, Floats]:
    """For each row of (pairs, cases) finite differences, the p-values of "they tend to be above 0" and "below 0".

    1 and 1 where no difference is left. Each pair's p-values depend on its own row alone, to the bit.
    """
    cases = differences.shape[1]
    bits = (differences + 0.0).view(np.uint64)  # + 0.0: no negative zeroes
    keys = (bits << ONE) | (bits >> SIGN)
    keys.sort(axis=1)
    sizes, is_below = keys >> ONE, keys & ONE
    left = np.count_nonzero(sizes, axis=1)
    zeroes = cases - left
    ranks_below = np.einsum("pc,c->p", is_below, np.arange(1, cases + 1, dtype=np.uint64)).astype(np.float64)
    ranks_below -= zeroes * is_below.sum(axis=1).astype(np.float64)
    unfair, ties = _ties(sizes, is_below)
    ranks_below -= unfair
    ranks_above = left * (left + 1) / 2 - ranks_below
    has_table = (ties == 0) & (zeroes == 0) & (cases < EXACT_BELOW)
    above, below = (_p_values(one, left.astype(np.float64), ties, has_table) for one in (ranks_above, ranks_below))
    return above, below


def _ties(sizes: NDArray[np.uint64], is_below: NDArray[np.uint64]) -> tuple[Floats, Floats]:
    """What ties change, for each row of sorted sizes.

    First, by how much the places of negative differences add up to more than their ranks: among t equal sizes, q of
    them negative, these come last, which is q (t - q) / 2 more than q times the mean. Second, the sum of t^3 - t.
    """
    rows, cases = sizes.shape
    is_next_equal = np.zeros(sizes.shape, bool)
    np.equal(sizes[:, 1:], sizes[:, :-1], out=is_next_equal[:, :-1])
    is_next_equal &= sizes > 0
    at = np.flatnonzero(is_next_equal)
    if not len(at):
        return np.zeros(rows), np.zeros(rows)
    begins = np.flatnonzero(np.diff(at, prepend=-2) != 1)
    first = at[begins]
    tied = np.diff(begins, append=len(at)) + 1
    so_far = np.concatenate([[0], is_below.ravel().cumsum(dtype=np.int64)])
    negative = so_far[first + tied] - so_far[first]
    row = first // cases
    tied = tied.astype(np.float64)
    unfair = np.bincount(row, negative * (tied - negative) / 2, rows).astype(np.float64)
    return unfair, np.bincount(row, tied**3 - tied, rows).astype(np.float64)


def _p_values(statistic: Floats, left: Floats, ties: Floats, has_table: NDArray[np.bool_]) -> Floats:
    """How likely so high a sum of ranks is, or a higher one, if only chance decides the signs."""
    from scipy.special import ndtr  # not above: every process would load it as it starts

    spread = np.sqrt(left * (left + 1) * (2 * left + 1) / 24 - ties / 48)
    with np.errstate(divide="ignore"):  # nothing is left: -0.5 / 0, and so 1
        found = ndtr(-((statistic - left * (left + 1) / 4 - CONTINUITY) / spread))
    if has_table.any():  # of as many differences as there are cases, since none of them is 0
        found[has_table] = _exact(int(left[has_table][0]))[statistic[has_table].astype(np.intp)]
    return found


@lru_cache(maxsize=EXACT_BELOW)
def _exact(n: int) -> Floats:
    """P(V >= v) for v = 0 ... n (n + 1) / 2: V adds up those of 1 ... n whose coin shows heads.

    The counts are whole numbers below 2^53, so nothing is rounded but the last division.
    """
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    tail: Floats = ways[::-1].cumsum()[::-1] / 2.0**n
    tail.flags.writeable = False
    return tail
