"""The child's side of `evaluation.isolation`: read a job, score it, answer; one JSON object per line each way.

Answers are {"ready": true} once, then for each job one of {"result", "reference_voxels"}, {"unusable_reference": why},
{"out_of_memory": true} or {"crash": traceback}; for a job with the task "fit" it is {"fit"} in place of the first. Any
other end of the process is the parent's to interpret.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation import hints
from evaluation.errors import EvaluationError
from evaluation.masks import read_prediction
from evaluation.prepared import open_reference
from evaluation.scoring import Case, assess


def main(memory_bytes: int, seconds_per_case: float) -> None:
    """Serve jobs from standard input until it ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what a library prints must not look like an answer
        _limit(memory_bytes)
        _send(answers, {"ready": True})
        for line in sys.stdin:
            _limit_cpu(seconds_per_case)
            _send(answers, _answer(json.loads(line)))


def _send(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        case = _case(job["case"])
        reference = Path(job["reference"])
        prediction = Path(job["prediction"]) if job["prediction"] is not None else None
        if job["task"] == "fit" and prediction is not None:
            return _fit(case, reference, prediction)
        assessment = assess(case, reference, prediction)
    except EvaluationError as error:
        return {"unusable_reference": str(error)}
    except MemoryError:
        return {"out_of_memory": True}
    except Exception:  # noqa: BLE001  (whatever a hostile file provokes costs its own case, not the others)
        return {"crash": traceback.format_exc()}
    return {"result": assessment.result, "reference_voxels": assessment.reference_voxels}


def _case(fields: dict[str, Any]) -> Case:
    return Case(
        name=fields["name"],
        findings=tuple(fields["findings"]),
        categories=fields["categories"],
        shape=tuple(fields["shape"]),
        spacing_mm=tuple(fields["spacing_mm"]) if fields["spacing_mm"] is not None else None,
    )


def _fit(case: Case, reference: Path, prediction: Path) -> dict[str, Any]:
    opened = open_reference(reference)
    wanted = [finding.runs for finding in opened.findings]
    pairs = list(zip(read_prediction(prediction, opened.shape), wanted, strict=True))
    found = hints.fit({key: pairs[int(key)] for key in case.findings})
    return {"fit": asdict(found) if found is not None else None}


def _limit(memory_bytes: int) -> None:
    """No more memory than this, no core dumps, no files written, few files open."""
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))


def _limit_cpu(seconds: float) -> None:
    """End this process after so much more processor time; a second limit beside the parent's clock."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(usage.ru_utime + usage.ru_stime + seconds) + 2
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))
