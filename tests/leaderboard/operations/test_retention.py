"""Files that nobody will ask for again."""

import io
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from leaderboard.board import versions
from leaderboard.core import blobs, clock, locks, unfinished
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, planning
from leaderboard.models import AlgorithmImage, Phase, Run, Standing, Submission
from leaderboard.operations import retention
from leaderboard.states import RunState, SubmissionState
from leaderboard.submissions import uploads
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def backup_under_way(db):
    """Another session that holds what a backup holds."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locks.working_on("stores", ""):
            held.set()
            done.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    yield
    done.set()
    thread.join()


def age(path, hours=25):
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


LEAVE_UNFINISHED = """
import os, sys
from datetime import timedelta
from pathlib import Path
from leaderboard.core import unfinished
incoming, outputs = map(Path, sys.argv[1:])
files = [unfinished.create(incoming, "upload-"), unfinished.create(outputs, ".incoming-")]
for file in files:
    file.write(b"half of it")
    file.flush()
with unfinished.folder(incoming) as folder:
    (folder / "image.tar").write_bytes(b"x")
    print("written", flush=True)
    sys.stdin.read()
"""


def old(folder) -> list[Path]:
    """What lies there, of which nobody wrote a byte for minutes."""
    found = [path for path in folder.rglob("*") if path.name.startswith((".incoming-", "upload-", "tmp"))]
    for path in found:
        then = time.time() - unfinished.ABANDONED_SECONDS - 1
        for one in (path, *path.rglob("*")):
            os.utime(one, (then, then))
    return found


def test_what_a_killed_process_was_writing_goes_within_minutes_and_what_a_living_one_writes_stays(store):
    blobs.outputs.root.mkdir(exist_ok=True)
    command = [sys.executable, "-c", LEAVE_UNFINISHED, str(store / "incoming"), str(blobs.outputs.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"written\n"
        assert len(old(store)) == 3
        retention.tidy()
        assert len(old(store)) == 3
        writer.kill()
        writer.wait()
    assert len(old(store)) == 3
    retention.tidy()
    assert old(store) == []


def test_what_was_made_a_moment_ago_stays(store):
    (store / "incoming" / "upload-new").write_bytes(b"")
    retention.tidy()
    assert (store / "incoming" / "upload-new").exists()


def test_an_upload_stays_as_long_as_its_submission_waits_for_the_check():
    submission = cast.submit(cast.team_of(cast.person("Alice")), cast.phase())
    file = uploads.path(submission.upload_file)
    age(file)
    retention.tidy()
    assert file.exists()
    Submission.objects.update(state=SubmissionState.REJECTED)
    retention.tidy()
    assert not file.exists()


def test_a_checked_upload_that_a_backup_held_up_goes_at_the_next_round():
    submission = cast.submit(cast.team_of(cast.person("Alice")), cast.phase())
    Submission.objects.update(state=SubmissionState.REJECTED)
    retention.tidy()
    assert not uploads.path(submission.upload_file).exists()


def test_nothing_is_removed_while_a_backup_reads_the_stores(backup_under_way):
    submission = cast.submit(cast.team_of(cast.person("Alice")), cast.phase())
    file = uploads.path(submission.upload_file)
    decisions.cancel(submission, by=cast.OPERATOR)
    uploads.delete(submission.upload_file)
    retention.tidy()
    assert file.exists()


# --- an archived phase -----------------------------------------------------------------------------------------------


def test_masks_and_images_stay_until_the_phase_is_archived():
    mask, image, submission = scored("Alice", cast.phase())
    retention.tidy()
    assert blobs.outputs.exists(mask)
    assert blobs.images.exists(image)
    archive(submission.phase)
    retention.tidy()
    assert not blobs.outputs.exists(mask)
    assert not blobs.images.exists(image)
    assert submission.runs.get().standings.exists(), "scores stay"


def test_what_an_open_phase_shares_with_an_archived_one_stays():
    cases = cast.case_set()
    old, current = cast.phase(cases, slug="old"), cast.phase(cases, slug="current")
    mask, image, _ = scored("Alice", old)
    assert scored("Charlie", current)[:2] == (mask, image)
    archive(old)
    retention.tidy()
    assert blobs.outputs.exists(mask)
    assert blobs.images.exists(image)


def test_what_is_stored_again_after_the_archiving_has_a_day_for_its_row():
    mask, image, submission = scored("Alice", cast.phase())
    archive(submission.phase)
    blobs.outputs.put(io.BytesIO(MASK))
    blobs.images.put(io.BytesIO(IMAGE))
    retention.tidy()
    assert blobs.outputs.exists(mask)
    assert blobs.images.exists(image)
    age(blobs.outputs.path(mask))
    retention.tidy()
    assert not blobs.outputs.exists(mask)


def test_an_archived_run_cannot_run_again():
    _, _, submission = scored("Alice", cast.phase())
    archive(submission.phase)
    with pytest.raises(Refused, match="archived"):
        decisions.run_again(submission, by=Actor.person(cast.person("Olga")))


def test_nobody_submits_to_an_archived_phase_even_if_its_dates_are_moved():
    phase = cast.phase()
    Phase.objects.update(archived_at=phase.opens_at)
    with pytest.raises(Refused, match="closed"):
        cast.submit(cast.team_of(cast.person("Alice")), Phase.objects.get())


def test_an_open_phase_is_not_archived():
    with pytest.raises(Refused, match="still open"):
        decisions.archive(cast.phase(), by=cast.OPERATOR)


@pytest.mark.parametrize(
    ("setting", "refusal"),
    [
        ({"embargo_until": timedelta(days=1)}, "under embargo until"),
        ({"anonymous_until_reveal": True}, "set “revealed at” first"),
        ({"anonymous_until_reveal": True, "revealed_at": timedelta(days=1)}, "archive it after that"),
    ],
)
def test_a_phase_is_archived_once_its_boards_have_shown_everything(setting, refusal):
    now = clock.now()
    fields: Any = {name: now + value if isinstance(value, timedelta) else value for name, value in setting.items()}
    phase = cast.phase(opens_at=now - timedelta(days=9), closes_at=now - timedelta(days=2), **fields)
    with pytest.raises(Refused, match=refusal):
        decisions.archive(phase, by=cast.OPERATOR)
    past = {name: now - timedelta(days=1) for name in ("embargo_until", "revealed_at")}
    type(phase).objects.update(**past)
    decisions.archive(phase, by=cast.OPERATOR)


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.HALTED])
def test_a_phase_with_a_run_that_may_go_on_is_not_archived(state):
    _, _, submission = scored("Alice", cast.phase())
    submission.runs.update(state=state)
    with pytest.raises(Refused, match="have not ended"):
        archive(submission.phase)


def test_in_the_admin_an_organiser_is_led_to_where_a_phase_is_archived(client):
    _, _, submission = scored("Alice", cast.phase())
    Phase.objects.update(closes_at=clock.now(), revealed_at=clock.now())
    versions.make(submission.phase_id)
    client.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    chosen = {"action": "archive", "_selected_action": [submission.phase_id]}
    asked = client.post("/admin/leaderboard/phase/", chosen)
    assert asked["Location"] == f"/organisers/acts/archive-phase/?on={submission.phase.slug}"
    client.post(asked["Location"], {"why": "It is over.", "confirmed": str(submission.phase), "do": "1"})
    assert Phase.objects.get().archived_at


MASK, IMAGE = b"a mask", b"an image"


def scored(captain: str, phase: Phase) -> tuple[str, str, Submission]:
    """A scored run whose files were stored long ago: its mask, its image's archive, its submission."""
    submission = cast.submit(cast.team_of(cast.person(captain)), phase)
    mask, archive = blobs.outputs.put(io.BytesIO(MASK)), blobs.images.put(io.BytesIO(IMAGE))
    for store, blob in ((blobs.outputs, mask), (blobs.images, archive)):
        age(store.path(blob.digest))
    image, _ = AlgorithmImage.objects.get_or_create(
        image_id="sha256:" + "2" * 64,
        defaults={"archive": archive.digest, "archive_bytes": archive.size, "unpacked_bytes": 1, "layers": 1},
    )
    Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.ACCEPTED, image=image)
    submission.refresh_from_db()
    run = planning.new_run(submission, by="test")
    run.cases.update(outcome="finished", output=mask.digest)
    Run.objects.filter(pk=run.pk).update(state=RunState.SCORED, ended_at=clock.now())
    Standing.objects.create(
        run=run,
        scope="all",
        evaluation_version="1",
        dice=0.5,
        cases=3,
        lost_cases=0,
        summary=cast.numbers(0.5),
        groups={},
    )
    return mask.digest, archive.digest, submission


def archive(phase: Phase) -> None:
    Phase.objects.filter(pk=phase.pk).update(closes_at=clock.now())
    decisions.archive(phase, by=cast.OPERATOR)
