"""How the scores of all findings of a run lie in some kilobytes: pure functions, which know no database.

Cases are in the order of their names, as `evaluation.aggregate` sorts them; findings by case, and within a case by
channel, as in its result. Layout 1 is two runs of bytes, little-endian and without gaps:

    cases       for each case its status (uint8, a place in STATUSES) and the number of its findings (uint16)
    findings    column after column of FINDING, each with one value per finding: first of all the Dice of all findings

What a result says on top follows from this: `n_reference` is tp + fn, `n_predicted` is tp + fp. Only the reason for
which a case was lost, which is words, is not here.

Whoever changes anything of this raises LAYOUT: arrays of another layout are made anew from the results of cases
(`leaderboard.scores.arrays`). Where these are gone, as those of an older evaluation version may be, the array's layout
has to stay readable.
"""

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation import CaseResult, CaseStatus, FindingResult

LAYOUT = 1
STATUSES = (CaseStatus.SCORED, CaseStatus.MISSING, CaseStatus.INVALID, CaseStatus.FAILED)
CASE = np.dtype([("status", "u1"), ("findings", "<u2")])
FINDING = np.dtype(
    [
        ("dice", "<f8"),  # 0 to 1
        ("dice_raw", "<f8"),  # 0 to 1
        ("tp", "<i4"),  # entities that were found
        ("fp", "<i4"),  # instances that are no entity
        ("fn", "<i4"),  # entities that were missed
        ("distance_tp", "<i4"),  # the same by distance; all three NOT_MEASURED where it is not measured
        ("distance_fp", "<i4"),
        ("distance_fn", "<i4"),
        ("channel", "<u2"),
        ("category", "S2"),  # by which it was scored; empty where it had none
        ("hit", "?"),
        ("hit_05", "?"),
    ]
)
NOT_MEASURED = -1
_COLUMNS = FINDING.names or ()
DICE_BYTES = FINDING["dice"].itemsize

Table = NDArray[np.void]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Packed(NamedTuple):
    """The scores of a run as they are stored; `digest` is that of `digest_of`."""

    cases: bytes
    findings: bytes
    digest: str


def pack(results: Iterable[CaseResult]) -> Packed:
    """The results of a run's cases, in any order. Raises ValueError without a case, or if one has no finding."""
    ordered = sorted(results, key=lambda case: case["name"])
    if not ordered or not all(case["findings"] for case in ordered):
        raise ValueError("scores are those of at least one case, and of at least one finding of each")
    cases = [(STATUSES.index(case["status"]), len(case["findings"])) for case in ordered]
    findings = np.array([_row(finding) for case in ordered for finding in case["findings"]], FINDING)
    return Packed(
        cases=np.array(cases, CASE).tobytes(),
        findings=b"".join(findings[name].tobytes() for name in _COLUMNS),
        digest=digest_of([case["name"] for case in ordered], cases_of_findings(cases), findings["channel"]),
    )


def _row(finding: FindingResult) -> tuple[Any, ...]:
    """A finding as a row of FINDING."""
    distance = (finding["distance_tp"], finding["distance_fp"], finding["distance_fn"])
    counts = (finding["tp"], finding["fp"], finding["fn"])
    by_distance = (NOT_MEASURED,) * 3 if None in distance else distance
    about = (int(finding["finding"]), (finding["category"] or "").encode())
    return (finding["dice"], finding["dice_raw"], *counts, *by_distance, *about, finding["hit"], finding["hit_05"])


def unpack_cases(data: bytes) -> Table:
    """The rows of CASE (cases,)."""
    return np.frombuffer(data, CASE)


def unpack_findings(data: bytes) -> Table:
    """The rows of FINDING (findings,). Raises ValueError if the bytes do not make whole rows."""
    count, rest = divmod(len(data), FINDING.itemsize)
    if rest:
        raise ValueError(f"{len(data)} bytes are no whole findings")
    found, start = np.empty(count, FINDING), 0
    for name in _COLUMNS:
        found[name] = np.frombuffer(data, FINDING[name], count, start)
        start += count * FINDING[name].itemsize
    return found


def cases_of_findings(cases: Table | Sequence[tuple[int, int]]) -> Integers:
    """For each finding the place of its case (findings,)."""
    counts = np.asarray(cases, CASE)["findings"]
    return np.repeat(np.arange(len(counts)), counts)


def means_of_cases(dice: Floats, case_of: Integers, cases: int) -> Floats:
    """The mean over each case's findings (cases,), to the bit the one of which `evaluation.aggregate` takes the mean.

    `dice` and the case of each are (findings,). It is added up in order, as there; NumPy's own means are not.
    """
    counts = np.bincount(case_of, minlength=cases)
    means: Floats = np.bincount(case_of, dice, cases) / counts
    return means


def digest_of(names: Sequence[str], case_of: Integers, channels: NDArray[Any]) -> str:
    """The sha256 of which cases, and which findings of each, stand in which order: (cases,), (findings,), (findings,).

    Arrays with the same one have the same finding at each place.
    """
    of_cases: list[tuple[str, list[int]]] = [(name, []) for name in names]
    for case, channel in zip(case_of.tolist(), channels.tolist(), strict=True):
        of_cases[case][1].append(channel)
    return sha256(json.dumps(of_cases).encode()).hexdigest()
