"""From an uploaded archive of masks to a mask for each case, kept by digest as those of containers are, and a run.

All problems are found in one go and told by case, before the submission counts: those of the archive by
`containers.intake`, those of each mask by `evaluation`, in its scoring process and its words.
"""

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings
from django.db import transaction

import evaluation
from containers.intake import MasksRejected, Problem, Unpacked, unpack_isolated
from leaderboard.core import blobs, task_queue, unfinished
from leaderboard.core.blobs import Blob
from leaderboard.journey import lifecycle, planning
from leaderboard.models import Case, Run, Submission
from leaderboard.scores.scoring import evaluation_case
from leaderboard.states import RunState, SubmissionState
from leaderboard.submissions import uploads

MAX_PROBLEMS = 500  # lines of an answer; the others are counted
MAX_CHARACTERS = 400  # of one of them
MAX_SLOW = 5  # masks that take too long to be read, after which no other is
LARGEST_VOXEL_BYTES = 8
HEADER_BYTES = 18 << 20  # a header with extensions, and what a compressed file may have beside its content

Masks = dict[str, Blob]
"""The mask of each case, by the case's name: a mended case set has the same."""


class MasksUnusable(Exception):
    """Masks that are not scored; the text is for the team: a sentence, then a line for each problem."""

    code = "unusable_masks"


def check_masks(submission: Submission) -> Masks:
    """Check the archive that a team uploaded, and keep its masks. Raises MasksUnusable."""
    phase = submission.phase
    cases = list(phase.case_set.cases.prefetch_related("findings"))
    with unfinished.folder(Path(settings.FILE_UPLOAD_TEMP_DIR)) as folder:
        try:
            found = unpack_isolated(
                uploads.path(submission.upload_file),
                folder,
                {case.name: _largest(case) for case in cases},
                max_bytes=submission.limit("max_masks_bytes"),
            )
        except MasksRejected as rejection:
            raise MasksUnusable(str(rejection)) from rejection
        problems = [*found.problems, *_read(cases, found, folder)]
        if problems:
            raise MasksUnusable(_in_words(problems, len(cases)))
        return {case.name: _keep(folder / found.files[case.name]) for case in cases}


@transaction.atomic
def accept_masks(submission: Submission, masks: Masks) -> None:
    """Masks without a problem: the submission counts, and its run waits for its turn to be scored."""
    moved = lifecycle.move(submission, SubmissionState.ACCEPTED, allowed_from={SubmissionState.VALIDATING}, failures=0)
    if moved:
        score_masks(submission, masks, by=lifecycle.SERVER)


def score_masks(submission: Submission, masks: Masks, *, by: str) -> Run:
    """A run of masks that were handed in: it goes straight to the scores, in turn with all others."""
    run = planning.new_run(submission, by=by)
    batch = planning.hand_in(run, masks)
    lifecycle.move(run, RunState.SCORING, started_at=run.created_at)
    task_queue.enqueue_scoring(batch.pk)
    return run


def _largest(case: Case) -> int:
    """More than any mask of the case can have, packed or not."""
    channels = 1 + max(finding.channel for finding in case.findings.all())
    voxels: int = channels * math.prod(case.shape)
    return voxels * LARGEST_VOXEL_BYTES * 5 // 4 + HEADER_BYTES


def _read(cases: Sequence[Case], found: Unpacked, folder: Path) -> Iterator[Problem]:
    """Read each mask to its last byte: what is wrong with it, as scoring would say."""
    slow = 0
    with evaluation.IsolatedScorer(
        memory_bytes=settings.SCORING_MEMORY_BYTES,
        seconds_per_case=settings.SCORING_CASE_SECONDS,
        prepared=blobs.references.root / "prepared",
    ) as scorer:
        for case in cases:
            if case.name not in found.files:
                continue
            if slow == MAX_SLOW:
                yield Problem(case.name, "was not looked at any more")
                continue
            reference = blobs.references.path(case.reference)
            said = scorer.check(evaluation.Job(evaluation_case(case), reference, folder / found.files[case.name]))
            if said is not None:
                slow += said.startswith(evaluation.TAKES_TOO_LONG)
                yield Problem(case.name, said)


def _in_words(problems: Sequence[Problem], cases: int) -> str:
    """A sentence, and a line for each problem: first of the archive, then by case."""
    ordered = sorted(problems, key=lambda problem: problem.case)
    lines = [f"{problem.case}: {problem.text}" if problem.case else problem.text for problem in ordered]
    shown = [line[:MAX_CHARACTERS] for line in lines[:MAX_PROBLEMS]]
    if len(lines) > len(shown):
        shown.append(f"and {len(lines) - len(shown)} more")
    bad = len({problem.case for problem in problems if problem.case})
    what = f"{bad} of {cases} cases cannot be scored" if bad else "The archive is not as it has to be"
    return "\n".join([f"{what}.", *shown])


def _keep(path: Path) -> Blob:
    """Store a mask that the child wrote; its digest is computed here."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        blob = Blob(f"sha256:{digest}", os.fstat(file.fileno()).st_size)
        os.fsync(file.fileno())
    return blobs.outputs.adopt(path, blob)
