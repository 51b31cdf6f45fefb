"""gzip, xz and zstd: what their tools write is read, and what is made to cost memory or time is not."""

import bz2
import gzip
import lzma
import os
import random
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from containers.intake import BEGINNING_BYTES, ImageRejected, check_beginning
from containers.intake.compression import WINDOW_BYTES, inflate
from tests.containers.intake.build import Image, tar_of
from tests.containers.intake.conftest import Check, Refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOISE = random.Random(1).randbytes(300_000)
IMAGE = Image([tar_of({"program": b"first", "noise": NOISE}), tar_of({"weights": b"second" * 9999})])
SKIPPABLE = b"\x5a\x2a\x4d\x18" + struct.pack("<I", 5) + b"TOC.."
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, preset=0),  # in a moment
    "zstd": zstd.compress,
}


def in_parts(compress: Callable[[bytes], bytes], size: int = 5000) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(compress(data[start : start + size]) for start in range(0, len(data), size))


def zstd_with(**parameters: int) -> Callable[[bytes], bytes]:
    options = {int(zstd.CompressionParameter[name]): value for name, value in parameters.items()}

    def compress(data: bytes) -> bytes:
        compressor = zstd.ZstdCompressor(options=options)  # its content's size is not announced
        return compressor.compress(data) + compressor.flush()

    return compress


def xz_with(dictionary: int) -> Callable[[bytes], bytes]:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": dictionary}]
    return lambda data: lzma.compress(data, filters=filters)


HONEST: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.compress,
    "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
    "xz without a check": lambda data: lzma.compress(data, check=lzma.CHECK_NONE),
    "xz with the largest dictionary": xz_with(WINDOW_BYTES),
    "xz in several streams": in_parts(lzma.compress),
    "xz with padding": in_parts(lambda data: lzma.compress(data) + bytes(8)),
    "zstd": zstd.compress,
    "zstd -22": lambda data: zstd.compress(data, 22),
    "zstd with a checksum": zstd_with(checksum_flag=1),
    "zstd with the largest window": zstd_with(window_log=27),
    "zstd in several frames": in_parts(zstd.compress),
    "zstd with skippable frames": in_parts(lambda data: SKIPPABLE + zstd.compress(data) + SKIPPABLE),
    "zstd with empty frames": in_parts(lambda data: zstd.compress(b"") + zstd.compress(data)),
    "gzip in several members": in_parts(gzip.compress),
}


@pytest.mark.parametrize("compress", HONEST.values(), ids=HONEST.keys())
def test_a_whole_file_is_read(check: Check, compress: Callable[[bytes], bytes]) -> None:
    assert check(compress(IMAGE.saved())) == check(IMAGE.saved())


@pytest.mark.parametrize("compress", HONEST.values(), ids=HONEST.keys())
def test_layers_are_read(check: Check, compress: Callable[[bytes], bytes]) -> None:
    assert check(tar_of(IMAGE.oci_files(store=compress))) == check(IMAGE.saved())


def test_compressed_layers_in_a_compressed_file_are_read(check: Check) -> None:
    assert check(zstd.compress(tar_of(IMAGE.oci_files(store=lzma.compress)))) == check(IMAGE.saved())


@pytest.mark.parametrize("tool", [["xz", "-T2", "-c"], ["gzip", "-c"]], ids=["xz", "gzip"])
def test_what_the_tools_write_is_read(check: Check, tmp_path: Path, tool: list[str]) -> None:
    written = subprocess.run(tool, input=IMAGE.saved(), capture_output=True, check=True).stdout
    assert check(written) == check(IMAGE.saved())


@pytest.mark.parametrize("name", COMPRESS)
def test_the_beginning_of_an_image_is_let_through(name: str) -> None:
    check_beginning(COMPRESS[name](IMAGE.saved())[:BEGINNING_BYTES])


@pytest.mark.parametrize("name", COMPRESS)
def test_something_else_compressed_is_refused_before_it_is_inflated(refusal: Refusal, name: str) -> None:
    data = COMPRESS[name](b"<html>" * 99_999 + NOISE * 10)
    assert refusal(data, inflated_bytes=500_000).code == "not_an_archive"


@pytest.mark.parametrize("name", ["gzip", "xz"])
def test_something_else_compressed_is_refused_by_its_beginning(name: str) -> None:
    with pytest.raises(ImageRejected, match="not an image archive"):
        check_beginning(COMPRESS[name](b"<html>" * 999 + NOISE)[:BEGINNING_BYTES])


# --- Damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("missing", [1, 4, 1000, 200_000])
def test_a_file_that_ends_early_is_told_as_that(refusal: Refusal, name: str, missing: int) -> None:
    refused = refusal(COMPRESS[name](IMAGE.saved())[:-missing])
    assert refused.code == "truncated"
    assert "complete file" in str(refused)


@pytest.mark.parametrize("name", COMPRESS)
def test_a_layer_that_ends_early_is_told_as_that(refusal: Refusal, name: str) -> None:
    files = IMAGE.oci_files(store=lambda layer: COMPRESS[name](layer)[:-3])
    assert refusal(tar_of(files)).code == "truncated"


@pytest.mark.parametrize("name", COMPRESS)
def test_a_damaged_file_is_told_as_that(refusal: Refusal, name: str) -> None:
    compress = zstd_with(checksum_flag=1) if name == "zstd" else COMPRESS[name]
    data = bytearray(compress(IMAGE.saved()))
    data[len(data) // 2] ^= 1
    refused = refusal(bytes(data))
    assert refused.code == "damaged"
    assert f"damaged ({name})" in str(refused)


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("garbage", [b"garbage" * 99, b"\xff" * 20, bz2.compress(b"x" * 99)])
def test_garbage_behind_the_last_part_is_refused(refusal: Refusal, name: str, garbage: bytes) -> None:
    assert refusal(COMPRESS[name](IMAGE.saved()) + garbage).code == "damaged"


def test_padding_that_xz_does_not_know_is_refused(refusal: Refusal) -> None:
    assert refusal(lzma.compress(IMAGE.saved()) + bytes(3)).code == "damaged"
    assert refusal(lzma.compress(IMAGE.saved()[:5000]) + bytes(3) + lzma.compress(b"")).code == "damaged"


def test_skippable_frames_alone_are_no_image(refusal: Refusal) -> None:
    assert refusal(SKIPPABLE * 9).code == "not_an_archive"


def test_any_damage_ends_in_a_refusal_or_the_same_image(check: Check) -> None:
    chance = random.Random(2)
    originals = [compress(IMAGE.saved()) for compress in (lzma.compress, zstd.compress)]
    originals += [tar_of(IMAGE.oci_files(store=compress)) for compress in (lzma.compress, zstd.compress)]
    expected = check(IMAGE.saved())
    refused = 0
    for _ in range(120):
        data = bytearray(chance.choice(originals))
        for _ in range(chance.choice([1, 1, 20])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        del data[chance.choice([len(data), chance.randrange(len(data))]) :]
        try:
            assert check(bytes(data)) == expected
        except ImageRejected:
            refused += 1
    assert refused > 60


# --- What is made to cost memory or time ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "compress",
    [zstd_with(window_log=28), zstd_with(window_log=31), xz_with(WINDOW_BYTES + (1 << 20))],
    ids=["zstd 256 MiB", "zstd 2 GiB", "xz 129 MiB"],
)
def test_a_window_beyond_the_bound_is_refused(refusal: Refusal, compress: Callable[[bytes], bytes]) -> None:
    for upload in (compress(IMAGE.saved()), tar_of(IMAGE.oci_files(store=compress))):
        refused = refusal(upload)
        assert refused.code == "compression"
        assert "window of more than 128 MiB" in str(refused)


def test_a_frame_that_is_its_own_window_is_bounded_too(refusal: Refusal) -> None:
    """With the flag "single segment" the window is as large as the stated content."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0b10100000]) + struct.pack("<I", 1 << 30) + b"\x01\x00\x00"
    refused = refusal(frame + bytes(9999))
    assert "window of more than 128 MiB" in str(refused)


def test_a_frame_that_needs_a_dictionary_is_refused(refusal: Refusal) -> None:
    dictionary = zstd.train_dict([os.urandom(50) + b"words %d " % n * 20 for n in range(2000)], 10_000)
    refused = refusal(zstd.compress(IMAGE.saved(), zstd_dict=dictionary))
    assert refused.code == "compression"
    assert "dictionary that is not in it" in str(refused)


@pytest.mark.parametrize("name", COMPRESS)
def test_a_bomb_is_refused_as_a_file_and_as_a_layer(refusal: Refusal, name: str) -> None:
    layer = tar_of({"bomb": bytes(40 << 20)})
    for upload in (COMPRESS[name](Image([layer]).saved()), tar_of(Image([layer]).oci_files(store=COMPRESS[name]))):
        assert len(upload) < 100_000
        assert refusal(upload, inflated_bytes=8 << 20).code == "inflates_too_far"


@pytest.mark.parametrize("name", COMPRESS)
def test_a_million_empty_parts_are_refused(refusal: Refusal, name: str) -> None:
    refused = refusal(COMPRESS[name](b"") * 20_000, compressed_parts=10_000)
    assert refused.code == "damaged"
    assert f"{name} parts" in str(refused)


@pytest.mark.parametrize("name", COMPRESS)
def test_pieces_are_small_however_much_comes_out(name: str) -> None:
    pieces = inflate(name, [COMPRESS[name](bytes(64 << 20))], what="It", max_parts=1)
    assert {len(piece) <= 1 << 20 for piece in pieces} == {True}


MEMORY = """
import resource, sys
from containers.intake.compression import inflate

data = open(sys.argv[2], "rb").read()
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]),) * 2)
print(sum(map(len, inflate(sys.argv[1], [data], what="It", max_parts=99))))
"""


@pytest.mark.parametrize(
    ("name", "compress"),
    [("zstd", zstd_with(window_log=27)), ("xz", xz_with(WINDOW_BYTES))],
    ids=["zstd", "xz"],
)
def test_the_largest_window_takes_no_more_memory_than_that(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes]
) -> None:
    """Several parts, each of which fills its window, in a process whose memory the kernel bounds."""
    size = 136 << 20
    (tmp_path / "packed").write_bytes(compress(bytes(size)) * 2)
    idle = subprocess.run(
        [sys.executable, "-c", "import containers.intake.compression; print(open('/proc/self/statm').read())"],
        capture_output=True,
        check=True,
        text=True,
    )
    bound = int(idle.stdout.split()[0]) * resource.getpagesize() + WINDOW_BYTES + (32 << 20)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, name, str(tmp_path / "packed"), str(bound)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.stdout.strip(), done.returncode) == (str(2 * size), 0), done.stderr
