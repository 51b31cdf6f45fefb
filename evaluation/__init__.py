"""The official metrics of the ReXGrounding Challenge: masks in, numbers out.

Nothing here knows of the server; teams run the same code on their own files with `python -m evaluation`. The layers,
each of which uses only those before it:

    runs              sparse geometry: overlaps and surfaces of run lists
    nifti, scan, masks    a hostile file -> the runs of each finding
    components, instances, matching, nearest, distances
    prepared          references read once
    scoring           one case -> one element of the native JSON's "cases"
    aggregate         many cases -> summary, groups, confidence intervals
    isolation, worker the same in a child process with limits
    dataset, names, hints, shape_hints, progress, report, cli
"""

from evaluation.aggregate import seed_from, size_limits, summarise
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.isolation import Job, score_isolated
from evaluation.masks import MaskSummary, inspect_mask
from evaluation.scoring import VERSION, Case, lost_case, score_case

__all__ = [
    "VERSION",
    "Case",
    "EvaluationError",
    "InvalidMask",
    "Job",
    "MaskSummary",
    "inspect_mask",
    "lost_case",
    "score_case",
    "score_isolated",
    "seed_from",
    "size_limits",
    "summarise",
]
