"""One supervisor per clone: starts the parts in order, restarts one that dies, stops all.

It holds a lock for as long as it lives, so whether a stack is up is a question to the kernel and never to a
stale file. It works in the calling process (`./dev demo`, `./dev test`) or in a daemon (`./dev up`), always
in one thread: PR_SET_PDEATHSIG follows the thread that forked. Signals become the exception `Interrupted` in
that thread.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self

from deploy.local import LocalError
from deploy.local.guardian import start_guardian
from deploy.local.mounts import unmount_below
from deploy.local.paths import State
from deploy.local.processes import MARK, Account, Process, die_with_parent, end_marked, in_group, send, with_descendants
from deploy.local.record import take_lock, write_record

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.1
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
HEALTHY_SECONDS = 60.0  # a part that lived this long starts again without delay
LEFTOVER_GRACE_SECONDS = 5.0
LARGEST_LOG_BYTES = 20 << 20


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP: stop everything and leave."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.by_keyboard = number == signal.SIGINT


@dataclass(frozen=True)
class Part:
    """One long-lived process. `ready` is asked with what the part has logged since its start.

    `prepare` is called before each start: what somebody deleted under a living part is there when it starts again.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[str], bool]
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 8.0
    ready_seconds: float = 60.0
    prepare: Callable[[], object] = lambda: None


@dataclass
class Running:
    """A part's current process and its history of failures."""

    part: Part
    process: subprocess.Popen[bytes]
    started: float
    log_offset: int
    failures: int = 0
    restart_at: float | None = None


@dataclass
class Supervisor:
    """Use as a context manager; leaving it stops every part in reverse order of its start."""

    state: State
    purpose: str  # what it runs for: "up", "demo", "test" ...
    say: Callable[[str], None]
    parts: list[Running] = field(default_factory=list)
    stages: list[list[Running]] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        self._lock = take_lock(self.state)
        if (myself := Process.of(os.getpid())) is None:
            raise LocalError("/proc does not show this process: mount it.")
        self.publish(supervisor=myself.to_json(), purpose=self.purpose, ready=False)  # in place of a dead one's
        self._mark = f"{self.state.root}:{secrets.token_hex(4)}"
        if left := end_marked(f"{self.state.root}:", grace_seconds=LEFTOVER_GRACE_SECONDS):
            self.say(f"Ended {left} processes that an earlier, killed start had left behind.")
        unmount_below(self.state.engine)
        self._guardian = start_guardian(self._mark, self._lock)
        self._handlers = {number: signal.signal(number, _interrupt) for number in STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for stage in reversed(self.stages):
            self._stop(stage)
        end_marked(self._mark, grace_seconds=1)
        unmount_below(self.state.engine)  # a daemon leaves one mount, a killed one those of its containers too
        write_record(self.state, None)
        self._guardian.dismiss()
        self._lock.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def publish(self, **facts: Any) -> None:
        """Tell other commands of this clone about the stack."""
        self.record.update(facts, parts={item.part.name: item.process.pid for item in self.parts})
        write_record(self.state, self.record)

    def start(self, parts: Iterable[Part]) -> None:
        """Start these parts at the same time and return when all are ready; LocalError when one is not.

        Each is started before the next one is asked for, so what prepares it works beside those that came before.
        """
        stage: list[Running] = []
        self.stages.append(stage)
        for part in parts:
            running = self._spawn(part)
            stage.append(running)
            self.parts.append(running)
        waiting = list(stage)
        while waiting:
            for running in list(waiting):
                seconds = time.monotonic() - running.started
                if running.process.poll() is not None or seconds > running.part.ready_seconds:
                    raise LocalError(self._why_not(running))
                if running.part.ready(_read_from(self._log(running.part), running.log_offset)):
                    waiting.remove(running)
            time.sleep(0.02)
        self.publish()

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path | None = None,
        output: IO[bytes] | None = None,
    ) -> int:
        """Run a command in the foreground while looking after the parts; returns its exit code.

        What it leaves running ends with the parts.
        """
        child = self.begin(command, environment, cwd=cwd, output=output)
        try:
            while (code := child.poll()) is None:
                self.tend()
                time.sleep(POLL_SECONDS / 2)
        except Interrupted as interruption:
            _end_foreground(child, already_told=interruption.by_keyboard)
            raise
        return code if code >= 0 else 128 - code

    def begin(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path | None = None,
        output: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command that works beside the parts, and ends with them at the latest."""
        return subprocess.Popen(
            command,
            env={**environment, MARK: self._mark},
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )

    def tend_until_interrupted(self) -> None:
        """Look after the parts until a signal comes."""
        with suppress(Interrupted):
            while True:
                self.tend()
                time.sleep(POLL_SECONDS)

    def tend(self) -> None:
        """Start again each part that died, at growing intervals."""
        for running in self.parts:
            if running.restart_at is None:
                self._notice_death(running)
            elif time.monotonic() >= running.restart_at:
                self._respawn(running)

    def take_down(self, name: str, number: signal.Signals, *, alone: bool = False) -> None:
        """End a part with this signal, and leave it down until `bring_up`.

        As under a service manager nothing of it survives, unless `alone`: then what it started lives on.
        """
        running = self._running(name)
        running.restart_at = math.inf
        process = Process.of(running.process.pid)  # nobody else's: only we can let go of the number
        leader = {process} if process else set()
        family = leader if alone else with_descendants(leader)
        send(family if number == signal.SIGKILL else leader, number)
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(running.part.stop_seconds)
        if running.process.poll() is None or not alone:
            send(family - leader, signal.SIGKILL)
            running.process.kill()
        running.process.wait()

    def bring_up(self, part: Part) -> None:
        """Start a part again, perhaps with another command; whether it is ready is not waited for."""
        running = self._running(part.name)
        running.part, running.failures = part, 0
        self._respawn(running)

    def is_running(self, name: str) -> bool:
        """Whether a part runs, ready or not."""
        running = self._running(name)
        return running.restart_at is None and running.process.poll() is None

    def is_ready(self, name: str) -> bool:
        """Whether a part runs and says that it is ready."""
        running = self._running(name)
        return self.is_running(name) and running.part.ready(_read_from(self._log(running.part), running.log_offset))

    def part(self, name: str) -> Part:
        """The part of this name, as it was last started."""
        return self._running(name).part

    def _running(self, name: str) -> Running:
        return next(running for running in self.parts if running.part.name == name)

    def _respawn(self, running: Running) -> None:
        fresh = self._spawn(running.part)
        running.process, running.started, running.log_offset = fresh.process, fresh.started, fresh.log_offset
        running.restart_at = None
        self.publish()

    def _notice_death(self, running: Running) -> None:
        code = running.process.poll()
        if code is None:
            return
        now = time.monotonic()
        running.failures = 0 if now - running.started > HEALTHY_SECONDS else running.failures + 1
        delay = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** max(0, running.failures - 1))
        running.restart_at = now + delay
        end = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.say(f"{running.part.name} ended ({end}), starts again in {delay:.1f} s: {self._log(running.part)}")

    def _spawn(self, part: Part) -> Running:
        part.prepare()
        path = self._log(part)
        if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            offset = log.tell()  # before the start: the place in the file is the child's, too, and moves as it writes
            process = subprocess.Popen(
                part.command,
                env={**part.environment, MARK: self._mark},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=part.account.uid if part.account else None,
                group=part.account.gid if part.account else None,
                extra_groups=[] if part.account else None,
                preexec_fn=die_with_parent(part.stop_signal),
            )
            return Running(part, process, time.monotonic(), offset)

    def _stop(self, stage: Sequence[Running]) -> None:
        for running in stage:
            running.process.send_signal(running.part.stop_signal)
        for running in stage:
            with suppress(subprocess.TimeoutExpired):
                running.process.wait(running.part.stop_seconds)
            running.process.kill()
            # Its own session: whoever is left of the group goes with the leader.
            send(in_group(running.process.pid, self._mark), signal.SIGKILL)
            running.process.wait()

    def _why_not(self, running: Running) -> str:
        log = self._log(running.part)
        lines = _read_from(log, running.log_offset).strip().splitlines()
        last = lines[-1].strip()[:300] if lines else "it logged nothing"
        return f"{running.part.name} did not start: {last} (log: {log})"

    def _log(self, part: Part) -> Path:
        return self.state.logs / f"{part.name}.log"


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


def _end_foreground(child: subprocess.Popen[bytes], *, already_told: bool) -> None:
    """A Ctrl-C has reached the child too: let it tidy up before insisting."""
    if already_told:
        with suppress(subprocess.TimeoutExpired):
            child.wait(5)
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(5)
    child.kill()
    child.wait()


def _read_from(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")
