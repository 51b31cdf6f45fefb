"""Archives of weights: the honest ones in one form, the hostile ones refused, one line each."""

import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from containers.intake import (
    ArchiveLimits,
    ImageRejected,
    check_archive,
    check_beginning_of_weights,
    check_place_of_weights,
    check_weights,
)
from tests.containers.intake.build import (
    END,
    Image,
    entry,
    folder,
    header,
    layer_of,
    link,
    padded,
    pax,
    second_name,
    tar_of,
    written,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILE = entry("model.pt", data=b"weights")
LIMITS = ArchiveLimits(archive_bytes=1 << 20, inflated_bytes=2 << 20)
HONEST = layer_of(
    folder("./"),
    entry("./model/fold_0/model.pt", data=b"weights of fold 0", mode=0o600, uid=1000, uname="alice", mtime=7),
    folder("./model"),
    second_name("./model/best.pt", "model/fold_0/model.pt"),
    link("./latest", "model/fold_0/../best.pt"),
    entry("./bin/tool", data=b"#!/bin/sh\n", mode=0o700),
)


@pytest.fixture
def check(tmp_path: Path):
    """Checks bytes as an archive of weights; what it became is `tmp_path / "weights.tar"`."""

    def run(data: bytes, limits: ArchiveLimits = LIMITS):
        return check_weights(written(tmp_path, data), tmp_path / "weights.tar", limits=limits)

    return run


def listing(path: Path) -> list[tuple[str, bytes, int, str]]:
    with tarfile.open(path, "r:") as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {(0, 0, "", 0)}
    return [(member.name, member.type, member.mode, member.linkname) for member in members]


def test_what_it_becomes(check, tmp_path):
    checked = check(HONEST)
    assert listing(tmp_path / "weights.tar") == [
        ("bin", tarfile.DIRTYPE, 0o755, ""),
        ("model", tarfile.DIRTYPE, 0o755, ""),
        ("model/fold_0", tarfile.DIRTYPE, 0o755, ""),
        ("bin/tool", tarfile.REGTYPE, 0o555, ""),
        ("model/fold_0/model.pt", tarfile.REGTYPE, 0o444, ""),
        ("model/best.pt", tarfile.LNKTYPE, 0o444, "model/fold_0/model.pt"),
        ("latest", tarfile.SYMTYPE, 0o777, "model/fold_0/../best.pt"),
    ]
    assert (checked.files, checked.unpacked_bytes) == (2, 27)
    assert checked.size == (tmp_path / "weights.tar").stat().st_size


def test_the_same_files_are_the_same_bytes_however_they_were_packed(check):
    again = layer_of(
        entry("bin/tool", data=b"#!/bin/sh\n", mode=0o755),
        folder("bin"),
        entry("model/fold_0/model.pt", data=b"weights of fold 0"),
        second_name("model/best.pt", "./model/fold_0/model.pt"),
        link("latest", "model/fold_0/../best.pt"),
    )
    digests = {check(data).blob for data in (HONEST, again)}
    digests |= {check(compress(HONEST)).blob for compress in (gzip.compress, lzma.compress, zstd.compress)}
    assert len(digests) == 1


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.pt", b"weights")
    return buffer.getvalue()


LONG_CHAIN = [link(f"l{number}", f"l{number + 1}") for number in range(41)]
HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "not_an_archive", "tar -czf"),
    "a text": (b"not a tar\n" * 999, "not_an_archive", "tar -czf"),
    "a zip": (zipped(), "compression", "gzip, xz or zstd"),
    "no file": (layer_of(folder("model")), "empty", "no file"),
    "a file that is cut off": (layer_of(entry("model.pt", data=bytes(9999)))[:5000], "damaged", "too early"),
    "a gzip that is cut off": (gzip.compress(HONEST)[:-9], "damaged", "too early"),
    "bytes behind a gzip": (gzip.compress(HONEST) + b"more", "damaged", "not a readable"),
    "a bomb": (gzip.compress(layer_of(entry("model.pt", data=bytes(3 << 20)))), "inflate_too_far", "2.1 MB"),
    "a file over the limit": (layer_of(entry("model.pt", data=bytes(2 << 20))), "too_large", "1.05 MB"),
    "a sparse file": (header(b"model.pt", 1 << 40, b"S") + END, "not_an_archive", ""),
    "a sparse file behind an honest one": (layer_of(FILE)[:1024] + header(b"s", 512, b"S") + END, "sparse_file", ""),
    "a sparse file of pax": (
        pax(**{"GNU.sparse.major": "1", "GNU.sparse.name": "s"}) + header(b"s", 512) + bytes(512) + END,
        "sparse_file",
        "--sparse",
    ),
    "two sizes of one file": (pax(size="3") + header(b"model.pt", 9) + padded(b"123456789") + END, "damaged", ""),
    "an absolute path": (layer_of(FILE, entry("/etc/passwd")), "unsafe_member", "root of a system"),
    "a path that leads out": (layer_of(FILE, entry("../x")), "unsafe_member", ".."),
    "a path that leads out by a long name": (layer_of(FILE, entry("a/" * 60 + "../" * 61 + "x")), "unsafe_member", ""),
    "a path that leads up and stays inside": (layer_of(FILE, entry("a/../x")), "unsafe_member", ".."),
    "a device": (layer_of(FILE, entry("null", tarfile.CHRTYPE)), "unsafe_member", "device"),
    "a disk": (layer_of(FILE, entry("sda", tarfile.BLKTYPE)), "unsafe_member", "device"),
    "a pipe": (layer_of(FILE, entry("pipe", tarfile.FIFOTYPE)), "unsafe_member", "pipe"),
    "an entry of an unknown kind": (layer_of(FILE, entry("x", b"7")), "damaged", ""),
    "a set-id program": (layer_of(FILE, entry("su", mode=0o4755)), "unsafe_member", "set-id"),
    "a set-group-id program": (layer_of(FILE, entry("su", mode=0o2755)), "unsafe_member", "set-id"),
    "a set-id bit on another name": (
        layer_of(FILE, entry("su", tarfile.LNKTYPE, target="model.pt", mode=0o6755)),
        "unsafe_member",
        "set-id",
    ),
    "a whiteout": (layer_of(FILE, entry(".wh.model.pt")), "unsafe_member", "delete"),
    "an opaque folder": (layer_of(FILE, entry("a/.wh..wh..opq")), "unsafe_member", "delete"),
    "a whiteout as a folder": (layer_of(FILE, entry(".wh.a/x")), "unsafe_member", "delete"),
    "a file twice": (layer_of(FILE, FILE), "ambiguous", "twice"),
    "a file twice by another spelling": (layer_of(FILE, entry("./a/.//x"), entry("a/x")), "ambiguous", "twice"),
    "a link over a file": (layer_of(FILE, link("model.pt", "x")), "ambiguous", "twice"),
    "a folder over a file": (layer_of(FILE, folder("model.pt")), "ambiguous", "twice"),
    "a file below a file": (layer_of(FILE, entry("model.pt/x")), "not_unpackable", "no folder"),
    "a file below a link": (layer_of(FILE, link("a", "."), entry("a/x")), "not_unpackable", "no folder"),
    "a folder below a link": (layer_of(FILE, folder("b"), link("a", "b"), folder("a/x")), "not_unpackable", ""),
    "a file below a link that comes later": (layer_of(FILE, entry("a/x"), link("a", ".")), "not_unpackable", ""),
    "a root that is a file": (layer_of(FILE, entry("./")), "unsafe_member", "root"),
    "a root that is a link": (layer_of(FILE, link(".", "x")), "unsafe_member", "root"),
    "an absolute link": (layer_of(FILE, link("a", "/etc/passwd")), "unsafe_link", "relative"),
    "an absolute link to its own place": (layer_of(FILE, link("a", "/opt/ml/model/model.pt")), "unsafe_link", ""),
    "a link that leads out": (layer_of(FILE, link("a", "../x")), "unsafe_link", "leads out"),
    "a link out and in again": (layer_of(FILE, link("a", "../model/model.pt")), "unsafe_link", "leads out"),
    "a link out by another link": (
        layer_of(FILE, entry("b/c/x"), link("d", "b/c"), link("a", "d/../../../x")),
        "unsafe_link",
        "leads out",
    ),
    "a link to nothing": (layer_of(FILE, link("a", "b")), "unsafe_link", "nothing"),
    "a link below a file": (layer_of(FILE, link("a", "model.pt/..")), "unsafe_link", "nothing"),
    "a link to itself": (layer_of(FILE, link("a", "a")), "unsafe_link", "circles"),
    "links in circles": (layer_of(FILE, link("a", "b"), link("b", "a")), "unsafe_link", "circles"),
    "a long chain of links": (layer_of(FILE, *LONG_CHAIN, entry("l41")), "unsafe_link", "circles"),
    "a hard link out": (layer_of(FILE, second_name("a", "../../etc/shadow")), "unsafe_member", ""),
    "an absolute hard link": (layer_of(FILE, second_name("a", "/etc/shadow")), "unsafe_member", ""),
    "a hard link to nothing": (layer_of(FILE, second_name("a", "b")), "unsafe_link", "no file"),
    "a hard link to what comes later": (layer_of(second_name("a", "model.pt"), FILE), "unsafe_link", "no file"),
    "a hard link to a link": (layer_of(FILE, link("l", "model.pt"), second_name("a", "l")), "unsafe_link", ""),
    "a hard link to a folder": (layer_of(FILE, folder("f"), second_name("a", "f")), "unsafe_link", ""),
    "hard links beyond what file systems take": (
        layer_of(FILE, *(second_name(f"{number}", "model.pt") for number in range(1001))),
        "not_unpackable",
        "more than 1,000 hard links",
    ),
    "a hard link to itself": (layer_of(FILE, second_name("a", "a")), "unsafe_link", ""),
    "a name with a line break": (layer_of(FILE, entry("a\nb")), "unsafe_member", "printed"),
    "a name with an escape": (layer_of(FILE, entry("a\x1b[2Jb")), "unsafe_member", "printed"),
    "a name that is not UTF-8": (layer_of(FILE)[:1024] + header(b"\xff\xfe", 0) + END, "unsafe_member", "UTF-8"),
    "a name that is too long": (layer_of(FILE, entry("n" * 256)), "not_unpackable", "255"),
    "a path that is too deep": (layer_of(FILE, entry("a/" * 32 + "x")), "not_unpackable", "32 folders"),
    "a path that is too long": (layer_of(FILE, entry(("n" * 250 + "/") * 5 + "x")), "not_unpackable", "1024"),
    "an image": (Image().saved(), "are_an_image", "Choose it as the image"),
    "an image of a newer engine": (tar_of(Image().new_files()), "are_an_image", ""),
}


@pytest.mark.parametrize(("data", "code", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_weights(check, tmp_path, data, code, words):
    with pytest.raises(ImageRejected) as refused:
        check(data)
    assert refused.value.code.removeprefix("weights_") == code
    said = str(refused.value)
    assert words in said
    assert all(letter.isprintable() for letter in said)
    assert "docker save" not in said, "that is how images are made"
    assert [path.name for path in tmp_path.iterdir()] == ["upload.tar"], "nothing is left"


def test_folders_that_nobody_names_count_as_entries(check, monkeypatch):
    monkeypatch.setattr("containers.intake.weights._ENTRIES", 10)
    check(layer_of(*(entry(f"{number}") for number in range(10))))
    with pytest.raises(ImageRejected) as refused:
        check(layer_of(*(entry(f"{number}/x") for number in range(6))))
    assert refused.value.code == "weights_too_many_entries"


def test_links_that_lead_through_links_end(check, monkeypatch):
    monkeypatch.setattr("containers.intake.weights_tree._STEPS", 100)
    entangled = [link(f"l{number}", "./" * 9 + "model.pt") for number in range(101)]
    with pytest.raises(ImageRejected) as refused:
        check(layer_of(FILE, *entangled))
    assert refused.value.code == "weights_unsafe_link"


def test_what_is_no_archive_is_refused_by_its_first_bytes():
    check_beginning_of_weights(gzip.compress(HONEST)[:4096])
    for beginning in (b"not a tar\n" * 100, zipped()):
        with pytest.raises(ImageRejected, match="weights") as refused:
            check_beginning_of_weights(beginning)
        assert "docker" not in str(refused.value)


PLACES: dict[str, tuple[list[bytes], str]] = {
    "nothing there": ([layer_of(FILE)], ""),
    "folders": ([layer_of(folder("opt/ml/model"), entry("opt/conda/x"), entry("opt/ml/code/x"))], ""),
    "empty folders below it": ([layer_of(folder("opt/ml/model/a/b"))], ""),
    "files that a later layer deletes": ([layer_of(entry("opt/ml/model/x")), layer_of(entry("opt/ml/.wh.model"))], ""),
    "a folder elsewhere in a link's place": ([layer_of(link("lib", "usr/lib")), layer_of(entry("lib/x"))], ""),
    "a file in it": ([layer_of(entry("opt/ml/model/x"))], "holds files below"),
    "a file in it, and a folder elsewhere in a link's place": (
        [layer_of(link("lib", "usr/lib"), entry("opt/ml/model/x")), layer_of(entry("lib/x"))],
        "holds files below",
    ),
    "a folder in it, in a link's place": (
        [layer_of(link("opt/ml/model/a", "b")), layer_of(folder("opt/ml/model/a"))],
        "holds files below",
    ),
    "what an opaque folder hides": (
        [layer_of(entry("opt/ml/model/x")), layer_of(entry("opt/.wh..wh..opq"), folder("opt/ml"))],
        "",
    ),
    "a link in it": ([layer_of(link("opt/ml/model/x", "/etc"))], "holds files below"),
    "a file in it, by way of a link": (
        [layer_of(folder("opt/ml/model"), link("a", "opt/ml"), entry("a/model/x"))],
        "files",
    ),
    "a link in its place": ([layer_of(link("opt/ml/model", "/etc"))], "/opt/ml/model as a link"),
    "a link above it": ([layer_of(link("opt/ml", "/usr"))], "/opt/ml as a link"),
    "a link at the top": ([layer_of(FILE), layer_of(link("opt", "usr"))], "Layer 2 of the image holds /opt as a link"),
    "a file in its place": ([layer_of(entry("opt/ml/model"))], "/opt/ml/model as a file"),
    "a device above it": ([layer_of(entry("opt/ml", tarfile.CHRTYPE))], "/opt/ml as a file"),
}


@pytest.mark.parametrize(("layers", "words"), PLACES.values(), ids=PLACES.keys())
def test_the_place_of_weights_in_an_image(tmp_path, layers, words):
    """An image without weights may hold whatever it likes there."""
    check_archive(written(tmp_path, Image(layers).saved()), tmp_path / "rebuilt.tar")
    if not words:
        check_place_of_weights(tmp_path / "rebuilt.tar")
        return
    with pytest.raises(ImageRejected, match=words) as refused:
        check_place_of_weights(tmp_path / "rebuilt.tar")
    assert refused.value.code == "weights_path_reserved"
