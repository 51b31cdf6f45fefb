"""Differential fuzzing of the mask reader: what `evaluation` says of a file against what a slow, obvious reader says.

    python -m tests.evaluation.fuzzing --inputs 20000 --seed 1

`mutations` makes the inputs, `oracle` knows the right answer, `differential` compares. Input i of seed s is always the
same, so a disagreement is reproduced by its number.
"""
