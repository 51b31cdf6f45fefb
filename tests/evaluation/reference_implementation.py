"""A slow, obvious, dense implementation of the official metrics, to compare the real one with.

Written from the rules alone, with numpy and scipy.ndimage, sharing no code with the package.
"""

import itertools

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist

EPS = 1e-6


def overall_dice(a, b):
    return (2 * np.count_nonzero(a & b) + EPS) / (np.count_nonzero(a) + np.count_nonzero(b) + EPS)


def instances_of(binary, cap=50):
    """List of boolean arrays: the kept 18-connected components in their order."""
    labels, n = ndimage.label(binary, structure=ndimage.generate_binary_structure(3, 2))
    parts = [labels == k for k in range(1, n + 1)]
    parts = [part for part in parts if part.sum() >= 10]

    def first(part):
        return int(np.flatnonzero(part.ravel(order="C"))[0])

    parts.sort(key=lambda part: (-part.sum(), first(part)))
    return sorted(parts[:cap], key=first)


def greedy(pairs, better, tie):
    """Match (score, i, j) triples: the best first; equal ones (within tie) by i, then j."""
    pairs, matched = list(pairs), []
    while pairs:
        best = better(score for score, _, _ in pairs)
        _, i, j = min((p for p in pairs if abs(p[0] - best) <= tie), key=lambda p: (p[1], p[2]))
        matched.append((i, j))
        pairs = [p for p in pairs if p[1] != i and p[2] != j]
    return matched


def surface_points(part, spacing):
    padded = np.pad(part, 1)
    inner = part.copy()
    for axis, step in itertools.product(range(3), (-1, 1)):
        inner &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(part & ~inner) * np.array(spacing)


def assd(a, b, spacing):
    distances = cdist(surface_points(a, spacing), surface_points(b, spacing))
    return (distances.min(axis=1).sum() + distances.min(axis=0).sum()) / sum(distances.shape)


def centroid_distance(a, b, spacing):
    difference = np.argwhere(a).mean(axis=0) - np.argwhere(b).mean(axis=0)
    return float(np.sqrt(((difference * np.array(spacing)) ** 2).sum()))


def score_finding(reference, prediction, category=None, spacing=None):
    """reference: integers (H, W, D), prediction: integers (H, W, D); a dictionary with the native field names."""
    entities = [reference == value for value in np.unique(reference[reference != 0])]
    instances = instances_of(prediction > 0)
    union = np.any(instances, axis=0) if instances else np.zeros(reference.shape, bool)
    value = overall_dice(reference != 0, union)
    pairs = [(overall_dice(e, p), i, j) for i, e in enumerate(entities) for j, p in enumerate(instances)]
    tp = len(greedy([p for p in pairs if p[0] >= 0.2], max, 0))
    result = {
        "dice": value,
        "dice_raw": overall_dice(reference != 0, prediction > 0),
        "hit": value >= 0.1,
        "hit_05": value >= 0.05,
        "n_reference": len(entities),
        "n_predicted": len(instances),
        "tp": tp,
        "fp": len(instances) - tp,
        "fn": len(entities) - tp,
    }
    distance_tp = None
    if category and spacing:
        measure = centroid_distance if category[0] == "2" else assd
        limit = 2 * max(spacing)
        far = [(measure(e, p, spacing), i, j) for i, e in enumerate(entities) for j, p in enumerate(instances)]
        close = [p for p in far if p[0] <= limit * (1 + 1e-9)]
        distance_tp = len(greedy(close, min, 1e-9 * max(1, limit)))
    result["distance_tp"] = distance_tp
    result["distance_fp"] = None if distance_tp is None else len(instances) - distance_tp
    result["distance_fn"] = None if distance_tp is None else len(entities) - distance_tp
    return result
