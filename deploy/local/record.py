"""Whether this clone's supervisor lives, and what it runs, for the other commands of the clone.

The lock says whether one lives. What is written down is believed only of the very process that wrote it: after a crash
of everything it is a dead one's, and its number may be anybody's.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from deploy.local import LocalError
from deploy.local.paths import State, read_json, write_json
from deploy.local.processes import Process


def take_lock(state: State) -> IO[str]:
    """The lock that a supervisor holds for life; LocalError when another one lives."""
    lock = (state.run / "supervisor.lock").open("w")
    for _ in range(20):  # `running` holds it for an instant, a supervisor for long
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return lock
    lock.close()
    purpose = (running(state) or {}).get("purpose", "up")
    raise LocalError(f"`./dev {purpose}` of this clone is running: wait for its end, or stop it with ./dev down.")


def running(state: State) -> dict[str, Any] | None:
    """What the live supervisor of this clone last wrote, or that it has just begun; None when there is none."""
    try:
        with (state.run / "supervisor.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        record = read_json(_path(state))
        return record if supervisor_of(record) else {"purpose": "up", "ready": False}
    return None


def supervisor_of(record: Mapping[str, Any]) -> Process | None:
    """The process that wrote this record, if it lives."""
    if "supervisor" not in record:
        return _supervisor_of_before(record.get("pid"))
    return Process.from_json(record["supervisor"])


def _supervisor_of_before(pid: object) -> Process | None:
    """The one that a release without instants wrote down by its number; it is believed if it looks like one."""
    process = Process.of(pid) if isinstance(pid, int) else None
    if process is None:
        return None
    with suppress(OSError):
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        return process if b"deploy.local" in words and process.lives() else None
    return None


def write_record(state: State, record: Mapping[str, Any] | None) -> None:
    """Publish the record, or (None) remove it."""
    if record is None:
        _path(state).unlink(missing_ok=True)
    else:
        write_json(_path(state), record)


def _path(state: State) -> Path:
    return state.run / "supervisor.json"
