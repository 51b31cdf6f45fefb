"""Case sets at the desk: for viewers, from what the import told, and without any file of a hidden set."""

import shutil
from io import StringIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from leaderboard.challenge import case_pictures
from leaderboard.core import clock
from leaderboard.demo.synthesis import generate
from leaderboard.models import Case, CaseSet, CaseSetImport, Finding
from leaderboard.states import Role
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
ADDRESS = "/organisers/cases/"


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("official")
    generate(folder, cases=2, shape=(64, 64, 32), spacing_mm=(5.0, 5.0, 9.0), seed=5, split="test")
    return folder


@pytest.fixture
def files(official, tmp_path) -> Path:
    shutil.copytree(official, tmp_path / "files")
    return tmp_path / "files"


def run(folder: Path, name: str, **options: object) -> None:
    where = {"dataset_json": folder / "dataset.json", "images": folder / "images", "masks": folder / "masks"}
    call_command("import_cases", name, split="test", **where, **options, stdout=StringIO(), stderr=StringIO())


def shown(people, path: str = "") -> str:
    answer = people.browser["Olga"].get(ADDRESS + path)
    assert answer.status_code == 200
    return page(answer).text


def test_everything_that_a_refused_import_found_stands_there(people, files):
    first, second = sorted(path.name for path in (files / "images").iterdir())
    (files / "images" / first).write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    (files / "masks" / second).unlink()
    with pytest.raises(CommandError):
        run(files, "test")
    said = shown(people)
    assert "Refused" in said
    assert f"{first}: its CT is a web page" in said
    assert "Download them again, signed in" in said
    assert f"{second}: has no mask file" in said


def test_a_set_tells_its_import_its_numbers_and_who_accepted_what(people, files):
    volume = sorted((files / "images").iterdir())[0]
    nib.save(nib.Nifti1Image(np.asarray(nib.load(volume).dataobj), np.eye(4)), volume)  # type: ignore[attr-defined]
    run(files, "test", accept_warnings=frozenset({"identity-affine"}))
    assert "test" in shown(people)
    said = shown(people, "test/")
    told = CaseSetImport.objects.get()
    assert f"Accepted by {told.by}" in said
    assert f"{volume.name}: its CT has an identity affine" in said
    assert f"{Finding.objects.count()} findings" in said
    for word in (
        "Findings of each category",
        "Shape along D",
        "Spacing along H",
        "Size of findings",
        "64 to 128 voxels",
    ):
        assert word in said
    assert "It is the first one." in said
    assert "possible: nothing uses it" in said
    assert "There are pictures of public cases only" in said


def test_what_differs_from_the_set_before_is_named_case_by_case(people, files):
    run(files, "first")
    old = sorted(Case.objects.values_list("name", flat=True))
    text = (files / "dataset.json").read_text()
    changed = Finding.objects.filter(case__name=old[0])[0].text
    (files / "dataset.json").write_text(text.replace(old[1], "renamed.nii.gz").replace(changed, "Another sentence."))
    for folder in ("images", "masks"):
        (files / folder / old[1]).rename(files / folder / "renamed.nii.gz")
    run(files, "second")
    said = shown(people, "second/")
    assert "1 cases under another name" in said
    assert f"renamed.nii.gz (was {old[1]})" in said
    assert "1 another sentence" in said
    assert "another volume" not in said
    assert "cases gone" not in said


def test_pictures_are_shown_of_public_sets_alone(people, files):
    run(files, "test")
    case_set, olga = CaseSet.objects.get(), people.browser["Olga"]
    phase = cast.phase(case_set, cases_are_public=True)
    case_pictures.draw_next(for_seconds=60)
    case = case_set.cases.all()[0]
    address = f"{ADDRESS}test/pictures/{case.pk}.png"
    [image] = page(olga.get(f"{ADDRESS}test/")).all("img", src=address)
    assert case.name in (image["alt"] or "")
    answer = olga.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG")
    assert people.browser["Alice"].get(address).status_code == 404
    phase.cases_are_public = False
    phase.save()
    assert olga.get(address).status_code == 404
    assert not page(olga.get(f"{ADDRESS}test/")).all("img")


def test_an_import_that_was_killed_is_called_broken_off(people):
    CaseSetImport.objects.create(
        name="test", by="x", dataset="d.json", split="test", started_at=clock.now(), step="storing", done=7, total=300
    )
    said = shown(people)
    assert "Broken off" in said
    assert "Storing: 7 of 300." in said
    assert "The same command goes on where it was." in said


def test_sets_from_before_go_on_and_say_that_their_import_is_not_known(people):
    cast.case_set(2, name="old")
    assert "Not known: it was imported before" in shown(people, "old/")


def test_viewers_read_and_are_offered_nothing(people):
    cast.case_set(2, name="old")
    way = "/organisers/acts/delete-cases/?on=old"
    assert page(people.browser["Olga"].get(f"{ADDRESS}old/")).all("a", href=way)
    people.olga.role = Role.VIEWER
    people.olga.save()
    assert not page(people.browser["Olga"].get(f"{ADDRESS}old/")).all("a", href=way)
    assert people.browser["Olga"].get(way).status_code == 404
    for path in ("", "old/"):
        assert people.browser["Alice"].get(ADDRESS + path).status_code == 404


def test_deleting_asks_for_the_name_and_a_reason(people):
    cast.case_set(2, name="old")
    olga, address = people.browser["Olga"], "/organisers/acts/delete-cases/?on=old"
    olga.post(address, {"do": "1", "why": "By mistake.", "confirmed": "new"})
    assert CaseSet.objects.exists()
    olga.post(address, {"do": "1", "why": "By mistake.", "confirmed": "old"})
    assert not CaseSet.objects.exists()
