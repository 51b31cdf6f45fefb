"""Whether a disturbed run ended as an undisturbed one does: nothing lost, doubled, stuck, charged or left behind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from django.conf import settings
from django.db import close_old_connections

from leaderboard.core import blobs, clock, unfinished
from leaderboard.models import Attempt, Batch, Run, RunCase, Submission
from leaderboard.operations import retention
from leaderboard.states import OPEN_BATCH_STATES, BatchState, RunState
from leaderboard.submissions import uploads
from leaderboard.submissions.quota import quota_of
from tests.chaos.services import Lab

OF_A_HOST = ("journal", "batches")
TIDY_SECONDS = 20.0  # for a worker that has just come back to remove what its predecessor left


@dataclass(frozen=True)
class Numbers:
    """What a run says about an algorithm: each case's result by the case's name, each standing by its scope."""

    cases: dict[str, Any] = field(default_factory=dict)
    standings: dict[str, Any] = field(default_factory=dict)


def numbers(submission: Submission) -> Numbers:
    """The numbers of the submission's latest run."""
    run = submission.latest_run
    if run is None:
        return Numbers()
    cases = {case.case.name: case.result for case in run.cases.select_related("case")}
    return Numbers(cases, {one.scope: (one.dice, one.lost_cases, one.summary) for one in run.standings.all()})


def problems(lab: Lab, submissions: list[Submission], expected: Numbers) -> list[str]:
    """Everything that is not as it should be, each in one sentence; nothing is expected of the very first run."""
    close_old_connections()
    found = [f"submission {one.pk}: {problem}" for one in submissions for problem in of_submission(one, expected)]
    found += of_leases()
    left = _finally_left(lab)
    if lab.live_restore and any(one.startswith("volume") for one in left):
        # Engine 20.10 may miscount a volume's users after a live restore ("volume has active mounts"), and lets go of
        # it only when it starts anew: then the host has to remove it.
        lab.restart_engine()
        left = _finally_left(lab)
    return found + left


def of_submission(submission: Submission, expected: Numbers) -> Iterator[str]:
    submission.refresh_from_db()
    if submission.stage != RunState.SCORED:
        yield f"it is '{submission.stage}', not scored"
        return
    run = submission.runs.get()
    found = numbers(submission)
    if expected.cases and found != expected:
        wrong = [name for name, result in expected.cases.items() if found.cases.get(name) != result]
        yield f"other numbers than undisturbed: {', '.join(wrong) or 'in the standings'}"
    if any(result["status"] != "scored" for result in found.cases.values()):
        yield "a case was lost"
    yield from _of_charges(submission, run)
    yield from _of_history(submission, run)


def _of_charges(submission: Submission, run: Run) -> Iterator[str]:
    quota = quota_of(submission.team, submission.phase, clock.now())
    if not submission.charged or (quota.today_used, quota.total_used) != (1, 1):
        yield f"charged {submission.charged}, {quota.today_used} of today's runs, {quota.total_used} in all"
    for case in run.cases.all():
        faults = Attempt.objects.filter(batch__run=run).exclude(fault="").count()
        if not 1 <= case.tries <= 1 + faults:
            yield f"case {case.position} was tried {case.tries} times, with {faults} faults of ours"


def _of_history(submission: Submission, run: Run) -> Iterator[str]:
    ends = Counter(submission.history.filter(run=run, batch=None).values_list("to_state", flat=True))
    if ends[RunState.SCORED] != 1 or ends[RunState.QUEUED] > 1 + ends[RunState.HALTED]:
        yield f"the run's history is {dict(ends)}"
    scored = Counter(submission.history.filter(to_state=BatchState.SCORED).values_list("batch", flat=True))
    if any(times > 1 for times in scored.values()):
        yield "a batch was scored twice"
    if RunCase.objects.filter(run=run, evaluation_version="").exists():
        yield "a case has a score of no evaluation"


def of_leases() -> Iterator[str]:
    for batch in Batch.objects.filter(state__in=OPEN_BATCH_STATES):
        yield f"{batch} is still {batch.state}"
    for attempt in Attempt.objects.filter(ended_at=None):
        yield f"{attempt} has not ended"


def _finally_left(lab: Lab) -> list[str]:
    deadline = time.monotonic() + TIDY_SECONDS
    while (left := list(_left_behind(lab))) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def _left_behind(lab: Lab) -> Iterator[str]:
    """What is in the engine and on the disks although nothing runs."""
    mounts = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for machine in lab.machines:
        with closing(lab.engine(machine)) as client:
            yield from _left_in_engine(client, f"rexgrounding-{lab.instance}/")
        yield from (f"{path} is mounted" for path in mounts if machine.engine / "data" in path.parents)
    for path in _files_left(lab):
        yield f"{path.relative_to(lab.state.root)} is left"


def _left_in_engine(client: docker.APIClient, ours: str) -> Iterator[str]:
    for container in client.containers(all=True):
        yield f"container {container['Names'][0]} is {container['State']}"
    for volume in client.volumes()["Volumes"] or []:
        yield f"volume {volume['Name']} is left"
    for image in client.images(all=True):
        if not [tag for tag in image["RepoTags"] or [] if tag.startswith(ours)]:
            yield f"image {image['Id']} is nobody's: {image['RepoTags']}"


def _files_left(lab: Lab) -> Iterator[Path]:
    """Files that nobody will ask for again, once the sweeper has tidied as it will in a day."""
    retention.LEFT_AFTER_SECONDS = 0
    unfinished.ABANDONED_SECONDS = 0.0
    retention.tidy()
    of_hosts = [machine.root / "host" / name for machine in lab.machines for name in OF_A_HOST]
    # The neighbour may be lost in mid-download of what it needs no more: its cache keeps that until it needs the room.
    of_hosts.append(lab.state.root / "host/cache/partial")
    for folder in (Path(settings.FILE_UPLOAD_TEMP_DIR), uploads.folder(), lab.temporary, *of_hosts):
        yield from folder.iterdir()
    for store in (blobs.images, blobs.weights, blobs.volumes, blobs.outputs, blobs.pdfs):
        yield from store.root.glob(f"{blobs.INCOMING}*")


def forget_images(lab: Lab, submissions: list[Submission]) -> None:
    """Take the teams' image away, so that the next round has to fetch and to load it again."""
    for submission in submissions:
        if submission.image:
            blobs.images.remove_if_older(submission.image.archive, 0)
            for machine in lab.machines:
                with closing(lab.engine(machine)) as client:
                    for image in client.images(all=True):
                        if image["Id"] == submission.image.image_id:
                            client.remove_image(image["Id"], force=True)
