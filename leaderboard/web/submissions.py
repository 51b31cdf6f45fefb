"""A team's runs one by one: handing in, watching, cancelling, withdrawing. All of them: `my_runs`."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.core import clock, events
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, submitting
from leaderboard.models import Phase, Submission, Team, User
from leaderboard.people.addresses import unconfirmed_of
from leaderboard.people.rules import has_accepted_rules
from leaderboard.progress import watching
from leaderboard.submissions import admission, drafts, notes, pdfs, receiving, uploads
from leaderboard.submissions.places import Busy, upload_place
from leaderboard.submissions.quota import quota_of
from leaderboard.web import errors, kinds, objecting, tus
from leaderboard.web.context import Frame, frame_of, instant_of, person_of
from leaderboard.web.submission_form import SubmissionForm

# --- handing in -------------------------------------------------------------------------------------------------------


@csrf_exempt  # nothing is sent here; the check would read whatever body somebody sends, before it is known who
@login_required
@require_safe
def submit(request: HttpRequest) -> HttpResponse:
    """To the form of the open phase; a choice where several are open."""
    phases = frame_of(request).taking_phases
    if len(phases) == 1:
        return redirect("submit_to", slug=phases[0].slug)
    return render(request, "submissions/choose_phase.html", {"phases": phases})


@csrf_exempt  # checked in _form and _taken, once it is known who sends: the check reads the whole upload
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def submit_to(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of a phase. Whatever stands in the way is said before anybody uploads anything.

    Who comes again with the ticket of an upload that got no answer is led to its submission, if it was accepted.
    """
    phase = get_object_or_404(frame_of(request).phases, slug=slug)
    person = person_of(request)
    if accepted := _accepted_with(_ticket(request), person):
        return redirect("submission", pk=accepted.pk)
    try:
        team = admission.check_open_for(person, phase, instant_of(request))
        if request.method == "POST":  # before its files are read
            admission.check_approved(team, phase)
    except Refused as refusal:
        own = frame_of(request).team
        context = {
            "phase": phase,
            "refusal": str(refusal),
            "unconfirmed": unconfirmed_of(person),
            "has_accepted": has_accepted_rules(person),
            "quota": kinds.quota_for(own, phase, instant_of(request)) if own else None,
            "kept_drafts": drafts.drafts_of(own, phase) if own else [],
        }
        answer = render(request, "submissions/refused.html", context)
        return _refused(answer, refusal) if request.method == "POST" else answer
    if request.method != "POST":
        return _form(request, phase, team)
    try:
        with upload_place(person, team):
            return _receive(request, phase, team)
    except Busy as busy:
        return errors.too_many(request, str(busy), seconds=busy.seconds)


def _receive(request: HttpRequest, phase: Phase, team: Team) -> HttpResponse:
    """Read the upload, which may take hours; what was received goes on to the form's check."""
    receiver = uploads.BoundedUploadHandler(request, phase)
    request.upload_handlers = [receiver]
    try:
        _ = (
            request.POST
        )  # before the check of the form's token, which would keep it to itself that the upload broke off
    except Exception:
        receiver.abandon()
        raise
    return _taken(request, phase, team, receiver)


@csrf_protect
def _form(request: HttpRequest, phase: Phase, team: Team) -> HttpResponse:
    """The form as it was left: of the draft that the address names, else of the person's newest, else as said last."""
    now, own = instant_of(request), list(drafts.drafts_of(team, phase))
    draft = next((one for one in own if str(one.pk) == request.GET.get("draft")), None)
    if draft is None and "new" not in request.GET:
        draft = next((one for one in own if one.created_by_id == person_of(request).pk), None)
    words = draft.words if draft else drafts.said_last(team)
    context = {
        "phase": phase,
        "form": SubmissionForm(
            phase=phase,
            team=team,
            initial=words,
            has_file=not (draft and draft.source),
            has_pdf=bool(draft and draft.pdf),
        ),
        **kinds.context_of(team, phase, now, words.get("kind"), words.get("entry")),
        "team": team,
        "now": now,
        "draft": draft,
        "other_drafts": [one for one in own if one != draft],
        "is_from_last": bool(words) and draft is None,
        "key": tus.key_of(draft, person_of(request)) if draft else "",
    }
    return render(request, "submissions/submit.html", context)


@csrf_protect
def _taken(request: HttpRequest, phase: Phase, team: Team, receiver: uploads.BoundedUploadHandler) -> HttpResponse:
    refusal = receiver.refusal
    form = SubmissionForm(
        request.POST,
        request.FILES,
        phase=phase,
        team=team,
        refusal=str(refusal or ""),
        refused=receiver.refused,
    )
    try:
        accepted = _hand_in(person_of(request), team, form, _ticket(request))
    except Refused as late:
        refusal, accepted = late, None
        form.add_error(None, str(late))
    if accepted:
        return redirect("submission", pk=accepted.pk)
    now = clock.now()  # not the request's instant, which is from before the upload
    context = {"phase": phase, "form": form, "team": team, "now": now}
    context |= kinds.context_of(team, phase, now, form["kind"].value(), form.data.get("entry"))
    return _refused(render(request, "submissions/submit.html", context), refusal)


def _refused(answer: HttpResponse, refusal: Refused | None) -> HttpResponse:
    """A page that says why nothing was submitted, with the status that programs go by."""
    if isinstance(refusal, admission.NoSpace):
        answer.status_code = HTTPStatus.INSUFFICIENT_STORAGE
        return errors.retry_later(answer, errors.SPACE_SECONDS)
    answer.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    return answer


def _ticket(request: HttpRequest) -> str:
    return request.GET.get("ticket", "")[:40]


def _accepted_with(ticket: str, person: User) -> Submission | None:
    team = person.team if ticket else None
    return team.submissions.filter(ticket=ticket).only("team").first() if team else None


def _hand_in(person: User, team: Team, form: SubmissionForm, ticket: str) -> Submission | None:
    """The accepted submission; None when the form says what is wrong. Raises Refused."""
    if not form.is_valid():
        return None
    said, upload, pdf = form.cleaned_data, uploads.received(form.cleaned_data["image"]), None
    described = admission.words_of(said)
    weights: uploads.Upload | Submission | None = None
    try:
        weights = drafts.chosen_weights(team, said.get("weights", ""))
        if said.get("weights") == drafts.UPLOAD:
            weights = uploads.received(said["weights_file"])
        if file := said.get("pdf"):
            pdf = pdfs.keep(file, size=file.size, name=file.name, phase=form.phase)
            described |= {"pdf": pdf.digest, "pdf_name": pdf.name, "pdf_bytes": pdf.size}
        return submitting.submit(
            user=person,
            team=team,
            phase=form.phase,
            upload=upload,
            weights=weights,
            ticket=ticket,
            kind=said["kind"],
            **described,
        )
    except Refused:
        receiving.let_go(upload, weights)
        raise
    finally:
        pdfs.forget(pdf.digest if pdf else "")  # unless it was taken


# --- watching ---------------------------------------------------------------------------------------------------------


def find_submission(request: HttpRequest, pk: int, *, with_method: bool = False) -> tuple[Submission, Disclosure]:
    """The submission, and what this person may see of it; for everyone else there is none."""
    found = watching.find(person_of(request), pk, instant_of(request), with_method=with_method)
    if found is None:
        raise Http404
    return found


@login_required
@require_safe
@never_cache
def submission(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything a team may know about its run, live."""
    version = events.version(pk)
    found, disclosure = find_submission(request, pk, with_method=True)
    again = [phase for phase in frame_of(request).taking_phases if admission.may_go_to(found, phase)]
    context = _panel_context(frame_of(request), found, disclosure, version)
    context |= {"longest_note": notes.LONGEST, "phases_for_image": again, **objecting.context_of(found)}
    return render(request, "submissions/submission.html", context)


@login_required
@require_safe
@never_cache
def submission_panel(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes; 204 when the visitor has seen exactly this."""
    version = events.version(pk)
    found, disclosure = find_submission(request, pk)
    seen, minute = request.GET.get("seen", ""), request.GET.get("minute", "")
    is_of_now = minute in ("", f"{disclosure.at:%H:%M}")
    if seen and is_of_now and seen == _cheap_version(version, disclosure, seen):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    context = _panel_context(frame_of(request), found, disclosure, version)
    if seen.rpartition("-")[2] == context["seen"].rpartition("-")[2]:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return render(request, "submissions/panel.html", {**context, "is_update": True})


@require_safe
def without_events(request: HttpRequest, pk: int) -> HttpResponse:  # noqa: ARG001
    """Where one process answers everything nobody is told of events (leaderboard/streams): 204, ask by yourself."""
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _cheap_version(version: str | None, disclosure: Disclosure, seen: str) -> str | None:
    """What `seen` would be now, if the broker alone can tell: not to readers who are not told of each event."""
    return f"{version}-{seen.rpartition('-')[2]}" if version and disclosure.follows_events else None


def _panel_context(frame: Frame, submission: Submission, disclosure: Disclosure, version: str | None) -> dict[str, Any]:
    """What the page shows. `version`: what the broker said before any row was read.

    So what changes in between is shown twice rather than never.
    """
    version = version if disclosure.follows_events else None
    shown = watching.shown(submission, disclosure)
    return {
        "submission": submission,
        "view": shown.view,
        "is_own": disclosure.reader is Reader.TEAM,
        "may_decide": disclosure.reader is Reader.TEAM or frame.may_organise,
        "embargo_until": submission.phase.embargo_until if disclosure.is_embargoed else None,
        "seen": f"{version or ''}-{shown.digest}",
        "minute": shown.minute,
        "quota": quota_of(submission.team, submission.phase, disclosure.at, submission.kind),
        "poll_seconds": watching.POLL_SECONDS if disclosure.follows_events else watching.HIDDEN_POLL_SECONDS,
        "entry": kinds.entry_of(submission, disclosure.at) if submission.is_try_out and shown.view.finished else None,
    }


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """End a run by its team's decision."""
    found, disclosure = find_submission(request, pk)
    by = Actor.person(person_of(request))
    try:
        if _decides_as_organiser(request, disclosure):
            decisions.cancel_for_team(found, by=by)
        else:
            decisions.cancel(found, by=by)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The run is cancelled.")
    return redirect(reverse("submission", args=[found.pk]))


@login_required
@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a run not count."""
    return _decide_what_counts(request, pk, decisions.withdraw, decisions.withdraw_for_team, "it does not count.")


@login_required
@require_POST
def bring_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a withdrawn run count again."""
    done = "it may count again."
    return _decide_what_counts(request, pk, decisions.bring_back, decisions.bring_back_for_team, done)


def _decide_what_counts(
    request: HttpRequest, pk: int, as_team: Callable[..., None], as_organiser: Callable[..., None], done: str
) -> HttpResponse:
    """Decide it as whom the person is, and go back to the page where it was decided."""
    found, disclosure = find_submission(request, pk)
    by = Actor.person(person_of(request))
    try:
        if _decides_as_organiser(request, disclosure):
            as_organiser(found, by=by, why=request.POST.get("why", ""))
        else:
            as_team(found, by=by)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Submission {found.pk}: {done}")
    return redirect("runs") if request.POST.get("back") == "runs" else redirect("submission", pk=found.pk)


def _decides_as_organiser(request: HttpRequest, disclosure: Disclosure) -> bool:
    """Whether it is no decision of the run's team. For who only views there is none: Http404."""
    if disclosure.reader is not Reader.ORGANISER:
        return False
    if not frame_of(request).may_organise:
        raise Http404
    return True
