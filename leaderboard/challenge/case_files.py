"""Case sets that were a mistake, and the files that no case names any more.

A set can be deleted while no phase uses it. Its rows go at once; its files go later, and only those that no other set
shares: with the next tidying, a day after somebody last stored them, since an import may be about to name them. Where
reference masks lie only control workers look, so one of them tidies these.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import ProtectedError

from leaderboard.challenge.halves.kept import keep_secret_of
from leaderboard.core import audit, blobs, clock, locks, task_queue
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Case, CasePicture, CaseSet, StoredVolume

logger = logging.getLogger(__name__)

KEPT_SECONDS = 24 * 3600  # no import takes a day


def uses_of(case_set: CaseSet) -> list[str]:
    """What keeps a set from being deleted, in words; empty where nothing does."""
    found = [f"the {phase.name} uses it" for phase in case_set.phases.order_by("pk")]
    found += [f"{mended.name} mends it" for mended in case_set.mended.order_by("pk")]
    if not found and Case.objects.filter(case_set=case_set, run_cases__isnull=False).exists():
        found.append("runs were made on its cases")
    return found


@transaction.atomic
def delete(case_set: CaseSet, *, by: Actor, why: str) -> None:
    """Delete a set that was made by mistake. Raises Refused while anything uses it."""
    locked = CaseSet.objects.select_for_update().get(pk=case_set.pk)
    if uses := uses_of(locked):
        raise Refused(f"It is used: {', '.join(uses)}. Only a set that nothing uses can be deleted.")
    told = {"digest": locked.digest, "cases": locked.cases.count(), "half_commitment": locked.half_commitment}
    audit.record(by, "delete case set", locked, before=told, after={"digest": ""}, why=why)
    keep_secret_of(locked)
    try:
        locked.delete()
    except ProtectedError as error:
        raise Refused("It is used: a re-scoring or a run refers to it.") from error
    task_queue.enqueue_case_files()


# --- files ------------------------------------------------------------------------------------------------------------


def needed_volumes() -> set[str]:
    """The digests of the volumes of all cases."""
    return set(Case.objects.values_list("volume", flat=True).distinct())


def needed_references() -> set[str]:
    """The digests of the reference masks of all cases."""
    return set(Case.objects.values_list("reference", flat=True).distinct())


def needed_pictures() -> set[str]:
    """The digests of the pictures of cases; one that could not be drawn has none."""
    return set(CasePicture.objects.exclude(picture="").values_list("picture", flat=True).distinct())


def tidy() -> None:
    """Remove volumes, references and pictures that no case names; nothing while a backup is made."""
    with locks.working_on("stores", "") as mine:
        if mine:
            remove_unneeded()


def remove_unneeded() -> None:
    """The same, for who holds the lock of the stores. Of a store that is not there nothing is removed."""
    for store, needed in (
        (blobs.volumes, needed_volumes),
        (blobs.references, needed_references),
        (blobs.pictures, needed_pictures),
    ):
        stored = set(store.digests())
        removed = sum(store.remove_if_older(digest, KEPT_SECONDS) for digest in stored - needed())
        if removed:
            logger.info("%s: %s files removed that no case names", store.kind, removed)
    old = StoredVolume.objects.filter(stored_at__lt=clock.now() - timedelta(seconds=KEPT_SECONDS))
    old.exclude(volume__in=Case.objects.values("volume")).delete()
