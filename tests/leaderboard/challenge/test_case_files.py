"""Sets that were a mistake are deleted, with the files that no other set shares; pictures are of public cases only."""

import io
import math
import os
import shutil
import struct
import time
import zlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from leaderboard.challenge import case_files, case_pictures, importing
from leaderboard.challenge.casesets.official import read_case_set
from leaderboard.challenge.casesets.slices import draw_case
from leaderboard.core import blobs, clock, task_queue
from leaderboard.core.refusal import Refused
from leaderboard.demo.synthesis import generate
from leaderboard.desk.acting import act_on
from leaderboard.desk.acts import ACTS
from leaderboard.models import AuditEntry, Case, CasePicture, CaseSet, DeletedHalf, HalfSecret, Phase, StoredVolume
from leaderboard.operations import backup, retention
from leaderboard.processes import sweeper, tasks
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR
STORES = (blobs.volumes, blobs.references, blobs.pictures)


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("official")
    generate(folder, cases=2, shape=(64, 64, 32), spacing_mm=(5.0, 5.0, 9.0), seed=5, split="test")
    return folder


@pytest.fixture
def made(official, tmp_path):
    def imported(name: str, keep: int = 2) -> CaseSet:
        folder = tmp_path / name
        shutil.copytree(official, folder)
        checked = read_case_set(
            folder / "dataset.json", split="test", images_dir=folder / "images", masks_dir=folder / "masks"
        )
        few = type(checked)(checked.split, checked.cases[:keep], (), ())
        return importing.import_case_set(name, few, by=BY)[0]

    return imported


def age() -> None:
    old = time.time() - case_files.KEPT_SECONDS - 60
    for store in STORES:
        for digest in store.digests():
            os.utime(store.path(digest), (old, old))


def files() -> list[int]:
    return [len(set(store.digests())) for store in STORES]


def test_a_set_that_nothing_uses_is_deleted_with_its_files(made):
    made("test")
    assert files() == [2, 2, 0]
    [played] = act_on(ACTS["delete-cases"], [CaseSet.objects.get()], {}, by=BY, why="The wrong split.", dry_run=True)
    assert not played.refused
    assert CaseSet.objects.count() == 1
    [done] = act_on(ACTS["delete-cases"], [CaseSet.objects.get()], {}, by=BY, why="The wrong split.")
    assert not done.refused
    assert not CaseSet.objects.exists()
    assert not Case.objects.exists()
    assert AuditEntry.objects.get(action="delete case set").why == "The wrong split."
    case_files.tidy()
    assert files() == [2, 2, 0], "an import may be about to name them"
    age()
    case_files.tidy()
    assert files() == [0, 0, 0]


def test_files_that_another_set_shares_stay(made):
    made("two")
    made("one", keep=1)
    case_files.delete(CaseSet.objects.get(name="two"), by=BY, why="x")
    age()
    retention.tidy()
    assert files() == [1, 1, 0]
    kept = Case.objects.get()
    assert blobs.volumes.exists(kept.volume)
    assert blobs.references.exists(kept.reference)


@pytest.mark.parametrize("is_draft", [False, True])
def test_a_set_that_a_phase_uses_is_kept(made, is_draft):
    case_set = made("test")
    phase = cast.phase(case_set, is_draft=is_draft)
    assert not ACTS["delete-cases"].is_offered(case_set)
    with pytest.raises(Refused, match=f"the {phase.name} uses it"):
        case_files.delete(case_set, by=BY, why="x")
    assert CaseSet.objects.filter(name="test").exists()


def test_the_same_cases_get_no_other_half_by_being_deleted_and_imported_again(made):
    first = made("test")
    secret = HalfSecret.objects.get().secret
    case_files.delete(first, by=BY, why="x")
    assert DeletedHalf.objects.get().secret == secret
    second = made("again")
    assert HalfSecret.objects.get().secret == secret
    assert second.half_commitment == first.half_commitment


def test_what_a_killed_import_left_goes_after_a_day_and_is_forgotten(made):
    made("test")
    CaseSet.objects.all().delete()
    StoredVolume.objects.update(stored_at=clock.now() - timedelta(days=2))
    age()
    case_files.tidy()
    assert files() == [0, 0, 0]
    assert not StoredVolume.objects.exists()
    assert made("again").cases.count() == 2
    assert files() == [2, 2, 0]


# --- pictures ---------------------------------------------------------------------------------------------------------


def show(case_set: CaseSet, *, public: bool) -> Phase:
    return cast.phase(case_set, cases_are_public=public)


def pixels(png: bytes) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """A palette PNG, as its format says: places in the palette, and the palette."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, found = 8, {}
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + content),)
        found[kind] = content
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert (depth, colour) == (8, 3)
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, width + 1)
    palette = [tuple(found[b"PLTE"][place : place + 3]) for place in range(0, len(found[b"PLTE"]), 3)]
    return rows[:, 1:], palette  # type: ignore[return-value]


def test_public_cases_are_drawn_with_the_outlines_of_their_findings(made):
    case_set = made("test")
    show(case_set, public=True)
    assert case_pictures.is_waiting()
    assert not case_pictures.draw_next(for_seconds=60)
    assert not case_pictures.is_waiting()
    assert CasePicture.objects.filter(case__case_set=case_set).count() == 2
    for one in CasePicture.objects.all():
        picture, palette = pixels(blobs.pictures.path(one.picture).read_bytes())
        assert picture.shape == (one.height, one.width)
        colours = {palette[place] for place in np.unique(picture)}
        assert any(len(set(colour)) > 1 for colour in colours), "an outline"
        assert len({colour for colour in colours if len(set(colour)) == 1}) > 20, "a CT"
    assert backup._needed_blobs()[blobs.pictures] == set(blobs.pictures.digests())
    assert blobs.pictures in backup.STORES


def test_hidden_cases_are_not_drawn(made):
    case_set = made("test")
    assert not case_pictures.is_waiting(), "no phase shows them"
    show(case_set, public=False)
    case_pictures.draw_next(for_seconds=60)
    assert not CasePicture.objects.exists()
    assert not set(blobs.pictures.digests())
    assert not case_pictures.shown(case_set)


def test_pictures_go_when_a_phase_hides_a_case_of_theirs(made):
    case_set = made("test")
    show(case_set, public=True)
    case_pictures.draw_next(for_seconds=60)
    shared = made("hidden", keep=1)
    cast.phase(shared, slug="hidden", name="Hidden", cases_are_public=False)
    assert not case_pictures.shown(case_set)
    assert case_pictures.is_waiting()
    case_pictures.draw_next(for_seconds=60)
    assert not CasePicture.objects.exists()
    age()
    case_files.tidy()
    assert files() == [2, 2, 0]


def test_the_sweeper_has_cases_drawn_and_nobody_draws_them_twice(made, monkeypatch, django_capture_on_commit_callbacks):
    sent: list[str] = []
    monkeypatch.setattr(task_queue, "_send", lambda task, *_: sent.append(task))
    monkeypatch.setattr(sweeper, "_pictures_asked_at", -math.inf)
    case_set = made("test")
    show(case_set, public=True)
    with django_capture_on_commit_callbacks(execute=True):
        sweeper._ask_for_pictures()
        sweeper._ask_for_pictures()
    assert sent == ["leaderboard.draw_cases"]
    tasks.draw_cases("")
    assert CasePicture.objects.filter(case__case_set=case_set).count() == 2
    monkeypatch.setattr(sweeper, "_pictures_asked_at", -math.inf)
    with django_capture_on_commit_callbacks(execute=True):
        sweeper._ask_for_pictures()
    assert len(sent) == 1


def test_a_case_that_cannot_be_drawn_is_tried_once(made):
    case_set = made("test")
    show(case_set, public=True)
    broken = Case.objects.earliest("pk")
    wrong = blobs.references.put(io.BytesIO(b"no mask at all"))
    Case.objects.filter(pk=broken.pk).update(reference=wrong.digest)
    case_pictures.draw_next(for_seconds=60)
    assert [one.picture == "" for one in CasePicture.objects.order_by("case")] == [True, False]
    assert not case_pictures.is_waiting()


def test_the_slices_are_those_of_the_largest_findings(official):
    name = sorted(path.name for path in (official / "images").iterdir())[0]
    drawn = draw_case(official / "images" / name, official / "masks" / name)
    assert drawn.width > 2 * drawn.height
