"""The uploaded file as an index of its members, whose names are keys and never become paths.

A compressed archive is inflated once, to a scratch file that has no name (it is gone when the process is). So
members can come in any order, and each layer is read exactly once, straight from where it lies.

Teams also upload the files of a whole container (`docker export`): thousands of members, links to anywhere, devices.
Whatever is refused in such an archive first, the answer says what it is.
"""

import posixpath
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from containers.intake import strict_json, tar
from containers.intake.compression import any_compression_of, can_inflate, inflate
from containers.intake.errors import SAVE_AGAIN, ImageRejected, quoted
from containers.intake.limits import ArchiveLimits, InflationLimit
from containers.intake.streams import FileRange, WatchedStream
from containers.protocol.sizes import decimal_size

_WHAT: Final = "The archive"
_LINK_HOPS: Final = 8
_APPTAINER: Final = b"SIF_MAGIC"
_SQUASHFS: Final = b"hsqs"
#: Enough for a tar header, also behind gzip's own header with a long file name in it.
BEGINNING_BYTES: Final = 4096

#: Of which at least one lies at the top of every image archive.
IMAGE_FILES: Final = frozenset({"manifest.json", "index.json", "oci-layout"})
#: What the root folder of a system or of a container holds, and no image archive.
_ROOT_NAMES: Final = frozenset(
    """
    .dockerenv bin boot dev etc home lib lib32 lib64 libx32 media mnt nix opt proc root run sbin srv sys tmp usr var
    """.split()  # noqa: SIM905 (twenty quoted words would fill a page)
)


class UploadArchive:
    """The members of an uploaded archive by name. size: bytes of the (inflated) tar file."""

    def __init__(self, descriptor: int, size: int, limits: ArchiveLimits) -> None:
        self._descriptor = descriptor
        self._limits = limits
        self._files: dict[str, tar.Member] = {}
        self._links: dict[str, str] = {}
        self._root_names: set[str] = set()
        stream = FileRange(descriptor, 0, size)
        entry_limit = tar.EntryLimit(limits.archive_members, what="The archive holds", advice=SAVE_AGAIN)
        refusal: ImageRejected | None = None
        try:
            for member in tar.members(stream, entry_limit, what=_WHAT):
                try:
                    self._add(member)
                except ImageRejected as error:  # what the whole archive is tells more than its first odd member
                    refusal = refusal or error
        except ImageRejected as error:
            refusal = refusal or error
        self._expect_image()
        if refusal:
            raise refusal

    def find(self, name: str) -> tar.Member | None:
        """The regular file of this name, or the one that a symbolic link of this name leads to."""
        for _ in range(_LINK_HOPS):
            if name not in self._links:
                return self._files.get(name)
            name = self._links[name]
        return None

    def names(self) -> Iterator[str]:
        """The names of all regular files."""
        return iter(self._files)

    def open(self, member: tar.Member) -> FileRange:
        """The member's data."""
        return FileRange(self._descriptor, member.offset, member.size)

    def read_document(self, member: tar.Member, *, what: str) -> bytes:
        """The bytes of a JSON document, which is small in every honest archive."""
        if member.size > self._limits.json_bytes:
            raise ImageRejected(
                "too_large",
                f"{what} is larger than {decimal_size(self._limits.json_bytes)}. Remove what makes it large "
                "(labels, environment variables, inline build cache) and build the image again.",
            )
        return self.open(member).read(member.size)

    def parse(self, data: bytes, *, what: str) -> Any:
        """A JSON document within the upload's limits."""
        return strict_json.parse(data, what=what, max_depth=self._limits.json_depth)

    def _expect_image(self) -> None:
        """Refuses the files of a container or a system, with or without links and devices that lead out of it."""
        if len(self._root_names) > 1 and not any(name in self._files or name in self._links for name in IMAGE_FILES):
            some = ", ".join(sorted(self._root_names)[:3])
            raise ImageRejected(
                "no_image",
                f"The archive holds the files of a container or a system ({some}, ...), not an image: neither "
                "manifest.json nor index.json. docker export and podman export write files without the image's "
                f"configuration. {SAVE_AGAIN}",
            )

    def _add(self, member: tar.Member) -> None:
        top = posixpath.normpath(member.name).lstrip("/").partition("/")[0]
        if top in _ROOT_NAMES:
            self._root_names.add(top)
        name = _inside(member.name, "")
        if member.kind == "folder":
            return
        if name in self._files or name in self._links:
            raise ImageRejected("ambiguous", f"The archive holds {quoted(name)} twice. {SAVE_AGAIN}")
        if member.kind == "file":
            self._files[name] = member
        elif member.kind == "symlink":
            # `docker save` of engines before 25 stores a layer that occurs twice as a link to the first.
            self._links[name] = _inside(member.target, posixpath.dirname(name))
        else:
            raise ImageRejected(
                "unsafe_member",
                f"The archive holds {quoted(name)}, which is a {member.kind}, not a file. {SAVE_AGAIN}",
            )


def _inside(name: str, folder: str) -> str:
    """`name`, seen from `folder`, as a normal path below the archive's root, or a refusal."""
    path = posixpath.normpath(posixpath.join(folder, name))
    if name.startswith("/") or path == ".." or path.startswith("../"):
        raise ImageRejected(
            "unsafe_member", f"The archive holds a name that leads out of it: {quoted(name)}. {SAVE_AGAIN}"
        )
    return path


@contextmanager
def open_upload(
    source: Path, scratch: Path, limits: ArchiveLimits, progress: Callable[[float], None]
) -> Iterator[UploadArchive]:
    """The image archive at `source`, as `open_tar` opens it."""
    with open_tar(source, scratch, limits, progress) as (descriptor, size):
        yield UploadArchive(descriptor, size, limits)


@contextmanager
def open_tar(
    source: Path, scratch: Path, limits: ArchiveLimits, progress: Callable[[float], None]
) -> Iterator[tuple[int, int]]:
    """The tar file at `source`, inflated into the folder `scratch` first where it is compressed: descriptor and size.

    progress: is called with the fraction of the file that is inflated, 0 to 1.
    """
    size = source.stat().st_size
    if size > limits.archive_bytes:
        raise ImageRejected(
            "too_large",
            f"The file has {decimal_size(size)}; at most {decimal_size(limits.archive_bytes)} are allowed. Make the "
            "image smaller (multi-stage build, no caches or data sets), or compress the file with gzip, xz or zstd.",
        )
    if size == 0:
        raise ImageRejected("not_an_archive", f"The file is empty. {SAVE_AGAIN}")
    with source.open("rb") as file:
        compression = check_beginning(file.read(BEGINNING_BYTES))
        if compression:
            with tempfile.TemporaryFile(dir=scratch) as inflated:
                _inflate(compression, file, size, inflated, limits, progress)
                yield inflated.fileno(), inflated.tell()
        else:
            yield file.fileno(), size


def check_beginning(beginning: bytes) -> str | None:
    """Refuses what can be no image archive, before the rest of it is uploaded or inflated.

    beginning: the first BEGINNING_BYTES of a file, fewer only if it is shorter. Returns its compression.
    """
    if beginning.startswith(_SQUASHFS) or _APPTAINER in beginning[:64]:
        raise ImageRejected(
            "not_an_archive",
            "The file is an image of Apptainer (Singularity); the server runs Docker images. Build one from a "
            "Dockerfile, and upload the file that docker save -o image.tar writes.",
        )
    compression = any_compression_of(beginning)
    if compression is None:
        _expect_tar(beginning)
    elif can_inflate(compression):
        _expect_tar_inside(compression, beginning)
    else:
        raise ImageRejected(
            "compression",
            f"The file is compressed with {compression}, which is not supported. Upload what docker save "
            "writes, as it is or compressed with gzip, xz or zstd.",
        )
    return compression


def _expect_tar_inside(compression: str, beginning: bytes) -> None:
    content = b""
    try:
        for piece in inflate(compression, [beginning], what=_WHAT, max_parts=len(beginning)):
            content += piece
            if len(content) >= tar.BLOCK_BYTES:
                break
    except ImageRejected as refused:
        # Neither a tar header nor the file's end is here yet: a block of zstd has up to 128 KiB.
        if refused.code == "truncated" and len(content) < tar.BLOCK_BYTES:
            return
        raise
    if len(content) >= tar.BLOCK_BYTES or len(beginning) < BEGINNING_BYTES:
        _expect_tar(content)


def _inflate(
    compression: str,
    file: IO[bytes],
    size: int,
    target: IO[bytes],
    limits: ArchiveLimits,
    progress: Callable[[float], None],
) -> None:
    inflation_limit = InflationLimit(limits, size)
    beginning = b""  # looked at once more: of zstd the first bytes of the file may not have told

    def chunks() -> Iterator[bytes]:
        done = 0
        for chunk in FileRange(file.fileno(), 0, size):
            yield chunk
            done += len(chunk)
            progress(done / size)

    for piece in inflate(compression, chunks(), what=_WHAT, max_parts=limits.compressed_parts):
        if len(beginning) < tar.BLOCK_BYTES:
            beginning += piece[: tar.BLOCK_BYTES - len(beginning)]
            if len(beginning) == tar.BLOCK_BYTES:
                _expect_tar(beginning)
        inflation_limit.add(len(piece))
        target.write(piece)
    if len(beginning) < tar.BLOCK_BYTES:
        raise _no_image_archive()
    target.flush()


def _expect_tar(beginning: bytes) -> None:
    stream = WatchedStream([beginning[: tar.BLOCK_BYTES]], lambda _: None)
    try:
        first = next(tar.members(stream, tar.EntryLimit(1, what="", advice=""), what=_WHAT), None)
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
