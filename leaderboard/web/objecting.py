"""A team objects to what organisers decided about its run; answered at the desk."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from leaderboard.board.disclosure import Reader, reader_of
from leaderboard.core.refusal import Refused
from leaderboard.journey import objections
from leaderboard.models import Objection, RunDecision, Submission
from leaderboard.web.context import person_of


def context_of(submission: Submission) -> dict[str, Any]:
    """What organisers decided about it, the newest first, with objections and answers; one question if nothing was."""
    decisions = sorted(submission.decisions.all(), key=lambda one: -one.pk)
    made: dict[int, list[Objection]] = {}
    if decisions:
        for one in Objection.objects.filter(decision__submission=submission):
            made.setdefault(one.decision_id, []).append(one)
    return {
        "decisions": [(one, made.get(one.pk, []), _can_object(one, made.get(one.pk, []))) for one in decisions],
        "longest_objection": objections.LONGEST,
    }


def _can_object(decision: RunDecision, made: list[Objection]) -> bool:
    is_waiting = any(one.answered_at is None for one in made)
    return decision.can_be_objected_to and not is_waiting and len(made) < objections.MOST


@login_required
@require_POST
def object_to(request: HttpRequest, pk: int, decision: int) -> HttpResponse:
    """A team's objection: by its members, and nobody else."""
    rows = RunDecision.objects.select_related("submission__team")
    found = get_object_or_404(rows.defer("submission__method", "submission__external_data"), pk=decision, submission=pk)
    person = person_of(request)
    if reader_of(person, found.submission) is not Reader.TEAM:
        raise Http404
    try:
        objections.object_to(found, request.POST.get("text", ""), user=person)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(
            request, "The organisers read your objection. Their answer will stand here, and comes by mail."
        )
    return redirect("submission", pk=pk)
