"""Dice, greedy matching, precision and recall: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.masks.run_lengths import Floats

EPSILON = 1e-6
HIT_DICE = 0.1
LENIENT_HIT_DICE = 0.05
MATCH_DICE = 0.2
DISTANCE_TIE = 1e-9


class Counts(NamedTuple):
    """Matched pairs, unmatched predicted instances, unmatched entities."""

    tp: int
    fp: int
    fn: int


class Match(NamedTuple):
    """An entity and a predicted instance that belong together, as labels 1..n, and their Dice."""

    entity: int
    instance: int
    dice: float


class Pair(NamedTuple):
    """An entity and a predicted instance, as labels 1..n, at a distance in mm."""

    distance_mm: float
    entity: int
    instance: int


def dice(common: int, size_a: int, size_b: int) -> float:
    """Dice of two voxel sets, from 0 to 1; exactly 1 if both are empty, nearly 0 if one is."""
    return (2 * common + EPSILON) / (size_a + size_b + EPSILON)


def match_by_dice(
    common: NDArray[np.int64], entity_sizes: NDArray[np.int64], instance_sizes: NDArray[np.int64]
) -> list[Match]:
    """Greedy one-to-one matching, highest Dice first, down to 0.2; not the assignment with the most pairs.

    `common[i, j]` are the voxels that entity i + 1 and instance j + 1 share; ties go to the lower i, then the lower j.
    The pairs are in the order in which they were matched.
    """
    scores = (2 * common + EPSILON) / (entity_sizes[:, None] + instance_sizes[None, :] + EPSILON)
    entity, instance = np.nonzero(scores >= MATCH_DICE)
    found = scores[entity, instance]
    best_first = np.lexsort((instance, entity, -found))
    columns = (entity[best_first] + 1, instance[best_first] + 1, found[best_first])
    return _greedy(map(Match, *(column.tolist() for column in columns)))


def match_by_distance(pairs: Iterable[Pair], n_entities: int, n_instances: int, *, threshold_mm: float) -> Counts:
    """Greedy one-to-one matching of the eligible pairs, nearest first.

    Distances that differ by no more than 1e-9 of max(1, threshold) from the smallest are equal: the lower entity, then
    the lower instance, goes first.
    """
    tie = DISTANCE_TIE * max(1.0, threshold_mm)
    free = sorted(pairs)
    matched = 0
    while free:
        nearest = free[0].distance_mm
        chosen = min((pair for pair in free if pair.distance_mm <= nearest + tie), key=lambda pair: pair[1:])
        free = [pair for pair in free if pair.entity != chosen.entity and pair.instance != chosen.instance]
        matched += 1
    return counted(matched, n_entities, n_instances)


def precision_recall_f1(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """P is 1 if nothing was predicted, R is 1 if there was nothing to find, F1 is 0 if both are 0.

    Counts, or arrays of counts of one shape, in; numbers of that shape from 0 to 1 out.
    """
    precision = ratio(tp, np.add(tp, fp), otherwise=1.0)
    recall = ratio(tp, np.add(tp, fn), otherwise=1.0)
    return precision, recall, ratio(2 * precision * recall, precision + recall, otherwise=0.0)


def ratio(numerator: ArrayLike, denominator: ArrayLike, *, otherwise: float) -> Floats:
    """`otherwise` where the denominator is 0."""
    result = np.full(np.shape(numerator), otherwise)
    np.divide(numerator, denominator, out=result, where=np.greater(denominator, 0))
    return result[()]


def counted(matched: int, n_entities: int, n_instances: int) -> Counts:
    """The counts of so many pairs among so many entities and instances."""
    return Counts(matched, n_instances - matched, n_entities - matched)


def _greedy(candidates: Iterable[Match]) -> list[Match]:
    """Each candidate in turn whose entity and instance are both still free."""
    entities: set[int] = set()
    instances: set[int] = set()
    matches = []
    for match in candidates:
        if match.entity not in entities and match.instance not in instances:
            entities.add(match.entity)
            instances.add(match.instance)
            matches.append(match)
    return matches
