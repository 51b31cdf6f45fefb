"""From what a team hands in to a submission that is received.

Everything is looked at again, in the transaction that takes the place in the quota: an upload takes hours, and people,
phases and quotas change meanwhile.
"""

from datetime import UTC
from typing import NamedTuple

from leaderboard.core import audit, clock, task_queue
from leaderboard.core.audit import Actor
from leaderboard.models import AlgorithmImage, ImageProvenance, Phase, Submission, Team, User
from leaderboard.people import teams
from leaderboard.states import SubmissionKind
from leaderboard.submissions import admission, uploads
from leaderboard.submissions.admission import Description, Part
from leaderboard.submissions.uploads import Upload


class HandedIn(NamedTuple):
    """What is handed in, as which kind of submission.

    weights: come as a second file, or are those of an earlier submission. ticket: whoever sends the same one again asks
    for the submission that it became.
    """

    upload: Upload
    weights: Upload | Submission | None
    ticket: str
    kind: str = SubmissionKind.SCORED


def receive(user: User | None, team: Team, phase: Phase, handed_in: HandedIn, described: Description) -> Submission:
    """The submission of a team whose row is locked. Raises Refused."""
    upload, weights, ticket, kind = handed_in
    described = admission.check_description(described)
    admission.check_disk_space()
    phase = Phase.objects.get(pk=phase.pk)
    teams.check_member(user, team)
    described["entry"] = entry = admission.check_entry(described.get("entry", ""), phase, kind)
    admission.check_upload(upload.size, phase, entry)
    admission.check_phase(team, phase, upload.completed_at, kind)
    admission.check_approved(team, phase)
    described = admission.check_asked(described, phase, upload.completed_at)
    submission = Submission(
        team=team,
        phase=phase,
        kind=kind,
        cases_of=phase.try_outs_on if kind == SubmissionKind.TRY_OUT else None,
        submitted_by=user,
        shows_submitter=phase.show_submitters,
        ticket=ticket,
        upload=upload.digest,
        upload_file=upload.file,
        upload_name=upload.name,
        upload_bytes=upload.size,
        accepted_at=upload.completed_at,
        quota_day=upload.completed_at.astimezone(UTC).date(),
        notified_at=clock.now(),
        **described,
    )
    _note_weights(submission, weights)
    admission.check_tried_out(submission)
    submission.save()
    if submission.commitment:
        by = Actor.person(user) if user else Actor.command_line()
        audit.record(by, "commit to open source", submission, after={"commitment": submission.commitment})
    if upload.file:
        task_queue.enqueue_image_check(submission.pk)
    return submission


def _note_weights(submission: Submission, weights: Upload | Submission | None) -> None:
    if isinstance(weights, Upload):
        admission.check_upload(weights.size, submission.phase, submission.entry, Part.WEIGHTS)
        submission.weights_upload, submission.weights_file = weights.digest, weights.file
        submission.weights_name, submission.weights_bytes = weights.name, weights.size
    elif weights:
        admission.check_weights_fit(submission.entry)
        submission.weights = admission.check_weights_are_here(weights, submission)
        submission.weights_upload = weights.weights_upload
        submission.weights_name, submission.weights_bytes = weights.weights_name, weights.weights_bytes


def let_go(*handed_in: Upload | Submission | None) -> None:
    """Delete the files of what was refused, or was handed in before."""
    for one in handed_in:
        if isinstance(one, Upload) and one.file:
            uploads.delete(one.file)


def image_of(source: Submission, submission: Submission) -> AlgorithmImage:
    """The checked image of an earlier submission, whose provenance this one now has, too. Raises Refused."""
    image = admission.check_image_is_here(source, submission)
    ImageProvenance.objects.bulk_create(
        ImageProvenance(
            submission=submission,
            image_id=one.image_id,
            diff_ids=one.diff_ids,
            file_bytes=one.file_bytes,
            warnings=one.warnings,
        )
        for one in ImageProvenance.objects.filter(submission=source)
    )
    return image
