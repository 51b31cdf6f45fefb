"""What a team says of its method: the preview, the commitment, the PDF."""

import io
import tarfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from leaderboard.core import blobs
from leaderboard.core.text import one_line
from leaderboard.journey import submitting
from leaderboard.models import AuditEntry, Draft, Phase, Submission
from leaderboard.operations import backup, retention
from leaderboard.submissions import admission, drafts, pdfs, resumable, uploads
from tests.leaderboard import cast
from tests.leaderboard.operations.test_retention import age
from tests.leaderboard.web.scene import page, scored
from tests.leaderboard.web.test_submit import words

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.7\n" + bytes(1000)
TEXT = "We will publish code\nand weights. <b>"
FETCH = {"X-Requested-With": "fetch"}


def file(content=PDF, name="our method.pdf"):
    return SimpleUploadedFile(name, content)


@pytest.fixture
def phase(db):
    return cast.phase(slug="dev", runs_per_day=9, commitment="required", commitment_text=TEXT, pdf="required")


@pytest.fixture
def alice(people, phase):
    return people.browser["Alice"]


@pytest.fixture
def draft(people, phase):
    return drafts.begin(people.alice, people.team, phase, {"track": "main"})


def keep(browser, draft, content=PDF, **more):
    return browser.post(f"/uploads/drafts/{draft.pk}/pdf/", {"pdf": file(content)}, **more)


class TestPreview:
    def test_it_is_what_the_board_will_show(self, alice):
        said = {"method": "$x^2$\n\n| a |\n|---|\n| <script> |", "external_data": "none"}
        whole = alice.post("/preview/", said)
        part = alice.post("/preview/", said, headers=FETCH)
        for answer in (whole, part):
            assert "<msup><mi>x</mi><mn>2</mn></msup>" in answer.content.decode()
            assert "<td>&lt;script&gt;</td>" in answer.content.decode()
        assert page(whole).all("h1")
        assert not page(part).all("h1")

    def test_what_is_too_long_is_said_and_not_drawn(self, alice):
        answer = alice.post("/preview/", {"method": "$x$" + "a" * admission.MAX_METHOD_CHARACTERS}, headers=FETCH)
        assert "20,003 characters; up to 20,000 are taken" in page(answer).text
        assert not page(answer).all("math")

    def test_strangers_have_none(self, client):
        assert client.post("/preview/", {"method": "x"}).status_code == 302

    def test_the_form_has_it_without_a_script_too_and_enter_submits(self, alice):
        buttons = page(alice.get("/submit/dev/")).all("button", type="submit")
        [shown] = [one for one in buttons if one.get("formaction") == "/preview/"]
        assert (shown["formtarget"], shown["formenctype"]) == ("_blank", "application/x-www-form-urlencoded")
        before = [one for one in buttons[: buttons.index(shown)] if one.get("aria-hidden") == "true"]
        assert [one.get("formaction", "") for one in before] == [""], (
            "the first button of the form is what Enter presses"
        )


class TestPlainForm:
    def test_it_hands_in_both(self, alice, people):
        alice.post("/submit/dev/", words(commitment=TEXT, pdf=file()))
        submission = Submission.objects.get()
        assert submission.commitment == one_line(TEXT)
        assert submission.committed_at == submission.accepted_at
        assert (submission.pdf_name, submission.pdf_bytes) == ("our method.pdf", len(PDF))
        assert blobs.pdfs.path(submission.pdf).read_bytes() == PDF
        entry = AuditEntry.objects.get(action="commit to open source")
        assert (entry.user_id, entry.target_id) == (people.alice.pk, str(submission.pk))
        assert entry.after == {"commitment": one_line(TEXT)}

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"commitment": ""}, "teams that commit to this"),
            ({"commitment": "We will publish nothing."}, "changed the text"),
            ({"pdf": ""}, "asks for a PDF"),
            ({"pdf": file(b"")}, "The PDF is empty"),
            ({"pdf": file(b"%PD")}, "is no PDF"),
            ({"pdf": file(b"<html>%PDF-1.7")}, "is no PDF"),
            ({"pdf": file(b"%PDF-" + bytes(admission.MAX_PDF_BYTES))}, "up to 10 MB are taken"),
        ],
    )
    def test_it_says_what_is_missing(self, alice, changes, sentence):
        answer = alice.post("/submit/dev/", words(**{"commitment": TEXT, "pdf": file(), **changes}))
        assert answer.status_code == 422
        assert sentence in page(answer).text
        assert not Submission.objects.exists()
        assert not list(uploads.folder().iterdir())

    def test_a_pdf_that_is_optional_is_not_lost_without_a_word(self, alice):
        Phase.objects.update(pdf="optional")
        assert "is no PDF" in page(alice.post("/submit/dev/", words(commitment=TEXT, pdf=file(b"no PDF")))).text
        assert not Submission.objects.exists()
        alice.post("/submit/dev/", words(commitment=TEXT))
        assert Submission.objects.get().pdf == ""

    def test_a_phase_that_asks_for_neither_takes_neither(self, alice):
        Phase.objects.update(commitment="no", pdf="no")
        html = alice.get("/submit/dev/").content.decode()
        assert 'name="pdf"' not in html
        assert 'name="commitment"' not in html
        answer = alice.post("/submit/dev/", words(commitment=TEXT, pdf=file()))
        assert (answer.status_code, Submission.objects.count()) == (422, 0)
        assert not list(blobs.pdfs.digests())
        alice.post("/submit/dev/", words(commitment=TEXT))
        assert (Submission.objects.get().commitment, Submission.objects.get().committed_at) == ("", None)


class TestDraft:
    def test_its_pdf_goes_with_it(self, alice, people, draft):
        assert keep(alice, draft, headers=FETCH).status_code == 204
        assert alice.get(f"/drafts/{draft.pk}/").json()["pdf"] == {"name": "our method.pdf", "bytes": len(PDF)}
        kept = alice.get(f"/uploads/drafts/{draft.pk}/pdf/")
        assert b"".join(kept.streaming_content) == PDF
        source = cast.submit_checked(people.team, Phase.objects.get(), commitment=TEXT, pdf=Draft.objects.get().pdf)
        Draft.objects.filter(pk=draft.pk).update(source=source)
        archive = blobs.images.path(cast.image().archive)
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.write_bytes(b"x")
        said = {name: value for name, value in words(commitment=TEXT).items() if name != "image"}
        answer = alice.post(f"/drafts/{draft.pk}/send/", said, headers=FETCH)
        submission = Submission.objects.get(pk=int(answer.json()["submission"].split("/")[2]))
        assert (submission.pdf_name, submission.commitment) == ("our method.pdf", one_line(TEXT))
        assert submission.committed_at == submission.accepted_at

    def test_the_next_one_starts_without_commitment_and_pdf(self, alice):
        alice.post("/submit/dev/", words(commitment=TEXT, pdf=file(), algorithm="Said before"))
        found = page(alice.get("/submit/dev/?new"))
        assert found.all("input", value="Said before")
        [box] = found.all("input", name="commitment")
        assert box["value"] == one_line(TEXT)
        assert "checked" not in box
        assert "our method.pdf" not in found.text

    def test_a_tick_is_kept_while_the_text_is_the_same(self, alice, draft):
        drafts.save(draft, {"commitment": one_line(TEXT)})
        address = f"/submit/dev/?draft={draft.pk}"
        assert "checked" in page(alice.get(address)).all("input", name="commitment")[0]
        Phase.objects.update(commitment_text="Something else.")
        assert "checked" not in page(alice.get(address)).all("input", name="commitment")[0]

    @pytest.mark.parametrize(("content", "sentence"), [(b"no", "is no PDF"), (b"", "is empty")])
    def test_what_is_no_pdf_is_refused_and_the_one_before_stays(self, alice, draft, content, sentence):
        keep(alice, draft)
        answer = keep(alice, draft, content, headers=FETCH)
        assert (answer.status_code, sentence in answer.content.decode()) == (422, True)
        without_script = keep(alice, draft, content, follow=True)
        assert sentence in page(without_script).text
        draft.refresh_from_db()
        assert draft.pdf_bytes == len(PDF)

    def test_it_can_be_removed_until_the_form_was_sent(self, alice, people, draft):
        keep(alice, draft)
        address = f"/uploads/drafts/{draft.pk}/pdf/"
        drafts.send(draft, people.alice, {})
        assert "Take it back" in alice.post(address, {"remove": "1"}, headers=FETCH).content.decode()
        drafts.take_back(draft)
        assert alice.post(address, {"remove": "1"}, headers=FETCH).status_code == 204
        assert Draft.objects.get().pdf == ""
        assert alice.get(address).status_code == 404

    def test_who_sends_one_after_the_other_fills_no_disk(self, alice, draft):
        for number in range(3):
            keep(alice, draft, PDF + bytes([number]))
        assert list(blobs.pdfs.digests()) == [Draft.objects.get().pdf]

    def test_who_ticked_an_older_text_before_the_last_byte_committed_to_that(self, people, phase, draft):
        kept = pdfs.keep(io.BytesIO(PDF), size=len(PDF), name="a.pdf", phase=phase)
        drafts.keep_pdf(draft, kept)
        upload = resumable.begin(draft, name="image.tar", length=600)
        drafts.send(draft, people.alice, {**words(), "commitment": one_line(TEXT)})
        Phase.objects.update(commitment_text="Something else.")
        content = tarfile.TarInfo("layer.tar").tobuf() + bytes(88)
        resumable.receive(upload, resumable.Piece(0, 600, io.BytesIO(content)))
        submitting.submit_draft(draft.pk)
        submission = Submission.objects.get()
        assert submission.committed_at
        assert (submission.commitment, submission.pdf) == (one_line(TEXT), kept.digest)
        assert submission.committed_at < submission.accepted_at

    def test_a_rival_finds_none_and_sends_none(self, people, alice, draft, client):
        keep(alice, draft)
        charlie = people.browser["Charlie"]
        assert charlie.get(f"/uploads/drafts/{draft.pk}/pdf/").status_code == 404
        assert keep(charlie, draft, b"%PDF-other").status_code == 404
        assert keep(client, draft).status_code == 302
        draft.refresh_from_db()
        assert draft.pdf_bytes == len(PDF)

    def test_a_full_disk_says_so(self, alice, draft, settings):
        settings.FREE_BYTES = 1 << 60
        assert keep(alice, draft, headers=FETCH).status_code == 507


@pytest.fixture
def entry(people, phase):
    blob = blobs.pdfs.put(io.BytesIO(PDF))
    about: dict[str, Any] = {
        "pdf": blob.digest,
        "pdf_name": "<b>.pdf",
        "pdf_bytes": blob.size,
        "commitment": one_line(TEXT),
    }
    method = cast.METHOD + " $x^2$"
    return scored(people.team, phase, user=people.alice, method=method, **about).submission


def test_the_pdf_is_a_file_to_keep_for_the_team_and_organisers(people, entry, client):
    address = f"/runs/{entry.pk}/method.pdf"
    for who in ("Alice", "Olga"):
        answer = people.browser[who].get(address)
        assert b"".join(answer.streaming_content) == PDF
        assert answer["Content-Disposition"] == f'attachment; filename="submission-{entry.pk}-method.pdf"'
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "no-store" in answer["Cache-Control"]
    assert people.browser["Charlie"].get(address).status_code == 404
    assert client.get(address).status_code == 302
    other = cast.submit(people.team, entry.phase, commitment=TEXT, pdf=entry.pdf)
    Submission.objects.filter(pk=other.pk).update(pdf="")
    assert people.browser["Alice"].get(f"/runs/{other.pk}/method.pdf").status_code == 404


def test_board_and_run_show_method_and_commitment_but_no_stranger_the_pdf(people, entry, client):
    board = client.get("/leaderboard/dev/?open=alice-and-bob").content.decode()
    run = people.browser["Alice"].get(f"/runs/{entry.pk}/").content.decode()
    for html in (board, run):
        assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
        assert "We will publish code and weights. &lt;b&gt;" in html
    assert "method.pdf" in run
    assert ".pdf" not in board


def test_pdfs_are_backed_up_and_kept_as_long_as_somebody_has_them(entry, draft, alice):
    keep(alice, draft, b"%PDF-draft")
    drafted = Draft.objects.get().pdf
    lost = blobs.pdfs.put(io.BytesIO(b"%PDF-nobody's")).digest
    for digest in (entry.pdf, drafted, lost):
        age(blobs.pdfs.path(digest))
    assert backup._needed_blobs()[blobs.pdfs] == {entry.pdf, drafted}
    assert blobs.pdfs in backup.STORES
    Phase.objects.update(archived_at=entry.accepted_at)
    retention.tidy()
    assert set(blobs.pdfs.digests()) == {entry.pdf, drafted}
    drafts.discard(Draft.objects.get())
    retention.tidy()
    assert set(blobs.pdfs.digests()) == {entry.pdf}
