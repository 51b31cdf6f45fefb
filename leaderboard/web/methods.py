"""What a team says of its method beyond plain words: how it will look, and a PDF where a phase asks for one."""

from http import HTTPStatus
from typing import BinaryIO, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leaderboard.core import blobs, database
from leaderboard.core.refusal import Refused
from leaderboard.models import Draft
from leaderboard.submissions import admission, drafts, pdfs, uploads
from leaderboard.submissions.pdfs import Pdf
from leaderboard.submissions.places import Busy, upload_place
from leaderboard.web.context import frame_of, person_of
from leaderboard.web.submissions import find_submission

GONE = HTTPStatus.GONE


@login_required
@require_POST
@never_cache
def preview(request: HttpRequest) -> HttpResponse:
    """The method and the external data of a form as the board will show them; for a script the part of a page."""
    context = {
        "method": request.POST.get("method", ""),
        "external_data": request.POST.get("external_data", ""),
        "most": {"method": admission.MAX_METHOD_CHARACTERS, "external_data": admission.MAX_EXTERNAL_DATA_CHARACTERS},
    }
    part = "_part" if _is_by_script(request) else ""
    return render(request, f"submissions/preview{part}.html", context)


@login_required
@require_safe
@never_cache
def pdf(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The PDF of a submission, for its team and organisers."""
    submission, _ = find_submission(request, pk)
    found = pdfs.of(submission)
    if found is None:
        raise Http404
    return _as_file(found, f"submission-{pk}-method.pdf")


@csrf_exempt  # checked in _keep, once it is known who sends: the check reads the whole file
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def draft_pdf(request: HttpRequest, key: UUID) -> HttpResponseBase:
    """The PDF of a draft; posted to, another one in its place, or none."""
    draft = drafts.find(key, frame_of(request).team)
    if draft is None:
        raise Http404
    if request.method != "POST":
        found = pdfs.of(draft)
        if found is None:
            raise Http404
        return _as_file(found, "draft-method.pdf")
    try:
        with upload_place(person_of(request), draft.team):
            return _receive(request, draft)
    except Busy as busy:
        return _refused(request, draft, busy)


def _as_file(found: Pdf, name: str) -> HttpResponseBase:
    """What is in it is the team's: it is handed out as a file to keep, never as something to show."""
    try:
        file = blobs.pdfs.path(found.digest).open("rb")
    except FileNotFoundError:
        return HttpResponse("This file is not here any more.", status=GONE, content_type="text/plain; charset=utf-8")
    answer = FileResponse(file, as_attachment=True, filename=name, content_type="application/pdf")
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    database.let_go()  # a file may take long to go out
    return answer


def _receive(request: HttpRequest, draft: Draft) -> HttpResponse:
    receiver = uploads.BoundedUploadHandler(request, draft.phase, takes=uploads.PDF)
    request.upload_handlers = [receiver]
    try:
        _ = request.POST  # before the check of the form's token, as a whole submission
    except Exception:
        receiver.abandon()
        raise
    return _kept(request, draft, receiver.refusal)


@csrf_protect
def _kept(request: HttpRequest, draft: Draft, refusal: Refused | None) -> HttpResponse:
    file = request.FILES.get(uploads.PDF)
    if refusal is None and file is None and "remove" not in request.POST:
        refusal = Refused("Choose a PDF.")
    try:
        if refusal is None:
            size, name = (file.size or 0, file.name or "") if file else (0, "")
            found = pdfs.keep(cast(BinaryIO, file), size=size, name=name, phase=draft.phase) if file else None
            drafts.keep_pdf(draft, found)
    except Refused as late:
        refusal = late
    if refusal:
        return _refused(request, draft, refusal)
    return HttpResponse(status=HTTPStatus.NO_CONTENT) if _is_by_script(request) else _to_form(draft)


def _refused(request: HttpRequest, draft: Draft, refusal: Refused) -> HttpResponse:
    if not _is_by_script(request):
        messages.error(request, str(refusal))
        return _to_form(draft)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if isinstance(refusal, Busy):
        status = HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(refusal, admission.NoSpace):
        status = HTTPStatus.INSUFFICIENT_STORAGE
    return HttpResponse(str(refusal), status=status, content_type="text/plain; charset=utf-8")


def _is_by_script(request: HttpRequest) -> bool:
    return "X-Requested-With" in request.headers


def _to_form(draft: Draft) -> HttpResponse:
    return redirect(f"{reverse('submit_to', args=[draft.phase.slug])}?draft={draft.pk}")
