"""The commands of `./dev`, as its help text lists them. Each returns the exit code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol

from deploy.local import LocalError, apt, kernel, linting
from deploy.local.leftovers import remove_abandoned
from deploy.local.mounts import unmount_below
from deploy.local.paths import State
from deploy.local.record import running, supervisor_of
from deploy.local.stack import (
    MANAGEMENT,
    SERVICES,
    Stack,
    attach,
    describe,
    find_stack,
    start_application,
    start_services,
)
from deploy.local.static import collect_static
from deploy.local.supervisor import Supervisor

STOP_SECONDS = 60
START_SECONDS = 300
BASE_IMAGE = """import docker
from containers.example import base; base.build_base(docker.from_env(timeout=600))"""


class Run(Protocol):
    """Run a program in the foreground; returns its exit code."""

    def __call__(self, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None) -> int:
        """Wait for its end; Ctrl-C reaches it, too."""


def say(line: str) -> None:
    """Progress, for the person at the terminal; never mixed into what a command prints."""
    print(line, file=sys.stderr, flush=True)


def demo(state: State, arguments: Sequence[str]) -> int:
    """The small challenge, on a stack that is up or on one of its own in this very process."""
    begun = float(os.environ.get("REX_DEV_BEGAN") or time.time())
    command = [sys.executable, str(state.clone / "manage.py"), "demo", *arguments]
    if record := running(state):
        stack = _attach_to_application(state, record)
        code = _run_foreground(command, stack.environment())
    else:
        with Supervisor(state, "demo", say) as supervisor:
            stack = _start_services(supervisor)
            base = _begin_base_image(supervisor, stack)
            _start_application(supervisor, stack)
            base.wait()
            code = supervisor.run(command, stack.environment())
            if code == 0 and "--check" not in arguments:
                say(f"\nThe stack stays up at {stack.address} until Ctrl-C.")
                supervisor.tend_until_interrupted()
                say("Stopping ...")
    if "--check" in arguments and code == 0:
        print(f"demo ok in {time.time() - begun:.0f} s", flush=True)
    return code


def up(state: State, arguments: Sequence[str]) -> int:
    """Start the stack in the background and return when it is ready."""
    _expect_no(arguments)
    if record := running(state):
        say(f"Already up: {_attach_to_application(state, record).address}")
        return 0
    log = state.logs / "supervisor.log"
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        daemon = subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy.local", "supervise"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        return _follow_start(state, daemon, log, offset)
    except KeyboardInterrupt:
        daemon.terminate()
        daemon.wait(STOP_SECONDS)
        say("Stopped.")
        return 130


def supervise(state: State, arguments: Sequence[str]) -> int:
    """What `up` leaves in the background."""
    _expect_no(arguments)
    with Supervisor(state, "up", say) as supervisor:
        _start_application(supervisor, _start_services(supervisor))
        supervisor.tend_until_interrupted()
    return 0


def down(state: State, arguments: Sequence[str]) -> int:
    """Stop whatever of this clone runs."""
    _expect_no(arguments)
    remove_abandoned(say)
    if running(state) is None:
        with Supervisor(state, "down", say):  # ends what a killed start left
            say("Nothing of this clone is running.")
        return 0
    deadline, told = time.monotonic() + STOP_SECONDS, None
    while (record := running(state)) is not None:
        # One that has just begun, or follows another that ended, is told as well.
        if (supervisor := supervisor_of(record)) and supervisor != told:
            supervisor.send(signal.SIGTERM)
            told = supervisor
        if time.monotonic() > deadline:
            raise LocalError(f"the supervisor ({told or 'which has just begun'}) does not stop: see {state.logs}")
        time.sleep(0.05)
    say("Stopped.")
    return 0


def status(state: State, arguments: Sequence[str]) -> int:
    """What runs, and where. Exit code 0 when something does, else 3, as for a service."""
    _expect_no(arguments)
    record = running(state)
    print(f"state     {state.root}")
    if record is None:
        print("stack     down")
        return 3
    print(f"stack     {'up' if record.get('ready') else 'starting'} (./dev {record.get('purpose', 'up')})")
    if "web" in record.get("parts", {}):
        print(f"site      {record.get('address')}")
    for name, pid in record.get("parts", {}).items():
        print(f"{name:9} process {pid}")
    return 0


def logs(state: State, arguments: Sequence[str]) -> int:
    """Follow the logs of all parts, or of the named ones."""
    names = arguments or [path.stem for path in state.logs.glob("*.log")]
    files = [state.logs / f"{name}.log" for name in names]
    if missing := [path.stem for path in files if not path.exists()]:
        raise LocalError(f"there is no log of {', '.join(missing)} in {state.logs}")
    if not files:
        raise LocalError("there are no logs yet: start the stack with ./dev up.")
    return _become("tail", "-n", "50", "-F", *map(str, files))


def manage(state: State, arguments: Sequence[str]) -> int:
    """manage.py, on the stack that runs or on a database and a broker started for the occasion."""
    with _services(state, "manage", MANAGEMENT) as (stack, run):
        return run([sys.executable, str(state.clone / "manage.py"), *arguments], stack.environment())


def python(state: State, arguments: Sequence[str]) -> int:
    """Python in the environment of the stack, which need not run."""
    environment = dict(os.environ)
    if (record := running(state)) and record.get("ready"):
        environment = attach(state, os.environ, record).environment()
    os.execve(sys.executable, [sys.executable, *arguments], environment)


def test(state: State, arguments: Sequence[str]) -> int:
    """Run pytest with real services, in several processes; services that were not running are stopped afterwards."""
    missing = apt.missing_for("test", os.environ)
    if missing and apt.can_install():
        apt.install(state, missing, say)
    for package in () if apt.can_install() else missing:
        say(f"{package} was not found: install it, or the tests that use it will fail.")
    cache = state.root / "cache"
    kernel.ensure_built(state, say)
    with _services(state, "test", SERVICES, lasting=False) as (stack, run):
        collect_static(state, stack.environment(), say)
        # Each process takes a database of the broker for itself; of somebody else's broker only the one that is named.
        processes = "auto" if "broker" in stack.own else "0"
        command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache / 'pytest'}", "-n", processes, *arguments]
        kept = {"HYPOTHESIS_STORAGE_DIRECTORY": cache / "hypothesis", "COVERAGE_FILE": cache / "coverage"}
        environment = stack.test_environment() | {name: str(path) for name, path in kept.items()}
        return run(command, environment, cwd=state.clone)


def bench(state: State, arguments: Sequence[str]) -> int:
    """A benchmark of tests/bench, with real services."""
    if not arguments:
        raise LocalError("name a benchmark: ./dev bench NAME, where tests/bench has them.")
    kernel.ensure_built(state, say)
    with _services(state, "bench", SERVICES) as (stack, run):
        collect_static(state, stack.environment(), say)
        return run([sys.executable, "-m", "tests.bench", *arguments], stack.test_environment(), cwd=state.clone)


def chaos(state: State, arguments: Sequence[str]) -> int:
    """Runs under random disturbances, on services of its own in a folder of its own."""
    kernel.ensure_built(state, say)
    os.chdir(state.clone)
    return _become(sys.executable, "-P", "-m", "tests.chaos", *arguments)


def lint(state: State, arguments: Sequence[str]) -> int:
    """Every static check, or the named ones, all at the same time; each is run even when another one failed."""
    cache = state.root / "cache"
    wanted = linting.chosen(linting.checks(state.clone, cache), arguments)
    failed = []
    with ThreadPoolExecutor(len(wanted)) as pool:
        one = partial(linting.run, clone=state.clone, environment=linting.environment(cache))
        for name, (passed, output) in zip(wanted, pool.map(one, wanted.values()), strict=True):
            print(f"== {name}\n{output}", end="", flush=True)
            failed += [] if passed else [name]
    say(f"lint: {', '.join(failed)} failed" if failed else "lint ok")
    return 1 if failed else 0


def format(state: State, arguments: Sequence[str]) -> int:  # noqa: A001 - it is the command's name
    """Bring code and templates into form."""
    _expect_no(arguments)
    environment = {**os.environ, **linting.environment(state.root / "cache")}
    return max(_run_foreground(command, environment, cwd=state.clone) for command in linting.formatters())


def reset(state: State, arguments: Sequence[str]) -> int:
    """Stop the stack and delete this clone's state folder, and nothing else."""
    _expect_no([argument for argument in arguments if argument not in ("-y", "--yes")])
    if not arguments:
        if not sys.stdin.isatty():
            raise LocalError(f"this would delete {state.root}: say ./dev reset --yes.")
        answer = input(f"Delete {state.root} with the database, images, volumes and results in it? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return 1
    down(state, [])
    with Supervisor(state, "reset", say):  # ends what a killed start left, and keeps others from starting
        unmount_below(state.root)
    say(f"Deleting {state.root}")
    # Ours is the Python that runs from there, so the last step is another program's.
    return _become("rm", "-rf", "--one-file-system", "--", str(state.root))


def lock(state: State, arguments: Sequence[str]) -> int:
    """Pin the requirements anew."""
    from deploy.local.requirements import pin

    _expect_no([argument for argument in arguments if argument != "--upgrade"])
    pin(state, upgrade="--upgrade" in arguments)
    return 0


_STACK = (demo, up, supervise, down, status, logs, manage, python, reset)
_WORKSHOP = (test, bench, chaos, lint, format, lock)
COMMANDS = {function.__name__: function for function in (*_STACK, *_WORKSHOP)}


def _start_services(supervisor: Supervisor) -> Stack:
    kernel.ensure_built(supervisor.state, supervisor.say)
    stack = find_stack(supervisor.state, os.environ, SERVICES, supervisor.say)
    start_services(supervisor, stack, SERVICES)
    return stack


def _start_application(supervisor: Supervisor, stack: Stack) -> None:
    start_application(supervisor, stack)
    supervisor.say(f"Up in {time.monotonic() - supervisor.begun:.1f} s: {stack.address}")
    supervisor.publish(ready=True, **describe(stack, SERVICES | {"web"}))


def _begin_base_image(supervisor: Supervisor, stack: Stack) -> subprocess.Popen[bytes]:
    """Make what the demonstration's images begin with, which needs the engine alone. The demonstration looks again."""
    with (supervisor.state.logs / "base-image.log").open("wb") as log:
        return supervisor.begin([sys.executable, "-c", BASE_IMAGE], stack.environment(), output=log)


@contextmanager
def _services(
    state: State, purpose: str, wanted: Collection[str], *, lasting: bool = True
) -> Iterator[tuple[Stack, Run]]:
    """The wanted services, running already or started for this; and how to run programs beside them.

    What does not need a `lasting` database takes one too, but not the other way round.
    """
    record = running(state) or {}
    if set(wanted) <= set(record.get("available", ())) and (record.get("lasting", True) or not lasting):
        yield attach(state, os.environ, record), _run_foreground
        return
    with Supervisor(state, purpose, say) as supervisor:
        stack = find_stack(state, os.environ, wanted, say, lasting=lasting)
        start_services(supervisor, stack, wanted)
        supervisor.publish(ready=True, **describe(stack, wanted))
        yield stack, supervisor.run


def _attach_to_application(state: State, record: Mapping[str, object]) -> Stack:
    if record.get("purpose") not in ("up", "demo"):
        raise LocalError(
            f"`./dev {record.get('purpose')}` of this clone is running: wait for its end, or run ./dev down."
        )
    return attach(state, os.environ, record)


def _run_foreground(command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None) -> int:
    child = subprocess.Popen(command, env=dict(environment), cwd=cwd)
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt:  # the child has had it too, and decides
            continue
        return code if code >= 0 else 128 - code


def _become(program: str, *arguments: str) -> NoReturn:
    os.execvp(program, [program, *arguments])


def _follow_start(state: State, daemon: subprocess.Popen[bytes], log: Path, offset: int) -> int:
    deadline = time.monotonic() + START_SECONDS
    with log.open(errors="replace") as lines:
        lines.seek(offset)
        while time.monotonic() < deadline:
            code, record = daemon.poll(), running(state)  # before the log, so that its last line is not missed
            shutil.copyfileobj(lines, sys.stderr)
            if code is not None:
                return code or 1
            if record and record.get("ready"):
                return 0  # its own word: a record of another process is not believed
            time.sleep(0.05)
    daemon.terminate()
    raise LocalError(f"the stack was not ready after {START_SECONDS} s: see {state.logs}")


def _expect_no(arguments: Sequence[str]) -> None:
    if arguments:
        raise LocalError(f"unknown argument {arguments[0]!r}: see ./dev help.")
