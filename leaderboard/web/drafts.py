"""What is being prepared, for the submission page's script: kept as it is typed, sent while its file still comes."""

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from leaderboard.core.refusal import Refused
from leaderboard.journey import submitting
from leaderboard.models import Draft, ResumableUpload, Submission
from leaderboard.submissions import admission, drafts, resumable
from leaderboard.web import kinds, sending
from leaderboard.web.context import frame_of, instant_of, person_of


@login_required
@require_POST
def begin(request: HttpRequest, slug: str) -> HttpResponse:
    """A new draft, with what was typed so far."""
    phase = get_object_or_404(frame_of(request).phases, slug=slug)
    try:
        team = admission.check_open_for(person_of(request), phase, instant_of(request))
        draft = drafts.begin(person_of(request), team, phase, request.POST.dict())
    except Refused as refusal:
        return JsonResponse({"refusal": str(refusal)}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return JsonResponse(_state(draft), status=HTTPStatus.CREATED)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def draft(request: HttpRequest, key: UUID) -> HttpResponse:
    """How far a draft is, or the submission that it became; posted to, it keeps what was typed."""
    found = _find(request, key)
    if isinstance(found, Submission):
        return _accepted(found)
    if request.method == "POST":
        drafts.save(found, request.POST.dict())
    return JsonResponse(_state(found))


@login_required
@require_POST
def send(request: HttpRequest, key: UUID) -> HttpResponse:
    """Submit: at once where the file is here, else at its last byte. The form with its errors where it has any."""
    found = _find(request, key)
    if isinstance(found, Submission):
        return _accepted(found)
    now, said = instant_of(request), request.POST.dict()
    form = sending.form_of(found, person_of(request), now, said, seen=said.get("weights_seen"))
    if form.is_valid():
        sent = sending.send(found, person_of(request), form, said)
        if sent is None:
            raise Http404
        found = sent
        if isinstance(found, Submission):
            # A form without a script, whose image is here, wants a page.
            by_script = "X-Requested-With" in request.headers
            return _accepted(found) if by_script else redirect("submission", pk=found.pk)
        if not found.refusal:
            return JsonResponse(_state(found), status=HTTPStatus.ACCEPTED)
        form.add_error(None, found.refusal)
    context = {"phase": found.phase, "form": form, "now": now, "draft": found}
    context |= kinds.context_of(found.team, found.phase, now, form["kind"].value(), form.data.get("entry"))
    return render(request, "submissions/submit.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)


@login_required
@require_POST
def begin_from(request: HttpRequest, pk: int) -> HttpResponse:
    """A draft with the image and the words of an earlier submission, for the phase that was chosen.

    From the page of a try-out it is sent at once, as the kind that the button says.
    """
    source = get_object_or_404(Submission.objects.select_related("team", "image", "phase"), pk=pk)
    if source.team != frame_of(request).team:
        raise Http404
    if source.is_try_out and "enter" in request.POST:
        return _enter(request, source, request.POST["enter"])
    phase = get_object_or_404(frame_of(request).phases, slug=request.POST.get("phase", ""))
    try:
        admission.check_open_for(person_of(request), phase, instant_of(request))
        draft = drafts.begin_from(person_of(request), phase, source)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("submission", pk=pk)
    return _to_form(draft)


def _enter(request: HttpRequest, try_out: Submission, kind: str) -> HttpResponse:
    """What was tried out becomes a run, once. What stands in the way is said where the button is."""
    try:
        admission.check_open_for(person_of(request), try_out.phase, instant_of(request))
        entered = submitting.enter(person_of(request), try_out, kind)
    except Refused as refusal:
        # The run that another press of the same button became may have been the last one of the day.
        found = submitting.entered(try_out, kind)
        if found is None:
            messages.error(request, str(refusal))
        return redirect("submission", pk=(found or try_out).pk)
    return redirect("submission", pk=entered.pk)


def _to_form(draft: Draft) -> HttpResponse:
    return redirect(f"{reverse('submit_to', args=[draft.phase.slug])}?draft={draft.pk}")


@login_required
@require_POST
def take_back(request: HttpRequest, key: UUID) -> HttpResponse:
    """A draft that was sent, and waits for its file, is a draft again."""
    found = _find_or_say(request, key)
    if found is None:
        return redirect("submit")
    if isinstance(found, Draft):
        drafts.take_back(found)
        found = _find(request, key)  # which its last byte may just have handed in
    if isinstance(found, Submission):
        return redirect("submission", found.pk)
    return _to_form(found)


@login_required
@require_POST
def delete(request: HttpRequest, key: UUID) -> HttpResponse:
    """Delete a draft and its file."""
    found = _find_or_say(request, key)
    if found is None:
        return redirect("submit")
    if isinstance(found, Submission):
        return redirect("submission", found.pk)
    drafts.discard(found)
    return redirect("submit_to", slug=found.phase.slug)


def _find(request: HttpRequest, key: UUID) -> Draft | Submission:
    """The team's draft, or the submission that it became."""
    found = sending.find(key, frame_of(request).team)
    if found is None:
        raise Http404
    return found


def _find_or_say(request: HttpRequest, key: UUID) -> Draft | Submission | None:
    """The same; who pressed a second time, or whose colleague was faster, reads that there is none any more."""
    try:
        return _find(request, key)
    except Http404:
        messages.info(request, "There is no such draft of your team: it was deleted.")
        return None


def _accepted(submission: Submission) -> HttpResponse:
    return JsonResponse({"submission": reverse("submission", args=[submission.pk])})


def _state(draft: Draft) -> dict[str, object]:
    """What the page's script shows of a draft."""
    return {
        "draft": str(draft.pk),
        "begin_upload": reverse("begin_upload", args=[draft.pk]),
        "sent": draft.submitted_at is not None,
        "refusal": draft.refusal,
        "saved_at": draft.changed_at.isoformat(),
        "pdf": {"name": draft.pdf_name, "bytes": draft.pdf_bytes} if draft.pdf else None,
        "upload": _upload(draft.upload),
        "weights": _upload(draft.weights_upload),
    }


def _upload(upload: ResumableUpload | None) -> dict[str, object] | None:
    if upload is None:
        return None
    return {
        "key": str(upload.pk),
        "address": reverse("upload", args=[upload.pk]),
        "name": upload.name,
        "length": upload.length,
        "received": upload.received,
        "fingerprint": upload.fingerprint,
        "digest": upload.digest,
        "expires_at": resumable.expires_at(upload).isoformat(),
    }
