"""Receiving a file in pieces, over any number of connections: bounded, by one writer at a time, each byte once.

What is safe on the disk is said by the row (`received`), and only there a client goes on. It moves when the bytes
before it are on the disk: at the end of a piece, within a long one every few seconds, and when a connection breaks off.
A piece with a checksum counts as a whole or not at all.

A file is locked while somebody writes it. Who comes back after its line was lost, while the server still waits for the
old connection, is let in: a writer that has been silent gives way. One that is not keeps others out.
"""

import fcntl
import hashlib
import os
import secrets
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, Any, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum

from containers.intake import BEGINNING_BYTES
from leaderboard.challenge import maintenance
from leaderboard.core import blobs, clock, database
from leaderboard.core.refusal import Refused
from leaderboard.models import Draft, ResumableUpload, Submission
from leaderboard.submissions import admission, uploads

Part = ResumableUpload.Part
CHUNK = 32 << 10
SAFE_EVERY_BYTES = 32 << 20
SAFE_EVERY_SECONDS = 5.0
SILENT_SECONDS = 5.0
GIVES_WAY_WITHIN_SECONDS = 5.0
ENDING_SECONDS = 1.0  # a lost connection may be known to the client a moment before us
CHECKSUMS = ("sha1", "sha256")
#: An upload without a byte for so long is not counted on to come: its missing bytes are nobody's reserve.
ACTIVE = timedelta(minutes=15)


class PieceRefused(Exception):
    """A piece that is not taken as it came; the text says why."""


class WrongOffset(PieceRefused):
    """The piece does not begin where the upload goes on: at byte `received`."""

    def __init__(self, received: int) -> None:
        super().__init__(f"The upload goes on at byte {received}.")
        self.received = received


class Locked(PieceRefused):
    """Somebody else is writing this upload at this moment."""


class Gone(PieceRefused):
    """The upload was ended, or its draft handed in, while this piece came."""


class ChecksumMismatch(PieceRefused):
    """The piece is not what its checksum promised; nothing of it was kept."""


class CutOff(PieceRefused):
    """The piece ended before its announced length."""


class TooLong(PieceRefused):
    """The piece ends behind the announced length of the upload."""


class Stream(Protocol):
    """Where the bytes of a piece come from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


@dataclass(frozen=True)
class Piece:
    """Some bytes of an upload: from where, how many, and by which (algorithm, digest) they can be checked.

    `hang_up` makes a read that waits for the sender end.
    """

    offset: int
    length: int
    stream: Stream
    checksum: tuple[str, bytes] | None = None
    hang_up: Callable[[], object] = lambda: None


@dataclass
class _Writer:
    hang_up: Callable[[], object]
    heard_at: float = field(default_factory=time.monotonic)


_writers: dict[uuid.UUID, _Writer] = {}
# The hash of what was received so far, of the uploads of this process: else the whole file is read again at its end.
_hashes: OrderedDict[uuid.UUID, tuple[int, Any]] = OrderedDict()
_MOST_HASHES = 1024
_lock = threading.Lock()


def begin(draft: Draft, *, name: str, length: int, fingerprint: str = "", part: str = Part.IMAGE) -> ResumableUpload:
    """Expect a file of `length` bytes as this part of a draft, instead of any that it had.

    Weights are wanted from then on, whatever the form said before. Raises Refused, Locked, Gone.
    """
    admission.check_upload(length, draft.phase, admission.entry_said(draft.words, draft.phase), part)
    replaced = ResumableUpload.objects.filter(draft=draft, part=part)
    admission.check_disk_space(length + _promised_bytes(but=replaced))
    _check_unwritten(replaced.first())
    with transaction.atomic():
        if not held(draft.pk):
            raise Gone("This draft was handed in, or deleted.")
        end(replaced.first())
        _begin_part(Draft.objects.only("words", "source").get(pk=draft.pk), part)
        return ResumableUpload.objects.create(
            draft=draft,
            part=part,
            name=uploads.shown_name(name),
            fingerprint=fingerprint[:64],
            file=secrets.token_hex(16),
            length=length,
            received_at=clock.now(),
        )


def _begin_part(draft: Draft, part: str) -> None:
    """What else of a draft is changed by a file that begins."""
    if part == Part.WEIGHTS:
        draft.words["weights"] = "upload"
    elif draft.source_id and draft.words.get("weights") == str(draft.source_id):
        draft.words["weights"] = "none"  # they were those of the image that this file takes the place of
    if part == Part.IMAGE:
        draft.source = None
    draft.save(update_fields=["words", "source"])


def _check_unwritten(upload: ResumableUpload | None) -> None:
    """Nobody's bytes are thrown away while they come: two clients would end each other's uploads for ever."""
    if upload:
        with suppress(Gone), _alone(upload, patience=ENDING_SECONDS):
            pass


def _promised_bytes(*, but: QuerySet[ResumableUpload]) -> int:
    """What the uploads under way have yet to send."""
    active = ResumableUpload.objects.filter(completed_at=None, received_at__gt=clock.now() - ACTIVE)
    missing = active.exclude(pk__in=but).aggregate(bytes=Sum(F("length") - F("received")))["bytes"]
    return int(missing or 0)


def end(upload: ResumableUpload | None) -> bool:
    """Forget an upload and its bytes, unless it is gone already; whoever writes it at this moment is told so.

    Handing in takes the row and keeps the file, which from then on is the submission's.
    """
    if upload is None:
        return False
    with transaction.atomic():
        held(upload.draft_id)
        ended, _ = ResumableUpload.objects.filter(pk=upload.pk).delete()
        if ended:
            transaction.on_commit(lambda: uploads.delete(upload.file))
    with _lock:
        _hashes.pop(upload.pk, None)
    return bool(ended)


def beginning_of(upload: ResumableUpload | None) -> bytes:
    """Its first bytes; none while too few of them are here to be looked at."""
    if upload is None or upload.received < min(BEGINNING_BYTES, upload.length):
        return b""
    try:
        with uploads.path(upload.file).open("rb") as file:
            return file.read(BEGINNING_BYTES)
    except FileNotFoundError:
        return b""


def held(draft: uuid.UUID) -> bool:
    """Whether the draft is there; then nobody hands it in, or changes which file it has, until the transaction ends."""
    return Draft.objects.select_for_update().filter(pk=draft).exists()


def settled(upload: ResumableUpload) -> ResumableUpload:
    """The upload as its client may count on it: a silent writer is ended, and what the disk lost is to be sent again.

    While somebody writes, `received` is what was safe a moment ago.
    """
    with suppress(Locked), _alone(upload, patience=ENDING_SECONDS):
        pass
    return upload


def receive(upload: ResumableUpload, piece: Piece) -> ResumableUpload:
    """Take a piece.

    Raises WrongOffset, Locked, Gone, TooLong, CutOff, ChecksumMismatch, Refused, and what `stream` raises. Whatever
    ends it early, what came before is kept, unless it has a checksum.
    """
    with _alone(upload, piece.hang_up) as file:
        if piece.offset != upload.received:
            raise WrongOffset(upload.received)
        if piece.offset + piece.length > upload.length:
            raise TooLong(f"The upload was announced with {upload.length} bytes; this piece ends behind them.")
        if upload.completed_at:
            return upload  # an empty piece behind the end: when the last byte came is not changed by it
        database.let_go()
        try:
            _Receiving(upload, file, piece).run()
        except Refused as refusal:
            if not isinstance(refusal, admission.NoSpace):
                end(upload)
            raise
    return upload


class _Receiving:
    """One piece on its way to the disk."""

    def __init__(self, upload: ResumableUpload, file: IO[bytes], piece: Piece) -> None:
        self.upload, self.file, self.piece = upload, file, piece
        self.at = piece.offset
        self.hasher = _hash_until(upload.pk, self.at)
        self.check = hashlib.new(piece.checksum[0], usedforsecurity=False) if piece.checksum else None

    def run(self) -> None:
        """Receive it."""
        self.file.seek(self.at)
        self.file.truncate()  # nobody knows what a killed process wrote behind it
        try:
            self._copy()
        except Exception as error:
            if not self.check and (isinstance(error, admission.NoSpace) or not isinstance(error, Refused)):
                with suppress(OSError, admission.NoSpace):
                    self._make_safe()
            raise
        if self.check and self.piece.checksum and self.check.digest() != self.piece.checksum[1]:
            self.file.truncate(self.upload.received)
            raise ChecksumMismatch("The piece is not what its checksum says. Nothing of it was kept: send it again.")
        self._make_safe()

    def _copy(self) -> None:
        safe_at, end = time.monotonic(), self.at + self.piece.length
        while self.at < end:
            chunk = self.piece.stream.read(min(CHUNK, end - self.at))
            if not chunk:
                raise CutOff("The connection was lost. What came before is kept: go on there.")
            self._take(chunk)
            due = self.at - self.upload.received >= SAFE_EVERY_BYTES or time.monotonic() - safe_at > SAFE_EVERY_SECONDS
            if due and not self.check and self.at < end:
                self._make_safe()
                safe_at = time.monotonic()

    def _take(self, chunk: bytes) -> None:
        if writer := _writers.get(self.upload.pk):
            writer.heard_at = time.monotonic()
        with admission.refusing_a_full_disk():
            if self.at // uploads.CHECK_SPACE_EVERY_BYTES != (self.at + len(chunk)) // uploads.CHECK_SPACE_EVERY_BYTES:
                admission.check_disk_space()
            self.file.write(chunk)
        looked, self.at = self.at >= BEGINNING_BYTES, self.at + len(chunk)
        if not looked and (self.at >= BEGINNING_BYTES or self.at == self.upload.length):
            self.file.flush()
            self._look_at_beginning()
        if self.hasher:
            self.hasher.update(chunk)
        if self.check:
            self.check.update(chunk)

    def _look_at_beginning(self) -> None:
        draft = self.upload.draft
        beginning = os.pread(self.file.fileno(), BEGINNING_BYTES, 0)
        entry = admission.entry_said(draft.words, draft.phase)
        admission.check_beginning(beginning, draft.phase, entry, self.upload.part)

    def _make_safe(self) -> None:
        """Put what came onto the disk, and then say so."""
        with admission.refusing_a_full_disk():
            self.file.flush()
            os.fdatasync(self.file.fileno())
        changed: dict[str, Any] = {"received": self.at}
        if self.at == self.upload.length:
            # By the clock before the file is read again for its digest: that takes its time, which is not theirs.
            changed |= {"completed_at": clock.now(), "digest": self._digest()}
        changed["received_at"] = clock.now()
        if not ResumableUpload.objects.filter(pk=self.upload.pk).update(**changed):
            raise Gone("This upload was handed in, or ended.")
        for name, value in changed.items():
            setattr(self.upload, name, value)
        database.let_go()
        if self.hasher:
            _remember(self.upload.pk, self.at, self.hasher)

    def _digest(self) -> str:
        if self.hasher is None:
            database.let_go()
            self.hasher = hashlib.sha256()
            self.file.seek(0)
            for chunk in blobs.chunks(self.file):  # type: ignore[arg-type]
                self.hasher.update(chunk)
        return f"sha256:{self.hasher.hexdigest()}"


def _hash_until(key: uuid.UUID, at: int) -> Any:
    """The hash of the first `at` bytes, if this process knows it."""
    with _lock:
        known, hasher = _hashes.get(key, (0, None))
    if at == 0:
        return hashlib.sha256()
    return hasher.copy() if hasher and known == at else None


def _remember(key: uuid.UUID, at: int, hasher: Any) -> None:
    with _lock:
        _hashes[key] = (at, hasher.copy())
        _hashes.move_to_end(key)
        while len(_hashes) > _MOST_HASHES:
            _hashes.popitem(last=False)


@contextmanager
def _alone(
    upload: ResumableUpload, hang_up: Callable[[], object] = lambda: None, *, patience: float = 0.0
) -> Iterator[IO[bytes]]:
    """The upload's file, as its only writer, and the row as it is now. Raises Locked, Gone."""
    descriptor = os.open(uploads.path(upload.file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with _closing(os.fdopen(descriptor, "r+b")) as file:
        _lock_file(upload.pk, file, patience)
        with _lock:
            _writers[upload.pk] = _Writer(hang_up)
        try:
            _refresh(upload, file)
            yield file
        finally:
            with _lock:
                _writers.pop(upload.pk, None)


@contextmanager
def _closing(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """What counts is on the disk already; what a full disk still keeps in the buffer does not hide why it ended."""
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()


def _lock_file(key: uuid.UUID, file: IO[bytes], patience: float) -> None:
    began = time.monotonic()
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() - began > (patience if _is_heard(key) else GIVES_WAY_WITHIN_SECONDS):
            raise Locked("Another connection is sending this upload at this moment.")
        database.let_go()
        time.sleep(0.05)


def _is_heard(key: uuid.UUID) -> bool:
    """Whether a writer of this process got bytes a moment ago. One that did not is hung up on."""
    writer = _writers.get(key)
    if writer and time.monotonic() - writer.heard_at >= SILENT_SECONDS:
        writer.hang_up()
    return writer is not None and time.monotonic() - writer.heard_at < SILENT_SECONDS


def _refresh(upload: ResumableUpload, file: IO[bytes]) -> None:
    try:
        upload.refresh_from_db(fields=("received", "received_at", "completed_at", "digest"))
    except ResumableUpload.DoesNotExist:
        if not Submission.objects.filter(Q(upload_file=upload.file) | Q(weights_file=upload.file)).exists():
            uploads.delete(upload.file)  # made anew, by opening it
        raise Gone("This upload was handed in, or ended.") from None
    here = os.fstat(file.fileno()).st_size
    if here < upload.received:  # the database was restored, and this file not
        ResumableUpload.objects.filter(pk=upload.pk).update(received=here, completed_at=None, digest="")
        upload.received, upload.completed_at, upload.digest = here, None, ""


def expires_at(upload: ResumableUpload) -> Any:
    """When an upload goes unless bytes of it come, or it is handed in."""
    return maintenance.long_after(upload.received_at, timedelta(seconds=settings.UPLOAD_KEEP_SECONDS))
