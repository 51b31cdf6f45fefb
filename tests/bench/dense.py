"""The official metrics as one would write them at first: whole volumes, numpy and scipy, no cleverness."""

import nibabel
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from evaluation.metrics import matching
from evaluation.metrics.matching import Pair


def score(case, reference_path, prediction_path):
    """The counts and Dice of each finding of a case."""
    references, predictions = (np.asarray(nibabel.load(path).dataobj) for path in (reference_path, prediction_path))  # type: ignore[attr-defined]
    return [
        score_finding(references[int(key)], predictions[int(key)], case.categories[key], case.spacing_mm)
        for key in case.findings
    ]


def score_finding(reference, prediction, category, spacing_mm):
    """(dice, tp, distance tp) of one finding."""
    components, count = ndimage.label(prediction > 0, structure=ndimage.generate_binary_structure(3, 2))
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    kept = np.flatnonzero(sizes[1:] >= 10) + 1
    if len(kept) > 50:
        first = ndimage.minimum(np.arange(components.size).reshape(components.shape), components, kept)
        kept = np.sort(kept[np.lexsort((first, -sizes[kept]))][:50])
    number = np.zeros(count + 1, np.int64)
    number[kept] = np.arange(1, len(kept) + 1)
    instances = number[components]
    values = np.unique(reference)
    entities = np.searchsorted(values, reference)
    table = np.zeros((len(values), len(kept) + 1), np.int64)
    np.add.at(table, (entities.ravel(), instances.ravel()), 1)
    common, entity_sizes, instance_sizes = table[1:, 1:], table.sum(axis=1)[1:], table.sum(axis=0)[1:]
    dice = matching.dice(common.sum(), entity_sizes.sum(), instance_sizes.sum())
    matches = matching.match_by_dice(common, entity_sizes, instance_sizes)
    limit = 2 * max(spacing_mm)
    measure = centroid_distances if category.startswith("2") else surface_distances
    distance = measure(entities, len(entity_sizes), instances, len(instance_sizes), np.array(spacing_mm))
    pairs = [Pair(float(distance[i, j]), i + 1, j + 1) for i, j in np.argwhere(distance <= limit * (1 + 1e-9)).tolist()]
    return dice, len(matches), matching.match_by_distance(pairs, *distance.shape, threshold_mm=limit).tp


def centroid_distances(entities, n_entities, instances, n_instances, spacing_mm):
    one = np.array(ndimage.center_of_mass(entities > 0, entities, range(1, n_entities + 1)))
    other = np.array(ndimage.center_of_mass(instances > 0, instances, range(1, n_instances + 1)))
    return np.sqrt((((one[:, None] - other[None]) * spacing_mm) ** 2).sum(axis=2))


def surface_distances(entities, n_entities, instances, n_instances, spacing_mm):
    one, other = surfaces(entities, spacing_mm), surfaces(instances, spacing_mm)
    trees = [cKDTree(points) for points in one], [cKDTree(points) for points in other]
    distance = np.empty((n_entities, n_instances))
    for i, j in np.ndindex(*distance.shape):
        there, back = (
            np.asarray(tree.query(points)[0]) for tree, points in ((trees[1][j], one[i]), (trees[0][i], other[j]))
        )
        distance[i, j] = (there.sum() + back.sum()) / (len(there) + len(back))
    return distance


def surfaces(labels, spacing_mm):
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        part = np.pad(labels[box] == label, 1)
        edge = part & ~ndimage.binary_erosion(part)
        found.append((np.argwhere(edge) - 1 + [side.start for side in box]) * spacing_mm)
    return found
