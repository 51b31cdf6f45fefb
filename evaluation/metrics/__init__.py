"""The official metrics: masks as run lists in, numbers out. Dice, instances, distances, one case, many cases.

May import `evaluation.masks` and `evaluation.errors`.
"""
