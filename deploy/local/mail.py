"""The mail server: aiosmtpd on a loopback port. It takes each message in earnest, and delivers it to a folder.

The server shows that folder on a page of its own, so that whoever registers finds the message with the link.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.local.paths import State
from deploy.local.ports import is_answering
from deploy.local.supervisor import Part

KEPT = 200  # messages; more than a page shows


def maildir(state: State) -> Path:
    """Where the messages are."""
    return state.root / "mails"


def prepare_mail(state: State, port: int) -> Part:
    """The part that runs it."""
    folder = maildir(state)
    server = ("-n", "-l", f"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Mailbox", str(folder))
    return Part(
        name="mail",
        command=(sys.executable, "-P", "-m", "aiosmtpd", *server),
        environment={"PATH": os.defpath, "PYTHONNOUSERSITE": "1"},
        ready=lambda _log: is_answering(port),
        stop_seconds=2,
        prepare=lambda: _make_room(folder),
    )


def _make_room(folder: Path) -> None:
    """The maildir, for this user alone, without the oldest messages."""
    for path in (folder, *(folder / name for name in ("cur", "new", "tmp"))):
        path.mkdir(mode=0o700, exist_ok=True)
    oldest_first = sorted((folder / "new").glob("*"), key=lambda path: path.stat().st_mtime)
    for path in oldest_first[:-KEPT]:
        path.unlink(missing_ok=True)
