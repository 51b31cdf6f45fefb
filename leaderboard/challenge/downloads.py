"""The files of case sets: who decides that they may be downloaded, under which terms, and where they lie then.

Only of cases that every phase shows, and of no case that another set has too whose cases a phase hides. An organiser
allows it, off by default; then a control worker, which alone can read the reference masks, copies the files to a place
of their own, from which nginx hands them out. So neither the web server's processes nor nginx ever see the store of
reference masks, and the folder that they do see holds nothing but what may be downloaded. When an organiser ends it,
addresses are gone at once, and the copies at the next tidying (operations/retention.py).
"""

import logging
import time

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from leaderboard.core import audit, blobs, clock, disk_space, locks, task_queue
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Case, CaseSet, DataAcceptance, DataTerms, Phase, User

logger = logging.getLogger(__name__)

MAX_TERMS_CHARACTERS = 20_000
COPYING = "public files"  # the lock of whoever copies or removes some


def allowed() -> QuerySet[CaseSet]:
    """The case sets whose files may be downloaded, whether or not all of them are there yet."""
    return of_public_cases().filter(allows_downloads=True)


def of_public_cases() -> QuerySet[CaseSet]:
    """The case sets that some phase shows, and of which no phase hides a case."""
    hidden = Case.objects.filter(case_set__phases__cases_are_public=False)
    same = Q(reference=OuterRef("reference")) | Q(volume=OuterRef("volume"))
    shared = Case.objects.filter(Exists(hidden.filter(same)), case_set=OuterRef("pk"))
    shown = Phase.objects.published().filter(case_set=OuterRef("pk"), cases_are_public=True)
    return CaseSet.objects.filter(Exists(shown)).exclude(Exists(shared))


def present_terms(case_set: CaseSet) -> DataTerms | None:
    """The version of the terms that is in force."""
    return case_set.terms.order_by("-version").first()


# --- what people decide -----------------------------------------------------------------------------------------------


@transaction.atomic
def allow(case_set: CaseSet, *, by: Actor, why: str = "") -> None:
    """Let whoever accepts the terms download the files. Raises Refused."""
    locked = _locked(case_set)
    if locked.allows_downloads:
        raise Refused("Its files can be downloaded already.")
    if not of_public_cases().filter(pk=locked.pk).exists():
        raise Refused(
            "Only files of public cases can be downloaded: a phase must show them, and none may hide them, nor a case "
            "that has the same volume or mask."
        )
    if present_terms(locked) is None:
        raise Refused("There are no terms that a person could accept: publish a first version of them.")
    _change(locked, "allow downloads", by=by, why=why, allows=True)
    task_queue.enqueue_copying(locked.pk)


@transaction.atomic
def end(case_set: CaseSet, *, by: Actor, why: str = "") -> None:
    """Hand out nothing more, from this instant on. Raises Refused."""
    locked = _locked(case_set)
    if not locked.allows_downloads:
        raise Refused("Its files cannot be downloaded.")
    _change(locked, "end downloads", by=by, why=why, allows=False)


def _change(case_set: CaseSet, action: str, *, by: Actor, why: str, allows: bool) -> None:
    before = {"allows_downloads": case_set.allows_downloads}
    CaseSet.objects.filter(pk=case_set.pk).update(allows_downloads=allows, copied_at=None)
    audit.record(by, action, case_set, before=before, after={"allows_downloads": allows}, why=why)


@transaction.atomic
def publish_terms(case_set: CaseSet, text: str, *, by: Actor, why: str = "") -> DataTerms:
    """Put a new version of the terms into force: whoever accepted an older one is asked again. Raises Refused."""
    text, locked = text.strip(), _locked(case_set)
    check_terms(locked, text)
    version = (locked.terms.aggregate(last=Max("version"))["last"] or 0) + 1
    terms = DataTerms.objects.create(case_set=locked, version=version, text=text, published_at=clock.now())
    audit.record(by, "publish terms of data", terms, after={"version": version, "text": text}, why=why)
    return terms


def check_terms(case_set: CaseSet, text: str) -> None:
    """Raises Refused for what cannot be a new version."""
    text = text.strip()
    if not text or len(text) > MAX_TERMS_CHARACTERS:
        raise Refused(f"Terms have between 1 and {MAX_TERMS_CHARACTERS} characters.")
    present = present_terms(case_set)
    if present is not None and present.text == text:
        raise Refused(f"Version {present.version} says this already.")


@transaction.atomic
def accept(user: User, case_set: CaseSet, version: str) -> None:
    """Record that a person accepts the version that was read; the first time counts. Raises Refused for another one."""
    terms = present_terms(_locked(case_set))
    if terms is None or str(terms.version) != version:
        raise Refused("The terms have changed since you opened the page. Read the new version, then accept it.")
    DataAcceptance.objects.get_or_create(user=user, terms=terms, defaults={"accepted_at": clock.now()})


def acceptance_of(user: User, terms: DataTerms | None) -> DataAcceptance | None:
    """Whether, and when, a person accepted this version."""
    return DataAcceptance.objects.filter(user=user, terms=terms).first() if terms and user.is_active else None


def _locked(case_set: CaseSet) -> CaseSet:
    return CaseSet.objects.select_for_update(no_key=True).get(pk=case_set.pk)


# --- the copies -------------------------------------------------------------------------------------------------------


def uncopied() -> QuerySet[CaseSet]:
    """The case sets that may be downloaded and of which a file is still to be copied."""
    return allowed().filter(copied_at=None).order_by("pk")


def copy_next(*, for_seconds: float) -> bool:
    """Copy files of the next case set for about so long; whether there is more to do, and it would get on.

    Where the reference masks are. Broken off, it goes on where it stopped.
    """
    case_set, until = uncopied().first(), time.monotonic() + for_seconds
    if case_set is None:
        return False
    for case in case_set.cases.order_by("pk"):
        if not allowed().filter(pk=case_set.pk).exists() or time.monotonic() > until:
            return True  # other work of this queue comes in between
        if not _copy(case):
            return False
    # One that is no longer allowed gets no instant: it is copied anew when it is allowed again.
    CaseSet.objects.filter(pk=case_set.pk, allows_downloads=True).update(copied_at=clock.now())
    logger.info("%s: all files can be downloaded", case_set)
    return uncopied().exists()


def is_copying() -> bool:
    """Whether a worker is at it."""
    return bool(locks.at_work(COPYING, [""]))


def forget_copies() -> None:
    """Case sets that may not be downloaded any more have no copies: call before theirs are removed."""
    CaseSet.objects.exclude(pk__in=allowed()).exclude(copied_at=None).update(copied_at=None)


def _copy(case: Case) -> bool:
    """Whether both files of the case are where they are handed out; the reserve of the disk stays."""
    files = (
        (blobs.volumes, blobs.public_volumes, case.volume),
        (blobs.references, blobs.public_masks, case.reference),
    )
    for source, target, digest in files:
        if target.freshen(digest):
            continue
        path = source.path(digest)
        if not disk_space.allows_copy(path.stat().st_size):
            return False
        target.put(path, expected=digest)
    size = blobs.public_masks.path(case.reference).stat().st_size
    if case.reference_bytes != size:
        Case.objects.filter(pk=case.pk).update(reference_bytes=size)
    return True


def needed_volumes() -> set[str]:
    """The digests of the volumes that may be downloaded."""
    return set(Case.objects.filter(case_set__in=allowed()).values_list("volume", flat=True))


def needed_masks() -> set[str]:
    """The digests of the masks that may be downloaded."""
    return set(Case.objects.filter(case_set__in=allowed()).values_list("reference", flat=True))
