"""Programs that fail, as the server sees them: the ways to lose a case, and a run from its first case to its end."""

from collections.abc import Callable
from typing import Any

import numpy as np

from leaderboard.core import clock
from leaderboard.journey import pipeline
from leaderboard.journey.failure_kinds import FailureKind
from leaderboard.models import Host, Run
from tests.leaderboard import gpu_host, masks

# By what happens: the kind of failure that it is.
WAYS = {
    "cannot start": FailureKind.NOT_STARTED,
    "crash at once": FailureKind.ENDED_AT_ONCE,
    "crash later": FailureKind.ENDED_LATER,
    "segmentation fault": FailureKind.ENDED_LATER,
    "full output": FailureKind.ENDED_LATER,
    "large file": FailureKind.ENDED_LATER,
    "crash after the mask": FailureKind.ENDED_LATER,
    "out of memory": FailureKind.MEMORY,
    "killed": FailureKind.MEMORY,
    "slow": FailureKind.TIME,
    "no mask": FailureKind.WRONG_NAME,
    "link": FailureKind.WRONG_NAME,
    "wrong shape": FailureKind.WRONG_SHAPE,
    "no nifti": FailureKind.WRONG_SHAPE,
    "fractions": FailureKind.WRONG_VALUES,
}
_LOST: dict[str, tuple[str, str, float, int | None]] = {  # status, reason, seconds, exit code
    "cannot start": ("failed", "could_not_start", 0.0, None),
    "crash at once": ("failed", "crashed", 0.1, 1),
    "crash later": ("failed", "crashed", 8.0, 1),
    "segmentation fault": ("failed", "crashed", 8.0, 139),
    "full output": ("failed", "output_full", 8.0, 1),
    "large file": ("failed", "file_too_large", 8.0, 153),
    "out of memory": ("failed", "out_of_memory", 8.0, 1),
    "killed": ("failed", "killed", 8.0, 137),
    "slow": ("failed", "startup_timed_out", 300.0, 137),
    "no mask": ("missing", "missing", 8.0, 0),
    "link": ("failed", "not_a_regular_file", 8.0, 0),
}


def _mask(way: str) -> bytes:
    if way == "no nifti":
        return b"no mask"
    cube = masks.cube()
    return masks.nifti(cube[:, :-1] if way == "wrong shape" else cube * np.float32(0.5) if way == "fractions" else cube)


def run_to_the_end(host: Host, run: Run, way: Callable[[int], str]) -> None:
    """Let the run go on until it has ended; `way` says of a case's position what happens, one of WAYS or "mask"."""
    pipeline.fill_slots()
    while batch := run.batches.filter(state="waiting").order_by("number").first():
        order = gpu_host.claim(host, batch)
        cases = list(batch.cases.order_by("position"))
        _report(host, order, [way(case.position) for case in cases])
        gpu_host.score_reported(run)
        pipeline.fill_slots()
    run.refresh_from_db()
    assert run.ended_at is not None
    assert run.ended_at <= clock.now()


def _report(host: Host, order: dict[str, Any], ways: list[str]) -> None:
    """What a host says: what was written counts up to the first failure, which ends the container."""
    said: list[dict[str, Any]] = []
    seconds, exit_code = 1.0, 0
    for number, way in enumerate(ways):
        if way in _LOST:
            status, reason, seconds, code = _LOST[way]
            said.append(gpu_host.lost(order, number, status, reason, seconds=seconds))
            if code != 0:
                return gpu_host.report(host, order, said, exit_code=code, seconds=seconds)
        else:
            said.append(gpu_host.finished(order, number, _mask(way)))
            seconds, exit_code = (8.0, 1) if way == "crash after the mask" else (seconds, exit_code)
    return gpu_host.report(host, order, said, exit_code=exit_code, seconds=seconds)
