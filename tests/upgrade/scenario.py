"""The scenario that is recorded: a challenge in which something is in every state that there is.

It is played on the processes of some release, by what every release knows; see record.py.
"""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from tests.containers.intake import build
from tests.upgrade import algorithm
from tests.upgrade.apihost import Order
from tests.upgrade.browser import PASSWORD, Browser
from tests.upgrade.release import wait_for
from tests.upgrade.site import PATIENCE_SECONDS, Site

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
class Scenario(Site):
    """A challenge with much under way. `play` brings it about; then the fields say what is what."""

    roles: dict[str, int] = field(default_factory=dict)  # the submissions' numbers
    same_as: dict[str, str] = field(default_factory=dict)  # which other role each must equal in the end
    orders: dict[str, Order] = field(default_factory=dict)  # what the host gpu-2 has

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
            server.manage("add_host", host, f"--token-file={self.token_file(host)}")
        server.start_web()
        server.wait_until_ready("web")
        for slug, policies in PHASES.items():
            self._add_phase(slug, policies)
        for name in ("Alice", "Bob", "Charlie", "Dora"):
            self.browsers[name] = Browser(server.address)
            self.browsers[name].register(name)
        server.manage("sweep", "--once")  # sends what waits
        for name, browser in self.browsers.items():
            browser.confirm(name, self.mails)
        for captain in ("Alice", "Charlie", "Dora"):
            self.browser(captain).send("/team/", {"name": f"Team of {captain}", "affiliation": "A university"})
        code = server.database.value("SELECT join_code FROM leaderboard_team WHERE name = 'Team of Alice'")
        self.browser("Bob").send(f"/team/join/{code}/", {})

    def _import_cases(self, name: str, number: int) -> None:
        folder = self.folder / name
        entries = []
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True)
        affine = np.diag([2.0, 2.0, 3.0, 1.0])  # an identity would have to be confirmed
        mask = np.zeros((1, 16, 16, 16), np.uint8)
        mask[0, 4:9, 4:9, 4:9] = 1
        for case in range(CASES[name]):
            file = f"{name}_{case:03}.nii.gz"
            volume = np.full((16, 16, 16), 100 * number + case, np.int16)
            volume[0] = -1000  # air, as in every CT
            nibabel.Nifti1Image(volume, affine).to_filename(folder / "images" / file)
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
        self.browser("Olga").send("/admin/leaderboard/phase/add/", fields)

    # --- steps -------------------------------------------------------------------------------------------------------

    def hand_in(self, role: str, who: str, phase: str, image: tuple[str, ...], *, same_as: str = "") -> int:
        """Somebody submits an image; in the end it must have what the submission `same_as` has."""
        content = algorithm.archive(*image) if image else build.tar_of({"weights": b"no image at all"})
        self.roles[role] = self.browser(who).submit(phase, role.capitalize(), gzip.compress(content))
        if same_as:
            self.same_as[role] = same_as
        return self.roles[role]

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
        while self.state(self.roles[role]) != "running":
            self.claims(role)
            self.delivers(role, image)
            wait_for(lambda: self.batch(role, "waiting") != "", f"{role} to go on", PATIENCE_SECONDS)

    @contextmanager
    def unusable_store(self) -> Iterator[None]:
        """Meanwhile no image can be stored."""
        images = self.server.store / "images"
        images.rename(images.with_name("aside"))
        images.write_text("A disk that is not mounted.")
        yield
        images.unlink()
        images.with_name("aside").rename(images)

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
            self.reaches(self.roles[role], "scored", "failed", "rejected")
        page = f"/admin/leaderboard/submission/{self.roles['disqualified']}/change/"
        self.browser("Olga").send(page, {"disqualified_reason": "It was trained on the hidden cases."})

    def what_real_hosts_have(self) -> None:
        """Two hosts lose the server while they work, and die before it is back: results, but nobody to tell."""
        plans = (("gpu-1", "Alice", "development", "scored"), ("gpu-3", "Charlie", "challenge", "hidden"))
        for host, who, phase, undisturbed in plans:
            role, worker = f"done by {host}", self.gpu_host(host)
            if host != "gpu-1":
                worker.start()
            self.hand_in(role, who, phase, SLOW, same_as=undisturbed)
            self.reaches(self.roles[role], "running")
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
        for role, who in (("running", "Alice"), ("reported", "Charlie")):
            self.hand_in(role, who, "challenge", SEGMENT, same_as="hidden")
        for role, who in (("canary", "Dora"), ("silent", "Charlie"), ("scoring", "Dora")):
            self.hand_in(role, who, "development", SEGMENT, same_as="scored")
        for role, who in (("interrupted", "Dora"), ("stuck", "Alice")):
            self.hand_in(role, who, "development", SKIP, same_as="lossy")
        self.hand_in("cancelled", "Charlie", "development", SKIP)
        for role in ("running", "silent", "reported", "scoring"):
            self.passes_the_canary(role, SEGMENT)
        for role in ("interrupted", "stuck", "cancelled"):
            self.passes_the_canary(role, SKIP)
        for role in ("canary", "running", "interrupted", "cancelled"):
            self.claims(role)
        host.beat(self.orders["running"], done=1)
        host.fail(self.orders.pop("interrupted"), "engine_unavailable", "The engine did not answer.")
        del self.orders["cancelled"]
        self.cancel("Charlie", self.roles["cancelled"])
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
        self.reaches(self.roles["scoring"], "scoring")

    def what_has_not_begun(self) -> None:
        """Queued, and before that: the check of an image breaks down, is killed, or has not begun."""
        self.api_host("gpu-2").hello(sorted(self.orders), engine="none", free_bytes=10**12, trouble="")
        self.hand_in("queued", "Alice", "trial", SEGMENT, same_as="tried")
        self.hand_in("queued too", "Charlie", "trial", SEGMENT, same_as="tried")
        self.reaches(self.roles["queued"], "queued")
        self.reaches(self.roles["queued too"], "queued")
        with self.unusable_store():
            self.hand_in("check broke down", "Dora", "trial", UNSEEN, same_as="tried")
            self.reaches(self.roles["check broke down"], "halted")
        with self.server.database.connected() as other, other.transaction():
            other.execute("LOCK TABLE leaderboard_algorithmimage IN SHARE ROW EXCLUSIVE MODE")
            self.hand_in("check killed", "Alice", "trial", UNSEEN, same_as="tried")
            self.reaches(self.roles["check killed"], "validating")
            self.server.processes.kill("control")
        self.hand_in("withdrawn", "Dora", "development", SEGMENT)
        self.cancel("Dora", self.roles["withdrawn"])
        self.hand_in("received", "Charlie", "development", ())


def _has_report(journal: Path) -> bool:
    """Whether a host has written down what it has to report."""
    return json.loads(journal.read_text())["report"] is not None
