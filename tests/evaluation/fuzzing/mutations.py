"""Inputs: honest files of every kind, and what becomes of them.

All chance comes from one `random.Random`; `sample(seed, number)` is a pure function.
"""

import bz2
import gzip
import lzma
import random
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from tests.evaluation import builders

PIECE = 1 << 20  # of voxels
READ_BUFFER = 512 * 1024  # of the inflater: what lies across its end is read in two goes
DTYPES = sorted(builders.CODES)
NUMBERS = [0, -0.0, 1, -1, 2, 0.5, 0.1, 1 / 255, 255, 256, 1e-45, 1e-300, 3e38, 1e300, 1.7e308, 7]
NUMBERS += [float("nan"), float("inf"), float("-inf")]
OFFSETS = [0, 1, -1, 347, 348, 351, 352, 352.5, 353, 356, 368, 540, 543, 544, 545, 560, 1 << 24, (1 << 24) + 1, 1e30]
LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, -1, 127, 255, 256, 32767, -32768, 2**31, 2**62, -(2**63)]
# Where the fields lie: (offset, struct format), and boundary values for them.
FIELDS_1 = {
    **{f"dim[{axis}]": (40 + 2 * axis, "h", LENGTHS) for axis in range(8)},
    "sizeof_hdr": (0, "i", [0, 347, 348, 349, 352, 540, -348]),
    "datatype": (70, "h", [*builders.CODES.values(), 0, 1, 32, 128, 1536, 1792, 2048, 2304, -2, 4711]),
    "bitpix": (72, "h", LENGTHS),
    "vox_offset": (108, "f", [*OFFSETS, *NUMBERS]),
    "scl_slope": (112, "f", NUMBERS),
    "scl_inter": (116, "f", NUMBERS),
    "pixdim[1]": (80, "f", NUMBERS),
    "magic": (344, "4s", [b"ni1\0", b"n+2\0", b"n+1 ", b"\0\0\0\0", b"n+1\0", b"N+1\0"]),
    "extender": (348, "4s", [b"\x01\0\0\0", b"\xff\xff\xff\xff"]),
}
FIELDS_2 = {
    **{f"dim[{axis}]": (16 + 8 * axis, "q", LENGTHS) for axis in range(8)},
    "sizeof_hdr": (0, "i", [0, 348, 539, 540, 541]),
    "datatype": (12, "h", FIELDS_1["datatype"][2]),
    "bitpix": (14, "h", LENGTHS),
    "vox_offset": (168, "q", [*(int(offset) for offset in OFFSETS), 2**62, -(2**63)]),
    "scl_slope": (176, "d", NUMBERS),
    "scl_inter": (184, "d", NUMBERS),
    "magic": (4, "8s", [b"ni2\0\r\n\x1a\n", b"n+2\0\n\r\x1a\n", b"n+2\0\0\0\0\0", b"n+1\0\r\n\x1a\n"]),
    "extender": (540, "4s", [b"\x01\0\0\0", b"\xff\xff\xff\xff"]),
}


@dataclass(frozen=True)
class Sample:
    """A file's bytes, the shape that is expected of it, how it came about, and in which pieces it is read."""

    content: bytes
    shape: tuple[int, int, int, int]
    story: str
    piece_bytes: int = PIECE
    buffer_bytes: int = READ_BUFFER


@dataclass(frozen=True)
class Plain:
    """An uncompressed NIfTI file."""

    content: bytes
    shape: tuple[int, int, int, int]
    order: str
    version: int
    story: str


def sample(seed, number):
    """Input `number` of the fuzzer: an honest file in one of four, else one with one to four things done to it."""
    chance = random.Random(seed * 1_000_003 + number)
    plain = honest(chance)
    recipe = chance.random()
    if 0.25 <= recipe < 0.6:
        plain = changed_plain(chance, plain)
    content, story = packed(chance, plain)
    if 0.6 <= recipe < 0.97:
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            change = chance.choice(STREAM_CHANGES)
            content, story = change(chance, content), f"{story}, {change.__name__}"
    if recipe >= 0.97:
        content, story = foreign(chance, content), f"{story}, not gzip"
    if len(plain.content) > 100_000:
        return Sample(content, plain.shape, story)
    return Sample(
        content, plain.shape, story, chance.choice([PIECE, 64, 128, 4096]), chance.choice([READ_BUFFER, 512, 640, 4096])
    )


def foreign(chance, content):
    """The content as something else than a NIfTI file."""
    match chance.randrange(6):
        case 0:
            return bz2.compress(content)
        case 1:
            return lzma.compress(content)
        case 2:
            return zlib.compress(content)
        case 3:
            return gzip.compress(content)
        case 4:
            return content[: chance.randrange(4)]
        case _:
            return chance.randbytes(len(content))


# ---------------------------------------------------------------------------------------------------- honest files


def honest(chance):
    """A valid mask of any kind that a careful team could write."""
    shape = _shape(chance)
    dtype = chance.choice(DTYPES)
    mask = _voxels(chance, shape)
    scaling, stored = _scaled(chance, np.minimum(mask, 127) if dtype == "i1" else mask, dtype)
    order, version = chance.choice("<>"), chance.choice([1, 1, 2])
    extension = chance.choice([b"", b"", b"", b"\1" * 16, bytes(5), bytes(range(256)) * 9])
    dims = _dims(chance, shape)
    content = builders.nifti_bytes(
        stored,
        order=order,
        version=version,
        extension=extension,
        dims=dims,
        **scaling,
        bitpix=chance.choice([0, 8, 64]),
    )
    story = f"{dtype} {order} NIfTI-{version} {shape} as {dims} {scaling} extension {len(extension)}"
    return Plain(content, shape, order, version, story)


def _shape(chance):
    if chance.random() < 0.005:  # longer than the pieces in which a file is read
        return (chance.randint(1, 5), chance.randint(100, 130), chance.randint(50, 70), chance.randint(20, 40))
    findings = chance.choice([1, 1, 2, 3, 5, 7, 8, 9, 12])
    return (findings, chance.randint(1, 40), chance.randint(1, 9), chance.choice([1, 1, 2, 3, 6]))


def _voxels(chance, shape):
    """0 to 255, as runs that end anywhere: at row ends, over them, in the first and the last voxel."""
    random_numbers = np.random.default_rng(chance.randrange(2**32))
    flat = np.zeros(int(np.prod(shape)), np.uint8)
    match chance.randrange(7):
        case 0:
            pass
        case 1:
            flat[0] = flat[-1] = 1
        case 2:
            flat[:] = random_numbers.random(len(flat)) < chance.choice([0.001, 0.3, 0.97])
        case 3:
            flat[:] = random_numbers.integers(0, 256, len(flat))
        case 4:
            flat[:] = chance.choice([1, 255])
        case _:
            volume = np.zeros((shape[0], len(flat) // shape[0]), np.uint8)  # each finding as it lies in the file
            for channel in volume:
                for _ in range(chance.randint(0, 5)):
                    start = (
                        chance.randrange(len(channel)) // chance.choice([1, shape[1]]) * chance.choice([1, shape[1]])
                    )
                    channel[start : start + chance.randint(1, 3 * shape[1])] = chance.choice([0, 1, 1, 2, 128, 255])
            flat = volume.ravel(order="F")
    return flat.reshape(shape, order="F")


def _scaled(chance, mask, dtype):
    """(header fields, stored voxels)"""
    stored = mask.astype(dtype)
    match chance.randrange(10):
        case 0:
            return {"slope": chance.choice([0, float("nan"), float("inf")]), "inter": chance.choice([0, 3])}, stored
        case 1 if dtype not in ("u1", "i1"):
            return {"slope": 0.5}, stored * 2
        case 2 if dtype not in ("u1", "i1", "i2"):
            return {"slope": 1 / 255}, stored * 255
        case 3:
            top = 127 if dtype == "i1" else 255
            return {"slope": -1, "inter": top}, (top - mask.astype("i2")).astype(dtype)
        case 4 if dtype[0] == "f":
            return {"inter": 1}, stored - 1
        case _:
            return {}, stored


def _dims(chance, shape):
    choices = [shape, shape, shape, (*shape, 1), (*shape, 1, 1, 1)]
    choices += [shape[1:]] * 3 if shape[0] == 1 else []
    choices += [shape[:3]] * 3 if shape[3] == 1 else []
    return chance.choice(choices)


# ----------------------------------------------------------------------------------------- changes of the plain file


def changed_plain(chance, plain):
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        plain = chance.choice([change_field, change_field, change_voxels])(chance, plain)
    return change_length(chance, plain) if chance.random() < 0.2 else plain


def change_field(chance, plain):
    """A header field takes a boundary value."""
    fields = FIELDS_1 if plain.version == 1 else FIELDS_2
    name = chance.choice(list(fields))
    offset, code, values = fields[name]
    value = chance.choice(values)
    content = bytearray(plain.content)
    try:
        struct.pack_into(plain.order + code, content, offset, value)
    except (struct.error, OverflowError):
        struct.pack_into(plain.order + code, content, offset, 1)
        value = 1
    return Plain(bytes(content), plain.shape, plain.order, plain.version, f"{plain.story}, {name} = {value}")


def change_voxels(chance, plain):
    """A few voxel bytes become something else."""
    content = bytearray(plain.content)
    for _ in range(chance.randint(1, 9)):
        content[chance.randrange(352, len(content))] = chance.choice([0, 1, 127, 128, 240, 248, 255])
    return Plain(bytes(content), plain.shape, plain.order, plain.version, plain.story + ", voxel bytes")


def change_length(chance, plain):
    """The plain file is cut or goes on."""
    content = plain.content
    match chance.randrange(4):
        case 0:
            content = content[: chance.randrange(len(content))]
        case 1:
            content = content[: -chance.randint(1, 9)]
        case 2:
            content += bytes(chance.randint(1, 20))
        case 3:
            content += content
    return Plain(content, plain.shape, plain.order, plain.version, f"{plain.story}, {len(content)} bytes")


# --------------------------------------------------------------------------------------------------- honest streams


def packed(chance, plain):
    """(file, story): as it is, or as gzip in any number of members, with or without zeros behind them."""
    content = plain.content
    if chance.random() < 0.2:
        return content, plain.story + ", plain"
    cuts = sorted(chance.randrange(len(content) + 1) for _ in range(chance.choice([0, 0, 0, 1, 2, 5])))
    parts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    stream = b"".join(member(chance, part) for part in parts) + bytes(chance.choice([0, 0, 0, 1, 7, 512]))
    if chance.random() < 0.004:
        stream = _behind_empty_members(chance, stream)
    return stream, f"{plain.story}, {len(parts)} members"


def _behind_empty_members(chance, stream):
    """So many empty members in front that the stream's parts lie across the end of the inflater's buffer."""
    nothing = member(random.Random(0), b"", flags=0)
    missing = READ_BUFFER - chance.randint(0, len(stream) + 40)
    count, rest = divmod(missing, len(nothing))
    filler = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * rest + b"\0\x03\0" + bytes(8)
    return nothing * (count - 2) + filler + stream


def member(chance, data, flags=None):
    """A gzip member with any flags of RFC 1952, any level, strategy, window and flush points."""
    if flags is None:
        flags = chance.choice([0, 0, 0, 8, 31, 2, 4, 16, 1, 6, 24])
    header = (
        b"\x1f\x8b\x08" + bytes([flags]) + struct.pack("<IBB", chance.randrange(2**32), 0, chance.choice([0, 3, 255]))
    )
    if flags & 4:
        extra = bytes(chance.choice([0, 1, 6, 300]))
        header += struct.pack("<H", len(extra)) + extra
    header += (b"case.nii\0" if flags & 8 else b"") + (b"a comment\0" if flags & 16 else b"")
    if flags & 2:
        header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    level, window = chance.choice([0, 1, 1, 6, 9]), -chance.choice([9, 12, 15, 15])
    strategy = chance.choice([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE])
    engine = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
    place = chance.randrange(len(data) + 1)
    flush = chance.choice([zlib.Z_NO_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH])
    body = engine.compress(data[:place]) + (engine.flush(flush) if flush else b"")
    body += engine.compress(data[place:]) + engine.flush()
    return header + body + struct.pack("<2I", zlib.crc32(data), len(data) % 2**32)


# --------------------------------------------------------------------------------------------- changes of the stream


def flip_bits(chance, content):
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 3])):
        place = chance.randrange(len(content)) if chance.random() < 0.5 else chance.randrange(40) % len(content)
        changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def splice(chance, content):
    """A stretch goes, comes twice, or lands elsewhere."""
    start = chance.randrange(len(content))
    piece = content[start : start + chance.randint(1, 60)]
    without = content[:start] + content[start + len(piece) :]
    place = chance.randrange(len(content))
    return chance.choice(
        [without, content[:place] + piece + content[place:], without[:place] + piece + without[place:]]
    )


def cut(chance, content):
    keep = chance.choice([len(content) - chance.randint(1, 20), chance.randrange(len(content))])
    return content[: max(keep, 0)] or b"\x1f"


def add_behind(chance, content):
    nothing = member(chance, b"")
    tails = [b"x", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08\0" + bytes(6), b"garbage" * 9, bytes(9) + b"x", nothing]
    tails += [nothing[:-1], member(chance, b"\0"), bytes(3) + nothing + bytes(3), content]
    return content + chance.choice(tails)


def add_in_front(chance, content):
    return chance.choice([member(chance, b""), member(chance, b"") + bytes(4), b"\0", b"\x1f\x8b"]) + content


def wrong_trailer(chance, content):
    """The checksum or the length of the last member lies."""
    changed = bytearray(content or b"\0")
    place = chance.choice([-8, -5, -4, -1])
    changed[max(place, -len(changed))] ^= chance.randint(1, 255)
    return bytes(changed)


def edited_deflate(chance, content):
    """A bit of the compressed data flips, and the checksum is put right, if what results can be inflated at all."""
    if content[:4] != b"\x1f\x8b\x08\0" or len(content) < 30:
        return content
    for _ in range(30):
        changed = bytearray(content)
        changed[chance.randrange(10, len(content) - 8)] ^= 1 << chance.randrange(8)
        engine = zlib.decompressobj(-15)
        try:
            data = engine.decompress(bytes(changed[10:]), 1 << 22)
        except zlib.error:
            continue
        if engine.eof:
            end = len(changed) - len(engine.unused_data)
            return bytes(changed[:end]) + struct.pack("<2I", zlib.crc32(data), len(data))
    return content


def edit_gzip_header(chance, content):
    changed = bytearray(content)
    place = chance.choice([2, 3, 3, 3, 9, 10, 11]) % len(content)
    changed[place] = chance.choice([0, 1, 2, 4, 8, 16, 31, 32, 64, 128, 255, 8, 9])
    return bytes(changed)


STREAM_CHANGES = [
    flip_bits,
    splice,
    cut,
    add_behind,
    add_in_front,
    wrong_trailer,
    edited_deflate,
    edited_deflate,
    edit_gzip_header,
]
