"""Kendall's tau-b between rankings: 1 for the same order, -1 for the opposite one, ties counted as neither."""

import numpy as np

from leaderboard.certainty.arrays import Floats, Integers


def kendall_tau_b(base: Integers, others: Integers) -> Floats:
    """Tau-b of `base` (teams,) with each ranking of `others` (rankings, teams), as R's cor(method="kendall").

    NaN where it is not defined: if there are fewer than two teams, or all share a rank in one of the two.
    """
    order = np.argsort(base, kind="stable")
    ordered = base[order]
    columns = np.ascontiguousarray(others[:, order].T)
    below = np.searchsorted(ordered, ordered, side="right")  # where the teams begin that are ranked below each
    agreeing = np.zeros(len(others), np.int64)  # pairs in the same order, less those in the opposite one
    for column, first in zip(columns, below, strict=True):
        agreeing += np.sign(columns[first:] - column).sum(axis=0, dtype=np.int64)
    of_base, of_others = _pairs_in_order(base[None, :]), _pairs_in_order(others)
    scale = np.sqrt((of_base * of_others).astype(np.float64))  # exact where both are one number, so tau is then 1
    tau = np.full(len(others), np.nan)
    np.divide(agreeing, scale, out=tau, where=scale > 0)
    return tau


def _pairs_in_order(rankings: Integers) -> Floats:
    """How many pairs of teams do not share a rank, in each of (rankings, teams) competition ranks."""
    how_many, teams = rankings.shape
    cells = rankings + np.arange(how_many, dtype=np.int64)[:, None] * (teams + 1)
    sharing = np.bincount(cells.ravel(), minlength=how_many * (teams + 1)).reshape(how_many, teams + 1)
    tied = (sharing * (sharing - 1) // 2).sum(axis=1)
    in_order: Floats = (teams * (teams - 1) // 2 - tied).astype(np.float64)
    return in_order
