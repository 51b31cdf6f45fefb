"""Data to download: who sees which page, list and file, and how files go out."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.test import Client

from leaderboard.challenge import downloads
from leaderboard.core import blobs
from leaderboard.models import AuditEntry, Case, CaseSet, DataAcceptance, DataTerms
from tests.leaderboard import cast, masks
from tests.leaderboard.web.test_real_uploads import session_of
from tests.realsite import RealSite

pytestmark = pytest.mark.django_db
FILES = ("SHA256SUMS", "dataset.json", "fetch.py", "images/case_000.nii.gz", "masks/case_000.nii.gz")
TEMPLATE = Path(__file__).parents[3] / "containers" / "example"


def public_set(cases: int = 2) -> CaseSet:
    """A public case set, not yet allowed to be downloaded, with files and terms."""
    made = cast.case_set(cases, name="val")
    for number, case in enumerate(made.cases.all()):
        masks.give_files(case, number, masks.cube(start=1 + number % 9))
    cast.phase(made, slug="dev", cases_are_public=True)
    downloads.publish_terms(made, "For **research** alone.", by=cast.OPERATOR)
    return made


def allowed_set(cases: int = 2) -> CaseSet:
    made = public_set(cases)
    downloads.allow(made, by=cast.OPERATOR)
    downloads.copy_next(for_seconds=60)
    return made


def accept(browser: Client, version: int = 1) -> str:
    return browser.post("/data/val/accept/", {"accept": "1", "version": version}, follow=True).content.decode()


def statuses(browser: Client) -> set[int]:
    return {browser.get(f"/data/val/{file}").status_code for file in FILES}


def test_what_is_not_allowed_does_not_exist_at_any_address(people):
    made = public_set()
    hidden = cast.case_set(name="test")
    cast.phase(hidden, slug="final")
    addresses = [f"/data/{name}/{file}" for name in ("val", "test", "nothing") for file in ("", *FILES)]
    for browser in (Client(), people.browser["Charlie"], people.browser["Olga"]):
        assert {browser.get(address).status_code for address in addresses} == {404}
        assert browser.post("/data/test/accept/", {"accept": "1", "version": "1"}).status_code in {302, 404}
        assert "/data/val/" not in browser.get("/data/").content.decode()
    downloads.allow(made, by=cast.OPERATOR)
    assert people.browser["Charlie"].get("/data/val/").status_code == 404, "its files are still to be copied"


def test_a_stranger_signs_in_first_and_who_is_signed_in_accepts_first(people):
    allowed_set()
    charlie, stranger = people.browser["Charlie"], Client()
    assert {stranger.get(f"/data/val/{file}").headers["Location"] for file in FILES} == {
        f"/account/login/?next=/data/val/{file}" for file in FILES
    }
    page = stranger.get("/data/val/").content.decode()
    assert "For <strong>research</strong> alone." in page
    assert "Nodule in the right" not in page, "the sentences are part of the data"

    assert statuses(charlie) == {403}
    refused = charlie.get("/data/val/masks/case_000.nii.gz").content.decode()
    assert "First accept the terms" in refused
    assert "X-Accel-Redirect" not in charlie.get("/data/val/masks/case_000.nii.gz").headers
    assert "Tick the box" in charlie.post("/data/val/accept/", {"version": "1"}, follow=True).content.decode()
    assert statuses(charlie) == {403}
    page = accept(charlie)
    assert "Nodule in the right upper lobe" in page
    assert statuses(charlie) == {200}
    kept = DataAcceptance.objects.get()
    assert (kept.user.name, kept.terms.version) == ("Charlie", 1)
    assert statuses(people.browser["Alice"]) == {403}, "each person for themselves"


def test_a_new_version_of_the_terms_is_asked_for_again(people):
    made = allowed_set()
    alice = people.browser["Alice"]
    accept(alice)
    downloads.publish_terms(made, "For research, with a citation.", by=cast.OPERATOR)
    assert statuses(alice) == {403}
    assert "The terms have changed since you opened the page" in accept(alice, 1)
    assert statuses(alice) == {403}
    accept(alice, 2)
    assert statuses(alice) == {200}
    downloads.end(made, by=cast.OPERATOR)
    assert statuses(alice) == {404}


def test_a_file_that_is_none_of_the_set_does_not_exist(people):
    allowed_set()
    olga = people.browser["Olga"]
    names = (
        "images/case_009.nii.gz",
        "labels/case_000.nii.gz",
        "masks/..",
        "images/%2e%2e%2f",
        "cases.json",
        "fetch.PY",
    )
    for name in (*names, "images/case_000.nii.gz/", "masks/case\x00000.nii.gz"):
        assert olga.get(f"/data/val/{name}").status_code in {301, 400, 404}, name


def test_the_lists_say_what_the_files_are(people):
    made = allowed_set()
    alice = people.browser["Alice"]
    accept(alice)
    sums = dict(line.split("  ")[::-1] for line in alice.get("/data/val/SHA256SUMS").content.decode().splitlines())
    listed = alice.get("/data/val/dataset.json").content
    case = made.cases.get(name="case_001.nii.gz")
    assert sums["dataset.json"] == hashlib.sha256(listed).hexdigest()
    assert sums["images/case_001.nii.gz"] == blobs.public_volumes.path(case.volume).parent.name + case.volume[9:]
    assert (
        sums["masks/case_001.nii.gz"] == hashlib.sha256(blobs.references.path(case.reference).read_bytes()).hexdigest()
    )
    assert len(sums) == 5
    [entry, _] = json.loads(listed)["val"]
    assert entry["findings"] == {"0": "Nodule in the right upper lobe"}
    assert (entry["categories"], entry["pixels"], entry["shape"]) == ({"0": "2d"}, {"0": 64}, [16, 16, 16])


def test_the_pages_of_a_set_are_short(people):
    allowed_set(27)
    alice = people.browser["Alice"]
    first, second = accept(alice), alice.get("/data/val/?page=2").content.decode()
    assert ("case_024" in first, "case_025" in first, "case_025" in second) == (True, False, True)


def test_an_organiser_decides_in_the_administration_and_each_decision_is_recorded(people):
    made = public_set()
    hidden = cast.case_set(name="test")
    cast.phase(hidden, slug="final")
    people.olga.is_superuser = True
    people.olga.save()
    olga, listing = people.browser["Olga"], "/admin/leaderboard/caseset/"

    def decide(action: str, case_set: CaseSet) -> str:
        chosen = {"action": action, "_selected_action": [case_set.pk], "why": "agreed"}
        return olga.post(listing, chosen, follow=True).content.decode()

    assert "Only files of public cases can be downloaded" in decide("allow_downloads", hidden)
    assert "as soon as its files are copied" in decide("allow_downloads", made)
    assert list(CaseSet.objects.filter(allows_downloads=True)) == [made]
    terms = {"case_set": made.pk, "text": "For research, with a citation.", "why": "cite us"}
    olga.post("/admin/leaderboard/dataterms/add/", terms)
    assert DataTerms.objects.get(version=2).text == terms["text"]
    again = olga.post("/admin/leaderboard/dataterms/add/", terms).content.decode()
    assert "Version 2 says this already." in again
    assert "cannot be downloaded any more" in decide("end_downloads", made)
    recorded = AuditEntry.objects.filter(by="Olga").order_by("pk").values_list("action", "why")
    assert list(recorded) == [
        ("allow downloads", "agreed"),
        ("publish terms of data", "cite us"),
        ("end downloads", "agreed"),
    ]


# --- the script, and nginx --------------------------------------------------------------------------------------------


def key_in(script: str) -> str:
    return script.split('\nKEY = "')[1].split('"')[0]


def test_a_key_is_of_one_person_and_one_set_and_ends_with_either(people):
    made = allowed_set()
    accept(people.browser["Alice"])
    key = key_in(people.browser["Alice"].get("/data/val/fetch.py").content.decode())

    def asks(key: str = key) -> tuple[int, str]:
        answer = Client().get("/data/val/SHA256SUMS", headers={"Authorization": f"Bearer {key}"})
        return answer.status_code, answer.content.decode()

    assert asks()[0] == 200
    for other in (key[:-1], f"{key}x", "", "x" * 10_000, key.split(":")[0]):
        status, words = asks(other)
        assert (status, "Download the script again" in words) == (401, True), other
    # A key reads files, and does nothing else in the person's name.
    holder = {"Authorization": f"Bearer {key}"}
    assert Client().get("/team/", headers=holder).status_code == 302
    assert Client().post("/data/val/accept/", {"accept": "1", "version": "1"}, headers=holder).status_code == 302
    downloads.publish_terms(made, "New.", by=cast.OPERATOR)
    assert asks() == (403, asks()[1])
    assert "First read and accept the terms" in asks()[1]
    accept(people.browser["Alice"], 2)
    assert asks()[0] == 200
    people.alice.set_password("another battery")
    people.alice.save()
    assert asks()[0] == 401


def test_a_key_of_another_set_opens_nothing(people):
    allowed_set()
    accept(people.browser["Alice"])
    key = key_in(people.browser["Alice"].get("/data/val/fetch.py").content.decode())
    other = cast.case_set(1, name="more")
    masks.give_files(other.cases.get(), 99, masks.cube(start=11))
    cast.phase(other, slug="more", cases_are_public=True)
    downloads.publish_terms(other, "For all.", by=cast.OPERATOR)
    downloads.allow(other, by=cast.OPERATOR)
    downloads.copy_next(for_seconds=60)
    downloads.accept(people.alice, other, "1")
    answer = Client().get("/data/more/SHA256SUMS", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401


def test_keys_end_by_themselves(people, settings):
    allowed_set()
    accept(people.browser["Alice"])
    key = key_in(people.browser["Alice"].get("/data/val/fetch.py").content.decode())
    settings.DATA_KEY_SECONDS = -1
    assert Client().get("/data/val/SHA256SUMS", headers={"Authorization": f"Bearer {key}"}).status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("site")
def test_files_go_out_whole_and_in_part_and_the_script_goes_on_where_it_was(site: RealSite, settings, tmp_path):
    settings.STORE_DIR = site.folder / "store"
    settings.FILE_UPLOAD_TEMP_DIR = settings.STORE_DIR / "incoming"
    made = public_set()
    content = bytes(range(256)) * 20_000
    blob = blobs.volumes.put(io.BytesIO(content))
    Case.objects.filter(case_set=made, name="case_000.nii.gz").update(volume=blob.digest, volume_bytes=blob.size)
    downloads.allow(made, by=cast.OPERATOR)
    downloads.copy_next(for_seconds=60)
    charlie = cast.person("Charlie")
    cookie = {"Cookie": f"rexg_session={session_of(charlie)}"}
    address = "/data/val/images/case_000.nii.gz"
    inside = f"/-/public/volumes/{blob.digest[7:9]}/{blob.digest[9:]}"

    assert site.ask("GET", address)[0].status == 302
    assert site.ask("GET", address, headers=cookie)[0].status == 403
    downloads.accept(charlie, made, "1")
    answer, body = site.ask("GET", address, headers=cookie)
    assert (answer.status, body) == (200, content)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="case_000.nii.gz"'
    assert answer.headers["Content-Type"] == "application/gzip"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Repr-Digest"].startswith("sha-256=:")
    assert "X-Accel-Redirect" not in answer.headers

    tag = answer.headers["ETag"]
    part, body = site.ask("GET", address, headers={**cookie, "Range": "bytes=5000000-", "If-Range": tag})
    assert (part.status, body) == (206, content[5_000_000:])
    assert part.headers["Content-Range"] == f"bytes 5000000-{len(content) - 1}/{len(content)}"
    whole, body = site.ask("GET", address, headers={**cookie, "Range": "bytes=5000000-", "If-Range": '"another"'})
    assert (whole.status, len(body)) == (200, len(content)), "what is here would not fit what is there"
    assert site.ask("GET", address, headers={**cookie, "Range": f"bytes={len(content)}-"})[0].status == 416
    for direct in (inside, f"{inside}?x", "/-/public/", f"/data/..{inside}", "/-/public/../references/"):
        assert site.ask("GET", direct, headers=cookie)[0].status in {400, 404}, direct

    script = tmp_path / "fetch.py"
    text = site.ask("GET", "/data/val/fetch.py", headers=cookie)[1].decode()
    script.write_text(text)
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    part_file = folder / "images" / "case_000.nii.gz.part"
    part_file.write_bytes(content[:3_000_000])
    (folder / "images" / "case_001.nii.gz.part").write_bytes(b"of another file")

    def fetch(*arguments: str) -> str:
        done = subprocess.run([sys.executable, script, folder, *arguments], capture_output=True, text=True, check=False)
        return done.stderr

    said = fetch("case_000")
    assert "3 of 3: images/case_000.nii.gz fetched" in said, said
    assert not part_file.exists()
    assert (folder / "images" / "case_000.nii.gz").read_bytes() == content
    said = fetch()
    assert "images/case_000.nii.gz is here" in said
    assert "5 of 5: images/case_001.nii.gz fetched" in said, "what was wrong was thrown away and fetched anew"
    sums = site.ask("GET", "/data/val/SHA256SUMS", headers=cookie)[1]
    (folder / "SHA256SUMS").write_bytes(sums)
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, check=True)
    downloads.publish_terms(made, "New.", by=cast.OPERATOR)
    assert "403: First read and accept the terms of these data" in fetch()


# --- examples ---------------------------------------------------------------------------------------------------------


def test_the_examples_run_in_the_template_and_are_scored_by_the_scorer(tmp_path):
    answer = Client().get("/downloads/examples.zip")
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    folder = tmp_path / "rexgrounding-examples"
    (folder / "output").mkdir()
    listed = json.loads((folder / "input" / "cases.json").read_text())
    assert {path.name for path in (folder / "input" / "images").iterdir()} == {entry["name"] for entry in listed}
    code = (
        f"import pathlib, sys; sys.path.insert(0, {str(TEMPLATE)!r}); import segment; "
        f"segment.INPUT, segment.OUTPUT = (pathlib.Path({str(folder)!r}) / name for name in ('input', 'output')); "
        "segment.main()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    readme = (folder / "README.md").read_text()
    command = readme[readme.index("rexg score") :].replace("\\\n", " ").split()
    done = subprocess.run(
        [sys.executable, "-m", "evaluation", *command[2:]],
        cwd=folder,
        env={"PYTHONPATH": str(TEMPLATE.parents[1]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "scores.json").read_text())["summary"]["total_cases"] == len(listed)
