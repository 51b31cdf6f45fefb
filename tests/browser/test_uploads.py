"""An upload in a real browser: a line that is lost, a page that is loaded again, a browser that is killed."""

import hashlib
import random
import tarfile

import pytest
from playwright.sync_api import CDPSession, Page, expect

from containers.protocol.sizes import decimal_size
from leaderboard.models import Draft, Phase, ResumableUpload, Submission
from leaderboard.submissions import uploads
from tests.containers.intake import test_beginnings
from tests.leaderboard import cast, masks

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
FILE = tarfile.TarInfo("layer.tar").tobuf() + random.Random(4).randbytes(6 << 20)
SLOW = 1 << 19  # bytes a second
DIGEST = hashlib.sha256(FILE).hexdigest()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(FILE)
    return path


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.tar"
    path.write_bytes(tarfile.TarInfo("model.pt").tobuf() + bytes(1024))
    return path


@pytest.fixture
def charlie():
    person = cast.person("Charlie")
    cast.team_of(person)
    cast.phase(slug="dev")
    return person


def slow_down(page: Page, bytes_per_second: int) -> CDPSession:
    """What the page sends, from now on; the session is that by which `cut` acts."""
    session = page.context.new_cdp_session(page)
    session.send("Network.emulateNetworkConditions", conditions(bytes_per_second))
    return session


def conditions(bytes_per_second: int, *, offline: bool = False) -> dict[str, object]:
    speed = {"downloadThroughput": -1, "uploadThroughput": bytes_per_second}
    return {"offline": offline, "latency": 0, **speed}


def received(page: Page) -> int:
    page.wait_for_timeout(100)
    row = ResumableUpload.objects.filter(part="image").first()
    return row.received if row else 0


def wait_for(page: Page, least: int) -> None:
    for _ in range(200):
        if received(page) >= least:
            return
    raise AssertionError(f"{received(page)} bytes came")


def test_an_upload_outlives_a_lost_line(visit, charlie, archive):
    visitor = visit(charlie)
    page = visitor.go("/submit/dev/")
    line = slow_down(page, SLOW)
    page.get_by_label("Image archive").set_input_files(archive)
    wait_for(page, 64 << 10)
    line.send("Network.emulateNetworkConditions", conditions(SLOW, offline=True))
    expect(page.get_by_text("The connection was lost")).to_be_visible(timeout=15000)
    assert received(page) < len(FILE)
    line.send("Network.emulateNetworkConditions", conditions(-1))
    expect(page.get_by_text(DIGEST)).to_be_visible(timeout=20000)
    assert uploads.path(ResumableUpload.objects.get().file).read_bytes() == FILE
    visitor.complaints.clear()  # Chromium reports broken lines


def test_an_upload_outlives_a_reload_and_goes_on_by_itself(visit, charlie, archive):
    visitor = visit(charlie)
    page = visitor.go("/submit/dev/")
    page.get_by_label("Name on the board").fill("LungText")
    slow_down(page, SLOW)
    page.get_by_label("Image archive").set_input_files(archive)
    wait_for(page, 64 << 10)
    page.on("dialog", lambda dialog: dialog.accept())  # it asks before it is left
    assert received(page) < len(FILE)
    page.reload()
    expect(page.get_by_label("Name on the board")).to_have_value("LungText")
    expect(page.get_by_text(DIGEST)).to_be_visible(timeout=30000)
    assert uploads.path(ResumableUpload.objects.get().file).read_bytes() == FILE
    visitor.complaints.clear()


def test_an_upload_outlives_a_killed_browser_once_the_same_file_is_chosen_again(visit, charlie, archive):
    visitor = visit(charlie)
    page = visitor.go("/submit/dev/")
    slow_down(page, SLOW)
    page.get_by_label("Image archive").set_input_files(archive)
    wait_for(page, 64 << 10)
    address = page.url
    page.context.close()

    again = visit(charlie).go(address[address.index("/submit/") :])
    expect(again.get_by_text("Choose the same file again")).to_be_visible()
    before = received(again)
    assert 0 < before < len(FILE)
    sent: list[int] = []
    again.on("request", lambda request: sent.append(int(request.headers.get("upload-offset", -1))))
    again.get_by_label("Name on the board").fill("LungText")
    again.get_by_label("Description").fill(cast.METHOD)
    again.get_by_label("None").check()
    again.get_by_label("Image archive").set_input_files(archive)
    expect(again.get_by_text(DIGEST)).to_be_visible(timeout=20000)
    assert min(offset for offset in sent if offset >= 0) == before
    assert uploads.path(ResumableUpload.objects.get().file).read_bytes() == FILE
    again.get_by_role("button", name="Submit the run").click()
    expect(again.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible()
    assert Submission.objects.get().upload == f"sha256:{DIGEST}"
    visitor.complaints.clear()


def test_a_form_that_is_sent_while_its_uploads_run_is_submitted_at_the_last_byte(visit, charlie, archive, weights):
    visitor = visit(charlie)
    page = visitor.go("/submit/dev/")
    expect(page.get_by_label("Archive of weights")).to_be_hidden()
    page.get_by_label("In an archive of their own").check()
    page.get_by_label("Archive of weights").set_input_files(weights)
    expect(page.get_by_text(hashlib.sha256(weights.read_bytes()).hexdigest())).to_be_visible()
    line = slow_down(page, SLOW)
    page.get_by_label("Image archive").set_input_files(archive)
    page.get_by_label("Name on the board").fill("LungText")
    page.get_by_label("Description").fill(cast.METHOD)
    page.get_by_label("None").check()
    wait_for(page, 64 << 10)
    page.get_by_role("button", name="Submit the run").click()
    sent = page.get_by_text("it counts from the moment at which the last byte")
    expect(sent).to_be_visible()
    page.get_by_role("button", name="Take it back").click()
    expect(sent).to_be_hidden()
    page.get_by_role("button", name="Submit the run").click()
    expect(sent).to_be_visible()
    assert not Submission.objects.exists()
    line.send("Network.emulateNetworkConditions", conditions(-1))
    expect(page.get_by_role("heading", name="LungText in the Phase dev")).to_be_visible(timeout=20000)
    assert not ResumableUpload.objects.exists()
    assert uploads.path(Submission.objects.get().weights_file).read_bytes() == weights.read_bytes()


def test_what_is_no_archive_is_said_after_its_first_bytes(visit, charlie, tmp_path):
    other = tmp_path / "slides.zip"
    other.write_bytes(b"PK\x03\x04" + bytes(3 << 20))
    visitor = visit(charlie)
    page = visitor.go("/submit/dev/")
    page.get_by_label("Image archive").set_input_files(other)
    expect(page.locator("#upload-words")).to_contain_text("zip")
    assert not ResumableUpload.objects.exists()
    visitor.complaints.clear()  # Chromium reports the status


def test_a_file_that_is_not_what_was_said_goes_on_once_the_right_thing_is_said(visit, charlie, tmp_path):
    Phase.objects.update(cases_are_public=True, takes="both")
    visitor = visit(charlie)
    page = visitor.go("/submit/dev/")
    (tmp_path / "masks.zip").write_bytes(masks.zipped({"case_000.nii.gz": bytes(9000)}))
    page.get_by_label("Archive of the image").set_input_files(tmp_path / "masks.zip")
    status = page.locator("#upload-status")
    expect(status).to_have_text(
        "Not uploaded: By its first bytes this is an archive of masks, not an image. Say so above."
    )
    assert not Draft.objects.exists(), "nothing was sent for it"
    page.get_by_label("Masks", exact=True).check()
    expect(page.get_by_text("Compare with sha256sum")).to_be_visible()
    expect(status).to_have_text("masks.zip: Complete")
    assert ResumableUpload.objects.get().draft.words["entry"] == "masks"
    visitor.complaints.clear()


def test_the_browser_and_the_server_tell_the_same_of_a_files_first_bytes(visit, charlie):
    page = visit(charlie).go("/submit/dev/")
    tell = "bytes => beginnings.whatBeginsSo(new Blob([new Uint8Array(bytes)]))"
    for name, (content, what) in test_beginnings.CASES.items():
        wanted = None if name.endswith("xz") else what  # which browsers do not inflate
        assert page.evaluate(tell, list(content[:65536])) == wanted, name
    sizes = [0, 1, 265, 999, 1000, 9996, 99_950, 999_499, 999_600, 12_345_678, 9_140_000_000, 15 * 10**9, 10**12]
    assert page.evaluate("sizes => sizes.map(decimal)", sizes) == [decimal_size(size) for size in sizes]


def test_an_error_goes_once_its_field_is_put_right_and_the_summary_follows(visit, charlie, archive):
    visitor = visit(charlie)
    page = visitor.go("/submit/dev/")
    page.get_by_label("Image archive").set_input_files(archive)
    page.evaluate("form.noValidate = true")  # what the server finds wrong
    page.get_by_role("button", name="Submit the run").click()
    expect(page.locator("#form-errors")).to_be_visible()
    field = page.get_by_label("Name on the board")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("LungText")
    expect(page.locator("[aria-invalid=true]#id_algorithm")).to_have_count(0)
    expect(page.locator('#form-errors a[href="#id_algorithm"]')).to_have_count(0)
    page.get_by_label("Description").fill(cast.METHOD)
    page.get_by_label("None").check()
    expect(page.locator("#form-errors")).to_have_count(0)
    expect(page.locator(".errors")).to_have_count(0)
    visitor.complaints.clear()  # Chromium reports the status
