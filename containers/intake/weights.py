"""check_weights: from a stranger's archive of model weights to one that a GPU host may unpack.

It is read as an image archive is (streamed, bounded, by our own tar reader, nothing extracted), and it is far simpler:
folders, files, and links that stay inside. It is written anew in one form: folders first, then files, other names of
files, and links, each sorted by name, with one owner, one time and as few modes as there can be. So the same files are
the same bytes, whichever tool packed them; nothing lies below a link; and whoever unpacks it has nothing to decide.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from containers.intake import tar
from containers.intake.errors import ImageRejected, ImageRejectionCode
from containers.intake.limits import ArchiveLimits
from containers.intake.streams import FileRange
from containers.intake.upload_archive import IMAGE_FILES, check_beginning, open_tar
from containers.intake.weights_tree import PACK_AGAIN, WeightsTree
from containers.protocol.sizes import decimal_size

_WHAT: Final = "The archive of weights"
_ENTRIES: Final = 100_000
_END: Final = bytes(2 * tar.BLOCK_BYTES)

# What the parts that images are read with as well refuse, in words that fit weights.
_SHARED: Final[dict[str, tuple[ImageRejectionCode, str]]] = {
    "not_an_archive": (
        "weights_not_an_archive",
        f"The file of weights is not a tar archive. {PACK_AGAIN}",
    ),
    "compression": (
        "weights_compression",
        f"{_WHAT} is compressed in a way that is not supported. Send a tar file, as it is or in gzip, xz or zstd.",
    ),
    "damaged": ("weights_damaged", f"{_WHAT} is not a readable tar file. {PACK_AGAIN}"),
    "truncated": ("weights_damaged", f"{_WHAT} ends too early. {PACK_AGAIN}"),
    "sparse_file": (
        "weights_sparse_file",
        f"{_WHAT} holds a sparse file, which is not supported. Pack it without --sparse.",
    ),
    "too_many_entries": (
        "weights_too_many_entries",
        f"{_WHAT} holds more than {_ENTRIES:,} files and folders. Leave out what the algorithm does not need.",
    ),
}


@dataclass(frozen=True)
class CheckedWeights:
    """Verified weights. `blob` and `size` describe the rebuilt archive; `unpacked_bytes` are those of its `files`."""

    blob: str  # "sha256:<hex>"
    size: int
    unpacked_bytes: int
    files: int


def check_weights(source: Path, destination: Path, *, limits: ArchiveLimits | None = None) -> CheckedWeights:
    """Verify the archive of weights at `source` and write it anew to `destination`, which is removed if it is refused.

    Of the limits those of the file's size and of what it inflates to count. Raises ImageRejected for what is wrong with
    the archive, OSError for what is wrong here (a full disk).
    """
    limits = limits or ArchiveLimits()
    with _in_words_of_weights(limits), open_tar(source, destination.parent, limits, lambda _: None) as (file, size):
        tree = _read(FileRange(file, 0, size))
        try:
            with destination.open("wb") as target:
                blob, written = _write(tree, partial(FileRange, file), target)
        except BaseException:
            destination.unlink(missing_ok=True)
            raise
    return CheckedWeights(blob, written, sum(member.size for member in tree.files.values()), len(tree.files))


def check_beginning_of_weights(beginning: bytes) -> None:
    """Refuses what can be no archive of weights, as `upload_archive.check_beginning` does for images."""
    with _in_words_of_weights(ArchiveLimits()):
        check_beginning(beginning)


@contextmanager
def _in_words_of_weights(limits: ArchiveLimits) -> Iterator[None]:
    sizes: dict[str, tuple[ImageRejectionCode, str]] = {
        "too_large": (
            "weights_too_large",
            f"{_WHAT} is larger than {decimal_size(limits.archive_bytes)}, which is the most that is allowed.",
        ),
        "inflates_too_far": (
            "weights_inflate_too_far",
            f"{_WHAT} inflates to more than an upload of its size may, at most {decimal_size(limits.inflated_bytes)}.",
        ),
    }
    try:
        yield
    except ImageRejected as refused:
        code, words = (_SHARED | sizes).get(refused.code, (refused.code, refused.message))
        raise ImageRejected(code, words) from refused


def _read(stream: FileRange) -> WeightsTree:
    entry_limit = tar.EntryLimit(_ENTRIES, what=_WHAT, advice="")
    tree = WeightsTree(entry_limit)
    refusal: ImageRejected | None = None
    for member in tar.members(stream, entry_limit, what=_WHAT):
        try:
            tree.add(member)
        except ImageRejected as error:  # what the whole archive is tells more than its first odd member
            refusal = refusal or error
    if "oci-layout" in tree.files or ("manifest.json" in tree.files and _holds_layers(tree)):
        raise ImageRejected(
            "weights_are_an_image",
            "The archive of weights is an image archive. Choose it as the image, and pack the files of your model "
            "alone as the weights.",
        )
    if refusal:
        raise refusal
    tree.finish()
    return tree


def _holds_layers(tree: WeightsTree) -> bool:
    """Whether what lies beside a manifest.json is what engines save: a configuration and layers, by their digests."""
    tops = {path.partition("/")[0] for path in tree.files} - IMAGE_FILES
    return "repositories" in tops or any(len(top.partition(".")[0]) == 64 for top in tops)


def _write(tree: WeightsTree, data: "_Data", target: IO[bytes]) -> tuple[str, int]:
    """Digest and size of what was written."""
    hasher, size = hashlib.sha256(), 0
    for piece in _pieces(tree, data):
        hasher.update(piece)
        size += target.write(piece)
    target.flush()
    os.fsync(target.fileno())
    return f"sha256:{hasher.hexdigest()}", size


_Data = partial[FileRange]


def _pieces(tree: WeightsTree, data: _Data) -> Iterator[bytes]:
    for path in sorted(tree.folders):
        yield _header(path, tarfile.DIRTYPE, mode=0o755)
    for path, member in sorted(tree.files.items()):
        yield _header(path, tarfile.REGTYPE, mode=0o555 if member.mode & 0o111 else 0o444, size=member.size)
        yield from data(member.offset, member.size)
        yield bytes(-member.size % tar.BLOCK_BYTES)
    for path, target in sorted(tree.names.items()):
        yield _header(path, tarfile.LNKTYPE, mode=0o444, target=target)
    for path, target in sorted(tree.links.items()):
        yield _header(path, tarfile.SYMTYPE, mode=0o777, target=target)
    yield _END


def _header(path: str, kind: bytes, *, mode: int, size: int = 0, target: str = "") -> bytes:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.size, member.linkname = kind, mode, size, target
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
