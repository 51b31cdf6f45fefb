"""Receiving an image archive, or a PDF: streamed to the store's disk while its digest is computed, and bounded.

Django would keep reading a body of any length. Here the request ends as soon as it is longer than its phase takes, does
not begin as an image archive does, or finds the disk too full, and nothing of it stays on the disk.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest

from containers.intake import BEGINNING_BYTES
from leaderboard.core import blobs, clock, database, locks, unfinished
from leaderboard.core.refusal import Refused
from leaderboard.models import Phase, Submission
from leaderboard.submissions import admission

FORM_OVERHEAD_BYTES = 1 << 20
CHUNK = 256 << 10  # hundreds of uploads hold some of them in memory at once
CHECK_SPACE_EVERY_BYTES = 64 << 20
PREFIX = "upload-"
IMAGE, WEIGHTS, PDF = "image", "weights_file", "pdf"  # the form's fields for files
PATIENCE_SECONDS = 120.0  # with a database that has no connection for an upload that is complete


class Upload(NamedTuple):
    """An archive in the server's hands: its file's random name there, its digest and size, the team's name for it.

    `completed_at` is when its last byte was here, by the database's clock: what the deadline is about, however long
    the disk or the database then take.

    Each upload has a file of its own. Two teams may send the same bytes; what becomes of one must not touch the other.
    """

    file: str
    digest: str
    size: int
    name: str
    completed_at: datetime


_BEGINNINGS: dict[str, tuple[int, Callable[[bytes, Phase], None]]] = {
    IMAGE: (BEGINNING_BYTES, admission.check_beginning),
    WEIGHTS: (BEGINNING_BYTES, partial(admission.check_beginning, part=admission.Part.WEIGHTS)),
    PDF: (admission.PDF_BEGINNING_BYTES, lambda beginning, _: admission.check_pdf_beginning(beginning)),
}


def _check_size(kind: str, size: int, phase: Phase) -> None:
    if kind == PDF:
        admission.check_pdf(size, phase)
    else:
        part = admission.Part.WEIGHTS if kind == WEIGHTS else admission.Part.IMAGE
        admission.check_upload(size, phase, part=part)


class HashedFile(UploadedFile):  # type: ignore[type-arg]
    """A file in the incoming folder, as `BoundedUploadHandler` hands it to a form."""

    digest: str
    beginning: bytes
    completed_at: datetime

    def close(self) -> None:
        """It goes with this, unless it was moved away."""
        if self.file:
            unfinished.close(self.file)


class BoundedUploadHandler(FileUploadHandler):
    """Streams a form's files to the incoming folder, hashing them on the way, until there is a reason to refuse one.

    Then it stops reading, and `refusal` has the sentence that the user reads about the field `refused`. Of a form that
    `takes` a PDF alone each field holds one.
    """

    chunk_size = CHUNK

    def __init__(self, request: HttpRequest, phase: Phase, *, takes: str = IMAGE) -> None:
        super().__init__(request)
        self.phase = phase
        self.takes = self.refused = takes
        self.refusal: Refused | None = None

    def handle_raw_input(self, input_data: Any, META: Any, content_length: int, *args: Any, **kwargs: Any) -> None:  # noqa: N803
        """Refuse a body that announces too much before reading any of it.

        What takes hours holds no connection to the database meanwhile: others need it.
        """
        database.let_go()
        # Each may have its room: whose is too large shows as it comes.
        beside = FORM_OVERHEAD_BYTES
        if self.takes == IMAGE:
            beside += self.phase.max_archive_bytes  # of weights
            beside += admission.MAX_PDF_BYTES if self.phase.pdf != Phase.Asked.NO else 0
        self._unless_refused(lambda: _check_size(self.takes, max(1, content_length - beside), self.phase))
        self._unless_refused(lambda: admission.check_disk_space(content_length))
        self.files: list[HashedFile] = []

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file."""
        super().new_file(*args, **kwargs)
        self.refused = self.field_name if self.takes == IMAGE and self.field_name in _BEGINNINGS else self.takes
        # By no name of theirs: an extension may be longer than a file system takes.
        stored = unfinished.create(Path(settings.FILE_UPLOAD_TEMP_DIR), PREFIX)
        self.file = HashedFile(stored, self.file_name, self.content_type, 0, self.charset, self.content_type_extra)
        self.hasher = hashlib.sha256()
        self.beginning = b""
        self.check_at = CHECK_SPACE_EVERY_BYTES

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Look at a chunk, write it and hash it."""
        self._unless_refused(lambda: _check_size(self.refused, start + len(raw_data), self.phase))
        self._look_at_beginning(raw_data)
        # Others upload too: together they may take what each of them found free when it began.
        if start >= self.check_at:
            self.check_at += CHECK_SPACE_EVERY_BYTES
            self._unless_refused(admission.check_disk_space)
        if self.refusal:
            raise StopUpload(connection_reset=True)
        self.hasher.update(raw_data)
        self._store(lambda: self.file.write(raw_data))

    def file_complete(self, file_size: int) -> HashedFile:
        """Hand the file to the form, with its digest."""
        self._store(self.file.flush)
        self.file.size, self.file.beginning = file_size, self.beginning
        self.file.digest = f"sha256:{self.hasher.hexdigest()}"
        self.files.append(self.file)
        return self.file

    def upload_interrupted(self) -> None:
        """Nothing of a file stays whose end did not come."""
        if hasattr(self, "file"):
            self.file.close()

    def abandon(self) -> None:
        """Nothing stays of a request that broke off: an error keeps hold of its files, and Django lets it."""
        for file in (*getattr(self, "files", ()), getattr(self, "file", None)):
            if file is not None:
                file.close()

    def upload_complete(self) -> None:
        """The whole request is here, the fields after a file among it: at this instant, whatever the database does."""
        began = time.monotonic()
        database.take_hold(for_seconds=PATIENCE_SECONDS)
        at = clock.now() - timedelta(seconds=time.monotonic() - began)
        for file in self.files:
            file.completed_at = at

    def _look_at_beginning(self, chunk: bytes) -> None:
        wanted, check = _BEGINNINGS[self.refused]
        missing = wanted - len(self.beginning)
        if missing > 0:
            self.beginning += chunk[:missing]
            if len(chunk) >= missing:
                self._unless_refused(lambda: check(self.beginning, self.phase))

    def _unless_refused(self, check: Callable[[], None]) -> None:
        try:
            if not self.refusal:
                check()
        except Refused as refusal:
            self.refusal = refusal

    def _store(self, write: Callable[[], object]) -> None:
        try:
            with admission.refusing_a_full_disk():
                write()
        except Refused as refusal:
            self.refusal = refusal
            raise StopUpload(connection_reset=True) from refusal


def received(file: HashedFile) -> Upload:
    """Keep the archive that a form received. Raises Refused when the disk is full after all."""
    upload = Upload(_new_name(), file.digest, file.size or 0, shown_name(file.name or ""), file.completed_at)
    database.let_go()  # gigabytes take their time to reach the disk
    with admission.refusing_a_full_disk():
        unfinished.keep(cast(IO[bytes], file.file), path(upload.file))
    database.take_hold(for_seconds=PATIENCE_SECONDS)
    return upload


def from_disk(source: Path) -> Upload:
    """Keep a copy of an archive that lies on this machine, for the command line.

    Raises OSError if it cannot be read, and Refused if there is no room for it.
    """
    hasher, size, name = hashlib.sha256(), 0, _new_name()
    with source.open("rb") as stream:
        admission.check_disk_space(source.stat().st_size)
        with admission.refusing_a_full_disk(), unfinished.file(Path(settings.FILE_UPLOAD_TEMP_DIR), PREFIX) as copy:
            for chunk in blobs.chunks(stream):
                hasher.update(chunk)
                size += copy.write(chunk)
            unfinished.keep(copy, path(name))
    return Upload(name, f"sha256:{hasher.hexdigest()}", size, shown_name(source.name), clock.now())


def path(file: str) -> Path:
    """Where an upload's file lies."""
    return folder() / file


def folder() -> Path:
    """The folder of archives that wait for their check."""
    folder = Path(settings.STORE_DIR) / "uploads"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def delete(file: str) -> None:
    """Delete an upload's file; nothing happens when it is not here.

    Nothing is deleted while a backup reads the stores: then the file is left to retention.
    """
    with locks.working_on("stores", "") as mine:
        if mine:
            path(file).unlink(missing_ok=True)


def delete_all_of(submission: Submission) -> None:
    """Delete what a submission was handed in with."""
    for file in filter(None, (submission.upload_file, submission.weights_file)):
        delete(file)


def _new_name() -> str:
    return secrets.token_hex(16)


def shown_name(name: str, unnamed: str = "image.tar") -> str:
    """A file's name as it is kept and shown."""
    printable = "".join(letter for letter in name if letter.isprintable())
    return printable[:200] or unnamed
