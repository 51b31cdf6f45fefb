"""How what a team hands in becomes a submission, by the form or by a draft: the first step of the journey.

Whether it is taken is decided in `submissions.admission`; from then on `pipeline` goes on with it.
"""

import uuid
from typing import Unpack

from django.db import transaction

from leaderboard.core import clock, task_queue
from leaderboard.core.refusal import Refused
from leaderboard.journey import lifecycle, pipeline
from leaderboard.models import Draft, Phase, Submission, Team, User
from leaderboard.people.team_locks import lock_team
from leaderboard.states import SubmissionKind, SubmissionState
from leaderboard.submissions import admission, drafts, receiving, resumable
from leaderboard.submissions.admission import Description
from leaderboard.submissions.receiving import HandedIn
from leaderboard.submissions.uploads import Upload


def submit(
    *,
    user: User | None,
    team: Team,
    phase: Phase,
    upload: Upload,
    weights: Upload | Submission | None = None,
    ticket: str = "",
    kind: str = SubmissionKind.SCORED,
    **described: Unpack[Description],
) -> Submission:
    """Accept a submission, or raise Refused. The files of both uploads are ours from here, whatever the answer.

    weights: come as a second file, or are those of an earlier submission.

    Who got no answer, because the server died or the line broke, sends the same again with the same `ticket`: if it had
    been accepted, this is the answer.
    """
    handed_in = HandedIn(upload, weights, ticket, kind)
    try:
        with transaction.atomic():
            team = lock_team(team)
            if ticket and (earlier := team.submissions.filter(ticket=ticket).first()):
                receiving.let_go(upload, weights)
                return earlier
            return receiving.receive(user, team, phase, handed_in, described)
    except Refused:
        receiving.let_go(upload, weights)
        raise


def submit_draft(draft_id: uuid.UUID) -> Submission | None:
    """Accept a draft whose form was sent and whose files are here; nothing happens while one of them is missing.

    It counts as of the last of these instants. One that is refused stays a draft, with the reason and its files.
    """
    with transaction.atomic():
        # Locked first, and then read: what is joined to a row for which one waits is of the row as it was before.
        sent = Draft.objects.filter(submitted_at__isnull=False)
        rows = sent.select_related("team", "phase", "submitted_by", "source__image")
        draft = rows.filter(pk=draft_id).first() if resumable.held(draft_id) else None
        upload = drafts.complete(draft) if draft else None
        if draft is None or upload is None:
            return None
        try:
            submission = _submit_whole(draft, upload)
        except admission.NoSpace:
            return None  # it is here, and in time: the sweeper asks again until there is room for its check
        except Refused as refusal:
            draft.submitted_at, draft.refusal = None, str(refusal)
            draft.save(update_fields=["submitted_at", "refusal"])
            return None
        drafts.remove_what_was_not_handed_in(draft, submission)
        draft.delete()
    return submission


@transaction.atomic
def _submit_whole(draft: Draft, upload: Upload) -> Submission:
    if draft.submitted_by is None:  # for admission that would be the command line
        raise Refused("Who submitted this has no account any more. Submit it again.")
    team, weights = lock_team(draft.team), drafts.weights_of(draft)
    handed_in = HandedIn(upload, weights, str(draft.pk), drafts.kind_of(draft))
    submission = receiving.receive(draft.submitted_by, team, draft.phase, handed_in, drafts.description(draft))
    if draft.source:
        _go_on_with_image_of(draft.source, submission, comes_with_weights=weights is not None)
    return submission


def enter(person: User, try_out: Submission, kind: str) -> Submission:
    """Hand in what was tried out, as it is, to be scored. Raises Refused.

    Pressed twice, also at once, it is entered once, and that is the answer to both.
    """
    key = key_of_entry(try_out, kind)
    with transaction.atomic():
        # Where a server of before made a draft of it that waits: first the draft, as everywhere, and then the team.
        if resumable.held(key):
            Draft.objects.filter(pk=key).delete()
        team = lock_team(try_out.team)
        if earlier := entered(try_out, kind):
            return earlier
        upload = Upload("", try_out.upload, try_out.upload_bytes, try_out.upload_name, clock.now())
        weights = try_out if try_out.weights_id else None
        described = admission.words_of(drafts.said_of(try_out)) | {
            "entry": Submission.Entry.IMAGE,
            "pdf": try_out.pdf,
            "pdf_name": try_out.pdf_name,
            "pdf_bytes": try_out.pdf_bytes,
        }
        handed_in = HandedIn(upload, weights, str(key), kind)
        submission = receiving.receive(person, team, try_out.phase, handed_in, described)
        _go_on_with_image_of(try_out, submission, comes_with_weights=weights is not None)
    return submission


def entered(try_out: Submission, kind: str) -> Submission | None:
    """What became of a try-out that was entered as this kind, if it was."""
    ticket = str(key_of_entry(try_out, kind))
    return Submission.objects.filter(team=try_out.team, ticket=ticket).only("pk", "team").first()


def key_of_entry(try_out: Submission, kind: str) -> uuid.UUID:
    """The ticket with which a try-out is entered."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{try_out.pk} {kind}")


def _go_on_with_image_of(source: Submission, submission: Submission, *, comes_with_weights: bool) -> None:
    """An image that was checked is accepted; whether weights have their place in it is asked as if it had been sent."""
    image = receiving.image_of(source, submission)
    if comes_with_weights:
        submission.image = image
        submission.save(update_fields=["image"])
        task_queue.enqueue_image_check(submission.pk)
        return
    why = f"the image of submission {source.pk}"
    lifecycle.move(submission, SubmissionState.VALIDATING, allowed_from={SubmissionState.RECEIVED}, why=why)
    pipeline.accept(submission, image)
