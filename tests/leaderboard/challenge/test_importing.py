"""From official files to rows and blobs, all or nothing."""

import json
import shutil
import stat
from io import StringIO
from pathlib import Path

import pytest
import SimpleITK
from django.core.management import CommandError, call_command

from leaderboard.challenge.halves.kept import Half
from leaderboard.core import blobs
from leaderboard.demo.synthesis import generate
from leaderboard.models import AuditEntry, Case, CaseSet, Finding

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


def run(folder: Path, name: str = "test", **options: str) -> str:
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
