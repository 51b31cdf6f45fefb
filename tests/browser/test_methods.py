"""The method on the submission form, in a real browser: previewed, and with a PDF that is kept at once."""

import tarfile

import pytest
from playwright.sync_api import expect

from leaderboard.models import Draft, Submission
from tests.browser.conftest import PHONE
from tests.leaderboard import cast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
METHOD = cast.METHOD + " $x^2$\n\n" + "|a column" * 30 + "|\n" + "|---" * 30 + "|\n" + "|1" * 30 + "|\n"


@pytest.fixture
def charlie():
    person = cast.person("Charlie")
    cast.team_of(person)
    cast.phase(slug="dev", commitment="required", pdf="required")
    return person


def test_a_method_is_previewed_and_its_pdf_kept_with_the_draft(visit, charlie, tmp_path):
    visitor = visit(charlie, PHONE)
    (tmp_path / "image.tar").write_bytes(tarfile.TarInfo("layer.tar").tobuf() + bytes(5000))
    (tmp_path / "method.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "text.pdf").write_bytes(b"no PDF")
    page = visitor.go("/submit/dev/")
    page.get_by_label("Name on the board").fill("LungText")
    page.get_by_label("Description").fill(METHOD)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview math msup")).to_be_visible()
    assert visitor.is_as_wide_as_the_screen()
    page.get_by_label("PDF of the method").set_input_files(tmp_path / "text.pdf")
    expect(page.get_by_text("Not kept: The file is no PDF")).to_be_visible()
    visitor.complaints.clear()  # the browser's own, of the status
    page.get_by_label("PDF of the method").set_input_files(tmp_path / "method.pdf")
    expect(page.get_by_text("Kept with the draft: method.pdf")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Kept with the draft: method.pdf")).to_be_visible()
    page.get_by_role("button", name="Remove the PDF").click()
    expect(page.get_by_text("Kept with the draft")).to_be_hidden()
    assert Draft.objects.get().pdf == ""
    page.get_by_label("Image archive").set_input_files(tmp_path / "image.tar")
    page.get_by_label("PDF of the method").set_input_files(tmp_path / "method.pdf")
    page.get_by_label("None").check()
    page.get_by_label("We commit to this").check()
    page.get_by_role("button", name="Submit the run").click()  # waits for both files
    page.wait_for_url("**/runs/*/", timeout=20000)
    assert visitor.is_as_wide_as_the_screen()
    submission = Submission.objects.get()
    assert (submission.pdf_name, submission.commitment != "") == ("method.pdf", True)


def test_without_a_script_the_preview_opens_beside_the_form(visit, charlie):
    visitor = visit(charlie, java_script_enabled=False)
    page = visitor.go("/submit/dev/")
    page.get_by_label("Description").fill(METHOD)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Preview").click()
    expect(opened.value.get_by_role("heading", name="Preview")).to_be_visible()
    assert opened.value.locator("math").count() == 1
    assert page.get_by_label("Description").input_value() == METHOD
