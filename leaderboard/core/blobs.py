"""Files by content digest, in one small interface: a folder now, an object store later.

Each kind of file has a store of its own, so that "may a GPU host read this?" is a question about the kind. A file gets
its name by a rename when its whole content is there. All are readable by this process's user alone, and no web server
serves them, but for those of what may be downloaded: copies in a folder of their own (PUBLIC_DIR), whose mode says
who may look into it.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from django.conf import settings

from leaderboard.core import unfinished

CHUNK = 1 << 20
INCOMING = ".incoming-"


class Blob(NamedTuple):
    """A stored file: `digest` is "sha256:<hex>", `size` in bytes."""

    digest: str
    size: int


class DigestMismatch(ValueError):
    """What arrived is not what its digest promised."""


class Store:
    """One kind of files, named by digest: in `parent`, or where the settings say.

    Storing what is there already makes it young again, and only old files are removed, both under the store's lock:
    so nothing is removed between the moment in which somebody was told that it is stored and the row that says so.
    """

    folder_mode, file_mode = 0o700, 0o600

    def __init__(self, kind: str, parent: Path | None = None) -> None:
        self.kind = kind
        self._parent = parent

    @property
    def root(self) -> Path:
        """The folder of this kind, private to the server's user."""
        return (self._parent or Path(settings.STORE_DIR)) / self.kind

    def path(self, digest: str) -> Path:
        """Where the file with this digest lies, or would lie. Raises ValueError for what is no digest."""
        algorithm, _, name = digest.partition(":")
        if algorithm != "sha256" or len(name) != 64 or not set(name) <= set("0123456789abcdef"):
            raise ValueError(f"not a digest: {digest!r}")
        return self.root / name[:2] / name[2:]

    def exists(self, digest: str) -> bool:
        """Whether the whole file is here."""
        return self.path(digest).is_file()

    def freshen(self, digest: str) -> bool:
        """Whether the whole file is here; then it is young again, for a row that is about to name it."""
        try:
            with self._locked(fcntl.LOCK_SH):
                os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        return True

    def put(self, source: BinaryIO | Path, *, expected: str | None = None) -> Blob:
        """Store a copy of `source`. Raises DigestMismatch when it is not the `expected` content."""
        if isinstance(source, Path):
            with source.open("rb") as stream:
                return self._write(stream, expected)
        return self._write(source, expected)

    def adopt(self, source: Path, blob: Blob) -> Blob:
        """Take over a file whose digest the caller computed while writing it; a rename where the disk allows it."""
        target = self.path(blob.digest)
        self._make_folder(target.parent)
        if source.stat().st_dev != self.root.stat().st_dev:
            with source.open("rb") as stream:
                self._write(stream, blob.digest)
            source.unlink()
            return blob
        source.chmod(self.file_mode)
        with self._locked(fcntl.LOCK_SH):
            if target.is_file():
                os.utime(target)
                source.unlink()
            else:
                source.rename(target)
                os.utime(target)
        return blob

    def digests(self) -> Iterator[str]:
        """Every file that is here, in no order."""
        for folder in self.root.glob("[0-9a-f][0-9a-f]"):
            for path in folder.iterdir():
                yield f"sha256:{folder.name}{path.name}"

    def remove_if_older(self, digest: str, seconds: float) -> bool:
        """Remove a file that was not stored, nor stored again, within the last `seconds`; whether it is gone now."""
        path = self.path(digest)
        with self._locked(fcntl.LOCK_EX):
            try:
                if time.time() - path.stat().st_mtime < seconds:
                    return False
                path.unlink()
            except FileNotFoundError:
                pass
        return True

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, how)
            yield
        finally:
            os.close(folder)

    def _write(self, stream: BinaryIO, expected: str | None) -> Blob:
        self._make_folder(self.root)
        with unfinished.file(self.root, INCOMING) as output:
            hasher, size = hashlib.sha256(), 0
            for chunk in chunks(stream):
                hasher.update(chunk)
                size += len(chunk)
                output.write(chunk)
            output.flush()
            os.fsync(output.fileno())
            blob = Blob(f"sha256:{hasher.hexdigest()}", size)
            if expected is not None and blob.digest != expected:
                raise DigestMismatch(f"expected {expected}, received {blob.digest}")
            return self.adopt(Path(output.name), blob)

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=self.folder_mode)
        for one in {self.root, folder}:
            one.chmod(self.folder_mode)


class PublicStore(Store):
    """Copies of files that may be downloaded, for the web server in front of this one to hand out.

    Whoever may enter PUBLIC_DIR may read them; that folder's own mode is the operator's.
    """

    folder_mode, file_mode = 0o755, 0o644

    @property
    def root(self) -> Path:
        """The folder of this kind, in the folder of what is public."""
        return public_folder() / self.kind


def public_folder() -> Path:
    """Where the files lie that may be downloaded."""
    return Path(settings.PUBLIC_DIR or Path(settings.STORE_DIR) / "public")


def prepare() -> None:
    """Have the store's root and the folder of incoming files; both are the server's alone."""
    for folder in (Path(settings.STORE_DIR), Path(settings.FILE_UPLOAD_TEMP_DIR)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def chunks(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Read a stream to its end, `size` bytes at a time."""
    while chunk := stream.read(size):
        yield chunk


images = Store("images")  # rebuilt archives, as GPU hosts fetch them
weights = Store("weights")  # rebuilt archives of model weights, as GPU hosts fetch them
volumes = Store("volumes")  # CT volumes, re-written once
references = Store("references")  # reference masks: never sent anywhere
outputs = Store("outputs")  # predicted masks
pdfs = Store("pdfs")  # what teams hand in about their methods: sent to the team and to organisers, as a file to keep
pictures = Store("pictures")  # slices of public cases with the outlines of their findings: sent to organisers
public_volumes = PublicStore("volumes")  # of case sets that may be downloaded
public_masks = PublicStore("masks")  # the reference masks of such case sets, and of no other
