"""How a draft is sent, by its page or by the API: what its form says, checked, and what became of it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.http import QueryDict

from leaderboard.core.refusal import Refused
from leaderboard.journey import submitting
from leaderboard.models import Draft, Phase, Submission, Team, User
from leaderboard.submissions import admission, drafts, resumable
from leaderboard.web.submission_form import SubmissionForm


def find(key: UUID, team: Team | None) -> Draft | Submission | None:
    """The team's draft, or the submission that it became."""
    found: Draft | Submission | None = drafts.find(key, team)
    if found is None and team:
        found = Submission.objects.filter(ticket=str(key), team=team).only("pk").first()
    return found


def form_of(draft: Draft, person: User, at: datetime, said: Mapping[str, str], *, seen: str | None) -> SubmissionForm:
    """The form of a draft with what is said in it, and what is missing or does not fit as its errors.

    seen: the key of the upload of weights of which the sender knows, who may choose not to use it.
    """
    data = QueryDict(mutable=True)
    data.update(dict(said))
    form = SubmissionForm(data, phase=draft.phase, team=draft.team, has_file=False, has_pdf=bool(draft.pdf))
    _check_files(draft, person, at, form, seen)
    return form


def _check_files(draft: Draft, person: User, at: datetime, form: SubmissionForm, seen: str | None) -> None:
    """Say which files are missing, or are another thing."""
    if draft.upload is None and not draft.source:
        _ask_for_file(draft.phase, person, at, form)
    if why_not := admission.why_not_approved(draft.team, draft.phase):
        form.add_error(None, why_not)  # and not only when its last byte is here
    _look_at_file_again(draft, form)
    if form.wants_upload_of_weights and draft.weights_upload is None:
        form.add_error("weights", "Choose the archive of your weights.")
    if _weights_came_unseen(seen, draft, form):
        form.add_error("weights", "An archive of weights came for this draft meanwhile. Choose again which to use.")


def _ask_for_file(phase: Phase, person: User, at: datetime, form: SubmissionForm) -> None:
    """But nobody is to send one that would be refused: by a phase that has closed meanwhile, say."""
    try:
        admission.check_open_for(person, phase, at)
    except Refused as refusal:
        form.add_error(None, str(refusal))
    else:
        what = " or ".join(filter(None, [phase.takes_images * "image", phase.takes_masks * "masks"]))
        form.add_error("image", f"Choose the archive of your {what}.")


def send(draft: Draft, person: User, form: SubmissionForm, said: Mapping[str, str]) -> Draft | Submission | None:
    """Submit what a valid form says: at once where the file is here, else at its last byte.

    What it is then: a submission, or a draft, which waits or has a refusal; None if a colleague deleted it meanwhile.
    """
    drafts.send(draft, person, {**said, **form.cleaned_data})
    return submitting.submit_draft(draft.pk) or find(draft.pk, draft.team)


def _look_at_file_again(draft: Draft, form: SubmissionForm) -> None:
    """What was sent as one thing is looked at again where it is now said to be another."""
    beginning = resumable.beginning_of(draft.upload)
    try:
        if beginning:
            admission.check_beginning(beginning, draft.phase, admission.entry_said(form.data, draft.phase))
    except Refused as refusal:
        form.add_error("image", str(refusal))


def _weights_came_unseen(seen: str | None, draft: Draft, form: SubmissionForm) -> bool:
    """Whether the page did not know of what it would throw away: another program, or a colleague, sent it."""
    upload = draft.weights_upload
    if upload is None or form.wants_upload_of_weights or not form.is_of_an_image:
        return False
    return seen != str(upload.pk)
