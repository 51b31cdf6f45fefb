"""Resumable uploads at the real site, by a published client (tuspy) and by hand: every byte once, whatever happens."""

import base64
import hashlib
import os
import random
import signal
import tarfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import Client
from tusclient.client import TusClient

from leaderboard.core import clock
from leaderboard.journey import submitting
from leaderboard.models import Draft, Phase, ResumableUpload, Submission
from leaderboard.submissions import drafts, resumable, uploads
from leaderboard.web import tus
from tests.leaderboard import cast
from tests.realsite import request_head

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("site")]
MEBIBYTE = 1 << 20
FILE = tarfile.TarInfo("layer.tar").tobuf() + random.Random(11).randbytes(3 * MEBIBYTE)
LENGTH = len(FILE)
DIGEST = f"sha256:{hashlib.sha256(FILE).hexdigest()}"
WORDS = {"track": "main", "algorithm": "Grounder", "method": cast.METHOD, "external": "none"}


@pytest.fixture
def team():
    cast.phase(slug="dev", runs_per_day=9)
    return cast.team_of(cast.person("Alice"), cast.person("Bob"))


@pytest.fixture
def alice(team):
    return team.memberships.get(is_captain=True).user


@pytest.fixture
def draft(team, alice):
    return drafts.begin(alice, team, Phase.objects.get(), WORDS)


@pytest.fixture
def headers(draft, alice):
    return {"Authorization": f"Bearer {tus.key_of(draft, alice)}", "Tus-Resumable": "1.0.0"}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(FILE)
    return str(path)


@pytest.fixture
def address(site, draft):
    return f"http://127.0.0.1:{site.port}/uploads/drafts/{draft.pk}/"


def test_weights_come_as_a_second_part_of_a_draft(address, headers, draft, source, client):
    """In any order, and beside the image; a part that does not exist is refused."""
    for part, name in (("weights", "weights.tar"), ("image", "image.tar")):
        metadata = {"filename": name, "part": part}
        TusClient(address, headers=headers).uploader(source, chunk_size=MEBIBYTE, metadata=metadata).upload()
    assert {one.part: (one.name, one.digest) for one in draft.uploads.all()} == {
        "weights": ("weights.tar", DIGEST),
        "image": ("image.tar", DIGEST),
    }
    odd = {"Upload-Metadata": f"part {base64.b64encode(b'masks of others').decode()}", "Upload-Length": "9"}
    bearer = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers | odd).items()}
    answer = client.post(urlsplit(address).path, content_type="text/plain", **bearer)
    assert (answer.status_code, draft.uploads.count()) == (400, 2)
    assert "image or weights" in answer.content.decode()


def row() -> ResumableUpload:
    return ResumableUpload.objects.get()


def begin(site, draft, headers, length=LENGTH, **more) -> str:
    """The path of a new upload."""
    said = {**headers, "Upload-Length": str(length), "Upload-Metadata": f"filename {b64(b'image.tar')}", **more}
    answer, content = site.ask("POST", f"/uploads/drafts/{draft.pk}/", headers=said)
    assert answer.status == 201, content
    return urlsplit(answer.headers["Location"]).path


def piece(site, path, headers, content, offset, **more):
    said = {**headers, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **more}
    answer, words = site.ask("PATCH", path, content, said)
    return answer.status, words.decode(), answer.headers


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def stored(site) -> bytes:
    return (site.folder / "store" / "uploads" / row().file).read_bytes()


@pytest.mark.parametrize("checksums", [False, True])
def test_the_published_client_uploads_in_pieces_and_goes_on_where_it_stopped(site, address, headers, source, checksums):
    client = TusClient(address, headers={"Authorization": headers["Authorization"]})
    options = {"chunk_size": MEBIBYTE // 2, "metadata": {"filename": "image.tar"}, "upload_checksum": checksums}
    first = client.uploader(source, **options)
    first.upload(stop_at=MEBIBYTE)
    assert row().received == MEBIBYTE
    second = client.uploader(source, url=first.url, **options)
    assert second.offset == MEBIBYTE
    second.upload()
    assert (row().digest, row().name, stored(site)) == (DIGEST, "image.tar", FILE)
    assert row().completed_at


def test_the_server_says_what_it_can_to_everybody(site, team):
    answer, _ = site.ask("OPTIONS", f"/uploads/{'0' * 8}-0000-4000-8000-{'0' * 12}/")
    assert answer.status == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert "checksum" in answer.headers["Tus-Extension"]
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert int(answer.headers["Tus-Max-Size"]) > 0


def test_what_came_before_the_line_was_lost_is_kept(site, draft, headers):
    path, at = begin(site, draft, headers), 0
    for cut in (400_000, 1_700_000, 2_400_000):
        with closing(site.connect()) as connection:
            connection.sendall(piece_head(path, headers, at) + FILE[at:cut])
            wait_until(lambda at=at: stored_bytes(site) > at)
        before, at = at, offset_of(site, path, headers)
        assert before < at <= cut
    status, words, _ = piece(site, path, headers, FILE[at:], at)
    assert status == 204, words
    assert (stored(site), row().digest) == (FILE, DIGEST)


def test_a_server_that_is_killed_in_the_middle_of_a_piece_costs_no_byte_that_it_called_safe(site, draft, headers):
    path = begin(site, draft, headers)
    assert piece(site, path, headers, FILE[:50_000], 0)[0] == 204
    with closing(site.connect()) as connection:
        connection.sendall(piece_head(path, headers, 50_000) + FILE[50_000:MEBIBYTE])
        wait_until(lambda: stored_bytes(site) > 300_000)
        parent = site.processes["uploads"].pid
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)  # gunicorn's first process starts another
    at = offset_of(site, path, headers)
    assert at == 50_000
    assert piece(site, path, headers, FILE[at:], at)[0] == 204
    assert (stored(site), row().digest) == (FILE, DIGEST)


def piece_head(path, headers, at) -> bytes:
    """The head of a request that announces all that is left."""
    said = {"Upload-Offset": str(at), "Content-Length": str(len(FILE) - at)}
    said["Content-Type"] = "application/offset+octet-stream"
    return request_head("PATCH", path, {**headers, **said})


def stored_bytes(site) -> int:
    file = site.folder / "store" / "uploads" / row().file
    return file.stat().st_size if file.exists() else 0


def wait_until(condition) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def offset_of(site, path, headers) -> int:
    """Where the upload goes on, by a server that may just be starting again."""
    answers = []

    def is_known() -> bool:
        answers.append(site.ask("HEAD", path, headers=headers)[0])
        return answers[-1].status == 200

    wait_until(is_known)
    return int(answers[-1].headers["Upload-Offset"])


def test_an_offset_that_does_not_fit_is_answered_with_the_one_that_does(site, draft, headers):
    path = begin(site, draft, headers)
    assert piece(site, path, headers, FILE[:1000], 0)[0] == 204
    status, words, said = piece(site, path, headers, FILE[:1000], 0)
    assert (status, said["Upload-Offset"]) == (409, "1000")
    assert "byte 1000" in words


def test_of_a_piece_that_is_not_what_its_checksum_says_nothing_is_kept(site, draft, headers):
    path = begin(site, draft, headers)
    wrong = b64(hashlib.sha1(b"another").digest())
    assert piece(site, path, headers, FILE[:9000], 0, **{"Upload-Checksum": f"sha1 {wrong}"})[0] == 460
    assert piece(site, path, headers, FILE[:9000], 0, **{"Upload-Checksum": "md5 AAAA"})[0] == 400
    assert row().received == 0
    right = b64(hashlib.sha256(FILE[:9000]).digest())
    assert piece(site, path, headers, FILE[:9000], 0, **{"Upload-Checksum": f"sha256 {right}"})[0] == 204
    assert row().received == 9000


def test_one_writes_at_a_time_and_who_fell_silent_gives_way(site, draft, headers):
    path = begin(site, draft, headers)
    with closing(site.connect()) as silent:
        silent.sendall(piece_head(path, headers, 0) + FILE[: 2 * resumable.CHUNK])
        wait_until(lambda: stored_bytes(site) > 0)
        status, words, _ = piece(site, path, headers, FILE[:1000], 0)
        assert status == 423, words
        said = {**headers, "Upload-Length": str(LENGTH)}
        assert site.ask("POST", f"/uploads/drafts/{draft.pk}/", headers=said)[0].status == 423
        time.sleep(resumable.SILENT_SECONDS)
        at = offset_of(site, path, headers)
    assert at >= resumable.CHUNK
    assert piece(site, path, headers, FILE[at:], at)[0] == 204
    assert row().digest == DIGEST


def test_a_rival_finds_no_upload_and_a_key_opens_its_own_draft_alone(site, draft, headers, team, alice):
    path = begin(site, draft, headers)
    rival = cast.person("Charlie")
    cast.team_of(rival)
    other = drafts.begin(alice, team, draft.phase, WORDS)
    for key in (tus.key_of(draft, rival), tus.key_of(other, alice)):
        theirs = {**headers, "Authorization": f"Bearer {key}"}
        assert site.ask("HEAD", path, headers=theirs)[0].status == 404
        assert piece(site, path, theirs, FILE[:10], 0)[0] == 404
        assert site.ask("DELETE", path, headers=theirs)[0].status == 404
        assert (
            site.ask("POST", f"/uploads/drafts/{draft.pk}/", headers={**theirs, "Upload-Length": "9"})[0].status == 404
        )
    assert site.ask("HEAD", path, headers={**headers, "Authorization": "Bearer nonsense"})[0].status == 401
    assert site.ask("HEAD", path, headers={"Tus-Resumable": "1.0.0"})[0].status == 401
    assert site.ask("HEAD", path, headers={**headers, "Tus-Resumable": "0.2"})[0].status == 412


def test_a_session_needs_the_token_against_forged_requests(site, draft, alice):
    browser = Client()
    browser.force_login(alice)
    cookies = f"rexg_session={browser.cookies['rexg_session'].value}; rexg_csrf={'t' * 32}"
    forged = {"Cookie": cookies, "Tus-Resumable": "1.0.0"}
    said = {**forged, "Upload-Length": "600", "Upload-Metadata": f"filename {b64(b'image.tar')}"}
    assert site.ask("POST", f"/uploads/drafts/{draft.pk}/", headers=said)[0].status == 403
    path = begin(site, draft, {**forged, "X-CSRFToken": "t" * 32}, 600)
    assert piece(site, path, forged, FILE[:600], 0)[0] == 403
    assert piece(site, path, {**forged, "X-CSRFToken": "t" * 32}, FILE[:600], 0)[0] == 204


def test_what_can_be_said_at_once_is_said_at_once(site, draft, headers):
    def refused(length, **more):
        answer, words = site.ask(
            "POST", f"/uploads/drafts/{draft.pk}/", headers={**headers, "Upload-Length": str(length), **more}
        )
        return answer.status, words.decode()

    assert refused(draft.phase.max_archive_bytes + 1)[0] == 413
    assert refused(0)[0] == 422
    assert refused("many")[0] == 400
    assert refused(5000, **{"Upload-Checksum": "md5 AAAA"})[0] == 400
    assert not ResumableUpload.objects.exists()
    assert "parallel" in refused(LENGTH, **{"Upload-Concat": "partial"})[1]
    assert "at once" in refused(LENGTH, **{"Upload-Defer-Length": "1"})[1]
    path = begin(site, draft, headers, 5000)
    status, words, _ = piece(site, path, headers, b"PK\x03\x04" + bytes(4996), 0)
    assert (status, ResumableUpload.objects.count()) == (422, 0), words
    assert site.ask("HEAD", path, headers=headers)[0].status == 404


def test_an_ended_upload_leaves_nothing(site, draft, headers):
    path = begin(site, draft, headers)
    piece(site, path, headers, FILE[:70_000], 0)
    file = site.folder / "store" / "uploads" / row().file
    assert file.exists()
    assert site.ask("DELETE", path, headers=headers)[0].status == 204
    assert not file.exists()
    assert not ResumableUpload.objects.exists()


@pytest.mark.parametrize("sent_first", ["form", "file"])
def test_a_draft_is_handed_in_at_the_later_of_its_form_and_its_last_byte(site, draft, headers, alice, sent_first):
    path = begin(site, draft, headers)
    if sent_first == "form":
        drafts.send(draft, alice, WORDS)
        assert submitting.submit_draft(draft.pk) is None
    before = clock.now()
    assert piece(site, path, headers, FILE, 0)[0] == 204
    if sent_first == "file":
        assert not Submission.objects.exists()
        before = clock.now()
        drafts.send(draft, alice, WORDS)
        submitting.submit_draft(draft.pk)
    submission = Submission.objects.get()
    assert submission.accepted_at >= before
    assert (submission.upload, submission.upload_bytes) == (DIGEST, len(FILE))
    assert not Draft.objects.exists()
    assert uploads.folder().name == "uploads"
