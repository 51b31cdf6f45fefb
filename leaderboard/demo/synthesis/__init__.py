"""Made-up chest CTs with findings in words and masks, in the challenge's own file format.

A case goes through five steps, each a module: `plan` (which findings, decided for the whole set), `anatomy` (a
healthy chest), `placing` with `shapes` and `kinds` (lesions put in and measured), `wording` (sentences from the
measurements), `cases` (scanner blur and noise, files). A case depends on its plan alone, so the number of
processes changes nothing in the result.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from leaderboard.challenge.casesets.entries import SPACING_MM
from leaderboard.demo.synthesis.cases import write_case
from leaderboard.demo.synthesis.grid import Shape, Spacing
from leaderboard.demo.synthesis.placing import SynthesisError
from leaderboard.demo.synthesis.plan import CasePlan, plan_cases

__all__ = ["SynthesisError", "generate"]

SMALLEST = (48, 48, 24)


def generate(
    destination: Path,
    *,
    cases: int,
    shape: Shape | tuple[Shape, Shape],
    spacing_mm: Spacing | tuple[Spacing, Spacing],
    seed: int,
    split: str = "test",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `cases` cases below `destination` and return the path of their dataset.json, which is written last.

    `shape` is (H, W, D) in voxels and `spacing_mm` its spacing; a pair of either is a range drawn from per case.
    The anatomy fills the field of view, so shape times spacing should be about 340 x 340 x 300 mm. Equal
    arguments give equal bytes, whatever `workers` (each process needs about five bytes per voxel).
    `progress(done, total)` is called after every case.

    Raises SynthesisError for a volume too small to hold lesions, or a spacing that no CT has.
    """
    plans = plan_cases(cases, shape=shape, spacing_mm=spacing_mm, seed=seed)
    for plan in plans:
        if any(length < least for length, least in zip(plan.shape, SMALLEST, strict=True)):
            raise SynthesisError(f"a volume of {plan.shape} voxels is too small; the least is {SMALLEST}")
        if not all(SPACING_MM[0] <= step <= SPACING_MM[1] for step in plan.spacing_mm):
            raise SynthesisError(f"a spacing of {plan.spacing_mm} mm is none of a CT; each must lie in {SPACING_MM}")
    for folder in ("images", "masks"):
        (destination / folder).mkdir(parents=True, exist_ok=True)
    entries = []
    for entry in _written(plans, destination, workers):
        entries.append(entry)
        if progress is not None:
            progress(len(entries), cases)
    dataset = destination / "dataset.json"
    dataset.write_text(json.dumps({split: entries}, indent=1) + "\n", encoding="utf-8")
    return dataset


def _written(plans: Iterable[CasePlan], destination: Path, workers: int) -> Iterator[dict[str, Any]]:
    if workers <= 1:
        for plan in plans:
            yield write_case(plan, destination)
        return
    # "spawn": the caller may hold threads and database connections, which must not be copied into a child.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(write_case, plan, destination) for plan in plans]
        for future in futures:
            yield future.result()
