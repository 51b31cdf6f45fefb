"""What the journey costs: a run through the whole server beside the same containers started bare.

The same image computes the same cases in the same sequence of containers (canary, then batches), once through the
server with all its processes, once with `docker run` in a loop. Both are timed by the engine's own events, from the
first container's start to the last one's end, alternating for some rounds; the medians and their ratio are printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import docker

from tests.bench.database import scratch_database

COMPUTE_SECONDS = 1.0
COMPUTE = f"""end = time.monotonic() + {COMPUTE_SECONDS}
    while time.monotonic() < end: hashlib.sha256(volume).digest()"""
MIB = 1 << 20


class Journey(NamedTuple):
    """One run through the server, in seconds."""

    containers: float
    to_standings: float
    last_scoring: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench run", description=__doc__)
    parser.add_argument("--cases", type=int, default=51, help="cases of a run (default: a canary and two full batches)")
    parser.add_argument("--batch-size", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rexg-bench-") as folder, scratch_database(Path(folder)):
        _measure(Path(folder), options)


def _measure(folder: Path, options: argparse.Namespace) -> None:
    from tests.containers import baseimage
    from tests.journey import algorithms
    from tests.journey.stack import Stack

    client = docker.from_env(timeout=300).api
    tag = f"bench-{uuid.uuid4().hex[:8]}"
    base = baseimage.build(client, tag)
    archive = algorithms.archive(client, base, COMPUTE, folder / "image.tar.gz")
    phase, volumes = _make_phase(options)
    stack = Stack(folder)
    sizes = [1, *_batches(options.cases - 1, options.batch_size)]
    try:
        stack.start()
        image, _ = _journey(stack, phase, archive, client)  # loads the image; not measured
        journeys, bare = [], []
        for number in range(options.rounds):
            journeys.append(_journey(stack, phase, archive, client)[1])
            bare.append(_bare(client, image, volumes, sizes, folder / f"bare{number}"))
            print(f"round {number + 1}: journey {journeys[-1].containers:.2f} s, bare {bare[-1]:.2f} s", flush=True)
        _print(journeys, bare, len(sizes), options.cases)
    finally:
        stack.stop()
        for listed in client.images():
            for name in listed["RepoTags"] or []:
                if stack.instance in name or name == f"{baseimage.REPOSITORY}:{tag}":
                    client.remove_image(name, force=True)


def _print(journeys: Sequence[Journey], bare: Sequence[float], containers: int, cases: int) -> None:
    journey_seconds = statistics.median(journey.containers for journey in journeys)
    bare_seconds = statistics.median(bare)
    overhead_ms = 1000 * (journey_seconds - bare_seconds) / containers
    print(f"\n{cases} cases of {COMPUTE_SECONDS:.0f} s in {containers} containers, medians of {len(bare)} rounds")
    print(f"  through the server         {journey_seconds:8.2f} s")
    print(f"  bare, docker run           {bare_seconds:8.2f} s")
    print(f"  ratio                      {journey_seconds / bare_seconds:8.3f}   (goal: 1.1 or less)")
    print(f"  overhead per container     {overhead_ms:8.0f} ms")
    to_standings = statistics.median(journey.to_standings for journey in journeys)
    scoring = statistics.median(journey.last_scoring for journey in journeys)
    print(
        f"  last end to standings      {to_standings:8.2f} s   (goal: the last batch's scoring, {scoring:.2f} s, + 2 s)"
    )


def _journey(stack: Any, phase: Any, archive: Path, client: docker.APIClient) -> tuple[str, Journey]:
    """Submit, wait for the standings; the image's id and what it took."""
    from leaderboard.models import StateChange
    from leaderboard.states import ENDED
    from leaderboard.submissions.uploads import from_disk
    from tests.journey.stack import wait_for
    from tests.leaderboard import cast

    began = time.time()
    team = cast.team_of(cast.person(f"T{uuid.uuid4().hex[:8]}"))
    submission = cast.submit(team, phase, upload=from_disk(archive))
    wait_for(lambda: cast.stage_of(submission) in ENDED, "the run to end", 3600)
    if cast.stage_of(submission) != "scored":
        raise SystemExit(f"The run ended as {cast.stage_of(submission)}; see {stack.folder}.")
    submission.refresh_from_db()
    run = submission.runs.get()
    start, end = _span(client, began, {f"{_batch_label()}={batch.pk}" for batch in run.batches.all()})
    last = run.batches.order_by("-number")[0]
    changes = {change.to_state: change.at for change in StateChange.objects.filter(batch=last)}
    assert run.ended_at is not None
    assert submission.image is not None
    scoring = (changes["scored"] - changes["reported"]).total_seconds()
    return submission.image.image_id, Journey(end - start, run.ended_at.timestamp() - end, scoring)


def _bare(client: docker.APIClient, image: str, volumes: Sequence[Path], sizes: Sequence[int], folder: Path) -> float:
    """The same containers one after the other through the engine's CLI; seconds from first start to last end."""
    began, label, rest = time.time(), f"bench={uuid.uuid4().hex}", list(volumes)
    for number, size in enumerate(sizes):
        chosen, rest = rest[:size], rest[size:]
        given, output = folder / f"{number}/input", folder / f"{number}/output"
        (given / "images").mkdir(parents=True)
        output.mkdir()
        for volume in chosen:
            os.link(volume, given / "images" / volume.name)
        entries = [{"name": volume.name, "findings": {"0": "x"}, "shape": [16, 16, 16]} for volume in chosen]
        (given / "cases.json").write_text(json.dumps(entries))
        mounts = ["-v", f"{given}:/input:ro", "-v", f"{output}:/output"]
        command = ["docker", "run", "--rm", "--network", "none", "--label", label, *mounts, image]
        subprocess.run(command, check=True)
    start, end = _span(client, began, {label})
    return end - start


def _span(client: docker.APIClient, since: float, labels: set[str]) -> tuple[float, float]:
    """First start and last end of the containers with one of `labels`, by the engine's own events."""
    times = []
    for label in labels:
        filters = {"type": "container", "event": ["start", "die"], "label": label}
        events = client.events(since=since, until=time.time() + 1, filters=filters, decode=True)
        mine = [event for event in events if not _is_holder(event["Actor"]["Attributes"])]
        times += [(event["Action"], event["timeNano"] / 1e9) for event in mine]
    starts = [at for action, at in times if action == "start"]
    ends = [at for action, at in times if action == "die"]
    return min(starts), max(ends)


def _is_holder(attributes: dict[str, str]) -> bool:
    from containers.sandbox.spec import LABEL_ROLE

    return attributes.get(LABEL_ROLE) == "holder"


def _batch_label() -> str:
    from containers.sandbox.spec import LABEL_BATCH

    return LABEL_BATCH


def _make_phase(options: argparse.Namespace) -> tuple[Any, list[Path]]:
    """A phase over small cases, and its volumes as files."""
    from leaderboard.core import blobs
    from tests.leaderboard import cast, masks

    cases = cast.case_set(options.cases)
    paths = []
    for number, case in enumerate(cases.cases.all()):
        blob = masks.give_files(case, number, masks.cube(4, 5))
        named = blobs.volumes.root / f"case{number}.nii.gz"
        os.link(blobs.volumes.path(blob.digest), named)
        named.chmod(0o644)
        paths.append(named)
    sizes = dict.fromkeys(("shm_bytes", "tmp_bytes", "output_bytes"), 32 * MIB)
    archive = dict.fromkeys(("max_archive_bytes", "max_unpacked_bytes"), 1000 * MIB)
    policies = {"batch_size": options.batch_size, "memory_bytes": 512 * MIB, "cpus": 2, "runs_per_day": 99}
    return cast.phase(cases, **sizes, **archive, **policies), paths


def _batches(cases: int, size: int) -> list[int]:
    return [min(size, cases - first) for first in range(0, cases, size)]
