"""Files by content digest."""

import hashlib
import io
import os
import stat

import pytest

from leaderboard.core import blobs
from leaderboard.core.blobs import Blob, DigestMismatch

CONTENT = b"some bytes"
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


def test_a_file_is_found_under_its_digest():
    assert blobs.outputs.put(io.BytesIO(CONTENT)) == Blob(DIGEST, len(CONTENT))
    assert blobs.outputs.path(DIGEST).read_bytes() == CONTENT


def test_storing_twice_keeps_one_file(store):
    for _ in range(2):
        blobs.outputs.put(io.BytesIO(CONTENT))
    assert len([path for path in (store / "outputs").rglob("*") if path.is_file()]) == 1


def test_what_a_row_is_about_to_name_again_is_young_again():
    assert not blobs.outputs.freshen(DIGEST)
    os.utime(blobs.outputs.path(blobs.outputs.put(io.BytesIO(CONTENT)).digest), (0, 0))
    assert blobs.outputs.freshen(DIGEST)
    assert not blobs.outputs.remove_if_older(DIGEST, 3600)


def test_what_does_not_have_the_promised_digest_leaves_nothing_behind(store):
    with pytest.raises(DigestMismatch, match="expected sha256:0000"):
        blobs.outputs.put(io.BytesIO(CONTENT), expected="sha256:" + "0" * 64)
    assert not [path for path in (store / "outputs").rglob("*") if path.is_file()]


def test_an_adopted_file_moves(tmp_path):
    source = tmp_path / "file"
    source.write_bytes(CONTENT)
    blobs.outputs.adopt(source, Blob(DIGEST, len(CONTENT)))
    assert not source.exists()
    assert blobs.outputs.exists(DIGEST)


def test_stores_are_private_and_apart_from_each_other(store):
    blobs.references.put(io.BytesIO(CONTENT))
    assert stat.S_IMODE((store / "references").stat().st_mode) == 0o700
    assert stat.S_IMODE(blobs.references.path(DIGEST).stat().st_mode) == 0o600
    assert not blobs.outputs.exists(DIGEST)


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 64, "sha256:" + "G" * 64, "sha256:" + "0" * 63]
)
def test_what_is_no_digest_is_no_path(digest):
    with pytest.raises(ValueError, match="not a digest"):
        blobs.outputs.path(digest)


def test_the_stores_root_is_the_servers_alone(settings, tmp_path):
    settings.STORE_DIR = tmp_path / "deep" / "store"
    settings.FILE_UPLOAD_TEMP_DIR = settings.STORE_DIR / "incoming"
    blobs.prepare()
    assert stat.S_IMODE(settings.STORE_DIR.stat().st_mode) == 0o700
