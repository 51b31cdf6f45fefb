"""How large the findings of a run's array are: of each the reference, as the case set knows it."""

import math
from dataclasses import dataclass

import numpy as np

import evaluation
from evaluation import SizeGroup
from leaderboard.models import CaseSet, Finding
from leaderboard.scores.arrays import Booleans, FindingScores
from leaderboard.scores.layout import Floats

MM3_IN_ML = 1000


@dataclass(frozen=True, eq=False)
class FindingSizes:
    """The size of each finding (findings,), in mL and as a share of its volume, from 0 to 1.

    NaN of what the case set does not have any more. `limits` are those of the size groups, over the whole case set.
    """

    ml: Floats
    shares: Floats
    limits: tuple[float, float]

    @property
    def groups(self) -> dict[str, Booleans]:
        """Which findings are small, medium and large (findings,); none where the size of one is not known."""
        if np.isnan(self.shares).any():
            return {}
        of_each = np.array([evaluation.size_group(share, self.limits) for share in self.shares.tolist()])
        return {size.value: of_each == size for size in SizeGroup}


def sizes_of(case_set: CaseSet, scores: FindingScores) -> FindingSizes:
    """The sizes of the findings of an array, in its order; one query. EvaluationError if the case set has none."""
    asked = Finding.objects.filter(case__case_set=case_set).order_by()
    columns = ("case__name", "channel", "voxels", "case__spacing_mm", "case__shape")
    known = {
        (name, channel): (voxels * math.prod(spacing) / MM3_IN_ML, voxels / math.prod(shape))
        for name, channel, voxels, spacing, shape in asked.values_list(*columns)
    }
    names = [scores.cases.names[case] for case in scores.case_of.tolist()]
    keys = zip(names, scores.findings["channel"].tolist(), strict=True)
    unknown = (math.nan, math.nan)
    ml, shares = np.array([known.get(key, unknown) for key in keys], np.float64).reshape(-1, 2).T
    limits = evaluation.size_limits([share for _, share in known.values()])
    return FindingSizes(ml, shares, limits)
