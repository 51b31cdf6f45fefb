"""Tar headers of a hostile archive, in one pass and constant memory.

Python's tarfile is not used for reading: it takes a long name or a pax header of any size into memory.
Besides, what we count must be what the engine will unpack, so this reads as Go's archive/tar (the engine's
reader) does, and refuses what the two could see differently or what grows on unpacking:

* sparse files: Go writes their holes out, so that a few bytes become terabytes on the engine's disk;
* a pax size beside another size in the header itself, unless that one could not hold it (8 GiB and more).

Formats: POSIX.1-2001 (ustar, pax) and GNU tar.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from containers.intake.errors import SAVE_AGAIN, ImageRejected

BLOCK_BYTES: Final = 512

Kind = Literal["file", "folder", "symlink", "hardlink", "device", "fifo"]

_KINDS: Final[dict[bytes, Kind]] = {
    b"0": "file",
    b"\0": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"5": "folder",
    b"6": "fifo",
}
_LONG_NAME, _LONG_TARGET, _PAX, _PAX_GLOBAL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_EXTENSIONS: Final = (_LONG_NAME, _LONG_TARGET, _PAX, _PAX_GLOBAL)
_EXTENSION_BYTES: Final = 1 << 20  # Go's own bound
_OCTAL_SIZE_LIMIT: Final = 8**11

_END: Final = bytes(BLOCK_BYTES)
_ATTRIBUTE: Final = b"SCHILY.xattr."
_PAX_TEXTS: Final = (b"path", b"linkpath", b"uname", b"gname")
_PAX_TIMES: Final = (b"mtime", b"atime", b"ctime")
_PAX_TIME: Final = re.compile(rb"-?[0-9]{1,18}(\.[0-9]*)?")
_PAX_RECORD: Final = re.compile(rb"([1-9][0-9]{0,7}) ([^=\0]{1,512})=")
_OCTAL: Final = re.compile(rb"[0-7]*")


@dataclass(frozen=True, slots=True)
class Member:
    """One member: `offset` is where its `size` bytes of data begin, `target` what a link points at.

    Its header block lies right before its data.

    Bytes of a name that are no UTF-8 are kept as surrogates (os.fsencode gives them back).
    """

    name: str
    kind: Kind
    mode: int
    size: int
    offset: int
    target: str
    uid: int = 0
    gid: int = 0
    attributes: tuple[tuple[bytes, bytes], ...] = ()  # extended ones: name and value


class Stream(Protocol):
    """What a tar file is read from: `size` bytes, fewer only at the end, taken or passed over."""

    def read(self, size: int) -> bytes:
        """Take so many bytes."""
        ...

    def skip(self, size: int) -> int:
        """Pass over so many bytes; how many there were."""
        ...


class EntryLimit:
    """Bounds the headers of one or several tar files, extensions included.

    what: begins the refusal ("The archive holds"). advice: what to do when there are more.
    """

    def __init__(self, limit: int, *, what: str, advice: str) -> None:
        self._left = limit
        self._refusal = f"{what} more than {limit:,} entries. {advice}"

    def count(self) -> None:
        """Count one more. Raises ImageRejected."""
        if self._left == 0:
            raise ImageRejected("too_many_entries", self._refusal)
        self._left -= 1


def members(stream: Stream, entry_limit: EntryLimit, *, what: str) -> Iterator[Member]:
    """The members of the tar file in `stream`, up to its end marker (or its end), data skipped.

    what: names the file in a refusal.
    """
    return iter(Reader(stream, entry_limit, what=what))


def with_mode(header: bytes, mode: int) -> bytes:
    """A member's header block with another mode, in the form in which it stated the old one."""
    if header[100] & 0x80:
        field = b"\x80" + mode.to_bytes(7, "big")
    else:
        field = (b"%07o\0" if mode < 8**7 else b"%08o") % mode
    block = header[:100] + field + header[108:148] + b" " * 8 + header[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


class Reader:
    """The members of a tar file in turn, as `members` gives them; of the latest one, `take` gives the data."""

    def __init__(self, stream: Stream, entry_limit: EntryLimit, *, what: str) -> None:
        self._stream = stream
        self._entry_limit = entry_limit
        self._what = what
        self._position = 0
        self._data_left = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes of the latest member's data, fewer only at its end."""
        wanted = min(size, self._data_left)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            raise self._truncated()
        self._position += wanted
        self._data_left -= wanted
        return data

    def __iter__(self) -> Iterator[Member]:
        extensions: dict[bytes, bytes] = {}
        while header := self._header():
            flag = header[156:157]
            if flag in _EXTENSIONS:
                body = self._extension(self._number(header[124:136]))
                # A global header is an entry to Go, so what was announced for the next one is spent on it.
                extensions = {} if flag == _PAX_GLOBAL else {**extensions, flag: body}
                if flag == _PAX_GLOBAL:
                    self._pax_records(body)
                continue
            member = self._member(header, extensions)
            self._data_left = member.size
            yield member
            self._skip(self._data_left, -member.size % BLOCK_BYTES)
            extensions = {}

    def _header(self) -> bytes:
        """The next header block; empty at the end."""
        block = self._stream.read(BLOCK_BYTES)
        self._position += BLOCK_BYTES
        if not block:
            return b""
        if block == _END:
            # Go takes one zero block at the very end, and two anywhere; one between members is damage.
            if self._stream.read(BLOCK_BYTES) in (b"", _END):
                return b""
            raise self._damaged()
        if len(block) < BLOCK_BYTES:
            raise self._truncated() if self._position > BLOCK_BYTES else self._damaged()
        self._entry_limit.count()
        if not _checksum_matches(block):
            raise self._damaged()
        self._check_numbers(block)
        return block

    def _member(self, header: bytes, extensions: dict[bytes, bytes]) -> Member:
        flag = header[156:157]
        pax = self._pax_records(extensions.get(_PAX, b""))
        if flag == _SPARSE or any(key.startswith(b"GNU.sparse") for key in pax):
            raise ImageRejected(
                "sparse_file",
                f"{self._what} holds a sparse file, which is not supported. Build the image with docker "
                "build from ordinary files (not from a tar file made with --sparse).",
            )
        kind = _KINDS.get(flag)
        if kind is None:
            raise ImageRejected("damaged", f"{self._what} holds an entry of an unknown kind. {SAVE_AGAIN}")
        size = self._size(header, pax)
        # In Go's order: GNU's long names win over pax records.
        name = _until_nul(extensions.get(_LONG_NAME, b"")) or pax.get(b"path") or _short_name(header)
        target = _until_nul(extensions.get(_LONG_TARGET, b"")) or pax.get(b"linkpath") or _until_nul(header[157:257])
        if flag == b"\0" and name.endswith(b"/"):
            kind = "folder"  # before POSIX, a folder was told by its name
        elif kind != "file":
            size = 0  # whatever the field says, no data follows
        return Member(
            name=_text(name),
            kind=kind,
            mode=self._mode(header[100:108]),
            size=size,
            offset=self._position,
            target=_text(target),
            uid=self._id(header[108:116], pax.get(b"uid")),
            gid=self._id(header[116:124], pax.get(b"gid")),
            attributes=tuple(
                (key[len(_ATTRIBUTE) :], value) for key, value in pax.items() if key.startswith(_ATTRIBUTE)
            ),
        )

    def _mode(self, field: bytes) -> int:
        """Permissions, of which no file system has more than fit seven octal digits."""
        mode = self._number(field)
        if not 0 <= mode < 8**7:
            raise self._damaged()
        return mode

    def _id(self, field: bytes, record: bytes | None) -> int:
        """The number of a user or group."""
        number = self._number(field)
        if not record:
            return number
        if not re.fullmatch(rb"[0-9]{1,18}", record):
            raise self._damaged()
        return int(record)

    def _check_numbers(self, header: bytes) -> None:
        """Numbers without which Go reads no header, not even an extension's: mode, owner, time and device."""
        fields = [header[100:108], header[108:116], header[116:124], header[136:148]]
        if header[257:262] == b"ustar":
            fields += [header[329:337], header[337:345]]
        for field in fields:
            if not field[0] & 0x80:
                self._number(field)

    def _size(self, header: bytes, pax: dict[bytes, bytes]) -> int:
        size = self._number(header[124:136])
        record = pax.get(b"size")
        if not record:  # an empty one leaves the header's, here and for Go
            return size
        if not re.fullmatch(rb"[0-9]{1,18}", record):
            raise self._damaged()
        if int(record) != size and int(record) < _OCTAL_SIZE_LIMIT:
            raise ImageRejected("damaged", f"{self._what} states two sizes for one file. {SAVE_AGAIN}")
        return int(record)

    def _extension(self, size: int) -> bytes:
        if size > _EXTENSION_BYTES:
            raise ImageRejected("damaged", f"{self._what} holds a name of more than 1 MiB. {SAVE_AGAIN}")
        data = self._stream.read(size)
        if len(data) < size:
            raise self._truncated()
        self._position += size
        padding = -size % BLOCK_BYTES
        if self._stream.skip(padding) < padding:
            raise self._truncated()
        self._position += padding
        return data

    def _skip(self, size: int, padding: int) -> None:
        if self._stream.skip(size + padding) < size:  # Go, too, does without the last padding
            raise self._truncated()
        self._position += size + padding

    def _number(self, field: bytes) -> int:
        """A number field: octal text, or (GNU) base 256 where the first bit is set."""
        if field[0] & 0x80:
            number = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
            if field[0] & 0x40 or number >= 1 << 62:  # negative, or beyond any file
                raise self._damaged()
            return number
        text = _until_nul(field.strip(b" \0"))
        if not _OCTAL.fullmatch(text):
            raise self._damaged()
        return int(text or b"0", 8)

    def _pax_records(self, body: bytes) -> dict[bytes, bytes]:
        r"""Records `<length> <key>=<value>\n`; the last of equal keys wins, as everywhere."""
        records: dict[bytes, bytes] = {}
        at = 0
        while at < len(body):
            record = _PAX_RECORD.match(body, at)
            end = at + int(record[1]) if record else 0
            if record is None or not record.end() < end <= len(body) or body[end - 1] != ord("\n"):
                raise self._damaged()
            key, value = record[2], body[record.end() : end - 1]
            if b"\0" in value and key in _PAX_TEXTS:
                raise self._damaged()
            if value and key in _PAX_TIMES and not _PAX_TIME.fullmatch(value):
                raise self._damaged()
            records[key] = value
            at = end
        return records

    def _damaged(self) -> ImageRejected:
        return ImageRejected("damaged", f"{self._what} is not a readable tar file. {SAVE_AGAIN}")

    def _truncated(self) -> ImageRejected:
        return ImageRejected("truncated", f"{self._what} ends too early. {SAVE_AGAIN}")


def _checksum_matches(header: bytes) -> bool:
    text = _until_nul(header[148:156].strip(b" \0"))
    if not _OCTAL.fullmatch(text):
        return False
    stated = int(text or b"0", 8)
    others = header[:148] + b" " * 8 + header[156:]
    unsigned = sum(others)
    # Some old writers summed signed bytes; readers accept both.
    return stated == unsigned or stated == unsigned - 256 * sum(byte > 127 for byte in others)


def _short_name(header: bytes) -> bytes:
    name = _until_nul(header[:100])
    prefix_end = 476 if header[508:512] == b"tar\0" else 500  # star keeps times behind a shorter prefix
    prefix = _until_nul(header[345:prefix_end]) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _until_nul(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
