"""An archive of masks is taken apart in a child process with limits: whatever is in it, it costs that submission only.

What it needs comes in, and what it found goes out, as one JSON document each. The child dies with its parent.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from containers.intake.mask_archive import Problem, Unpacked, unpack
from containers.intake.mask_members import DiskFailed, MasksRejected

MEMORY_BYTES: Final = 1 << 30  # more than any window of `compression`, and a zip's directory of MAX_ENTRIES
_BASE_SECONDS: Final = 60  # of processor time
_BYTES_PER_SECOND: Final = 10_000_000  # the slowest that a sound archive unpacks with
_WALL_FACTOR: Final = 4  # a safety net by the clock: an overloaded machine must not tear it
_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from containers.intake.mask_child import main; main()"
)
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8"}
_PR_SET_PDEATHSIG: Final = 1


def unpack_isolated(source: Path, folder: Path, largest: Mapping[str, int], *, max_bytes: int) -> Unpacked:
    """`mask_archive.unpack` in a child process.

    Raises MasksRejected for what is wrong with the archive, OSError for what is wrong here.
    """
    seconds = _BASE_SECONDS + max_bytes // _BYTES_PER_SECOND
    request = {
        "parent": os.getpid(),
        "source": str(source),
        "folder": str(folder),
        "largest": dict(largest),
        "max_bytes": max_bytes,
        "memory": MEMORY_BYTES,
        "seconds": seconds,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)],
            input=json.dumps(request).encode(),
            capture_output=True,
            env=_ENVIRONMENT,
            timeout=_BASE_SECONDS + _WALL_FACTOR * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError("the process that unpacks masks stalled") from error
    if done.returncode == 0:
        return _understood(json.loads(done.stdout))
    if done.returncode == -signal.SIGXCPU:
        raise MasksRejected("The archive takes far too long to unpack. Make it with zip, or with tar and gzip.")
    if done.returncode < 0 and done.returncode != -signal.SIGKILL:  # a library fell over it
        raise MasksRejected("The archive is damaged: unpacking it ended abnormally. Make it anew.")
    raise OSError(f"unpacking masks ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")


def _understood(answer: dict[str, Any]) -> Unpacked:
    if "rejected" in answer:
        raise MasksRejected(answer["rejected"])
    if "failed" in answer:
        raise OSError(answer["failed"])
    return Unpacked(answer["files"], [Problem(**problem) for problem in answer["problems"]])


def main() -> None:
    """What the child does."""
    request = json.load(sys.stdin)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != request["parent"]:  # it ended before that took effect
        sys.exit(1)
    for limit, value in (
        (resource.RLIMIT_AS, request["memory"]),
        (resource.RLIMIT_CPU, request["seconds"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # Only the soft limit of time sends a signal of its own.
        resource.setrlimit(limit, (allowed, hard if limit == resource.RLIMIT_CPU else allowed))
    json.dump(_answer(request), sys.stdout)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    source, folder = Path(request["source"]), Path(request["folder"])
    try:
        return asdict(unpack(source, folder, request["largest"], max_bytes=request["max_bytes"]))
    except MasksRejected as error:
        return {"rejected": str(error)}
    except DiskFailed as error:
        return {"failed": str(error)}
    except MemoryError:
        return {"rejected": "The archive takes too much memory to unpack. Make it with zip, or with tar and gzip."}
