"""The submission form."""

import gzip
import io
import os
import tarfile
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from psycopg_pool import PoolTimeout

from leaderboard.core import blobs, clock, database
from leaderboard.models import AlgorithmImage, Draft, Phase, Submission
from leaderboard.submissions import drafts, uploads
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db


def words(**changes):
    """A form that is filled in right."""
    right = {
        "track": "main",
        "algorithm": "LungText",
        "method": cast.METHOD,
        "external": "none",
        "external_data": "",
        "paper_url": "",
        "code_url": "https://example.org/code",
        "image": SimpleUploadedFile("image.tar.gz", b"an archive"),
    }
    return {**right, **changes}


@pytest.fixture
def alice(people):
    cast.phase(slug="dev")
    return people.browser["Alice"]


def test_every_page_from_which_one_submits_says_what_is_left_and_until_when(people, monkeypatch):
    now = datetime(2026, 9, 12, 22, 0, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    policies = {"runs_per_day": 3, "runs_total": 7, "closes_at": now + timedelta(days=2)}
    cases = cast.case_set()
    phase = cast.phase(cases, slug="dev", **policies)
    run = cast.submit_checked(people.team, phase, user=people.alice)
    cast.phase(cases, slug="other", **policies)
    alice = people.browser["Alice"]
    paths = [
        "/",
        "/submit/",
        "/submit/dev/",
        "/submit/other/",
        "/runs/",
        "/team/",
        f"/runs/{run.pk}/",
        "/leaderboard/dev/",
    ]
    for path in paths:
        found = page(alice.get(path))
        words = " ".join(found.text.split())
        left = "3 of 3" if path == "/submit/other/" else "2 of 3"
        assert left in words, path
        assert "Sep 13, 00:00 UTC" in words, path
        assert "Sep 14, 2026 22:00 UTC" in words or "Sep 14, 22:00 UTC" in words, path
        instants = {one["until"] for one in found.all("time-left")}
        assert {"2026-09-13T00:00:00.000000Z", "2026-09-14T22:00:00.000000Z"} <= instants, path
    Phase.objects.update(closes_at=now + timedelta(hours=2))
    for path in paths:
        words = " ".join(page(alice.get(path)).text.split())
        assert "closes before the next day begins" in words, path


def test_a_filled_form_becomes_a_submission(alice, people):
    response = alice.post("/submit/dev/", words())
    submission = Submission.objects.get()
    assert response["Location"] == f"/runs/{submission.pk}/"
    assert (submission.team, submission.submitted_by, submission.external_data) == (people.team, people.alice, "none")
    assert (submission.upload_name, submission.upload_bytes) == ("image.tar.gz", 10)


def test_an_upload_that_is_sent_again_without_an_answer_is_one_submission(people):
    cast.phase(slug="dev", runs_per_day=2)
    alice, address = people.browser["Alice"], "/submit/dev/?ticket=a1-b2"
    assert alice.get(address).status_code == 200
    first, again = (alice.post(address, words())["Location"] for _ in range(2))
    assert first == again == alice.get(address)["Location"] == f"/runs/{Submission.objects.get().pk}/"
    assert [path.name for path in uploads.folder().iterdir()] == [Submission.objects.get().upload_file]
    assert alice.post("/submit/dev/?ticket=c3-d4", words())["Location"] != first


def test_a_ticket_is_its_teams_own(people):
    cast.phase(slug="dev")
    for name in ("Alice", "Charlie"):
        people.browser[name].post("/submit/dev/?ticket=a1-b2", words())
    assert Submission.objects.count() == 2


def test_external_data_that_is_declared_is_kept(alice):
    alice.post("/submit/dev/", words(external="some", external_data="RadBERT, public"))
    assert Submission.objects.get().external_data == "RadBERT, public"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("method", "Too short.", "Describe the method in at least 100 characters; you wrote 10."),
        ("algorithm", "", "This field is required."),
        ("external", "", "Choose one."),
        ("track", "third", "Choose one of the two tracks."),
        ("code_url", "javascript:alert(1)", "Enter a valid URL."),
        ("image", "", "Choose the archive of your image."),
        ("image", SimpleUploadedFile("image.tar.gz", b""), "The file is empty."),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(alice, field, value, sentence):
    response = alice.post("/submit/dev/", words(**{"paper_url": "https://example.org/paper", field: value}))
    found = page(response)
    assert response.status_code == 422
    assert sentence in found.text
    assert found.all("input", name="paper_url", value="https://example.org/paper")
    assert field == "method" or cast.METHOD.strip() in found.text
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04" + bytes(1 << 20), "compressed with zip"),
        (gzip.compress(os.urandom(1 << 20)), "not an image archive"),
        (tarfile.TarInfo("layer.tar").tobuf() + bytes(2 << 20), "takes up to 1 MB"),
    ],
    ids=["a zip file", "something in gzip", "too much"],
)
def test_what_can_be_no_image_is_refused_while_it_is_uploaded(alice, content, sentence, settings):
    Phase.objects.update(max_archive_bytes=10**6 if "takes" in sentence else 10**9)
    response = alice.post("/submit/dev/", words(image=SimpleUploadedFile("image.tar.gz", content)))
    assert sentence in page(response).text
    assert not Submission.objects.exists()
    assert not list(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir())


def test_external_data_must_be_named_when_there_is_some(alice):
    assert "Name every external data set" in page(alice.post("/submit/dev/", words(external="some"))).text


def test_an_error_is_tied_to_its_field(alice):
    found = page(alice.post("/submit/dev/", words(method="Too short.")))
    textarea = found.all("textarea", name="method", aria_invalid="true")[0]
    for described in (textarea["aria-describedby"] or "").split():
        assert found.all("p", id=described) or found.all("div", id=described)


def test_a_file_beyond_the_limit_is_refused_with_the_limit(people):
    cast.phase(slug="dev", max_archive_bytes=20)
    response = people.browser["Alice"].post("/submit/dev/", words(image=SimpleUploadedFile("image.tar", b"x" * 30)))
    assert response.status_code == 422
    assert "The file has 30 bytes; the Phase dev takes up to 20 bytes of an image" in page(response).text
    assert not Submission.objects.exists()


def test_the_only_open_phase_is_chosen_by_itself(alice):
    assert alice.get("/submit/")["Location"] == "/submit/dev/"


def test_between_two_open_phases_the_team_chooses(alice):
    cast.phase(cast.case_set(name="others"), slug="final")
    text = page(alice.get("/submit/")).text
    assert "Submit to the Phase dev" in text
    assert "Submit to the Phase final" in text


def test_without_an_open_phase_the_page_says_when_the_next_one_opens(people):
    now = clock.now()
    cast.phase(slug="dev", opens_at=now + timedelta(days=1), closes_at=now + timedelta(days=2))
    assert "No phase is open at present" in page(people.browser["Alice"].get("/submit/")).text


def test_after_the_deadline_drafts_are_still_there_and_submit_says_that_it_closed(people):
    phase = cast.phase(slug="dev")
    draft = drafts.begin(people.alice, people.team, phase, {"algorithm": "Late one", "method": cast.METHOD})
    Phase.objects.update(closes_at=clock.now())
    page = people.browser["Bob"].get("/submit/dev/").content.decode()
    assert "Late one" in page
    assert cast.METHOD[:40] in page
    assert f"/drafts/{draft.pk}/delete/" in page
    assert "Not yet" not in page
    words = {"track": "main", "algorithm": "Late one", "method": cast.METHOD, "external": "none"}
    answer = people.browser["Alice"].post(f"/drafts/{draft.pk}/send/", words)
    assert answer.status_code == 422
    assert "closed on" in answer.content.decode()
    assert "Choose the archive" not in answer.content.decode()
    assert "Late one" not in people.browser["Charlie"].get("/submit/dev/").content.decode()


def test_who_has_no_team_is_told_what_to_do_first():
    cast.phase(slug="dev")
    client = Client()
    client.force_login(cast.person("Dora"))
    found = page(client.get("/submit/dev/"))
    assert "Found a team, or join one" in found.text
    assert not found.all("input", type="file")


def test_who_has_not_accepted_the_rules_is_led_to_them_and_back(people):
    cast.phase(slug="dev")
    people.alice.rules_acceptances.all().delete()
    assert page(people.browser["Alice"].get("/submit/dev/")).all("a", href="/rules/?next=/submit/dev/")


def test_a_used_up_day_is_said_before_anybody_uploads(people):
    phase = cast.phase(slug="dev", runs_per_day=1)
    cast.submit(people.team, phase)
    found = page(people.browser["Alice"].get("/submit/dev/"))
    assert "has used its 1 run of today" in found.text
    assert not found.all("input", type="file")


def test_a_used_up_day_refuses_a_form_that_was_opened_earlier(people):
    phase = cast.phase(slug="dev", runs_per_day=1)
    cast.submit(people.team, phase)
    response = people.browser["Alice"].post("/submit/dev/", words())
    assert response.status_code == 422
    assert Submission.objects.count() == 1


def test_an_upload_without_a_sign_in_is_turned_away_before_it_is_read(people):
    browser = Client(enforce_csrf_checks=True)
    answer = browser.post(f"/submit/{cast.phase().slug}/", words())
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/account/login/")


@pytest.mark.django_db(transaction=True)
def test_an_upload_that_is_complete_waits_for_a_connection_and_counts_from_its_last_byte(people, monkeypatch):
    """At a deadline others may have all of them."""
    phase, pool = cast.phase(), getattr(connection, "pool")  # noqa: B009  PostgreSQL's has one
    complete, pause = uploads.BoundedUploadHandler.file_complete, 1.0

    def others_take_all(handler, size):
        taken = [pool.getconn(timeout=20)]
        with suppress(PoolTimeout):  # a browser's server, of tests before, may have one already
            while len(taken) < pool.max_size:
                taken.append(pool.getconn(timeout=1))
        monkeypatch.setattr(pool, "timeout", 0.01)
        threading.Timer(pause, lambda: [pool.putconn(one) for one in taken]).start()
        began.append(taken[0].execute("SELECT clock_timestamp()").fetchone()[0])
        return complete(handler, size)

    began: list[datetime] = []
    monkeypatch.setattr(uploads.BoundedUploadHandler, "file_complete", others_take_all)
    monkeypatch.setattr(database, "TRY_AGAIN_SECONDS", 0.05)
    answer = people.browser["Alice"].post(f"/submit/{phase.slug}/", words())
    assert answer.status_code == 302
    assert (Submission.objects.get().accepted_at - began[0]).total_seconds() < 0.9 * pause


class Unread:
    """A body of which nobody may read."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")

    readline = read


@pytest.mark.parametrize(("signed_in", "status"), [(False, 302), (True, 405)])
def test_where_nothing_is_handed_in_no_body_is_read(people, signed_in, status):
    """The address without a phase takes no form, and so is not asked for its token, for which the body is read."""
    browser = Client(enforce_csrf_checks=True)
    if signed_in:
        browser.force_login(people.alice)
    huge: dict[str, Any] = {
        "CONTENT_LENGTH": str(1 << 34),
        "CONTENT_TYPE": "multipart/form-data; boundary=x",
        "wsgi.input": Unread(),
    }
    assert browser.generic("POST", "/submit/", **huge).status_code == status


def test_an_upload_without_the_forms_token_is_refused(people):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.alice)
    assert browser.post(f"/submit/{cast.phase().slug}/", {"algorithm": "x"}).status_code == 403


class TestTryingItOutFirst:
    """The journey on pages, without a script."""

    @pytest.fixture
    def phase(self):
        public = cast.phase(cast.case_set(3, name="open"), slug="open", cases_are_public=True)
        return cast.phase(slug="dev", try_outs_on=public, try_outs_per_day=1, runs_per_day=1)

    def test_the_form_offers_it_and_it_is_no_run(self, people, phase):
        alice = people.browser["Alice"]
        form = page(alice.get("/submit/dev/"))
        assert [one["value"] for one in form.all("input", name="kind") if "checked" in one] == ["scored"]
        assert "3 public cases of the Phase open" in form.text
        tried = alice.post("/submit/dev/", words(kind="try_out"))["Location"]
        assert "it is on no board and uses no run" in page(alice.get(tried)).text
        full = page(alice.get("/submit/dev/"))
        assert "used its 1 try-out of today" in full.text
        assert "1 of 1 run left today" in full.text

    def test_a_passed_one_becomes_a_run_at_a_press(self, people, phase):
        alice = people.browser["Alice"]
        tried = scored(people.team, phase, kind="try_out").submission
        image = blobs.images.put(io.BytesIO(b"an image"))
        AlgorithmImage.objects.update(archive=image.digest)
        shown = page(alice.get(f"/runs/{tried.pk}/"))
        assert "The try-out has passed" in shown.text
        assert [one["value"] for one in shown.all("button", name="enter")] == ["scored"]
        press = f"/runs/{tried.pk}/again/"
        assert people.browser["Charlie"].post(press, {"enter": "scored"}).status_code == 404
        entered = {alice.post(press, {"enter": "scored"})["Location"] for _ in range(2)}
        run = Submission.objects.get(kind="scored")
        assert entered == {f"/runs/{run.pk}/"}
        assert (run.image, run.state, run.submitted_by) == (tried.image, "accepted", people.alice)
        assert page(alice.get(f"/runs/{tried.pk}/")).all("a", href=f"/runs/{run.pk}/")
        Submission.objects.filter(pk=run.pk).update(ticket="")  # as if today's run had been another one
        assert "used its 1 run of today" in page(alice.post(press, {"enter": "scored"}, follow=True)).text
        assert not Draft.objects.exists()

    def test_a_required_one_is_told_and_chosen(self, people, phase):
        Phase.objects.filter(pk=phase.pk).update(
            try_out_required_from=clock.now() - timedelta(days=1), closes_at=clock.now() + timedelta(days=9)
        )
        form = page(people.browser["Alice"].get("/submit/dev/"))
        assert [one["value"] for one in form.all("input", name="kind") if "checked" in one] == ["try_out"]
        for address in ("/submit/dev/", "/guidelines/", "/leaderboard/dev/"):
            told = page(people.browser["Alice"].get(address)).text
            assert f"{Phase.objects.get(slug='dev').try_out_required_until:%b %-d, %Y %H:%M}" in told
        refused = people.browser["Alice"].post("/submit/dev/", words())
        assert "needs a passed try-out of the same image" in page(refused).text


def test_after_the_deadline_a_phase_that_takes_runs_says_what_they_are(people):
    an_hour = timedelta(hours=1)
    ago = clock.now() - an_hour
    cast.phase(slug="old", closes_at=ago, post_challenge_opens_at=ago)
    alice = people.browser["Alice"]
    assert alice.get("/submit/")["Location"] == "/submit/old/"
    form = page(alice.get("/submit/old/"))
    assert [one["value"] for one in form.all("input", name="kind")] == ["post_challenge"]
    assert "never ranked" in form.text
    assert "closed on" in page(alice.post("/submit/old/", words())).text
    run = alice.post("/submit/old/", words(kind="post_challenge"))["Location"]
    assert "and not ranked" in page(alice.get(run)).text
    assert [one.kind for one in Submission.objects.all()] == ["post_challenge"]
