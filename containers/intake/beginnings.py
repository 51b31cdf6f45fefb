"""What an archive is by its first bytes, where they tell: so that nobody sends the rest of a wrong one.

It is good for an early refusal alone: whatever is not sure is None, and what passes is read whole later, as hostile
data. Names alone prove nothing, since an image may call a layer as it likes: what a member holds has to fit.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Literal

from containers.intake import tar
from containers.intake.compression import any_compression_of, can_inflate, inflate
from containers.intake.errors import ImageRejected
from containers.intake.streams import WatchedStream

Found = Literal["image", "masks", "files of a container"]

MOST_INFLATED: Final = 64 << 10
_MOST_MEMBERS: Final = 64
_LAYER: Final = re.compile(r"[0-9a-f]{64}/(layer\.tar|VERSION)|blobs/sha256/[0-9a-f]{64}")
_DOCUMENTS: Final = {
    "oci-layout": b'"imageLayoutVersion"',
    "index.json": b'"schemaVersion"',
    "manifest.json": b'"Config"',
}
_NIFTI_HEADERS: Final = tuple(size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big"))
_ZIP_HEADER: Final = b"PK\x03\x04"


def what_begins_so(beginning: bytes) -> Found | None:
    """What an archive with these first bytes surely is; None where they do not tell."""
    if beginning.startswith(_ZIP_HEADER):
        length = int.from_bytes(beginning[26:28], "little")
        name = beginning[30 : 30 + length].decode(errors="replace").lower()
        return "masks" if name.endswith((".nii", ".nii.gz")) else None
    content = _inflated(beginning, MOST_INFLATED)
    members = list(_members(content))
    if any(member.kind == "file" and member.name == ".dockerenv" and member.size == 0 for member in members):
        return "files of a container"
    for member in members:
        if member.kind == "file" and (found := _of_member(member, content[member.offset :][: member.size])):
            return found
    return None


def _of_member(member: tar.Member, data: bytes) -> Found | None:
    name = member.name.removeprefix("./")
    if _LAYER.fullmatch(name):
        return "image"
    if name in _DOCUMENTS:
        return "image" if _DOCUMENTS[name] in data else None
    is_mask = name.lower().endswith((".nii", ".nii.gz")) and _inflated(data, 4)[:4] in _NIFTI_HEADERS
    return "masks" if is_mask else None


def _inflated(data: bytes, most: int) -> bytes:
    compression, content = any_compression_of(data), b""
    if compression is None or not can_inflate(compression):
        return data[:most]
    with suppress(ImageRejected):  # it ends in its midst, as a beginning does
        for piece in inflate(compression, [data], what="", max_parts=len(data)):
            content += piece
            if len(content) >= most:
                break
    return content[:most]


def _members(content: bytes) -> Iterator[tar.Member]:
    stream = WatchedStream([content], lambda _: None)
    with suppress(ImageRejected):
        yield from tar.members(stream, tar.EntryLimit(_MOST_MEMBERS, what="", advice=""), what="")
