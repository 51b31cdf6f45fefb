"""Small masks, and the files that hold them."""

import gzip
import struct
from pathlib import Path

import numpy as np

from evaluation import Case, score_case
from evaluation.metrics.cases import mean_dice

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}


def header_1(dims, code, order="<", **fields):
    """The 348 bytes of a NIfTI-1 header, written from the standard's table; fields override single values."""
    raw = bytearray(348)
    dim = [len(dims), *dims] + [1] * (7 - len(dims))
    struct.pack_into(order + "i", raw, 0, fields.get("sizeof_hdr", 348))
    struct.pack_into(order + "8h", raw, 40, *fields.get("dim", dim))
    struct.pack_into(order + "2h", raw, 70, code, fields.get("bitpix", 8))
    struct.pack_into(order + "8f", raw, 76, *fields.get("pixdim", [1] * 8))
    struct.pack_into(order + "3f", raw, 108, fields.get("offset", 352), fields.get("slope", 1), fields.get("inter", 0))
    raw[123] = fields.get("unit", 2)
    raw[344:348] = fields.get("magic", b"n+1\0")
    return bytes(raw)


def header_2(dims, code, order="<", **fields):
    """The 540 bytes of a NIfTI-2 header."""
    raw = bytearray(540)
    struct.pack_into(order + "i", raw, 0, 540)
    raw[4:12] = fields.get("magic", b"n+2\0\r\n\x1a\n")
    struct.pack_into(order + "2h", raw, 12, code, 8)
    struct.pack_into(order + "8q", raw, 16, *fields.get("dim", [len(dims), *dims] + [1] * (7 - len(dims))))
    struct.pack_into(order + "8d", raw, 104, *fields.get("pixdim", [1] * 8))
    struct.pack_into(order + "q2d", raw, 168, fields.get("offset", 544), fields.get("slope", 1), fields.get("inter", 0))
    struct.pack_into(order + "i", raw, 500, fields.get("unit", 2))
    return bytes(raw)


def nifti_bytes(array, *, order="<", version=1, extension=b"", **fields):
    """An uncompressed NIfTI file of the array, first axis fastest."""
    array = np.asarray(array)
    make, size = (header_1, 352) if version == 1 else (header_2, 544)
    fields.setdefault("offset", size + len(extension))
    header = make(fields.pop("dims", array.shape), fields.pop("code", CODES[array.dtype.str[1:]]), order, **fields)
    return header + bytes(4) + extension + array.astype(array.dtype.newbyteorder(order)).tobytes(order="F")


def write(path: Path, content: bytes) -> Path:
    """Write it, compressed if the name says so."""
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)
    return path


def mask_file(path: Path, array, **options) -> Path:
    """A mask (F, H, W, D) as a NIfTI file; uint8 unless the array has another integer or float type."""
    array = np.asarray(array)
    return write(path, nifti_bytes(array.astype(np.uint8) if array.dtype == bool else array, **options))


def empty(shape=(1, 8, 8, 8), dtype=np.uint8):
    return np.zeros(shape, dtype)


def a_case(shape, categories=None, spacing=None, name="case.nii.gz"):
    """The case of a mask of shape (F, H, W, D)."""
    keys = tuple(str(index) for index in range(shape[0]))
    codes = dict(zip(keys, categories or [], strict=False))
    return Case(name, keys, codes, tuple(shape[1:]), spacing)


def score(tmp_path: Path, reference, prediction, categories=None, spacing=None):
    """Write both masks and score them: the case result."""
    reference, prediction = np.asarray(reference), np.asarray(prediction)
    return score_case(
        a_case(reference.shape, categories, spacing),
        mask_file(tmp_path / "reference.nii.gz", reference),
        mask_file(tmp_path / "prediction.nii.gz", prediction),
    )


def finding_result(category="2a", dice=0.5, tp=1, fp=0, fn=0, key="0", **fields):
    """A finding's result with plausible values."""
    distance = fields.pop("distance", (tp, fp, fn))
    return {
        "finding": key,
        "category": category,
        "dice": dice,
        "dice_raw": dice,
        "hit": dice >= 0.1,
        "hit_05": dice >= 0.05,
        "n_reference": tp + fn,
        "n_predicted": tp + fp,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "distance_tp": distance[0] if distance else None,
        "distance_fp": distance[1] if distance else None,
        "distance_fn": distance[2] if distance else None,
        **fields,
    }


def case_result(name, *findings):
    """A scored case's result."""
    return {"name": name, "status": "scored", "reason": None, "dice": mean_dice(findings), "findings": list(findings)}
