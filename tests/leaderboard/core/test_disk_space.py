"""A disk that is nearly full: new work is turned away, what runs may end. On a small disk made for it."""

import hashlib
import io
import logging
import os
import re
import shutil
import subprocess
import tarfile
import uuid

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from leaderboard.core import blobs, disk_space, outbox
from leaderboard.core.refusal import Refused
from leaderboard.journey import pipeline
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Batch, Case, Phase, Submission
from leaderboard.operations import alarms, health
from leaderboard.states import RunState
from leaderboard.submissions import admission, drafts, resumable, uploads
from tests.leaderboard import cast, gpu_host, masks, seen

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system"),
]

MIB = 1 << 20


@pytest.fixture
def disk(settings, tmp_path):
    """The store on a disk of 64 MiB, of which 16 are to be left free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    settings.STORE_DIR, settings.FILE_UPLOAD_TEMP_DIR, settings.FREE_BYTES = folder, folder / "incoming", 16 * MIB
    disk_space._logged_at = -disk_space.LOG_AGAIN_SECONDS
    blobs.prepare()
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk, *, leaving: int) -> None:
    with (disk / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leaving)


@pytest.fixture
def phase():
    return cast.phase(cast.case_set(2), max_archive_bytes=100 * MIB)


def form(size: int):
    image = SimpleUploadedFile("image.tar", tarfile.TarInfo("layer.tar").tobuf() + os.urandom(size))
    return {"track": "main", "algorithm": "A", "method": cast.METHOD, "external": "none", "image": image}


def test_an_upload_is_refused_before_it_is_read_and_organisers_hear_of_it(disk, team, phase, caplog):
    fill(disk, leaving=15 * MIB)
    browser = Client()
    browser.force_login(team.memberships.get().user)
    with caplog.at_level(logging.ERROR):
        said = browser.post(f"/submit/{phase.slug}/", form(10)).content.decode()
    assert admission.NO_DISK_SPACE in said
    assert "new work is turned away" in caplog.text
    assert not Submission.objects.exists()


def test_an_upload_that_would_take_the_room_leaves_nothing(disk, team, phase):
    fill(disk, leaving=24 * MIB)
    browser = Client()
    browser.force_login(team.memberships.get().user)
    said = browser.post(f"/submit/{phase.slug}/", form(10 * MIB)).content.decode()
    assert admission.NO_DISK_SPACE in said
    assert not Submission.objects.exists()
    assert not list((disk / "incoming").iterdir())
    browser.post(f"/submit/{phase.slug}/", form(MIB))
    assert Submission.objects.count() == 1


def test_an_upload_ends_when_others_took_the_room_meanwhile(disk, team, phase, monkeypatch):
    monkeypatch.setattr(uploads, "CHECK_SPACE_EVERY_BYTES", MIB)
    begin = uploads.BoundedUploadHandler.new_file

    def others_come(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        fill(disk, leaving=18 * MIB)

    monkeypatch.setattr(uploads.BoundedUploadHandler, "new_file", others_come)
    browser = Client()
    browser.force_login(team.memberships.get().user)
    assert admission.NO_DISK_SPACE in browser.post(f"/submit/{phase.slug}/", form(10 * MIB)).content.decode()
    assert not list((disk / "incoming").iterdir())


def test_who_uploads_reads_what_is_free_and_what_stays_in_reserve(disk, team, phase, settings):
    settings.FREE_BYTES = 10**9
    browser = Client()
    browser.force_login(team.memberships.get().user)
    answer = browser.post(f"/submit/{phase.slug}/", form(10))
    assert answer.status_code == 507
    assert int(answer["Retry-After"]) > 0
    assert re.search(r"\d MB are free, of which 1 GB stay in reserve", answer.content.decode())


@pytest.mark.parametrize("size", [40 * MIB, 15 * MIB + 7], ids=["while it comes", "with its last bytes"])
def test_a_store_that_fills_in_the_middle_of_an_upload_is_told_and_nothing_stays(disk, team, phase, settings, size):
    """What others write between our look and our write: the write itself fails."""
    settings.FREE_BYTES = -(10**9)
    fill(disk, leaving=15 * MIB)
    browser = Client()
    browser.force_login(team.memberships.get().user)
    answer = browser.post(f"/submit/{phase.slug}/", form(size))
    assert answer.status_code == 507
    assert admission.NO_DISK_SPACE in answer.content.decode()
    assert not Submission.objects.exists()
    assert not list((disk / "incoming").iterdir())
    assert not list(uploads.folder().iterdir())


@pytest.mark.parametrize("checked", [False, True], ids=["without a checksum", "with one"])
def test_a_piece_that_finds_the_disk_full_loses_nothing_that_was_called_safe(disk, team, phase, settings, checked):
    """The client reads where to go on, and does when there is room; a piece with a checksum counts as a whole."""
    settings.FREE_BYTES = -(10**9)
    file = tarfile.TarInfo("layer.tar").tobuf() + os.urandom(40 * MIB)
    draft = drafts.begin(team.memberships.get().user, team, phase, {})
    upload = resumable.begin(draft, name="image.tar", length=len(file))
    resumable.receive(upload, resumable.Piece(0, MIB, io.BytesIO(file)))
    fill(disk, leaving=10 * MIB)
    rest = file[MIB:]
    checksum = ("sha256", hashlib.sha256(rest).digest()) if checked else None
    with pytest.raises(admission.NoSpace):
        resumable.receive(upload, resumable.Piece(MIB, len(rest), io.BytesIO(rest), checksum))
    upload.refresh_from_db()
    assert (upload.received == MIB) is checked
    assert upload.received >= MIB
    stored = (uploads.folder() / upload.file).read_bytes()
    assert stored[: upload.received] == file[: upload.received]
    (disk / "ballast").unlink()
    rest = file[upload.received :]
    resumable.receive(upload, resumable.Piece(upload.received, len(rest), io.BytesIO(rest)))
    assert upload.completed_at
    assert upload.digest == f"sha256:{hashlib.sha256(file).hexdigest()}"


def test_the_command_line_names_the_store_and_leaves_nothing(disk, team, phase, settings, tmp_path):
    image, method = tmp_path / "image.tar", tmp_path / "method.md"
    image.write_bytes(tarfile.TarInfo("layer.tar").tobuf() + bytes(20 * MIB))
    method.write_text(cast.METHOD)
    words = {"team": team.slug, "phase": phase.slug, "image": image, "method": method}
    fill(disk, leaving=17 * MIB)
    for settings.FREE_BYTES in (16 * MIB, -(10**9)):  # seen before the copy, and by the copy itself
        with pytest.raises(CommandError, match=f"short of disk space.* stay in reserve.* The store is in {disk}"):
            call_command("submit", **words)
        assert not list((disk / "incoming").iterdir())
        assert not list(uploads.folder().iterdir())
    assert not Submission.objects.exists()


def test_a_mask_that_finds_no_room_is_to_come_again_and_nothing_of_it_stays(disk, team, phase, settings):
    host = cast.host()
    batch = gpu_host.waiting(cast.submit_checked(team, phase).runs.get())
    order = gpu_host.claim(host, batch)
    settings.FREE_BYTES = -(10**9)
    fill(disk, leaving=1 * MIB)
    answer = put(order, os.urandom(2 * MIB))
    assert answer.status_code == 503
    assert "short of disk space" in answer.json()["detail"]
    assert not list(blobs.outputs.root.glob(f"{blobs.INCOMING}*"))


def test_the_command_line_is_refused_too_and_nothing_stays(disk, team, phase):
    fill(disk, leaving=15 * MIB)
    with pytest.raises(Refused, match="short of disk space"):
        cast.submit(team, phase)
    assert not list(uploads.folder().iterdir())


def test_masks_come_in_longer_than_uploads_and_then_are_to_come_again(disk, team, phase):
    host = cast.host()
    for case in Case.objects.all():
        masks.give_reference(case, masks.cube())
    submission = cast.submit_checked(team, phase)
    batch = gpu_host.waiting(submission.runs.get())
    order = pipeline.claim(host, batch.pk, key=uuid.uuid4(), slot="slot0")
    fill(disk, leaving=8 * MIB)
    assert put(order, b"first").status_code == 204
    (disk / "ballast").unlink()
    fill(disk, leaving=3 * MIB)
    assert put(order, b"second").status_code == 503
    (disk / "ballast").unlink()
    assert put(order, b"second").status_code == 204


def test_queued_runs_wait_while_the_disk_is_short_and_their_team_reads_why(disk, team, phase):
    submission = cast.submit_checked(team, phase)
    run = submission.runs.get()
    cast.host()
    fill(disk, leaving=15 * MIB)
    pipeline.fill_slots()
    run.refresh_from_db()
    assert run.state == RunState.QUEUED
    assert "short of disk space" in seen.by_team(submission).now
    assert not health.facts().run_waits_beside_free_slot, "the sweeper is not to blame"
    (disk / "ballast").unlink()
    pipeline.fill_slots()
    run.refresh_from_db()
    assert run.state == RunState.CANARY


def test_a_run_that_began_goes_on_longer_than_new_ones_begin_but_not_to_the_last_byte(disk, team, phase):
    host = cast.host()
    batch = gpu_host.waiting(cast.submit_checked(team, phase).runs.get())
    Batch.objects.update(notified_at=None)
    fill(disk, leaving=3 * MIB)
    pipeline.fill_slots()
    assert Batch.objects.get().notified_at is None
    with pytest.raises(LeaseLost):
        gpu_host.claim(host, batch)
    (disk / "ballast").unlink()
    fill(disk, leaving=8 * MIB)
    pipeline.fill_slots()
    assert Batch.objects.get().notified_at is not None
    assert gpu_host.claim(host, batch)["fence"] == 1


def test_organisers_are_told_when_an_upload_that_a_phase_takes_would_be_turned_away(disk, phase, settings):
    settings.ADMINS, settings.ALARM_SECONDS = [("ops@example.org", "ops@example.org")], 0
    Phase.objects.update(max_archive_bytes=20 * MIB)
    alarms.tell()
    outbox.send_due()
    assert "Disk of the store" not in mail.outbox[0].body  # no process beats here: that is told of
    fill(disk, leaving=30 * MIB)
    alarms.tell()
    outbox.send_due()
    assert re.search(r"Disk of the store: [\d.]+ MB, ", str(mail.outbox[1].body))
    assert "are turned away" in mail.outbox[1].body


def put(order, content: bytes):
    name = order["cases"][0]["name"]
    return Client(headers={"Authorization": f"Bearer {cast.TOKEN}"}).put(
        f"/worker/v1/batches/{order['batch']}/outputs/{name}?fence={order['fence']}",
        content,
        content_type="application/octet-stream",
        headers={"X-Content-SHA256": hashlib.sha256(content).hexdigest()},
    )
