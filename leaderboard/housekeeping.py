"""Files that nobody will ask for again: what a killed worker or a lost connection left half-way."""

import shutil
import time
from pathlib import Path

from django.conf import settings

from leaderboard import storage, uploads
from leaderboard.models import Submission
from leaderboard.states import SubmissionState

LEFT_AFTER_SECONDS = 24 * 3600  # no upload and no check of an image takes a day
WAITING = (SubmissionState.RECEIVED, SubmissionState.VALIDATING, SubmissionState.HALTED)


def tidy() -> None:
    """Remove old incoming files, and uploads whose image needs no check any more."""
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
        _remove_if_old(path)
    for store in (storage.images, storage.volumes, storage.outputs):
        for path in store.root.glob(f"{storage.INCOMING}*"):
            _remove_if_old(path)
    needed = set(Submission.objects.filter(state__in=WAITING).values_list("upload_file", flat=True))
    for path in uploads.folder().iterdir():
        if path.name not in needed:
            _remove_if_old(path)


def _remove_if_old(path: Path) -> None:
    try:
        if time.time() - path.lstat().st_mtime < LEFT_AFTER_SECONDS:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        pass  # somebody else tidied, or finished, at this very moment
