"""The child's side of `evaluation.isolation`: read a job, score it, answer; one JSON object per line each way.

Answers are {"ready": true} once, then for each job one of {"result", "reference_voxels"}, {"unusable_reference": why},
{"out_of_memory": true} or {"crash": traceback}. Any other end of the process is the parent's to interpret.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

from evaluation.errors import EvaluationError
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
        case = job["case"]
        prediction = Path(job["prediction"]) if job["prediction"] is not None else None
        assessment = assess(
            Case(
                name=case["name"],
                findings=tuple(case["findings"]),
                categories=case["categories"],
                shape=tuple(case["shape"]),
                spacing_mm=tuple(case["spacing_mm"]) if case["spacing_mm"] is not None else None,
            ),
            Path(job["reference"]),
            prediction,
        )
    except EvaluationError as error:
        return {"unusable_reference": str(error)}
    except MemoryError:
        return {"out_of_memory": True}
    except Exception:  # noqa: BLE001  (whatever a hostile file provokes costs its own case, not the others)
        return {"crash": traceback.format_exc()}
    return {"result": assessment.result, "reference_voxels": assessment.reference_voxels}


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
