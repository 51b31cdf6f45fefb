"""How many uploads a person, a team and the whole server receive at the same time.

A place is a lock on one byte of a file in the store: it ends with whoever holds it, however that ends, and counts
across processes (after a reload the old one still receives). It knows nothing of how the bytes come.
"""

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.conf import settings

from leaderboard.core.refusal import Refused
from leaderboard.models import Team, User

RETRY_SECONDS = 60
MOST_OF_ONE = 1024  # bytes of the file that belong to one person or team
_here = threading.BoundedSemaphore(settings.UPLOADS_AT_ONCE)


class Busy(Refused):
    """As many uploads are under way as may be; `seconds` is after how long to ask again."""

    seconds = RETRY_SECONDS


@contextmanager
def upload_place(person: User, team: Team) -> Iterator[None]:
    """Hold a place for an upload of this person for this team. Raises Busy."""
    with ExitStack() as held:
        if not _here.acquire(blocking=False):
            raise Busy("The server is receiving as many uploads as it can. Nothing was submitted.")
        held.callback(_here.release)
        if not _take("people", person.pk, settings.UPLOADS_PER_PERSON, held):
            raise Busy(
                f"You have {_uploads(settings.UPLOADS_PER_PERSON)} under way already. Let one end, or stop it; "
                "one whose connection was lost ends by itself within a minute."
            )
        if not _take("teams", team.pk, settings.UPLOADS_PER_TEAM, held):
            raise Busy(
                f"Your team has {_uploads(settings.UPLOADS_PER_TEAM)} under way already. Let one of them end; "
                "one whose connection was lost ends by itself within a minute."
            )
        yield


def _uploads(count: int) -> str:
    return "an upload" if count == 1 else f"{count} uploads"


def _take(kind: str, key: int, limit: int, held: ExitStack) -> bool:
    """Lock one of the bytes of this person or team until `held` ends; whether one was free."""
    descriptor = os.open(Path(settings.STORE_DIR) / f"places-of-{kind}", os.O_RDWR | os.O_CREAT, 0o600)
    held.callback(os.close, descriptor)
    return any(_lock(descriptor, key * MOST_OF_ONE + number) for number in range(min(limit, MOST_OF_ONE)))


def _lock(descriptor: int, at: int) -> bool:
    # An open file's lock and not a process's, which threads would share: struct flock, of one byte at `at`.
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, at, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError:
        return False
    return True
