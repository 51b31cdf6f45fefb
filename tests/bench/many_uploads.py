"""Many resumable uploads at once, at the site as it is shipped: how much memory they take, and how fast they are.

The same bytes arrive as one short upload, as one long one, and as many at once, while old files are tidied and a
backup is made, again and again. Printed are, for each: the most memory that the processes of uploads and nginx had
(resident, from the kernel's own high-water mark, in sum), the CPU seconds of both, and bytes a second; beside them what
the disk alone does with as many files at once, written and synchronised in the same pieces by as many threads, and
hashed as uploads are. Fails where memory grows with the length of a file or by more than PER_UPLOAD for each further
upload, where a byte is lost, or where tidying or the backup fails.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.bench.asking import ask
from tests.bench.database import scratch_database
from tests.bench.processes import cpu_seconds, family, forget_peak, peak_bytes
from tests.realsite import WORDS, RealSite, running_site

MEBIBYTE = 1 << 20
PIECE_BYTES = 8 * MEBIBYTE
PER_UPLOAD = 2 * MEBIBYTE
CSRF = "t" * 32
RECEIVING = ("uploads", "proxy")


@dataclass
class Cost:
    """What some uploads took."""

    peak: int
    seconds: float
    cpu: float
    sent: int

    def __str__(self) -> str:
        """Peak MiB, MB a second, CPU seconds a GB; in columns of twelve."""
        return f"{self.peak / MEBIBYTE:12.0f}{self.sent / 1e6 / self.seconds:12.0f}{1e9 * self.cpu / self.sent:12.1f}"


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="./dev bench many-uploads", description=__doc__)
    parser.add_argument("--uploads", type=int, default=50, help="at once")
    parser.add_argument("--mebibytes", type=int, default=64, help="of each of them; the long one has ten times as many")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rexg-b-") as name, scratch_database(Path(name)):
        from tests.bench import uploads_scene

        folder = Path(name)
        scene = uploads_scene.make("many", uploads_scene.make_people(2 * options.uploads), batches=0)
        image = scene.image(options.mebibytes * MEBIBYTE)
        with running_site(folder / "site", os.environ) as site:
            crowd = _Crowd(site, scene, folder)
            found = {
                "(to warm up)": crowd.upload(1, image),
                "one": crowd.upload(1, image),
                "one, ten times as long": crowd.upload(1, scene.image(10 * options.mebibytes * MEBIBYTE)),
                f"{options.uploads} at once": crowd.upload(options.uploads, image),
                f"{options.uploads}, tidied and backed up": crowd.upload(
                    options.uploads, image, crowd.tidy_and_back_up
                ),
            }
        alone = {
            f"{options.uploads} files, the disk alone": _write(folder, options.uploads, image, hashed=False),
            f"{options.uploads} files, and hashed": _write(folder, options.uploads, image, hashed=True),
        }
    print(f"\n{'':32}{'peak MiB':>12}{'MB/s':>12}{'CPU s/GB':>12}")
    for name, cost in (found | alone).items():
        print(f"{name:32}{cost}")
    sys.exit(0 if _keeps_promises(list(found.values()), options.uploads, crowd.wrong) else 1)


def _keeps_promises(found: list[Cost], uploads: int, wrong: list[str]) -> bool:
    _, one, long, many, beside = found
    kept = {
        "memory does not grow with a file's length": long.peak - one.peak < 8 * MEBIBYTE,
        f"each further upload takes less than {PER_UPLOAD >> 20} MiB": max(many.peak, beside.peak) - one.peak
        < PER_UPLOAD * (uploads - 1),
        "every byte of every upload is here once, and tidying and backups went well": not wrong,
    }
    print(*wrong, sep="\n")
    for promise, is_kept in kept.items():
        print(f"  {'kept' if is_kept else 'NOT KEPT':9}{promise}")
    return all(kept.values())


class _Crowd:
    """Teams, each with one upload at a time."""

    def __init__(self, site: RealSite, scene: Any, folder: Path) -> None:
        self._site, self._scene, self._folder = site, scene, folder
        self.wrong: list[str] = []

    def upload(self, teams: int, image: bytes, beside: Callable[[], None] | None = None) -> Cost:
        """What it takes when so many teams upload this at once; with something else going on beside."""
        processes = [pid for name in RECEIVING for pid in family(self._site.processes[name].pid)]
        for pid in processes:
            forget_peak(pid)
        began, busy = time.monotonic(), sum(map(cpu_seconds, processes))
        asyncio.run(self._all(teams, image, beside))
        seconds, cpu = time.monotonic() - began, sum(map(cpu_seconds, processes)) - busy
        peak = sum(map(peak_bytes, processes))
        self._check(teams, image)
        return Cost(peak, seconds, cpu, teams * len(image))

    async def _all(self, teams: int, image: bytes, beside: Callable[[], None] | None) -> None:
        works = [self._one(team, image) for team in range(teams)]
        if beside is None:
            await asyncio.gather(*works)
            return
        self._going_on = True
        other = asyncio.create_task(asyncio.to_thread(beside))
        try:
            await asyncio.gather(*works)
        finally:
            self._going_on = False
            await other

    async def _one(self, team: int, image: bytes) -> None:
        cookies = {"Cookie": f"rexg_session={self._scene.sessions[2 * team]}; rexg_csrf={CSRF}"}
        form = {"Content-Type": "application/x-www-form-urlencoded", "X-Requested-With": "fetch"}
        body = urlencode({**WORDS, "csrfmiddlewaretoken": CSRF}).encode()
        said = await ask(self._site.port, "POST", "/drafts/of/many/", body, cookies | form, patience=30)
        draft = json.loads(said.content)["draft"]
        speaks = cookies | {"Tus-Resumable": "1.0.0", "X-CSRFToken": CSRF}
        asked = {"Upload-Length": str(len(image)), "Upload-Metadata": "filename aW1hZ2UudGFy"}
        begun = await ask(self._site.port, "POST", f"/uploads/drafts/{draft}/", b"", speaks | asked, patience=30)
        path = urlsplit(begun.headers["location"]).path
        for offset in range(0, len(image), PIECE_BYTES):
            content = image[offset : offset + PIECE_BYTES]
            piece = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            if team % 2:
                piece["Upload-Checksum"] = f"sha256 {base64.b64encode(hashlib.sha256(content).digest()).decode()}"
            answer = await ask(self._site.port, "PATCH", path, content, speaks | piece, patience=120)
            if answer.status != 204:
                self.wrong.append(f"team {team}, byte {offset}: {answer.status} {answer.content.decode()}")
                return

    def tidy_and_back_up(self) -> None:
        """As the sweeper and a nightly timer do, but without a pause."""
        while self._going_on:
            for line in ("sweep --once", f"backup {self._folder / 'backups'} --keep 2"):
                command = [sys.executable, "manage.py", *line.split()]
                done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
                if done.returncode and "The backup is whole" not in done.stderr:  # this case set never had files
                    self.wrong.append(f"{line.split()[0]}: {done.stderr.strip()}")

    def _check(self, teams: int, image: bytes) -> None:
        """The digest of each upload's file as it lies there; then room for the next ones."""
        from leaderboard.models import Draft, ResumableUpload
        from leaderboard.submissions import drafts, uploads

        digest = f"sha256:{hashlib.sha256(image).hexdigest()}"
        whole = list(ResumableUpload.objects.exclude(completed_at=None))
        for one in whole:
            with uploads.path(one.file).open("rb") as file:
                if not digest == one.digest == f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}":
                    self.wrong.append(f"an upload is {one.digest} instead of {digest}")
        if len(whole) != teams:
            self.wrong.append(f"{len(whole)} uploads of {teams} are whole")
        for draft in Draft.objects.all():
            drafts.discard(draft)


def _write(folder: Path, files: int, image: bytes, *, hashed: bool) -> Cost:
    """The same bytes, from memory to as many files at once."""

    def write(number: int) -> None:
        hasher = hashlib.sha256()
        with (folder / f"alone-{number}").open("wb", buffering=0) as file:
            for offset in range(0, len(image), PIECE_BYTES):
                piece = memoryview(image)[offset : offset + PIECE_BYTES]
                if hashed:
                    hasher.update(piece)
                file.write(piece)
                os.fdatasync(file.fileno())

    began, busy = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(files) as pool:
        list(pool.map(write, range(files)))
    cost = Cost(0, time.monotonic() - began, time.process_time() - busy, files * len(image))
    for number in range(files):
        (folder / f"alone-{number}").unlink()
    return cost


if __name__ == "__main__":
    main()
