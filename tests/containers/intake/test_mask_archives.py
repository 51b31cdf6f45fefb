"""Archives of masks: as teams zip them, and as somebody makes them who means harm."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from random import Random

import pytest

from containers.intake import MasksRejected, check_masks_beginning, mask_child, unpack_isolated
from containers.intake.mask_archive import unpack
from tests.containers.intake.test_compression import COMPRESS

A, B = "case_001.nii.gz", "case_002.nii.gz"
LARGEST = {A: 1000, B: 1000}
GOOD = {A: b"the mask of a", B: b"the mask of b"}


def zipped(files, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **{"compression": zipfile.ZIP_DEFLATED, **options}) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def odd(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(name, target):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


@pytest.fixture
def look(tmp_path):
    """What is found in an archive: the masks' content by case, and what is wrong, as (case, text)."""

    def unpacked(content, *, by=unpack, max_bytes=10_000):
        (tmp_path / "upload").write_bytes(content)
        folder = tmp_path / "masks"
        folder.mkdir()
        found = by(tmp_path / "upload", folder, LARGEST, max_bytes=max_bytes)
        files = {case: (folder / file).read_bytes() for case, file in found.files.items()}
        return files, [(problem.case, problem.text) for problem in found.problems]

    return unpacked


class TestAsTeamsMakeThem:
    @pytest.mark.parametrize(
        "content",
        {
            "zip": zipped(GOOD),
            "zip, stored": zipped(GOOD, compression=zipfile.ZIP_STORED),
            "zip, bzip2": zipped(GOOD, compression=zipfile.ZIP_BZIP2),
            "one folder, with its own entry": zipped({"masks/": "", **{f"masks/{name}": GOOD[name] for name in GOOD}}),
            "by Windows": zipped({f"masks\\{name}": GOOD[name] for name in GOOD}),
            "by macOS": zipped(
                {
                    **{f"masks/{name}": GOOD[name] for name in GOOD},
                    **{f"__MACOSX/masks/._{name}": b"resource fork" for name in GOOD},
                    "masks/.DS_Store": b"where icons lie",
                    "masks/Thumbs.db": b"and here",
                }
            ),
            "with notes": zipped({"README.md": b"ours", "scores.csv": b"1", **GOOD}),
            "tar": tarred(GOOD),
            "tar, GNU": tarred(GOOD, tarfile.GNU_FORMAT),
            "tar .": tarred({f"./{name}": GOOD[name] for name in GOOD}),
            "tar.gz": gzip.compress(tarred(GOOD)),
            "tar.xz": lzma.compress(tarred(GOOD)),
            "tar.zst": COMPRESS["zstd"](tarred(GOOD)),
        }.values(),
    )
    def test_the_masks_are_found(self, look, content):
        check_masks_beginning(content[:4096])
        assert look(content, by=unpack_isolated) == (GOOD, [])

    def test_zip64(self, look, monkeypatch):
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
        content = zipped(GOOD)
        assert b"PK\x06\x06" in content
        assert look(content) == (GOOD, [])


class TestEveryProblemIsToldAtOnce:
    @pytest.mark.parametrize(
        ("files", "wrong"),
        [
            ({A: b"a"}, [(B, "no file of this name is in the archive")]),
            ({A: b"a", "case_002.nii": b"b"}, [(B, "'case_002.nii' is there: name it exactly")]),
            ({A: b"a", "CASE_002.NII.GZ": b"b"}, [(B, "'CASE_002.NII.GZ' is there")]),
            ({**GOOD, "case_999.nii.gz": b"c"}, [("", "1 file is named like no case of this phase: 'case_999")]),
            ({**GOOD, "x/case_999.nii": b"c"}, [("", "1 file is named like no case")]),
            ({A: b"a", f"more/{B}": b"b"}, [(B, "lies in the folder 'more'; the masks belong at the top")]),
            (
                {f"home/me/{A}": b"a", f"home/me/{B}": b"b"},
                [(A, "lies in the folder 'home/me'"), (B, "lies in the folder 'home/me'")],
            ),
            ({**GOOD, f"old/{B}": b"b"}, [(B, "is 2 times in the archive")]),
            (
                {**GOOD, "../evil": b"c", "/etc/passwd": b"d"},
                [("", "'../evil' leads out"), ("", "'/etc/passwd' leads")],
            ),
            ({**GOOD, f"../{A}": b"c"}, [("", f"'../{A}' leads out")]),
            ({A: b"a" * 1001, B: b"b"}, [(A, "is larger than any mask of its shape")]),
            ({"notes.txt": b""}, [(A, "no file of this name"), (B, "no file of this name")]),
        ],
    )
    @pytest.mark.parametrize("pack", [zipped, tarred])
    def test_by_case(self, look, files, wrong, pack):
        found, problems = look(pack(files))
        assert [case for case, _ in problems] == [case for case, _ in wrong]
        for (_, text), (_, words) in zip(problems, wrong, strict=True):
            assert words in text
        assert found.keys() == set(GOOD) - {case for case, _ in wrong}

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    @pytest.mark.parametrize("pack", [zipped, tarred])
    def test_a_name_that_is_there_twice(self, look, pack):
        found, problems = look(pack([*GOOD.items(), (A, b"another")]))
        assert (found, problems) == ({B: GOOD[B]}, [(A, "is 2 times in the archive")])

    @pytest.mark.parametrize(
        "content",
        {
            "symlink in a zip": zipped([zip_link(A, "/etc/passwd"), (B, GOOD[B])]),
            "symlink": tarred([(odd(A, tarfile.SYMTYPE, "/etc/passwd"), b""), (B, GOOD[B])]),
            "hard link": tarred([(B, GOOD[B]), (odd(A, tarfile.LNKTYPE, B), b"")]),
            "device": tarred([(odd(A, tarfile.CHRTYPE), b""), (B, GOOD[B])]),
            "pipe": tarred([(odd(A, tarfile.FIFOTYPE), b""), (B, GOOD[B])]),
        }.values(),
    )
    def test_what_is_no_plain_file(self, look, content):
        found, [(case, text)] = look(content)
        assert (found, case) == ({B: GOOD[B]}, A)
        assert "is a " in text

    def test_a_folder_named_like_a_case_is_no_mask(self, look):
        found, problems = look(zipped({f"{A}/": b"", B: GOOD[B]}))
        assert (found, problems) == ({B: GOOD[B]}, [(A, "no file of this name is in the archive")])

    def test_a_bad_checksum_and_a_wrong_size_in_a_zip(self, look):
        content = bytearray(zipped({A: b"a" * 40, B: GOOD[B]}, compression=zipfile.ZIP_STORED))
        content[content.index(b"a" * 40)] ^= 1
        found, [(case, text)] = look(bytes(content))
        assert (found, case) == ({B: GOOD[B]}, A)
        assert "is damaged" in text

    @pytest.mark.parametrize(("flag", "words"), [(0x1, "is encrypted"), (0x20, "compressed in a way")])
    def test_a_zip_with_a_password_and_one_with_patches(self, look, flag, words):
        content = bytearray(zipped(GOOD))
        for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(magic) + at] |= flag  # of the first member
        found, [(case, text)] = look(bytes(content))
        assert (found, case) == ({B: GOOD[B]}, A)
        assert words in text

    def test_a_name_that_some_readers_cut_off(self, look):
        content = zipped({A: GOOD[A], f"{B}#.exe": GOOD[B]}).replace(b"#.exe", b"\0.exe")
        found, [(_, strange), (case, absent)] = look(content)
        assert (found, case) == ({A: GOOD[A]}, B)
        assert "is not the name of a file" in strange
        assert "no file of this name" in absent

    def test_names_are_quoted_and_of_bounded_length(self, look):
        _, [(_, text)] = look(zipped({**GOOD, "\u202eevil\x1b[31m" * 300 + ".nii.gz": b""}))
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 400


class TestBombs:
    @pytest.mark.parametrize("pack", [zipped, lambda files: gzip.compress(tarred(files)), tarred])
    def test_the_masks_together_are_bounded(self, look, pack):
        files = {name: bytes(900) for name in GOOD}
        with pytest.raises(MasksRejected, match=r"unpacks to more than 1\.5 kB"):
            look(pack(files), max_bytes=1500)

    def test_what_is_no_mask_is_bounded_too(self, look):
        content = gzip.compress(tarred({"zeros": bytes(70 << 20)}), 1)
        with pytest.raises(MasksRejected, match="unpacks to more than"):
            look(content)

    @pytest.mark.parametrize("pack", [zipped, tarred])
    def test_more_entries_than_anybody_needs(self, look, pack):
        with pytest.raises(MasksRejected, match="more than 20,000 entries"):
            look(pack({f"{number}/": b"" for number in range(20_001)}))

    def test_a_directory_that_fills_the_memory_costs_this_submission_only(self, look, monkeypatch):
        monkeypatch.setattr(mask_child, "MEMORY_BYTES", 100 << 20)
        member = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
        directory = member * 300_000
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(directory), 4, 0)
        with pytest.raises(MasksRejected, match="too much memory"):
            look(b"PK\3\4" + directory + end, by=unpack_isolated)

    def test_an_archive_that_never_ends_is_stopped_by_the_clock_of_its_process(self, look, monkeypatch):
        monkeypatch.setattr(mask_child, "_BASE_SECONDS", 1)
        empty = gzip.compress(b"")
        with pytest.raises(MasksRejected, match=r"too long|damaged"):
            look(gzip.compress(tarred({A: b"a"})[:512]) + empty * 3_000_000, by=unpack_isolated)


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("content", "words"),
        {
            "a cut zip": (zipped(GOOD)[:-30], "is damaged"),
            "a cut tar": (tarred({A: bytes(900)})[:1000], "ends too early"),
            "a cut tar.gz": (gzip.compress(tarred({A: os.urandom(900)}))[:-300], "ends too early"),
            "a wrong checksum of gzip": (gzip.compress(tarred(GOOD))[:-8] + bytes(8), "is damaged"),
            "a sparse tar": (
                tarred([(B, b"b"), (odd(A, tarfile.GNUTYPE_SPARSE), b"x")], tarfile.GNU_FORMAT),
                "holds a sparse file",
            ),
            "an empty zip": (zipped({}), None),
            "an image": (tarred({"manifest.json": b"[]", "layer.tar": b""}), "archive of an image"),
            "one mask": (gzip.compress(bytes(5000)), "no archive of masks"),
            "text": (b"https://drive.example.org/masks.zip" * 200, "no archive of masks"),
            "bzip2": (bz2.compress(tarred(GOOD)), "compressed with bzip2"),
            "7-zip": (b"7z\xbc\xaf\x27\x1c" + bytes(5000), "compressed with 7-zip"),
            "a part of a zip": (b"PK\x07\x08" + bytes(100), "split"),
            "a zip of nothing but its beginning": (b"PK\x03\x04" + bytes(5000), "is damaged"),
        }.values(),
    )
    def test_is_said_in_one_sentence(self, look, content, words):
        if words is None:
            assert [case for case, _ in look(content)[1]] == [A, B]
            return
        with pytest.raises(MasksRejected, match=words):
            look(content)

    @pytest.mark.parametrize("seed", range(40))
    def test_a_damaged_zip_is_never_our_fault(self, tmp_path, seed):
        random = Random(seed)
        content = bytearray((zipped if seed % 2 else tarred)(GOOD))
        for _ in range(random.randint(1, 8)):
            content[random.randrange(len(content))] = random.randrange(256)
        (tmp_path / "upload").write_bytes(content)
        try:
            found = unpack(tmp_path / "upload", tmp_path, LARGEST, max_bytes=10_000)
        except MasksRejected:
            return
        for name, file in found.files.items():
            assert (tmp_path / file).read_bytes() == GOOD[name] or seed % 2 == 0  # a tar has no checksums of contents


def test_a_full_disk_is_our_fault(tmp_path):
    (tmp_path / "upload").write_bytes(zipped(GOOD))
    with pytest.raises(OSError, match="No such file"):
        unpack_isolated(tmp_path / "upload", tmp_path / "nowhere", LARGEST, max_bytes=10_000)


def test_a_child_that_was_killed_is_our_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(mask_child, "_PROGRAM", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(OSError, match="-9"):
        unpack_isolated(tmp_path / "upload", tmp_path, LARGEST, max_bytes=10_000)


def test_a_library_that_falls_over_an_archive_costs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(mask_child, "_PROGRAM", "import os; os.abort()")
    with pytest.raises(MasksRejected, match="ended abnormally"):
        unpack_isolated(tmp_path / "upload", tmp_path, LARGEST, max_bytes=10_000)
