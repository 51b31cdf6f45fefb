"""The official metrics of the ReXGrounding Challenge: masks in, numbers out.

Nothing here knows of the server; teams run the same code on their own files with `python -m evaluation`. The layers,
each of which uses only those before it (`./dev lint` makes sure):

    errors, runs              what can go wrong; sparse geometry: overlaps and surfaces of run lists
    nifti, scan, shape_hints, masks
                              a hostile file -> the runs of each finding
    components, instances, matching, nearest, distances
                              the runs of each finding -> lesions, and which of them are found
    prepared                  references read once
    scoring                   one case -> one element of the native JSON's "cases"
    aggregate                 many cases -> summary, groups, confidence intervals
    fit                       one case, had its mask been saved in another way
    child, messages, isolation, worker
                              the same in a child process with limits
    dataset, names, hints, files, progress, report
                              what the command line reads, says and writes
    cli                       from the arguments to the exit code
"""

from evaluation.categories import CATEGORIES, Category, Kind, kind_of
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.isolation.scorer import Job, score_isolated
from evaluation.masks.reading import MaskSummary, inspect_mask
from evaluation.metrics.aggregate import seed_from, size_limits, summarise
from evaluation.metrics.scoring import VERSION, Case, lost_case, score_case
from evaluation.results import (
    Aggregates,
    CaseResult,
    CaseStatus,
    FindingResult,
    Group,
    Interval,
    OfGroup,
    OfSummary,
    SizeGroup,
    Summary,
)

__all__ = [
    "CATEGORIES",
    "VERSION",
    "Aggregates",
    "Case",
    "CaseResult",
    "CaseStatus",
    "Category",
    "EvaluationError",
    "FindingResult",
    "Group",
    "Interval",
    "InvalidMask",
    "Job",
    "Kind",
    "MaskSummary",
    "OfGroup",
    "OfSummary",
    "SizeGroup",
    "Summary",
    "inspect_mask",
    "kind_of",
    "lost_case",
    "score_case",
    "score_isolated",
    "seed_from",
    "size_limits",
    "summarise",
]
