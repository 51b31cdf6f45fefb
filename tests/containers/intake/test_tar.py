"""The tar reader against headers made to mislead, exhaust, or be read in two ways."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from containers.intake import ImageRejected, tar
from containers.intake.streams import WatchedStream
from tests.containers.intake.build import END, header, padded, pax


def read(data: bytes, *, piece: int = 1000, limit: int = 1000) -> list[tar.Member]:
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    entry_limit = tar.EntryLimit(limit, what="The layers hold", advice="Leave out files.")
    return list(tar.members(WatchedStream(pieces, len), entry_limit, what="Layer 1"))


def refused(data: bytes) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        read(data)
    return caught.value


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("piece", [1, 511, 512, 1 << 20])
def test_it_reads_what_pythons_own_writer_writes(form: int, piece: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for number, name in enumerate(["short", "folder/" + "x" * 90, "y/" * 60 + "z" * 80]):
            member = tarfile.TarInfo(name)
            member.size = number * 700
            archive.addfile(member, io.BytesIO(bytes(member.size)))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "t/" * 40
        archive.addfile(link)
    data = buffer.getvalue()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [(m.name, m.size, m.offset_data, m.linkname) for m in archive.getmembers()]
    assert [(m.name, m.size, m.offset, m.target) for m in read(data, piece=piece)] == expected


def test_a_size_in_base_256_is_read() -> None:
    size_field = b"\x80" + (600).to_bytes(11, "big")
    (member,) = read(header(b"f", 0, size_field=size_field) + padded(bytes(600)) + END)
    assert member.size == 600


def test_a_negative_size_is_refused() -> None:
    assert refused(header(b"f", 0, size_field=b"\xff" * 12) + END).code == "damaged"


def test_an_enormous_size_is_refused() -> None:
    assert refused(header(b"f", 0, size_field=b"\x80" + b"\x7f" + b"\xff" * 10) + END).code == "damaged"


def test_a_size_that_is_no_number_is_refused() -> None:
    assert refused(header(b"f", 0, size_field=b"-0000000012\0") + END).code == "damaged"


def test_a_group_that_is_no_number_is_refused_in_an_extension_too() -> None:
    """Go reads all numbers of every header before it looks at the kind."""
    for flag in (b"0", b"x", b"L"):
        block = header(b"f", 0, flag, group_field=b"000000\x80\0")
        assert refused(block + header(b"g", 0) + END).code == "damaged"


def test_a_wrong_checksum_is_refused() -> None:
    block = bytearray(header(b"f", 0))
    block[0] ^= 1
    assert refused(header(b"e", 0) + bytes(block) + END).code == "damaged"


def test_a_pax_size_that_contradicts_the_header_is_refused() -> None:
    """One reader would see 512 bytes of data here, another a second member hidden in them."""
    hidden = header(b"hidden", 0)
    assert "two sizes" in str(refused(pax(size="512") + header(b"f", 0) + hidden + END))


def test_a_pax_size_that_repeats_the_header_is_accepted() -> None:
    (member,) = read(pax(size="5") + header(b"f", 5) + padded(b"12345") + END)
    assert member.size == 5


def test_a_pax_size_for_a_file_that_the_header_cannot_state_is_used() -> None:
    assert refused(pax(size=str(8**11)) + header(b"f", 0) + END).code == "truncated"


@pytest.mark.parametrize("record", ["-5", "0x10", "1_0", "9" * 30, " "])
def test_a_pax_size_that_is_no_number_is_refused(record: str) -> None:
    assert refused(pax(size=record) + header(b"f", 0) + END).code == "damaged"


def test_an_empty_pax_size_leaves_the_headers_as_it_does_for_go() -> None:
    (member,) = read(pax(size="") + header(b"f", 5) + padded(b"hello") + END)
    assert member.size == 5


@pytest.mark.parametrize("body", [b"99 a=b\n", b"0 a=b\n", b"5 a=b\n", b"6 a=bc", b"6 ab\n\n\n", b"1 "])
def test_damaged_pax_records_are_refused(body: bytes) -> None:
    assert refused(header(b"x", len(body), b"x") + padded(body) + header(b"f", 0) + END).code == "damaged"


def test_a_global_pax_header_changes_nothing() -> None:
    body = b"11 size=99\n"
    (member,) = read(header(b"g", len(body), b"g") + padded(body) + header(b"f", 0) + END)
    assert member.size == 0


def test_a_sparse_file_is_refused() -> None:
    assert "sparse" in str(refused(header(b"f", 0, b"S") + END))


def test_a_sparse_file_of_pax_is_refused() -> None:
    sparse = pax(**{"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 40)})
    assert refused(sparse + header(b"f", 512) + bytes(512) + END).code == "sparse_file"


@pytest.mark.parametrize("flag", [b"L", b"K", b"x", b"g"])
def test_an_extension_of_more_than_a_mebibyte_is_refused_unread(flag: bytes) -> None:
    assert "1 MiB" in str(refused(header(b"././@LongLink", 8 << 30, flag)))


def test_a_chain_of_long_names_counts_against_the_limit() -> None:
    chain = (header(b"././@LongLink", 2, b"L") + padded(b"a\0")) * 50
    with pytest.raises(ImageRejected, match="more than 20 entries"):
        read(chain + header(b"f", 0) + END, limit=20)


def test_an_entry_of_an_unknown_kind_is_refused() -> None:
    assert "unknown kind" in str(refused(header(b"f", 0, b"V") + END))


def test_a_links_size_means_no_data() -> None:
    link, file = read(header(b"link", 999, b"1") + header(b"f", 0) + END)
    assert (link.size, file.name) == (0, "f")


def test_a_name_with_a_slash_at_its_end_was_a_folder_before_posix() -> None:
    (member,) = read(header(b"folder/", 0, b"\0") + END)
    assert member.kind == "folder"


def test_one_zero_block_between_members_is_refused() -> None:
    assert refused(header(b"a", 0) + bytes(512) + header(b"b", 0) + END).code == "damaged"


def test_it_stops_at_the_end_marker() -> None:
    assert [member.name for member in read(header(b"a", 0) + END + header(b"b", 0) + END)] == ["a"]


def test_half_a_header_is_refused() -> None:
    assert refused(header(b"a", 0) + header(b"b", 0)[:300]).code == "truncated"


def test_gnu_tar_is_read_alike(tmp_path: Path) -> None:
    (tmp_path / ("long" * 40)).write_bytes(bytes(1234))
    (tmp_path / "short").symlink_to("elsewhere")
    for form in ("gnu", "pax", "ustar", "v7"):
        names = ["short"] if form in ("ustar", "v7") else ["short", "long" * 40]
        data = subprocess.run(
            ["tar", "--format", form, "-c", "-C", str(tmp_path), *names], capture_output=True, check=True
        ).stdout
        assert [member.name for member in read(data)] == names


def test_permissions_that_no_file_can_have_are_refused() -> None:
    """Another mode is written in the same form, which would have no room for them."""
    block = bytearray(header(b"f", 0))
    block[100:108] = b"\x81" + bytes(5) + b"\x01\xc0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert refused(bytes(block) + END).code == "damaged"
