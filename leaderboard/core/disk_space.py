"""Free space on the store's disk: new work is turned away before it is full, so that what is under way can end.

Uploads need FREE_BYTES beyond their own size: they are the first to be refused, and queued runs begin only
with as much. Masks of running algorithms are taken down to a quarter of it; below that no host gets a batch, and one
that has masks to hand in is told to come again, and keeps them until it may. What is left is for the check of an image
that was accepted, and for people to clean up. The health page and its alarms tell organisers (the check "store").
"""

import logging
import shutil
import time

from django.conf import settings

from containers.protocol.sizes import decimal_size
from leaderboard.core import blobs

logger = logging.getLogger(__name__)

LOG_AGAIN_SECONDS = 600.0
_logged_at = -LOG_AGAIN_SECONDS


def free_bytes() -> int:
    """Free space on the disk of the stores."""
    return shutil.disk_usage(settings.STORE_DIR).free


def allows_upload(size: int = 0) -> bool:
    """Whether an upload of `size` bytes may come in. Organisers hear of it when not."""
    return _is_free(size + settings.FREE_BYTES)


def allows_copy(size: int) -> bool:
    """Whether a copy of `size` bytes may be made of what is to be downloaded. Organisers hear of it when not."""
    folder = blobs.public_folder()
    if settings.PUBLIC_DIR is None:  # else it is the operator's, who says who may look into it
        folder.mkdir(exist_ok=True, mode=0o700)
    if shutil.disk_usage(folder).free < size + settings.FREE_BYTES:
        log_shortage()
        return False
    return True


def allows_run() -> bool:
    """Whether a queued run may begin, whose masks will need space. Organisers hear of it when not."""
    return _is_free(settings.FREE_BYTES)


def allows_mask(size: int = 0) -> bool:
    """Whether a mask of `size` bytes may come in. Organisers hear of it when not."""
    return _is_free(size + settings.FREE_BYTES // 4)


def shortage() -> str:
    """What is left and what is kept back, in words; the caller says what does not fit."""
    return f"{decimal_size(free_bytes())} are free, of which {decimal_size(settings.FREE_BYTES)} stay in reserve."


def _is_free(needed: int) -> bool:
    free = free_bytes()
    if free < needed:
        log_shortage()
    return free >= needed


def log_shortage() -> None:
    """In the log, as an error, every ten minutes: what watches the log tells people."""
    global _logged_at
    if time.monotonic() - _logged_at >= LOG_AGAIN_SECONDS:
        _logged_at = time.monotonic()
        logger.error(
            "%s has %s left (FREE_BYTES): new work is turned away", settings.STORE_DIR, decimal_size(free_bytes())
        )
