"""A pool of real results: what the evaluation says of small made-up masks, and the numbers of whole runs made of them.

A `Kind` is a made-up case with its result for each way in which an algorithm may treat it; the cases of a set are of
one kind after the other. `RunResults` is one run over such a set. Both are computed once, and many runs share them.
"""

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import evaluation
from evaluation import Aggregates, CaseResult, CaseStatus
from leaderboard.journey.reasons import FAILURES
from leaderboard.models import RunCase
from leaderboard.scores.layout import Packed, pack
from tests.evaluation import builders

GRID = (24, 24, 16)
SPACING_MM = (1.0, 1.0, 1.5)
FINDINGS = (1, 2, 3, 4)  # of a case, and how many of a hundred cases have so many
FINDINGS_WEIGHTS = (40, 30, 20, 10)
# How an algorithm may treat a case, the best first. The last three lose it.
SCORED_WAYS = ("close", "shifted", "partly", "elsewhere")
LOST_WAYS = ("invalid", "missing", "failed")
LOST_REASONS = ("crashed", "out_of_memory", "timed_out")


@dataclass(frozen=True)
class Kind:
    """A made-up case: per finding its category, entities and voxels; and per way the case's result."""

    categories: tuple[str, ...]
    entities: tuple[int, ...]
    voxels: tuple[int, ...]
    results: Mapping[str, CaseResult]


@dataclass(frozen=True)
class Treated:
    """A case of a run: what the host reported, and the result."""

    outcome: str
    reason_code: str
    seconds: float
    result: CaseResult


@dataclass(frozen=True)
class RunResults:
    """A whole run: its cases by number, the place of each in the run's order; per scope the numbers and cases lost.

    `packed` is its array of scores.
    """

    cases: Sequence[Treated]
    places: Sequence[int]
    numbers: Mapping[str, Aggregates]
    lost: Mapping[str, int]
    packed: Packed


def kinds(count: int, findings: int | None, rng: random.Random) -> list[Kind]:
    """Made-up cases with `findings` findings each (None: one to four), scored with real files."""
    with tempfile.TemporaryDirectory(prefix="rexg-results-") as folder:
        return [_kind(number, findings, rng, Path(folder)) for number in range(count)]


def _kind(number: int, findings: int | None, rng: random.Random, folder: Path) -> Kind:
    wanted = findings or rng.choices(FINDINGS, FINDINGS_WEIGHTS)[0]
    codes = list(evaluation.CATEGORIES)
    categories = tuple(codes[(number + 5 * channel) % len(codes)] for channel in range(wanted))
    lesions = [[_place(rng) for _ in range(rng.randint(1, 3))] for _ in range(wanted)]
    reference = builders.mask_file(folder / "reference.nii.gz", _mask(lesions))
    case = builders.a_case((wanted, *GRID), categories, SPACING_MM)
    found = evaluation.inspect_mask(reference).entities
    entities = tuple(len(voxels) for voxels in found)
    results: dict[str, CaseResult] = {}
    for way, treated in _treatments(lesions, rng).items():
        prediction = builders.mask_file(folder / "prediction.nii.gz", treated)
        results[way] = evaluation.score_case(case, reference, prediction)
    for reason in ("missing", *LOST_REASONS):
        status = CaseStatus.MISSING if reason == "missing" else CaseStatus.FAILED
        results[reason] = evaluation.lost_case(case, entities, status, FAILURES[reason].title)
    return Kind(categories, entities, tuple(sum(voxels.values()) for voxels in found), results)


Lesion = tuple[tuple[int, int, int], int]  # its middle and its radius, in voxels


def _place(rng: random.Random) -> Lesion:
    h, w, d = (rng.randint(4, length - 5) for length in GRID)
    return (h, w, d), rng.randint(2, 3)


def _mask(lesions: Sequence[Sequence[Lesion]], shift: int = 0) -> np.ndarray:
    """A mask (F, H, W, D) of balls: each an entity with a value of its own."""
    mask = np.zeros((len(lesions), *GRID), np.uint8)
    places = np.ogrid[tuple(slice(length) for length in GRID)]
    for channel, balls in enumerate(lesions):
        for entity, (middle, radius) in enumerate(balls, start=1):
            distance = sum((place - at - shift) ** 2 for place, at in zip(places, middle, strict=True))
            mask[channel][distance <= radius**2] = entity
    return mask


def _treatments(lesions: Sequence[Sequence[Lesion]], rng: random.Random) -> dict[str, np.ndarray]:
    """What an algorithm wrote, by way; the invalid one lacks a slice."""
    some = [balls[:1] for balls in lesions]
    others = [[_place(rng)] for _ in lesions]
    shifted = _mask(lesions, 1)
    return {
        "close": np.maximum(_mask(lesions), _mask(some, 1)),
        "shifted": shifted,
        "partly": np.maximum(_mask(some, 1), _mask(others)),
        "elsewhere": _mask(others),
        "invalid": shifted[..., :-1],
    }


def run_results(cases: Sequence[tuple[str, Kind, bool]], digest: str, rng: random.Random) -> RunResults:
    """A run over `cases` (name, kind, in the public half) of the case set `digest`, by an algorithm of random skill."""
    skill = [rng.uniform(0.5, 6), rng.uniform(1, 6), 3.0, rng.uniform(0.5, 4)]
    unreliable = rng.choice((0.0, 0.0, 0.0, 0.01, 0.05))
    treated = [_treated(name, kind, skill, unreliable, rng) for name, kind, _ in cases]
    places = list(range(len(cases)))
    rng.shuffle(places)
    sizes = {
        (name, str(channel)): voxels / float(np.prod(GRID))
        for name, kind, _ in cases
        for channel, voxels in enumerate(kind.voxels)
    }
    limits = evaluation.size_limits(list(sizes.values()))
    scopes = {"all": treated, "half": [one for one, (_, _, half) in zip(treated, cases, strict=True) if half]}
    numbers = {
        scope: evaluation.aggregate(
            [one.result for one in members], seed=evaluation.seed_from(digest), sizes=sizes, limits=limits
        )
        for scope, members in scopes.items()
    }
    lost = {
        scope: sum(one.result["status"] != CaseStatus.SCORED for one in members) for scope, members in scopes.items()
    }
    return RunResults(treated, places, numbers, lost, pack(one.result for one in treated))


def _treated(name: str, kind: Kind, skill: Sequence[float], unreliable: float, rng: random.Random) -> Treated:
    way = rng.choices(SCORED_WAYS, skill)[0]
    if rng.random() < unreliable:
        way = rng.choice(LOST_WAYS)
        way = rng.choice(LOST_REASONS) if way == "failed" else way
    result: CaseResult = {**kind.results[way], "name": name}
    has_mask = result["status"] in {CaseStatus.SCORED, CaseStatus.INVALID}
    outcome = RunCase.Outcome.FINISHED if has_mask else RunCase.Outcome(result["status"])
    return Treated(outcome, "" if way in SCORED_WAYS else way, round(rng.uniform(2, 40), 2), result)
