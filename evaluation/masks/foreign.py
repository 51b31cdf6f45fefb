"""What a file is that is not what it should be: by its first bytes, in words that tell what to do.

Teams have pointers of Git LFS where a clone fetched no data, pages of a login form where a download went wrong, and
masks in other formats under the right name. Nothing of a file's content is ever repeated.
"""

from __future__ import annotations

import re

ENOUGH = 1024  # bytes from the beginning
SAVE_AS_MASK = "save the mask as .nii.gz"
_UNPACK = "unpack it"

# What files begin with.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file that it stands for: git lfs pull"),
    (b"version https://git-annex", "a git-annex pointer; fetch the file that it stands for: git annex get"),
    (b"/annex/objects/", "a git-annex pointer; fetch the file that it stands for: git annex get"),
    (b"\x93NUMPY", f"a NumPy array (.npy); {SAVE_AS_MASK}"),
    (b"NRRD", f"an NRRD file; {SAVE_AS_MASK}"),
    (b"ObjectType", f"a MetaImage (.mha, .mhd); {SAVE_AS_MASK}"),
    (b"NDims", f"a MetaImage (.mha, .mhd); {SAVE_AS_MASK}"),
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file; {SAVE_AS_MASK}"),
    (b"CDF\x01", f"a NetCDF or MINC file; {SAVE_AS_MASK}"),
    (b"MATLAB 5.0", f"a MATLAB file; {SAVE_AS_MASK}"),
    (b"\x89PNG", f"a PNG picture; {SAVE_AS_MASK}"),
    (b"\xff\xd8\xff", f"a JPEG picture; {SAVE_AS_MASK}"),
    (b"II*\0", f"a TIFF picture; {SAVE_AS_MASK}"),
    (b"MM\0*", f"a TIFF picture; {SAVE_AS_MASK}"),
    (b"%PDF", f"a PDF document; {SAVE_AS_MASK}"),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", f"a PyTorch file; {SAVE_AS_MASK}"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "compressed with bzip2; compress it with gzip"),
    (b"\xfd7zXZ\0", "compressed with xz; compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; compress it with gzip"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4; compress it with gzip"),
    (b"\x1f\x9d", "compressed with compress (.Z); compress it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"Rar!", f"a RAR archive; {_UNPACK}"),
    (b"\0\x05\x16\x07", "what macOS keeps beside a file; take the file of the same name without ._ in front"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_PAGE = re.compile(rb"<(!doctype html|html|head|body|script|title|!--)", re.IGNORECASE)


def what_it_is(start: bytes) -> str | None:
    """The kind of a file that begins so, with its article and what to do about it; None if it is none of those known.

    `start` are the first bytes, `ENOUGH` of them if there are as many.
    """
    for beginning, words in _BEGINNINGS:
        if start.startswith(beginning):
            return words
    if start.startswith(_ZIP):
        return _zip(start)
    if start[257:262] == b"ustar":
        return f"a tar archive; {_UNPACK}"
    if start[128:132] == b"DICM":
        return f"a DICOM file; {SAVE_AS_MASK}"
    if not start.strip(b"\0"):
        return "nothing but zeros at its beginning: it was never written to its end, or not copied; save it again"
    return _text(start) or _other(start)


def _zip(start: bytes) -> str:
    """The name of the first file inside tells whose zip it is."""
    inside = start[30 : 30 + int.from_bytes(start[26:28], "little")]
    if inside.endswith(b".npy"):
        return f"a NumPy archive (.npz); {SAVE_AS_MASK}"
    if inside.endswith((b"data.pkl", b".format_version", b".storage_alignment", b"byteorder")):
        return f"a PyTorch file; {SAVE_AS_MASK}"
    return f"a zip archive; {_UNPACK}"


def _text(start: bytes) -> str | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if _PAGE.match(text):
        return "a web page: the download went wrong, perhaps for lack of a login; download it again"
    if text.startswith(b"<"):
        return "XML, such as the error message of a download; download it again"
    if any(byte < 32 and byte not in b"\t\r\n\x1b\f" for byte in start):
        return None
    try:
        start[: start.rfind(b"\n") + 1 or len(start)].decode()
    except UnicodeDecodeError:
        return None
    return (
        f"JSON; {SAVE_AS_MASK}"
        if text.startswith((b"{", b"["))
        else "a text file, such as an error message; save it again"
    )


def _other(start: bytes) -> str | None:
    """By two bytes alone, so these come last."""
    if _PICKLE.match(start):
        return f"a Python pickle; {SAVE_AS_MASK}"
    return "compressed with zlib, not gzip; compress it with gzip" if _ZLIB.match(start) else None
