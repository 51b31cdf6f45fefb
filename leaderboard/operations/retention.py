"""What is kept, and what is removed: the rules, all of them.

    kept while ...                                    removed
    uploads       their check is to come              when it was checked; never handed in: after a day
    pieces of     bytes of them come, or a form of    UPLOAD_KEEP_SECONDS after the last byte
    uploads       theirs was sent, with all of it
    drafts        somebody changes them               a month later; with their file
    images,       a phase in which they were          when no such phase is left that is not archived, and nobody
    weights       submitted is not archived           stored the same bytes within a day
    outputs       the phase of a run that has the     the same
    (masks)       mask is not archived
    PDFs          a submission or a draft has them    a day after nobody has
    volumes,      a case set has them, or shares      a day after none does: its set was deleted while no phase used
    references    them                                it, or an import was killed (case_files.py)
    pictures of   every case is public whose outlines a day after one phase hides it, or its set was deleted
    cases         they show
    copies of     their case set may be downloaded    when an organiser ended it, or a phase hides a case of it
    these two
    incoming      a request or a check writes them    when nobody writes them any more, for five minutes
    scratch       a worker's process lives, whose         at once
                  temporary files they are
    rows, logs    for ever: scores, pages, history    never; a container's log is cut off when it is received
    mails         30 days after they were sent or given   after that; what they say goes when they are sent or
                  up: to whom, when, what became of it    given up
    notices       they are to be told; that somebody      when they are told, or two days later; with the
                  does without a kind: the account        account
    new results   a re-scoring is not decided             when it is applied (they are the runs' own then) or
    of runs                                               discarded; what would have changed stays
    announcements for ever: what organisers told          never
    marks of      an account has the address, which its   when it is confirmed again, or no account has it
    refused ones  mail server refused
    invitations   30 days after they ended or expired     after that; the record of decisions says what they
                                                          became, without the address
    sessions      somebody is signed in by them       two weeks after signing in, or when signed out
    pre-          their owners want to be told when   at once when they do not; never confirmed: after 7 days; 30
    registrations registration opens                  days after they were told
    throttle      a day: who tried what how often     after a day without another try
    API answers   a day: what was answered to a key   after that; with their token, if that is revoked before

A phase is archived by an organiser, when it is closed and everything in it has ended (decisions.archive). Until then
nothing that a waiting, halted or ended run could need for going on, scoring or a re-run is touched.

Why nobody loses a file that another shares: a blob goes only if no row of an unarchived phase names it *and* nobody
stored it within a day. Whoever stores what is there already makes it young again, under the lock under which its age is
looked at (blobs.Store), and has a day to commit the row that names it. A lease or a check never lasts so long.

Nothing is removed while a backup reads the stores: both hold the lock "stores" (backup.py).
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from leaderboard.challenge import case_files, downloads, maintenance
from leaderboard.core import blobs, clock, locks, outbox, refusals, scratch, task_queue, unfinished
from leaderboard.models import AlgorithmImage, Draft, ResumableUpload, RunCase, Submission, Weights
from leaderboard.people import invitations, preregistration, sessions, throttle, tokens
from leaderboard.states import UNCHECKED, SubmissionState
from leaderboard.submissions import drafts, uploads

logger = logging.getLogger(__name__)

LEFT_AFTER_SECONDS = 24 * 3600  # no upload, no check of an image and no attempt at a batch takes a day
WAITING = UNCHECKED | {SubmissionState.HALTED}


def tidy() -> None:
    """Remove what the rules above let go; nothing while a backup is made, the next round comes soon."""
    with locks.working_on("stores", "") as mine:
        if mine:
            throttle.forget_old()
            tokens.forget_answers()
            outbox.forget_old()
            refusals.forget_strangers()
            invitations.forget_old()
            sessions.forget_old()
            preregistration.forget_old()
            scratch.remove_abandoned()
            _tidy_incoming()
            _tidy_drafts()
            _tidy_uploads()
            _tidy_blobs(blobs.images, needed_images)
            _tidy_blobs(blobs.weights, needed_weights)
            _tidy_blobs(blobs.outputs, needed_outputs)
            _tidy_blobs(blobs.pdfs, needed_pdfs)
            _tidy_copies()
            case_files.remove_unneeded()
    task_queue.enqueue_case_files()  # where reference masks are, which this process may not see


def needed_images() -> set[str]:
    """The digests of the images that a run of an unarchived phase may need, now or again."""
    needed = AlgorithmImage.objects.filter(submissions__phase__archived_at=None)
    return set(needed.values_list("archive", flat=True))


def needed_weights() -> set[str]:
    """The same for weights."""
    needed = Weights.objects.filter(submissions__phase__archived_at=None)
    return set(needed.values_list("archive", flat=True))


def needed_outputs() -> set[str]:
    """The digests of the masks of all runs of unarchived phases."""
    needed = RunCase.objects.filter(run__submission__phase__archived_at=None).exclude(output="")
    return set(needed.values_list("output", flat=True).distinct())


def needed_pdfs() -> set[str]:
    """The digests of the PDFs of all submissions, as long as their rows, and of what is being prepared."""
    # Drafts first: what is handed in between the two questions is known by one of them at least.
    drafted = set(Draft.objects.exclude(pdf="").values_list("pdf", flat=True))
    return drafted | set(Submission.objects.exclude(pdf="").values_list("pdf", flat=True))


def _tidy_incoming() -> None:
    unfinished.remove_abandoned(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir())
    private = (blobs.images, blobs.weights, blobs.volumes, blobs.outputs, blobs.pdfs, blobs.pictures)
    for store in (*private, blobs.public_volumes, blobs.public_masks):
        unfinished.remove_abandoned(store.root.glob(f"{blobs.INCOMING}*"))


def _tidy_drafts() -> None:
    """What nobody came back for. A file whose form was sent waits for its phase, however long that is, if it is all."""
    at = clock.now()
    since = maintenance.long_before(at, timedelta(seconds=settings.UPLOAD_KEEP_SECONDS))
    late = ResumableUpload.objects.filter(received_at__lt=since)
    late.filter(completed_at=None).delete()
    # What is whole waits for the other file of its draft as long as that comes.
    coming = ResumableUpload.objects.filter(received_at__gte=since)
    whole = late.exclude(completed_at=None).exclude(draft__in=coming.values("draft"))
    for upload in whole.select_related("draft__phase", "draft__source"):
        if drafts.complete(upload.draft) is None:
            upload.delete()
    Draft.objects.filter(changed_at__lt=maintenance.long_before(at, drafts.FORGOTTEN_AFTER), uploads=None).delete()


def _tidy_uploads() -> None:
    # Drafts first: the file of one that is handed in between the two questions is known by one of them at least.
    waits = dict.fromkeys(ResumableUpload.objects.values_list("file", flat=True), True)
    for name, weights, state in Submission.objects.values_list("upload_file", "weights_file", "state"):
        waits |= {file: state in WAITING for file in (name, weights) if file}
    for path in uploads.folder().iterdir():
        if path.name not in waits:
            _remove_if_old(path)
        elif not waits[path.name]:
            path.unlink(missing_ok=True)


def _tidy_copies() -> None:
    """Of files that may not be downloaded any more; none is copied meanwhile, so they need not grow old first."""
    with locks.working_on(downloads.COPYING, "") as mine:
        if mine:
            downloads.forget_copies()
            _tidy_blobs(blobs.public_volumes, downloads.needed_volumes, after_seconds=0)
            _tidy_blobs(blobs.public_masks, downloads.needed_masks, after_seconds=0)


def _tidy_blobs(
    store: blobs.Store, needed: Callable[[], set[str]], *, after_seconds: float = LEFT_AFTER_SECONDS
) -> None:
    stored = set(store.digests())
    removed = sum(store.remove_if_older(digest, after_seconds) for digest in stored - needed())
    if removed:
        logger.info("%s: %s files removed that nobody needs", store.kind, removed)


def _remove_if_old(path: Path) -> None:
    try:
        if time.time() - path.lstat().st_mtime >= LEFT_AFTER_SECONDS:
            path.unlink()
    except FileNotFoundError:
        pass  # somebody else tidied, or finished, at this very moment
