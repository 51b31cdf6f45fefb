"""Pictures of public cases: three slices of the CT with the outlines of its findings, for organisers to look at.

Only of sets whose cases everybody may see, by the rule of downloads: no phase hides them, nor a case of the same volume
or mask. A control worker makes them, which alone can read the reference masks; what it makes holds a mask's outline, so
pictures of a set that is hidden from then on are forgotten, and their files go.
"""

import logging
import time

from django.db.models import Q, QuerySet

from leaderboard.challenge import downloads
from leaderboard.core import blobs, disk_space, locks
from leaderboard.models import Case, CasePicture, CaseSet

logger = logging.getLogger(__name__)

DRAWING = "case pictures"  # the lock of whoever draws or forgets some
MOST_BYTES = 4 << 20  # of a picture


def drawable() -> QuerySet[CaseSet]:
    """The sets of which there are pictures."""
    return downloads.of_public_cases()


def _undrawn() -> QuerySet[Case]:
    return Case.objects.filter(case_set__in=drawable(), picture=None).order_by("pk")


def is_waiting() -> bool:
    """Whether a case is still to be drawn, or a picture is to be forgotten."""
    return _undrawn().exists() or _hidden().exists()


def is_drawing() -> bool:
    """Whether a worker is at it."""
    return bool(locks.at_work(DRAWING, [""]))


def _hidden() -> QuerySet[CasePicture]:
    return CasePicture.objects.exclude(case__case_set__in=drawable())


def draw_next(*, for_seconds: float) -> bool:
    """Draw cases for about so long; whether there is more to do, and it would get on.

    One that cannot be drawn has a picture without a file: it is not tried again.
    """
    until = time.monotonic() + for_seconds
    _hidden().delete()
    while time.monotonic() < until:
        case = _undrawn().first()
        if case is None or not disk_space.allows_upload(MOST_BYTES):
            return False
        _draw(case)
    return _undrawn().exists()


def _draw(case: Case) -> None:
    from leaderboard.challenge.casesets.slices import Unreadable, draw_case  # not above: pages would load SciPy

    told = {"picture": "", "width": 0, "height": 0}
    try:
        png = draw_case(blobs.volumes.path(case.volume), blobs.references.path(case.reference))
    except Unreadable as error:
        logger.warning("%s of %s cannot be drawn: %s", case, case.case_set, error)
    else:
        told = {"picture": blobs.pictures.put(png.file).digest, "width": png.width, "height": png.height}
    if Case.objects.filter(Q(pk=case.pk), case_set__in=drawable()).exists():  # it may have been hidden meanwhile
        CasePicture.objects.update_or_create(case=case, defaults=told)


def shown(case_set: CaseSet) -> bool:
    """Whether its pictures may be looked at, at this instant."""
    return drawable().filter(pk=case_set.pk).exists()
