"""A body that ends before its announced length is no body: whoever reads it learns that, and takes nothing for whole.

Django's parsers take the end of the connection for the end of the body. A form cut off behind its last boundary, or a
file cut off anywhere, would be accepted with what had come.
"""

from collections.abc import Iterable
from typing import Any

WsgiApplication = Any


class EndedEarly(ConnectionError):
    """The connection ended before the body did. Django makes an UnreadablePostError of it."""


class WholeBodies:
    """A WSGI application whose requests have whole bodies, or none."""

    def __init__(self, application: WsgiApplication) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdecimal() and int(length):
            environ["wsgi.input"] = WholeBody(environ["wsgi.input"], int(length))
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer


class WholeBody:
    """A request's body of a known length; a `read` that finds less raises EndedEarly."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that are left."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        return self._counted(self._stream.read(wanted), wanted) if wanted else b""

    def readline(self, size: int = -1) -> bytes:
        """The next line, or a part of it."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        line = self._stream.readline(wanted) if wanted else b""
        return self._counted(line, len(line) if line.endswith(b"\n") else wanted)

    def _counted(self, found: bytes, wanted: int) -> bytes:
        self._left -= len(found)
        if len(found) < wanted:
            raise EndedEarly(f"the body ended {self._left} bytes early")
        return found
