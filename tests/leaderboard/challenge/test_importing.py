"""From official files to rows and blobs, all or nothing."""

import contextlib
import json
import shutil
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from django.core.management import CommandError, call_command

from leaderboard.challenge import import_story, importing
from leaderboard.challenge.casesets import nifti
from leaderboard.challenge.casesets.official import read_case_set
from leaderboard.challenge.halves.kept import Half
from leaderboard.challenge.phases import save_phase
from leaderboard.core import blobs, clock, locks
from leaderboard.core.refusal import Refused
from leaderboard.demo.synthesis import generate
from leaderboard.models import AuditEntry, Case, CaseSet, CaseSetImport, Finding, Phase, StoredVolume
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Path:
    """Three cases as the challenge distributes them."""
    folder = tmp_path_factory.mktemp("official")
    generate(folder, cases=3, shape=(64, 64, 32), spacing_mm=(5.0, 5.0, 9.0), seed=5, split="test")
    return folder


@pytest.fixture
def files(official, tmp_path) -> Path:
    """A copy to break."""
    shutil.copytree(official, tmp_path / "files")
    return tmp_path / "files"


def run(folder: Path, name: str = "test", **options: object) -> str:
    out, err = StringIO(), StringIO()
    call_command(
        "import_cases",
        name,
        dataset_json=folder / "dataset.json",
        split="test",
        images=folder / "images",
        masks=folder / "masks",
        **options,
        stdout=out,
        stderr=err,
    )
    return out.getvalue()


def test_an_import_makes_rows_and_blobs(files):
    assert "3 cases imported" in run(files)
    listed = json.loads((files / "dataset.json").read_text())["test"]
    assert Case.objects.count() == 3
    assert Finding.objects.count() == sum(len(entry["findings"]) for entry in listed)
    case = Case.objects.get(name=listed[0]["name"])
    assert case.shape == listed[0]["shape"]
    assert [finding.entity_count for finding in case.findings.all()] == list(listed[0]["entity_counts"].values())
    assert case.spacing_mm == pytest.approx([5.0, 5.0, 9.0])


def test_the_stored_volume_is_the_same_ct(files):
    run(files)
    case = Case.objects.all()[0]
    stored = files / "stored.nii.gz"
    stored.write_bytes(blobs.volumes.path(case.volume).read_bytes())
    original = SimpleITK.ReadImage(str(files / "images" / case.name))
    again = SimpleITK.ReadImage(str(stored))
    assert (SimpleITK.GetArrayFromImage(original) == SimpleITK.GetArrayFromImage(again)).all()
    assert original.GetSpacing() == again.GetSpacing()


def test_references_are_private_to_the_server(files, store):
    run(files)
    reference = blobs.references.path(Case.objects.all()[0].reference)
    assert stat.S_IMODE(reference.stat().st_mode) == 0o600
    assert stat.S_IMODE((store / "references").stat().st_mode) == 0o700


def test_an_import_is_recorded_once(files):
    run(files)
    run(files)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.after["cases"]) == ("import case set", "test", 3)
    assert entry.by.startswith("command line")


def test_importing_the_same_files_again_changes_nothing(files):
    run(files)
    assert "unchanged" in run(files)
    assert CaseSet.objects.count() == 1


def test_other_content_under_a_known_name_is_refused(files):
    run(files)
    data = json.loads((files / "dataset.json").read_text())
    data["test"][0]["findings"]["0"] += " today"
    (files / "dataset.json").write_text(json.dumps(data))
    with pytest.raises(CommandError, match="another name"):
        run(files)
    assert CaseSet.objects.count() == 1


def test_all_problems_are_reported_at_once_and_nothing_is_imported(files):
    first, second, _ = sorted(path.name for path in (files / "images").iterdir())
    (files / "masks" / first).unlink()
    shutil.copy(files / "images" / second, files / "images" / "stray.nii.gz")
    data = json.loads((files / "dataset.json").read_text())
    next(entry for entry in data["test"] if entry["name"] == second)["categories"]["0"] = "7z"
    (files / "dataset.json").write_text(json.dumps(data))
    with pytest.raises(CommandError) as refusal:
        run(files)
    for word in (first, second, "stray.nii.gz", "7z"):
        assert word in str(refusal.value)
    assert not CaseSet.objects.exists()


def test_a_truncated_volume_is_named_and_nothing_is_imported(files):
    volume = next((files / "images").iterdir())
    volume.write_bytes(volume.read_bytes()[:-2000])
    with pytest.raises(CommandError, match=volume.name):
        run(files)
    assert not CaseSet.objects.exists()


def half_of(name: str) -> set[str]:
    return set(Case.objects.filter(case_set__name=name, in_public_half=True).values_list("name", flat=True))


def test_half_of_the_cases_is_drawn_with_a_secret_and_committed_to(files):
    run(files)
    half = Half(CaseSet.objects.get())
    assert len(half_of("test")) == 1
    assert half.secret is not None
    assert len(half.secret) == 32
    assert half.is_as_committed
    assert half.is_as_drawn
    assert AuditEntry.objects.get().after["half_commitment"] == half.case_set.half_commitment != ""


def test_the_content_of_a_set_does_not_give_its_half(files):
    run(files)
    first = CaseSet.objects.get()
    secret = first.half_secret.secret
    first.delete()
    run(files)
    second = CaseSet.objects.get()
    assert second.digest == first.digest
    assert second.half_secret.secret != secret
    assert second.half_commitment != first.half_commitment


def test_the_same_cases_under_another_name_have_the_same_half(files):
    run(files)
    run(files, "again")
    assert half_of("test") == half_of("again")
    assert len(set(CaseSet.objects.values_list("half_commitment", flat=True))) == 1


def test_the_secret_is_in_no_record(files):
    run(files)
    secret = CaseSet.objects.get().half_secret.secret
    assert secret not in json.dumps(list(AuditEntry.objects.values("target", "before", "after", "why")))


# --- mended sets ------------------------------------------------------------------------------------------------------


def change(folder: Path, category: str = "", text: str = "") -> None:
    """Give the first finding of the first case another category, or sentence."""
    data = json.loads((folder / "dataset.json").read_text())
    entry = data["test"][0]
    entry["categories"]["0"] = category or entry["categories"]["0"]
    entry["findings"]["0"] = text or entry["findings"]["0"]
    (folder / "dataset.json").write_text(json.dumps(data))


def another_category() -> str:
    return "2c" if Finding.objects.filter(channel=0).order_by("case__name")[0].category != "2c" else "2d"


def test_a_mended_set_has_the_half_of_the_first_and_its_commitment(files):
    run(files)
    change(files, another_category())
    run(files, "mended", mends="test")
    first, second = (CaseSet.objects.get(name=name) for name in ("test", "mended"))
    assert (second.first, second.revision, second.evaluation_version) == (first, 1, "1-r1")
    assert half_of("mended") == half_of("test")
    assert second.half_commitment == first.half_commitment
    assert (Half(second).is_as_committed, Half(second).is_as_drawn) == (True, True)
    assert Half(second).opening == Half(first).opening
    assert AuditEntry.objects.latest("pk").after["mends"] == "test"


def test_revisions_are_those_of_the_first_set_whichever_is_mended(files):
    run(files)
    change(files, another_category())
    run(files, "mended", mends="test")
    change(files, "2e")
    run(files, "again", mends="mended")
    again = CaseSet.objects.get(name="again")
    assert (again.first.name, again.revision) == ("test", 2)


@pytest.mark.parametrize("text", ["", "another sentence"])
def test_a_set_that_mends_nothing_or_another_sentence_is_refused(files, text):
    run(files)
    change(files, text=text)
    with pytest.raises(CommandError, match="which the kept masks were made for" if text else "nothing is mended"):
        run(files, "mended", mends="test")
    assert CaseSet.objects.count() == 1


def test_a_set_of_other_volumes_is_refused_case_by_case(files):
    run(files)
    names = sorted(path.name for path in (files / "images").iterdir())
    shutil.copy(files / "images" / names[0], files / "images" / names[1])
    with pytest.raises(CommandError, match=rf"{names[1]}: its volume is not that of test"):
        run(files, "mended", mends="test")
    with pytest.raises(CommandError, match="There is no case set nothing"):
        run(files, "mended", mends="nothing")


# --- warnings, dry runs, and imports that go on ----------------------------------------------------------------------


def voxels_of(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)  # type: ignore[attr-defined]


def identity(path: Path) -> None:
    """The CT as an export wrote it that lost its affine."""
    nib.save(nib.Nifti1Image(voxels_of(path), np.eye(4)), path)


def stored_files(store: Path) -> set[str]:
    """The names of all files in the stores."""
    return {path.name for kind in ("volumes", "references") for path in (store / kind).rglob("*") if path.is_file()}


def test_a_warning_stops_an_import_until_it_is_named(files, store):
    volume = next((files / "images").iterdir())
    identity(volume)
    with pytest.raises(CommandError, match="--accept-warnings identity-affine"):
        run(files)
    with pytest.raises(CommandError, match="--accept-warnings identity-affine"):
        run(files, accept_warnings=frozenset({"far-from-rest"}))
    assert not CaseSet.objects.exists()
    assert not stored_files(store)
    assert "3 cases imported" in run(files, accept_warnings=frozenset({"identity-affine"}))
    assert AuditEntry.objects.get().after["accepted_warnings"] == ["identity-affine"]
    told = CaseSetImport.objects.latest("pk")
    assert (told.accepted, told.outcome) == (["identity-affine"], "imported")
    assert [one["case"] for one in told.warnings] == [volume.name]


def test_a_warning_that_there_is_not_is_no_answer(files):
    with pytest.raises(CommandError, match="no such warning: everything"):
        call_command(
            "import_cases",
            "test",
            "--dataset-json=x",
            "--split=x",
            "--images=x",
            "--masks=x",
            "--accept-warnings=everything",
        )


def test_values_that_no_ct_has_are_found_before_anything_is_stored(files, store):
    *_, last = sorted((files / "images").iterdir())
    voxels = voxels_of(last).astype(np.float32)
    voxels[0, 0, 0] = 70_000
    nib.save(nib.Nifti1Image(voxels, np.diag([-5.0, -5.0, 9.0, 1.0])), last)
    with pytest.raises(CommandError, match=f"{last.name}: its CT holds values of 70,000 HU"):
        run(files)
    assert not stored_files(store)
    told = CaseSetImport.objects.get()
    assert (told.outcome, told.case_set, told.ended_at is None) == ("refused", None, False)
    assert [(one["group"], one["case"]) for one in told.problems] == [("values", last.name)]


def as_json(folder: Path, **options) -> dict[str, Any]:
    out = StringIO()
    where = {"dataset_json": folder / "dataset.json", "images": folder / "images", "masks": folder / "masks"}
    with contextlib.suppress(CommandError):
        call_command("import_cases", "test", split="test", json=True, **where, **options, stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def test_a_dry_run_finds_everything_and_stores_nothing(files, store):
    (files / "images" / "README").write_text("x")
    told = as_json(files, dry_run=True)
    assert (told["outcome"], told["cases"], told["problems"]) == ("checked", 3, [])
    assert [one["group"] for one in told["notes"]] == ["skipped"]
    identity(next((files / "images").iterdir()))
    told = as_json(files, dry_run=True)
    assert told["outcome"] == "refused"
    assert [(one["group"], one["is_accepted"]) for one in told["warnings"]] == [("identity-affine", False)]
    for model in (CaseSet, CaseSetImport, StoredVolume, AuditEntry):
        assert not model.objects.exists()
    assert not stored_files(store)


def test_json_has_each_problem_with_its_group_and_what_to_do(files):
    first, second, _ = sorted(path.name for path in (files / "images").iterdir())
    (files / "images" / first).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    (files / "masks" / second).unlink()
    told = as_json(files)
    assert told["outcome"] == "refused"
    found = {one["group"]: one for one in told["problems"]}
    assert found["git-lfs"]["found"] == [
        {"case": first, "text": "its CT is a Git LFS pointer, not the file that it points to"}
    ]
    assert "git lfs pull" in found["git-lfs"]["todo"]
    assert found["missing"]["found"][0]["case"] == second


class Killed(BaseException):
    """As if the process ended here."""


def test_an_import_that_was_killed_goes_on(files, store, monkeypatch):
    checked = read_case_set(
        files / "dataset.json", split="test", images_dir=files / "images", masks_dir=files / "masks"
    )

    def kill(done: int, _total: int) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        importing.import_case_set("test", checked, by=cast.OPERATOR, progress=kill)
    assert not CaseSet.objects.exists()
    before = {path: path.stat().st_ino for kind in ("volumes", "references") for path in (store / kind).glob("*/*")}
    assert len(stored_files(store)) == 4
    assert StoredVolume.objects.count() == 2
    rewritten: list[str] = []
    real = nifti.rewrite_volume

    def noted(source: Path, destination: Path) -> nifti.Values:
        rewritten.append(source.name)
        return real(source, destination)

    monkeypatch.setattr(nifti, "rewrite_volume", noted)
    assert "3 cases imported" in run(files)
    assert len(rewritten) == 1
    assert {path: path.stat().st_ino for path in before} == before
    assert len(stored_files(store)) == 6


def test_an_import_whose_process_is_gone_is_known_to_be_broken_off(files):
    row = CaseSetImport.objects.create(name="test", by="x", dataset="d", split="s", started_at=clock.now())
    assert import_story.at_work([row]) == set()
    with locks.working_on(import_story.LOCK, row.pk):
        assert import_story.at_work([row]) == {row.pk}


def test_an_import_tells_how_far_it_is(files):
    run(files)
    told = CaseSetImport.objects.get()
    assert (told.step, told.done, told.total) == ("storing", 3, 3)
    assert (told.dataset, told.split, told.case_set) == ("dataset.json", "test", CaseSet.objects.get())


def test_a_set_without_categories_is_for_phases_without_ranks(files):
    data = json.loads((files / "dataset.json").read_text())
    for entry in data["test"]:
        del entry["categories"]
    (files / "dataset.json").write_text(json.dumps(data))
    with pytest.raises(CommandError, match="has no category"):
        run(files)
    run(files, unranked=True)
    case_set = CaseSet.objects.get()
    assert not case_set.is_ranked
    assert set(Finding.objects.values_list("category", flat=True)) == {""}
    phase = cast.phase()
    phase.case_set = case_set
    with pytest.raises(Refused, match="only a phase that ranks nobody takes it"):
        save_phase(phase, by=cast.OPERATOR)
    phase.is_ranked = False
    save_phase(phase, by=cast.OPERATOR)
    assert not Phase.objects.get().is_ranked
