"""What a team prepares: its words, its files (which come by tus), and how it is sent."""

from io import BytesIO
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router, Status

from leaderboard.api.exchange import may
from leaderboard.api.operations import operation
from leaderboard.api.problems import Problem
from leaderboard.api.schemas.drafts import DraftIn, DraftOut, PreviewIn, PreviewOut, SendIn, WordsIn
from leaderboard.core.markdown import as_html
from leaderboard.models import ApiToken, Draft, ResumableUpload, Submission
from leaderboard.submissions import admission, drafts, pdfs, resumable
from leaderboard.submissions.places import upload_place
from leaderboard.web import sending, tus
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.submission_form import NONE, SOME, SubmissionForm

router = Router(tags=["Drafts"])
PDF = "application/pdf"


# --- reading ----------------------------------------------------------------------------------------------------------


@operation(router, "GET", "/drafts", answers=list[DraftOut])
def list_drafts(request: HttpRequest) -> list[dict[str, Any]]:
    """Your team's drafts, the newest first."""
    team = frame_of(request).team
    return [draft_of(request, one) for one in drafts.all_of(team)] if team else []


@operation(router, "GET", "/drafts/{uuid:key}", answers=DraftOut)
def get_draft(request: HttpRequest, key: UUID) -> dict[str, Any]:
    """How far a draft is, or which submission it became."""
    return _state(request, _find(request, key))


def draft_of(request: HttpRequest, draft: Draft) -> dict[str, Any]:
    """A draft as answers show it."""
    return {
        "id": draft.pk,
        "state": "sent" if draft.submitted_at else "draft",
        "phase": draft.phase.slug,
        "words": draft.words,
        "source": draft.source_id,
        "refusal": draft.refusal,
        "saved_at": draft.changed_at,
        "sent_at": draft.submitted_at,
        "pdf": {"name": draft.pdf_name, "bytes": draft.pdf_bytes} if draft.pdf else None,
        "upload": _upload(draft.upload),
        "weights": _upload(draft.weights_upload),
        "tus": {
            "address": settings.SITE_URL + reverse("begin_upload", args=[draft.pk]),
            "key": tus.key_of(draft, person_of(request)) if may(request, ApiToken.Scope.SUBMIT) else None,
        },
    }


def _state(request: HttpRequest, found: Draft | Submission) -> dict[str, Any]:
    if isinstance(found, Submission):
        return {"id": UUID(found.ticket), "state": "accepted", "submission": found.pk}
    return draft_of(request, found)


def _upload(upload: ResumableUpload | None) -> dict[str, Any] | None:
    if upload is None:
        return None
    names = ("name", "length", "received", "digest")
    return {
        **{name: getattr(upload, name) for name in names},
        "key": upload.pk,
        "address": settings.SITE_URL + reverse("upload", args=[upload.pk]),
        "expires_at": resumable.expires_at(upload),
    }


def _find(request: HttpRequest, key: UUID) -> Draft | Submission:
    found = sending.find(key, frame_of(request).team)
    if found is None:
        raise Http404
    return found


def _draft(request: HttpRequest, key: UUID) -> Draft:
    """A draft that is still one."""
    found = _find(request, key)
    if isinstance(found, Submission):
        raise Problem(409, f"This draft was handed in: it is submission {found.pk}.")
    return found


# --- preparing --------------------------------------------------------------------------------------------------------


@operation(router, "POST", "/drafts", scope="submit", status=201, answers=DraftOut)
def create_draft(request: HttpRequest, response: HttpResponse, said: DraftIn) -> Status[dict[str, Any]]:
    """A new draft for a phase, with what is said of it so far."""
    phase = frame_of(request).phases.filter(slug=said.phase).first()
    if phase is None:
        raise Problem(404, "There is no such phase.")
    person = person_of(request)
    team = admission.check_open_for(person, phase, instant_of(request))
    draft = drafts.begin(person, team, phase, _words(said))
    response["Location"] = reverse("api-1:get_draft", args=[draft.pk])
    return Status(201, draft_of(request, draft))


@operation(router, "PATCH", "/drafts/{uuid:key}", scope="submit", answers=DraftOut)
def change_draft(request: HttpRequest, key: UUID, said: WordsIn) -> dict[str, Any]:
    """Keep what is said, whatever it is worth. One that was sent is to be taken back first."""
    draft = _draft(request, key)
    if draft.submitted_at:
        raise Problem(409, "This draft was sent, and waits for its file. Take it back to change it.")
    drafts.save(draft, {**draft.words, **_words(said)})
    return draft_of(request, draft)


@operation(router, "DELETE", "/drafts/{uuid:key}", scope="submit", status=204, answers=None)
def delete_draft(request: HttpRequest, key: UUID) -> Status[None]:
    """Delete a draft and its files."""
    drafts.discard(_draft(request, key))
    return Status(204, None)


@operation(router, "PUT", "/drafts/{uuid:key}/pdf", scope="submit", status=204, answers=None, body=PDF)
def put_draft_pdf(request: HttpRequest, key: UUID) -> Status[None]:
    """Keep a PDF of the method with a draft, in place of any that it had."""
    draft = _draft(request, key)
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    admission.check_pdf(length, draft.phase)
    with upload_place(person_of(request), draft.team):
        file = BytesIO(request.read(length))
        drafts.keep_pdf(draft, pdfs.keep(file, size=length, name="method.pdf", phase=draft.phase))
    return Status(204, None)


@operation(router, "DELETE", "/drafts/{uuid:key}/pdf", scope="submit", status=204, answers=None)
def delete_draft_pdf(request: HttpRequest, key: UUID) -> Status[None]:
    """Take the PDF of a draft away."""
    drafts.keep_pdf(_draft(request, key), None)
    return Status(204, None)


@operation(router, "POST", "/preview", answers=PreviewOut)
def preview_method(request: HttpRequest, said: PreviewIn) -> dict[str, str]:  # noqa: ARG001
    """A description in Markdown as the board will show it."""
    return {"method": as_html(said.method), "external_data": as_html(said.external_data)}


# --- sending ----------------------------------------------------------------------------------------------------------


@operation(router, "POST", "/drafts/{uuid:key}/send", scope="submit", answers=DraftOut)
def send_draft(request: HttpRequest, key: UUID, said: SendIn | None = None) -> dict[str, Any]:
    """Submit: at once where the file is here, else at its last byte. Sent again, the answer is what it became."""
    found = _find(request, key)
    if isinstance(found, Submission):
        return _state(request, found)
    words = {**found.words, **(_words(said) if said else {})}
    if not words.get("weights") and found.weights_upload is not None:
        words["weights"] = drafts.UPLOAD
    person, seen = person_of(request), said.weights_seen if said else None
    form = sending.form_of(found, person, instant_of(request), words, seen=seen)
    if not form.is_valid():
        raise _of_form(form)
    sent = sending.send(found, person, form, words)
    if sent is None:
        raise Http404
    if isinstance(sent, Draft) and sent.refusal:
        raise Problem(409, sent.refusal)
    return _state(request, sent)


@operation(router, "POST", "/drafts/{uuid:key}/take-back", scope="submit", answers=DraftOut)
def take_back_draft(request: HttpRequest, key: UUID) -> dict[str, Any]:
    """Make a draft again of what was sent, and waits for its file."""
    drafts.take_back(_draft(request, key))
    return _state(request, _find(request, key))  # which its last byte may just have handed in


def _words(said: WordsIn) -> dict[str, str]:
    """What is said, with the answer of the form's question that the words about external data give."""
    words = {name: value for name, value in said.dict().items() if value is not None and name in drafts.WORDS}
    if "external_data" in words:
        answer = words["external_data"].strip().lower()
        words["external"] = answer if answer in ("", NONE) else SOME  # silence is no answer
    return words


def _of_form(form: SubmissionForm) -> Problem:
    """The sentences that the form's page shows at its fields."""
    errors = [
        {"field": "" if name == NON_FIELD_ERRORS else str(name), "detail": str(words)}
        for name, those in form.errors.items()
        for words in those
    ]
    return Problem(422, " ".join(one["detail"] for one in errors), errors=errors)
