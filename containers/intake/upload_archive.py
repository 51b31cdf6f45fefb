"""The uploaded file as an index of its members, whose names are keys and never become paths.

A gzip'd archive is inflated once, to a scratch file that has no name (it is gone when the process is). So
members can come in any order, and each layer is read exactly once, straight from where it lies.
"""

import posixpath
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from containers.intake import strict_json, tar
from containers.intake.errors import SAVE_AGAIN, ImageRejected, human_size, shown
from containers.intake.limits import ArchiveLimits, InflatedBytes
from containers.intake.streams import WatchedStream, Window, compression_of, gunzip

_WHAT: Final = "The archive"
_LINK_HOPS: Final = 8
_MAGIC_BYTES: Final = 16
#: Enough for a tar header, also behind gzip's own header with a long file name in it.
BEGINNING_BYTES: Final = 4096


class OuterArchive:
    """The members of an uploaded archive by name. size: bytes of the (inflated) tar file."""

    def __init__(self, descriptor: int, size: int, limits: ArchiveLimits) -> None:
        self._descriptor = descriptor
        self._limits = limits
        self._files: dict[str, tar.Member] = {}
        self._links: dict[str, str] = {}
        stream = Window(descriptor, 0, size)
        headers = tar.Headers(limits.archive_members, what="The archive holds", advice=SAVE_AGAIN)
        for member in tar.members(stream, headers, what=_WHAT):
            self._add(member)

    def find(self, name: str) -> tar.Member | None:
        """The regular file of this name, or the one that a symbolic link of this name leads to."""
        for _ in range(_LINK_HOPS):
            if name not in self._links:
                return self._files.get(name)
            name = self._links[name]
        return None

    def open(self, member: tar.Member) -> Window:
        """A member's bytes, where they lie in the upload."""
        return Window(self._descriptor, member.offset, member.size)

    def read_document(self, member: tar.Member, *, what: str) -> bytes:
        """The bytes of a JSON document, which is small in every honest archive."""
        if member.size > self._limits.json_bytes:
            raise ImageRejected(
                "too_large",
                f"{what} is larger than {human_size(self._limits.json_bytes)}. Remove what makes it large "
                "(labels, environment variables, inline build cache) and build the image again.",
            )
        return self.open(member).read(member.size)

    def parse(self, data: bytes, *, what: str) -> Any:
        """A JSON document of the upload; `what` names it in a refusal."""
        return strict_json.parse(data, what=what, max_depth=self._limits.json_depth)

    def _add(self, member: tar.Member) -> None:
        name = _inside(member.name, "")
        if member.kind == "folder":
            return
        if name in self._files or name in self._links:
            raise ImageRejected("ambiguous", f"The archive holds {shown(name)} twice. {SAVE_AGAIN}")
        if member.kind == "file":
            self._files[name] = member
        elif member.kind == "symlink":
            # `docker save` of engines before 25 stores a layer that occurs twice as a link to the first.
            self._links[name] = _inside(member.target, posixpath.dirname(name))
        else:
            raise ImageRejected(
                "unsafe_member",
                f"The archive holds {shown(name)}, which is a {member.kind}, not a file. {SAVE_AGAIN}",
            )


def _inside(name: str, folder: str) -> str:
    """`name`, seen from `folder`, as a normal path below the archive's root, or a refusal."""
    path = posixpath.normpath(posixpath.join(folder, name))
    if name.startswith("/") or path == ".." or path.startswith("../"):
        raise ImageRejected(
            "unsafe_member", f"The archive holds a name that leads out of it: {shown(name)}. {SAVE_AGAIN}"
        )
    return path


@contextmanager
def opened(
    source: Path, scratch: Path, limits: ArchiveLimits, inflating: Callable[[float], None]
) -> Iterator[OuterArchive]:
    """The archive at `source`, inflated into the folder `scratch` first where it is gzip'd.

    inflating: is told the fraction of the file that is inflated.
    """
    size = source.stat().st_size
    if size > limits.archive_bytes:
        raise ImageRejected(
            "too_large",
            f"The file has {human_size(size)}; at most {human_size(limits.archive_bytes)} are allowed. Make "
            "the image smaller (multi-stage build, no caches or data sets), or compress the file with gzip.",
        )
    if size == 0:
        raise ImageRejected("not_an_archive", f"The file is empty. {SAVE_AGAIN}")
    with source.open("rb") as file:
        if check_beginning(file.read(BEGINNING_BYTES)) == "gzip":
            with tempfile.TemporaryFile(dir=scratch) as inflated:
                _inflate(file, size, inflated, limits, inflating)
                yield OuterArchive(inflated.fileno(), inflated.tell(), limits)
        else:
            yield OuterArchive(file.fileno(), size, limits)


def check_beginning(beginning: bytes) -> str | None:
    """Refuses, in words that fit, what can be no image archive: before the rest of it is uploaded or inflated.

    beginning: the first BEGINNING_BYTES of a file, fewer only if it is shorter. Returns its compression.
    """
    compression = compression_of(beginning[:_MAGIC_BYTES])
    if compression == "gzip":
        _expect_tar_inside(beginning)
    elif compression:
        raise ImageRejected(
            "compression",
            f"The file is compressed with {compression}, which is not supported. Upload what docker save "
            "writes, as it is or compressed with gzip.",
        )
    else:
        _expect_tar(beginning)
    return compression


def _expect_tar_inside(beginning: bytes) -> None:
    content = b""
    try:
        for piece in gunzip([beginning], what=_WHAT, max_members=len(beginning)):
            content += piece
            if len(content) >= tar.BLOCK_BYTES:
                break
    except ImageRejected as refused:
        if refused.code == "truncated":  # neither a tar header nor the file's end is here yet
            return
        raise
    _expect_tar(content)


def _inflate(
    file: IO[bytes], size: int, target: IO[bytes], limits: ArchiveLimits, inflating: Callable[[float], None]
) -> None:
    budget = InflatedBytes(limits, size)

    def chunks() -> Iterator[bytes]:
        done = 0
        for chunk in Window(file.fileno(), 0, size):
            yield chunk
            done += len(chunk)
            inflating(done / size)

    for piece in gunzip(chunks(), what=_WHAT, max_members=limits.gzip_members):
        budget.add(len(piece))
        target.write(piece)
    target.flush()


def _expect_tar(beginning: bytes) -> None:
    stream = WatchedStream([beginning[: tar.BLOCK_BYTES]], lambda _: None)
    try:
        first = next(tar.members(stream, tar.Headers(1, what="", advice=""), what=_WHAT), None)
    except ImageRejected as refused:
        if refused.code == "truncated":  # an extension header: its content lies beyond this block
            return
        raise _no_image_archive() from refused
    if first is None:
        raise _no_image_archive()


def _no_image_archive() -> ImageRejected:
    return ImageRejected(
        "not_an_archive",
        "The file is not an image archive. Upload the file that docker save -o image.tar writes.",
    )
