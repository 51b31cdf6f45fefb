"""The right answer, slowly: a mask reader from the NIfTI standard, RFC 1952 and the acceptance rules of the product.

It inflates everything, keeps everything and looks at one distinct value after the other in Python. It shares no code
with `evaluation`, so that a mistake has to be made twice to stay unseen.
"""

import math
import struct
import zlib

import numpy as np

CODES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
LARGEST_OFFSET = 16 * 1024 * 1024
LONGEST_GZIP_HEADER = 512 * 1024
ENOUGH = 1 << 26  # inflated bytes; the fuzzer's masks are smaller
FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16


class Refused(Exception):
    """Not a mask of the expected shape."""


def prediction(content, shape, longest_header=LONGEST_GZIP_HEADER):
    """The binarised mask, uint8 of shape (F, H, W, D), or None if the file is invalid."""
    try:
        values = whole_numbers(content, shape, longest_header)
    except Refused:
        return None
    if any(not 0 <= value <= 255 for value in np.unique(values).tolist()):
        return None
    return (values > 0).astype(np.uint8)


def reference(content, shape, longest_header=LONGEST_GZIP_HEADER):
    """The mask with its entity values, int64 of shape (F, H, W, D), or None if the file is invalid."""
    try:
        return whole_numbers(content, shape, longest_header)
    except Refused:
        return None


def whole_numbers(content, shape, longest_header):
    """All voxels as int64, scaled as the header says; every one must be a whole number."""
    plain = inflate(content, longest_header) if content[:2] == b"\x1f\x8b" else content
    dims, dtype, slope, inter, offset = read_header(plain)
    if not fits(dims, shape):
        raise Refused("shape")
    if len(plain) != offset + math.prod(dims) * np.dtype(dtype).itemsize:
        raise Refused("length")
    stored = np.frombuffer(plain, dtype, offset=offset)
    distinct, where = np.unique(stored, return_inverse=True)
    meant = np.array([meaning(value, slope, inter) for value in distinct.tolist()], np.int64)
    return meant[where].reshape(shape, order="F")


def meaning(stored, slope, inter):
    """The whole number that a stored one stands for."""
    if (slope, inter) == (1.0, 0.0):
        value, tolerance = stored, 0.0
    else:
        product = float(stored) * slope
        value = product + inter
        # Scaling is single-precision arithmetic in the writers: 255 * (1 / 255) comes out as 1.00000006.
        tolerance = min((abs(product) + abs(inter)) / 2**22, 1 / 1024)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise Refused("size")
        return value
    if not math.isfinite(value) or abs(value - round(value)) > tolerance or abs(round(value)) > 2**53:
        raise Refused("not a whole number")
    return round(value)


def fits(dims, shape):
    """The exact shape, extra axes of length 1 behind the fourth, or a 3D file without a finding or slice axis."""
    while len(dims) > 4 and dims[-1] == 1:
        dims = dims[:-1]
    if dims == shape:
        return True
    without_findings = shape[0] == 1 and dims == shape[1:]
    without_slices = shape[3] == 1 and dims == shape[:3]
    return without_findings or without_slices


def read_header(plain):
    """(dims, dtype, slope, inter, offset of the first voxel)"""
    for order in "<>":
        if plain[:4] == struct.pack(order + "i", 348):
            return header_fields(plain, order, 348, (344, b"n+1\0"), (40, "8h"), (70, "h"), (108, "f"), (112, "2f"))
        if plain[:4] == struct.pack(order + "i", 540):
            magic = b"n+2\0\r\n\x1a\n"
            return header_fields(plain, order, 540, (4, magic), (16, "8q"), (12, "h"), (168, "q"), (176, "2d"))
    raise Refused("sizeof_hdr")


def header_fields(plain, order, size, magic, dim, datatype, vox_offset, scaling):
    if len(plain) < size:
        raise Refused("short")
    where, text = magic
    if plain[where : where + len(text)] != text:
        raise Refused("magic")
    axes, *lengths = struct.unpack_from(order + dim[1], plain, dim[0])
    if not 1 <= axes <= 7 or min(lengths[:axes]) < 1:
        raise Refused("dim")
    (code,) = struct.unpack_from(order + datatype[1], plain, datatype[0])
    if code not in CODES:
        raise Refused("datatype")
    (offset,) = struct.unpack_from(order + vox_offset[1], plain, vox_offset[0])
    if not math.isfinite(offset) or offset != int(offset) or not size + 4 <= offset <= LARGEST_OFFSET:
        raise Refused("vox_offset")
    slope, inter = struct.unpack_from(order + scaling[1], plain, scaling[0])
    if slope == 0 or not math.isfinite(slope):
        slope, inter = 1.0, 0.0
    if not math.isfinite(inter):
        raise Refused("scl_inter")
    return tuple(lengths[:axes]), order + CODES[code], slope, inter, int(offset)


def inflate(content, longest_header):
    """Every member's data; behind a member there may be zeros, then another member or the end."""
    plain = b""
    while content:
        data, content = inflate_member(content, longest_header)
        plain += data
        content = content.lstrip(b"\0")
    return plain


def inflate_member(content, longest_header):
    """(data, what follows) of a gzip member; reserved flags are ignored, as gzip's own users do."""
    if len(content) < 18 or content[:3] != b"\x1f\x8b\x08":
        raise Refused("gzip header")
    position = end_of_gzip_header(content)
    if position > longest_header:
        raise Refused("gzip header")
    engine = zlib.decompressobj(-15)
    try:
        data = engine.decompress(content[position:], ENOUGH)
    except zlib.error:
        raise Refused("deflate") from None
    trailer = engine.unused_data[:8]
    if not engine.eof or len(trailer) < 8:
        raise Refused("truncated")
    if struct.unpack("<2I", trailer) != (zlib.crc32(data), len(data) % 2**32):
        raise Refused("checksum")
    return data, engine.unused_data[8:]


def end_of_gzip_header(content):
    flags, position = content[3], 10
    if flags & FEXTRA:
        position += 2 + int.from_bytes(content[position : position + 2], "little")
    for text in (FNAME, FCOMMENT):
        if flags & text:
            end = content.find(b"\0", position)
            if end < 0:
                raise Refused("gzip header")
            position = end + 1
    if flags & FHCRC:
        if content[position : position + 2] != struct.pack("<H", zlib.crc32(content[:position]) & 0xFFFF):
            raise Refused("gzip header checksum")
        position += 2
    return position
