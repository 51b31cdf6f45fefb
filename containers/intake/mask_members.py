"""The members of an archive that a stranger made: of a zip, or of a tar in whatever compression.

Names stay as they are in it and never become paths; what a member holds is read when it is asked for.
"""

import errno
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Final

from containers.intake import tar
from containers.intake.compression import any_compression_of, can_inflate, inflate
from containers.intake.errors import ImageRejected
from containers.intake.streams import CHUNK_BYTES, FileRange, WatchedStream
from containers.intake.upload_archive import BEGINNING_BYTES, check_beginning
from containers.protocol.sizes import decimal_size

MAX_ENTRIES: Final = 20_000
_COMPRESSED_PARTS: Final = 100_000
_HEADERS_BYTES: Final = 64 << 20  # of a tar, and of files in it that are no masks

_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_SPLIT_ZIP: Final = b"PK\x07\x08"
_JUNK_FOLDERS: Final = frozenset({"__MACOSX", ".AppleDouble", "@eaDir"})
_JUNK_FILES: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

ASK_FOR: Final = (
    "Upload one zip, or one tar (plain, or compressed with gzip, xz or zstd), with one .nii.gz for each case."
)
_WHAT: Final = "The archive"
_WORDS: Final = {
    "truncated": f"The archive ends too early. {ASK_FOR}",
    "sparse_file": "The archive holds a sparse file. Make it with tar, without --sparse.",
    "too_many_entries": f"The archive holds more than {MAX_ENTRIES:,} entries. {ASK_FOR}",
    "compression": "The archive is compressed in a way that is not read here, or with too large a window. Use zip, or "
    "tar with gzip, xz or zstd and their usual options.",
}
_DAMAGED: Final = (
    "The archive is damaged. Archive Utility of macOS is known to break a zip of more than 4 GB: make it with zip or "
    f"tar on the command line. {ASK_FOR}"
)


#: What zipfile raises over a file that is none, or not a sound one.
DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, IndexError, OverflowError, NotImplementedError, RuntimeError),
)


class MasksRejected(Exception):
    """The archive cannot be read; the message says so to its team, and what to do."""


class DiskFailed(Exception):
    """A mask could not be written: our disk, and not the archive."""


def check_masks_beginning(beginning: bytes) -> None:
    """Refuse by its first bytes what can be no archive of masks. Raises MasksRejected."""
    if beginning.startswith((_ZIP, _EMPTY_ZIP)):
        return
    if beginning.startswith(_SPLIT_ZIP):
        raise MasksRejected(f"This is a part of a zip that was split. {ASK_FOR}")
    try:
        check_beginning(beginning)
    except ImageRejected as error:
        if error.code == "compression":
            raise MasksRejected(
                f"The file is compressed with {any_compression_of(beginning)}, which is not read here. {ASK_FOR}"
            ) from error
        if error.code == "not_an_archive":
            raise MasksRejected(f"The file is no archive of masks. {ASK_FOR}") from error
        raise MasksRejected(_WORDS.get(error.code, _DAMAGED)) from error


@dataclass(frozen=True)
class Member:
    """One member, and how to read it; `odd` says what it is where it is no plain file."""

    path: str
    read: Callable[[], Iterator[bytes]]
    is_folder: bool = False
    odd: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Its folders and its name."""
        return tuple(part for part in self.path.split("/") if part not in {"", "."})

    @property
    def leads_out(self) -> bool:
        """Whether it would lie elsewhere than below the folder in which somebody unpacks it."""
        return self.path.startswith("/") or ".." in self.parts

    @property
    def is_junk(self) -> bool:
        """Whether a machine put it there for itself."""
        *folders, name = self.parts or ("",)
        return not _JUNK_FOLDERS.isdisjoint(folders) or name in _JUNK_FILES or name.startswith("._")


def members(file: IO[bytes], *, max_bytes: int) -> Iterator[Member]:
    """All members in turn; of a tar, `max_bytes` is what it may inflate to beside its headers.

    To be used within `in_words`.
    """
    beginning = file.read(BEGINNING_BYTES)
    check_masks_beginning(beginning)
    return _of_zip(file) if beginning.startswith((_ZIP, _EMPTY_ZIP)) else _of_tar(file, beginning, max_bytes)


@contextmanager
def in_words() -> Iterator[None]:
    """What the readers of archives raise, in words for who sent masks."""
    try:
        yield
    except ImageRejected as error:
        raise MasksRejected(_WORDS.get(error.code, _DAMAGED)) from error
    except DAMAGE as error:
        raise MasksRejected(_DAMAGED) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # to go to a place before the beginning
            raise
        raise MasksRejected(_DAMAGED) from error


def _of_zip(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > MAX_ENTRIES:
            raise MasksRejected(_WORDS["too_many_entries"])
        for member in members:
            # as Windows writes it; a name that zipfile cut off at a NUL is not the name that it has
            path = member.orig_filename.replace("\\", "/")
            yield Member(path, partial(_zip_bytes, archive, member), path.endswith("/"), _odd_in_zip(member))


def _odd_in_zip(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & 0x1:
        return "is encrypted. Make the archive without a password"
    mode = member.external_attr >> 16 if member.create_system == 3 else 0
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link or a device. Put the mask itself into the archive"
    return ""


def _zip_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(member) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


_ODD_IN_TAR: Final = {
    "symlink": "is a symbolic link. Put the mask itself into the archive (tar --dereference)",
    "hardlink": "is a hard link to another member. Put the mask itself into the archive (tar --hard-dereference)",
    "device": "is a device",
    "fifo": "is a pipe",
}


def _of_tar(file: IO[bytes], beginning: bytes, max_bytes: int) -> Iterator[Member]:
    size = file.seek(0, 2)
    stored = FileRange(file.fileno(), 0, size)
    compression = any_compression_of(beginning)
    stream: tar.Stream = stored
    if compression is not None and can_inflate(compression):
        bounded = _Bounded(max_bytes + _HEADERS_BYTES)
        pieces = inflate(compression, stored, what=_WHAT, max_parts=_COMPRESSED_PARTS)
        stream = watched = WatchedStream(pieces, bounded.count)
    else:
        watched = None
    reader = tar.Reader(stream, tar.EntryLimit(MAX_ENTRIES, what=_WHAT, advice=""), what=_WHAT)
    for member in reader:
        yield Member(
            member.name, partial(_tar_bytes, reader), member.kind == "folder", _ODD_IN_TAR.get(member.kind, "")
        )
    if watched is not None:
        watched.drain()  # its checksum comes last


def _tar_bytes(reader: tar.Reader) -> Iterator[bytes]:
    while chunk := reader.take(CHUNK_BYTES):
        yield chunk


class _Bounded:
    """Counts what an archive inflates to, and refuses what is more than it may."""

    def __init__(self, most: int) -> None:
        self._left, self._most = most, most

    def count(self, piece: bytes) -> None:
        """Count one more piece."""
        self._left -= len(piece)
        if self._left < 0:
            raise too_much(self._most)


def too_much(most: int) -> MasksRejected:
    """The refusal of an archive that unpacks to more than so many bytes."""
    return MasksRejected(
        f"The archive unpacks to more than {decimal_size(most)}. Save masks as gzipped uint8, and nothing else with "
        "them."
    )
