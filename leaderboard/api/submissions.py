"""A team's submissions: the list, one of them, and what its members decide about it."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Query, Router, Status

from leaderboard.api.drafts import draft_of
from leaderboard.api.operations import Key, operation
from leaderboard.api.paging import Page, PageNumber, PerPage, page_of
from leaderboard.api.problems import Problem
from leaderboard.api.schemas.drafts import DraftOut
from leaderboard.api.schemas.submissions import AgainIn, NoteIn, SubmissionLine, SubmissionOut, WhyIn
from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.core.audit import Actor
from leaderboard.core.database import the_one
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, submitting
from leaderboard.models import Submission
from leaderboard.progress.listing import Filter, Line, runs_of
from leaderboard.progress.submission_view import submission_view
from leaderboard.submissions import admission, drafts, notes
from leaderboard.web import kinds
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.submissions import find_submission

router = Router(tags=["Submissions"])
_SAID = ("kind", "entry", "track", "algorithm", "note")
_WORDS = ("method", "external_data", "paper_url", "code_url", "commitment")


# --- reading ----------------------------------------------------------------------------------------------------------


@operation(router, "GET", "/submissions", answers=Page[SubmissionLine])
def list_submissions(
    request: HttpRequest,
    response: HttpResponse,
    phase: str = "",
    track: Literal["", "main", "overall"] = "",
    state: Literal["", "at-work", "scored", "failed", "cancelled"] = "",
    words: Annotated[str, Query(description="All of them stand in its name, its note or its id.")] = "",
    page: PageNumber = 1,
    per_page: PerPage = 25,
) -> dict[str, Any]:
    """Your team's submissions that fit: those of open phases first, the newest first within a phase."""
    team, rows = frame_of(request).team, []
    if team is not None:
        found = runs_of(team, Viewer(Reader.TEAM, instant_of(request)))
        asked = Filter.of({"track": track, "state": state, "phase": phase, "words": words}, found.phases)
        known = not phase or asked.phase == phase
        rows = [line for line in found.lines if known and asked.fits(line)]
    return page_of(request, response, rows, (page, per_page), make=_line)


@operation(router, "GET", "/submissions/{int:pk}", answers=SubmissionOut)
def get_submission(request: HttpRequest, pk: Key) -> dict[str, Any]:
    """One submission, as its page shows it; on hidden cases as of the last full minute."""
    found, disclosure = find_submission(request, pk, with_method=True)
    return _submission(found, disclosure)


def _line(line: Line) -> dict[str, Any]:
    one = line.submission
    return {
        **{name: getattr(one, name) for name in _SAID},
        "id": one.pk,
        "phase": one.phase.slug,
        "submitted_at": one.accepted_at,
        "state": str(line.state.value),
        "state_words": line.word,
        "percent": line.percent,
        "figures": line.figures,
        "counts_in": list(line.counts_in),
        "withdrawal": line.withdrawal,
    }


def _submission(found: Submission, disclosure: Disclosure) -> dict[str, Any]:
    view = submission_view(found, disclosure)
    entry = kinds.entry_of(found, disclosure.at) if found.is_try_out and view.finished else None
    own = disclosure.reader is Reader.TEAM
    shown = ("finished", "headline", "reason", "advice", "problems", "now", "percent", "steps", "estimate", "history")
    parts = ("figures", "hints", "warnings", "image", "withdrawal")
    return {
        **{name: getattr(found, name) for name in (*_SAID, *_WORDS)},
        **{name: getattr(view, name) for name in (*shown, *parts)},
        "id": found.pk,
        "phase": found.phase.slug,
        "note": found.note if own else "",
        "submitted_at": found.accepted_at,
        "state": str(view.state.value),
        "state_words": view.word,
        "cases_done": view.done,
        "cases": view.total,
        "cases_failed": view.failed,
        "groups": [line for table in view.tables for line in table.lines],
        "can_cancel": view.can_cancel,
        "events_url": f"{settings.SITE_URL}{reverse('submission_events', args=[found.pk])}",
        "shows_cases": disclosure.shows_cases and found.latest_run is not None,
        "entered_as": entry.submission.pk if entry and entry.submission else None,
        "entry_refusal": entry.refusal if entry else "",
    }


# --- deciding ---------------------------------------------------------------------------------------------------------


@operation(router, "PUT", "/submissions/{int:pk}/note", scope="submit", status=204, answers=None)
def put_note(request: HttpRequest, pk: Key, said: NoteIn) -> Status[None]:
    """Keep a note on a submission of your team, which nobody else reads."""
    notes.write(_of_own_team(request, pk), said.note)
    return Status(204, None)


@operation(router, "POST", "/submissions/{int:pk}/cancel", scope="submit", answers=SubmissionOut)
def cancel_submission(request: HttpRequest, pk: Key) -> dict[str, Any]:
    """End a submission that is at work."""
    found, _ = find_submission(request, pk)
    decisions.cancel(found, by=Actor.person(person_of(request)))
    return _anew(request, pk)


@operation(router, "POST", "/submissions/{int:pk}/withdraw", scope="submit", answers=SubmissionOut)
def withdraw_submission(request: HttpRequest, pk: Key, said: WhyIn | None = None) -> dict[str, Any]:
    """Let a submission not count."""
    return _decide(request, pk, said, decisions.withdraw, decisions.withdraw_for_team)


@operation(router, "POST", "/submissions/{int:pk}/bring-back", scope="submit", answers=SubmissionOut)
def bring_back_submission(request: HttpRequest, pk: Key, said: WhyIn | None = None) -> dict[str, Any]:
    """Let a withdrawn submission count again."""
    return _decide(request, pk, said, decisions.bring_back, decisions.bring_back_for_team)


@operation(router, "POST", "/submissions/{int:pk}/again", scope="submit", status=201, answers=DraftOut)
def draft_from_submission(
    request: HttpRequest, response: HttpResponse, pk: Key, said: AgainIn
) -> Status[dict[str, Any]]:
    """A draft with the image and the words of an earlier submission, for the phase that is named."""
    source = _of_own_team(request, pk)
    phase = frame_of(request).phases.filter(slug=said.phase).first()
    if phase is None:
        raise Problem(404, "There is no such phase.")
    admission.check_open_for(person_of(request), phase, instant_of(request))
    draft = drafts.begin_from(person_of(request), phase, source)
    response["Location"] = reverse("api-1:get_draft", args=[draft.pk])
    return Status(201, draft_of(request, draft))


@operation(router, "POST", "/submissions/{int:pk}/enter", scope="submit", status=201, answers=SubmissionOut)
def enter_try_out(request: HttpRequest, response: HttpResponse, pk: Key) -> Status[dict[str, Any]]:
    """Hand in what was tried out, to be scored. Asked again, the answer is the same submission."""
    try_out, at = _of_own_team(request, pk), instant_of(request)
    if not try_out.is_try_out:
        raise Problem(409, "Only a try-out can be entered. Make a draft of another submission.")
    kind = admission.entry_kind(try_out.phase, at)
    try:
        admission.check_open_for(person_of(request), try_out.phase, at)
        entered: Submission | None = submitting.enter(person_of(request), try_out, kind)
    except Refused:
        # The run that another request of the same made of it may have been the last one of the day.
        entered = submitting.entered(try_out, kind)
        if entered is None:
            raise
    assert entered is not None
    response["Location"] = reverse("api-1:get_submission", args=[entered.pk])
    return Status(201, _anew(request, entered.pk))


def _anew(request: HttpRequest, pk: int) -> dict[str, Any]:
    """A submission after something was decided about it."""
    found, disclosure = find_submission(request, pk, with_method=True)
    return _submission(found, disclosure)


def _decide(
    request: HttpRequest, pk: int, said: WhyIn | None, as_team: Callable[..., None], as_organiser: Callable[..., None]
) -> dict[str, Any]:
    found, disclosure = find_submission(request, pk)
    by = Actor.person(person_of(request))
    if disclosure.reader is Reader.ORGANISER:
        as_organiser(found, by=by, why=said.why if said else "")
    else:
        as_team(found, by=by)
    return _anew(request, pk)


def _of_own_team(request: HttpRequest, pk: int) -> Submission:
    team = frame_of(request).team
    rows = Submission.objects.select_related("team", "image", "phase")
    found = the_one(rows.filter(pk=pk, team=team)) if team else None
    if found is None:
        raise Http404
    return found
