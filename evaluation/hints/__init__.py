"""Why a score may be lower than the model deserves: guesses about how masks were saved. They never change a score.

    judging     which cases are worth a look, what their fits make suspicious, what is said of it
    look        all of it for one run, whoever answers its questions about masks
    budget      the answers of one child process, within a budget of processor time

A suspicion (flipped, transposed, reordered, inverted) comes from a sample of voxels (`metrics.fit`). What is promised
does not: the masks are corrected and scored by the official metric (`masks.correction`, `metrics.scoring`), and a hint
gives that score or is not given.
"""

from evaluation.hints.budget import WithinBudget
from evaluation.hints.judging import Hint, HintKind, about_repeated_masks
from evaluation.hints.look import look

__all__ = ["Hint", "HintKind", "WithinBudget", "about_repeated_masks", "look"]
