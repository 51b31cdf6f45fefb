"""What can go wrong, in words fit for the person who reads them."""

from enum import StrEnum


class EvaluationError(Exception):
    """The evaluation cannot be done: the reference, the dataset file, the arguments or the machine are unusable."""


class InvalidMask(EvaluationError):
    """A mask file cannot be read as what it should be; the message says what to change in it."""


class MaskProblem(StrEnum):
    """What is wrong with a mask that cannot be used."""

    SHAPE = "shape"  # it is not that of the case
    VALUES = "values"  # they are not whole numbers from 0 to 255
    FILE = "file"  # it cannot be read, or costs too much


# How the reasons begin; none of them begins with anything of the file's.
_BEGINNINGS = {
    "shape ": MaskProblem.SHAPE,
    "values ": MaskProblem.VALUES,
    "voxels are ": MaskProblem.VALUES,
    "scl_inter is ": MaskProblem.VALUES,
}


def mask_problem(reason: str) -> MaskProblem:
    """The problem that the reason of an invalid case tells of, whichever version gave it.

    >>> import evaluation
    >>> str(evaluation.mask_problem("values are negative: found -1; save 0 for background and 1 for the finding"))
    'values'
    """
    found = (problem for beginning, problem in _BEGINNINGS.items() if reason.startswith(beginning))
    return next(found, MaskProblem.FILE)
