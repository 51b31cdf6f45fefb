"""A real mail server for tests: what the site sends goes through Django's own SMTP client and a socket."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox


class AnyPort(Controller):
    """Listens on a port that is free, and knows which one."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class MailServer:
    """What has arrived, in a maildir of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.environment = {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(port),
        }

    def messages(self, to: str = "") -> list[EmailMessage]:
        """The messages (to one address), in the order in which they came."""
        files = sorted((self.folder / "new").glob("*"), key=lambda path: path.stat().st_mtime_ns)
        found = [
            email.message_from_bytes(path.read_bytes(), EmailMessage, policy=email.policy.default) for path in files
        ]
        return [message for message in found if not to or message["To"] == to]

    def link(self, to: str) -> str:
        """The latest link about an account (and not of an alarm) that an address got, without scheme and host."""
        return self.links(to)[-1]

    def links(self, to: str) -> list[str]:
        """All of them, in the order in which they came."""
        texts = map(text_of, self.messages(to))
        found = [urlsplit(link) for text in texts for link in re.findall(r"https?://\S+", text)]
        whole = [link.path + (f"?{link.query}" if link.query else "") for link in found]
        return [link for link in whole if link.startswith("/account/") and not link.startswith("/account/notices/")]


def text_of(message: EmailMessage) -> str:
    """What a message says."""
    body = message.get_body(("plain",))
    assert body
    return str(body.get_content())


@contextmanager
def mail_server(folder: Path) -> Iterator[MailServer]:
    """A server on a free port of the loopback."""
    controller = AnyPort(Mailbox(folder), hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield MailServer(folder, controller.port)
    finally:
        controller.stop()
