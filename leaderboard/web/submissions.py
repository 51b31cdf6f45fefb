"""A team's runs: the list, handing in, watching, cancelling."""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leaderboard.board import standings
from leaderboard.core import clock, events
from leaderboard.journey import decisions, pipeline
from leaderboard.models import Phase, Standing, Submission, Team, User
from leaderboard.progress import visibility
from leaderboard.states import ENDED, RunState, SubmissionState
from leaderboard.submissions import admission, uploads
from leaderboard.web.forms import SubmissionForm

RUNS_PER_PAGE = 25
UNPROCESSABLE = 422
NO_CONTENT = 204
POLL_SECONDS = 2


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


# --- the list ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A submission in its team's list; `percent` while it runs, `figures` once it is scored and published."""

    submission: Submission
    word: str
    kind: str
    percent: int | None
    figures: dict[str, Any] | None


@login_required
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """All runs of the person's team, newest first."""
    team = _person(request).team
    if team is None:
        return redirect("team")
    submissions = team.submissions.select_related("phase__case_set").prefetch_related("runs__standings")
    page = Paginator(submissions.order_by("-accepted_at", "-pk"), RUNS_PER_PAGE).get_page(request.GET.get("page"))
    now = clock.now()
    open_phases = list(Phase.objects.filter(opens_at__lte=now, closes_at__gt=now).order_by("closes_at"))
    context = {
        "team": team,
        "page": page,
        "lines": [_line(submission) for submission in page],
        "quotas": [(phase, admission.quota(team, phase, now)) for phase in open_phases],
    }
    return render(request, "submissions/runs.html", context)


def _line(submission: Submission) -> Line:
    """Cheap: before a deadline everybody looks here, and most runs wait."""
    run, state = submission.latest_run, visibility.shown_state(submission)
    if state not in ENDED:
        return Line(submission, *visibility.progress(submission), None)
    scope = standings.published_scope(submission.phase)
    standing: Standing | None = next((one for one in run.standings.all() if one.scope == scope), None) if run else None
    figures = standings.figures(standing, exact=standings.is_revealed(submission.phase)) if standing else None
    word = (RunState(state) if state in RunState.values else SubmissionState(state)).label
    return Line(submission, str(word), visibility.KINDS.get(state, "idle"), None, figures)


# --- handing in -------------------------------------------------------------------------------------------------------


@login_required
@require_safe
def submit(request: HttpRequest) -> HttpResponse:
    """To the form of the open phase; a choice where several are open."""
    now = clock.now()
    phases = list(Phase.objects.filter(opens_at__lte=now, closes_at__gt=now).order_by("closes_at"))
    if len(phases) == 1:
        return redirect("submit_to", slug=phases[0].slug)
    return render(request, "submissions/choose_phase.html", {"phases": phases})


@csrf_exempt  # checked in _form, once it is known who sends: the check reads the whole upload
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def submit_to(request: HttpRequest, slug: str) -> HttpResponse:
    """The form of a phase. Whatever stands in the way is said before anybody uploads anything.

    Who comes again with the ticket of an upload that got no answer is led to its submission, if it was accepted.
    """
    phase = get_object_or_404(Phase, slug=slug)
    person = _person(request)
    if accepted := _accepted_with(_ticket(request), person):
        return redirect("submission", pk=accepted.pk)
    try:
        team = admission.check_open_for(person, phase)
    except admission.Refused as refusal:
        context = {
            "phase": phase,
            "refusal": str(refusal),
            "has_accepted": admission.has_accepted_rules(person),
            "quota": admission.quota(person.team, phase) if person.team else None,
        }
        status = UNPROCESSABLE if request.method == "POST" else 200
        return render(request, "submissions/refused.html", context, status=status)
    receiver = uploads.BoundedUploadHandler(request, phase)
    request.upload_handlers = [receiver]
    return _form(request, phase, team, receiver)


@csrf_protect
def _form(request: HttpRequest, phase: Phase, team: Team, receiver: uploads.BoundedUploadHandler) -> HttpResponse:
    form = SubmissionForm(phase=phase)
    if request.method == "POST":
        sent = request.POST  # reads the body: what the receiver found stands only after it
        form = SubmissionForm(sent, request.FILES, phase=phase, refusal=receiver.refusal)
        accepted = _hand_in(_person(request), team, form, _ticket(request))
        if accepted:
            return redirect("submission", pk=accepted.pk)
    context = {"phase": phase, "form": form, "team": team, "quota": admission.quota(team, phase), "now": clock.now()}
    return render(request, "submissions/submit.html", context, status=UNPROCESSABLE if form.errors else 200)


def _ticket(request: HttpRequest) -> str:
    return request.GET.get("ticket", "")[:40]


def _accepted_with(ticket: str, person: User) -> Submission | None:
    return person.team.submissions.filter(ticket=ticket).first() if ticket and person.team else None


def _hand_in(person: User, team: Team, form: SubmissionForm, ticket: str) -> Submission | None:
    """The accepted submission; None when the form now says what is wrong."""
    if not form.is_valid():
        return None
    words = ("track", "algorithm", "method", "external_data", "paper_url", "code_url")
    try:
        return pipeline.submit(
            user=person,
            team=team,
            phase=form.phase,
            upload=uploads.received(form.cleaned_data["image"]),
            ticket=ticket,
            **{name: form.cleaned_data[name] for name in words},
        )
    except admission.Refused as refusal:
        form.add_error(None, str(refusal))
        return None


# --- watching ---------------------------------------------------------------------------------------------------------


def _visible(request: HttpRequest, pk: int) -> Submission:
    """The submission, for its team and for staff; for everyone else there is none."""
    submission = get_object_or_404(
        Submission.objects.select_related("team", "phase__case_set", "image", "submitted_by"), pk=pk
    )
    person = _person(request)
    if person.is_staff or submission.team.memberships.filter(user=person).exists():
        return submission
    raise Http404


@login_required
@require_safe
@never_cache
def submission(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything a team may know about its run, live."""
    context = _panel_context(request, _visible(request, pk))
    return render(request, "submissions/submission.html", context)


@login_required
@require_safe
@never_cache
def submission_panel(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes; 204 when the visitor has seen exactly this."""
    found = _visible(request, pk)
    seen = request.GET.get("seen", "")
    if seen and seen == _cheap_version(request, found, seen):
        return HttpResponse(status=NO_CONTENT)
    context = _panel_context(request, found)
    if seen.rpartition("-")[2] == context["seen"].rpartition("-")[2]:
        return HttpResponse(status=NO_CONTENT)
    return render(request, "submissions/panel.html", {**context, "is_update": True})


def _sees_everything(request: HttpRequest, submission: Submission) -> bool:
    return _person(request).is_staff or submission.phase.cases_are_public


def _cheap_version(request: HttpRequest, submission: Submission, seen: str) -> str | None:
    """What `seen` would be now, if the broker alone can tell. On hidden cases it must not: it counts events."""
    version = events.version(submission.pk) if _sees_everything(request, submission) else None
    return f"{version}-{seen.rpartition('-')[2]}" if version else None


def _panel_context(request: HttpRequest, submission: Submission) -> dict[str, Any]:
    # The version is read before the rows: what changes in between is shown twice rather than never.
    version = events.version(submission.pk) if _sees_everything(request, submission) else None
    view = visibility.submission_view(submission, organiser=_person(request).is_staff)
    digest = hashlib.blake2b(repr(view).encode(), digest_size=8).hexdigest()
    quota = admission.quota(submission.team, submission.phase)
    return {
        "submission": submission,
        "view": view,
        "seen": f"{version or ''}-{digest}",
        "quota": quota,
        "poll_seconds": POLL_SECONDS,
    }


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """End a run by its team's decision."""
    found = _visible(request, pk)
    try:
        decisions.cancel(found, by=_person(request))
    except admission.Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The run is cancelled.")
    return redirect(reverse("submission", args=[found.pk]))
