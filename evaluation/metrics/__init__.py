"""The official metrics: runs of voxels in, numbers out.

In reading order: `matching` (Dice, greedy matching, precision and recall), `components` and `instances` (from runs to
lesions), `surfaces`, `bounds`, `nearest` and `distances` (in mm), `scoring` (one case), `aggregate` (many cases,
confidence intervals), `fit` (one case, had its mask been saved in another way). May import `evaluation.masks` and what
lies directly in `evaluation`, and of other packages numpy, scipy and cc3d.
"""
