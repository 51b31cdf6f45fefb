"""The official metrics of the ReXGrounding Challenge: masks in, numbers out.

Nothing here knows of the server; teams run the same code on their own files with `python -m evaluation`. The packages,
each of which uses only those above it, as do the modules within each (`./dev lint` makes sure):

    errors, categories, results   what can go wrong; the table of the categories; the types of all results
    kernel      the loops that are compiled, where there is a compiler
    system      what only some operating systems can do
    masks       a NIfTI file that may be hostile -> the runs of voxels of each finding
    metrics     runs -> lesions, which of them are found -> one case's result -> summary, groups, intervals
    isolation   the same in a child process with limits
    hints       why a score may be lower than the model deserves
    notebook    one case after the other, as arrays or files: `score`, and `summarise` for a table
    command     from the arguments of the command line to its exit code

Who only wants numbers needs nothing but the names listed here.
"""

from typing import TYPE_CHECKING, Any

from evaluation.categories import CATEGORIES, Category, Kind, kind_of
from evaluation.errors import EvaluationError, InvalidMask, MaskProblem, mask_problem
from evaluation.hints import Hint, WithinBudget, look
from evaluation.isolation.scorer import TAKES_TOO_LONG, IsolatedScorer, Job, assess_isolated
from evaluation.masks.reading import MaskSummary, inspect_mask
from evaluation.metrics.aggregate import (
    COMPARED,
    OVERALL,
    PERCENTILES,
    RESAMPLES,
    Difference,
    aggregate,
    intervals_of,
    paired_differences,
    resample_counts,
    resampled_means,
    resampled_numbers,
    seed_from,
    size_group,
    size_limits,
)
from evaluation.metrics.cases import VERSION, Assessment, Case, lost_case
from evaluation.notebook import CaseScore, FindingScore, score, summarise
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
from evaluation.system import isolation_lacks

if TYPE_CHECKING:
    from evaluation.metrics.scoring import score_case

__all__ = [
    "CATEGORIES",
    "COMPARED",
    "OVERALL",
    "PERCENTILES",
    "RESAMPLES",
    "TAKES_TOO_LONG",
    "VERSION",
    "Aggregates",
    "Assessment",
    "Case",
    "CaseResult",
    "CaseScore",
    "CaseStatus",
    "Category",
    "Difference",
    "EvaluationError",
    "FindingResult",
    "FindingScore",
    "Group",
    "Hint",
    "Interval",
    "InvalidMask",
    "IsolatedScorer",
    "Job",
    "Kind",
    "MaskProblem",
    "MaskSummary",
    "OfGroup",
    "OfSummary",
    "SizeGroup",
    "Summary",
    "WithinBudget",
    "aggregate",
    "assess_isolated",
    "inspect_mask",
    "intervals_of",
    "isolation_lacks",
    "kind_of",
    "look",
    "lost_case",
    "mask_problem",
    "paired_differences",
    "resample_counts",
    "resampled_means",
    "resampled_numbers",
    "score",
    "score_case",
    "seed_from",
    "size_group",
    "size_limits",
    "summarise",
]


def __getattr__(name: str) -> Any:
    """Load what scores in this very process when somebody asks for it: the server never does (`isolation`)."""
    if name == "score_case":
        from evaluation.metrics.scoring import score_case

        return score_case
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
