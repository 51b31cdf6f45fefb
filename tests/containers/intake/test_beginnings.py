"""What an archive is by its first bytes: told where it is sure, and nowhere else."""

import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from containers.intake import BEGINNING_BYTES, what_begins_so
from tests.containers.intake.build import Image

NIFTI = (348).to_bytes(4, "little") + bytes(2000)


def archive(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(name, NIFTI)
    return stream.getvalue()


MASKS = archive(("notes.txt", b"ours"), ("masks/case_1.nii.gz", gzip.compress(NIFTI)))
LAYER = archive(("opt/model", bytes(3000)))
CASES = {
    "masks": (MASKS, "masks"),
    "masks in gzip": (gzip.compress(MASKS), "masks"),
    "masks in xz": (lzma.compress(MASKS), "masks"),
    "masks in a zip": (zipped("case_1.nii.gz"), "masks"),
    "another zip": (zipped("slides.pdf"), None),
    "an image": (Image().saved(), "image"),
    "an image in gzip": (gzip.compress(Image().saved()), "image"),
    "docker export": (archive((".dockerenv", b""), ("bin/sh", b"x" * 900)), "files of a container"),
    "an image with a layer that is named like a mask": (archive(("layer.nii.gz", gzip.compress(LAYER))), None),
    "notes of a team beside its masks": (archive(("manifest.json", b'{"cases": 3}')), None),
    "a broken one": (gzip.compress(MASKS)[:40] + bytes(90), None),
    "no archive": (b"\x1f\x8b" + bytes(9000), None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_an_archive_is_by_its_first_bytes(name: str) -> None:
    content, what = CASES[name]
    assert what_begins_so(content[:BEGINNING_BYTES]) == what
