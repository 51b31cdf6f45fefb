"""What passes the door: text that can be stored, and answers that nobody else keeps."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from leaderboard.core.text import is_storable
from leaderboard.models import Host, Submission
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db


def test_what_a_form_brings_is_kept_without_what_is_no_text(people):
    cast.phase(slug="dev")
    form = {"track": "main", "algorithm": "Lung\x00Text", "method": cast.METHOD + "\x00", "external": "none"}
    alice = people.browser["Alice"]
    answer = alice.post(
        "/submit/dev/?ticket=%00", {**form, "image": SimpleUploadedFile("image\x00.tar", b"an archive")}
    )
    assert answer.status_code == 302, page(answer).text
    made = Submission.objects.get()
    assert all(map(is_storable, (made.algorithm, made.method, made.upload_name, made.ticket)))
    assert made.algorithm == "Lung\ufffdText"


def test_an_address_that_is_no_text_is_refused_in_words(client):
    answer = client.get("/team/join/a%00b/")
    assert answer.status_code == 400
    assert "characters that are no text" in page(answer).text


def test_a_form_in_another_encoding_is_refused_in_words(client):
    answer = client.post("/theme/", b"--b--\r\n", content_type="multipart/form-data; boundary=b; charset=utf-7")
    assert answer.status_code == 400
    assert "another encoding than UTF-8" in page(answer).text


def test_what_a_host_says_is_kept_without_what_is_no_text(client):
    host = cast.host()
    said = {"version": "1\ud800", "slots": [{"name": "s\x00", "gpus": ["\udfff"]}], "engine": "\x00", "free_bytes": 1}
    headers = {"Authorization": f"Bearer {cast.TOKEN}"}
    assert client.post("/worker/v1/hello", said, content_type="application/json", headers=headers).status_code == 200
    kept = Host.objects.get(pk=host.pk)
    assert (kept.version, kept.slots) == ("1\ufffd", [{"name": "s\ufffd", "gpus": ["\ufffd"]}])


def test_strangers_pages_may_be_kept_but_not_for_others():
    for path in ("/", "/guidelines/", "/rules/", "/leaderboard/"):
        answer = Client().get(path)
        assert "no-store" not in answer.get("Cache-Control", ""), path
        assert "Cookie" in answer["Vary"], path
