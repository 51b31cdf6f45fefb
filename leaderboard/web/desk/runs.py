"""All runs at the desk: searched, listed, chosen for an act; and the full story of one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.core.database import the_one
from leaderboard.core.record_words import value_in_words
from leaderboard.desk.acting import may_act
from leaderboard.desk.acts import runs as run_acts
from leaderboard.desk.acts.disqualifications import DISQUALIFY_TEAM, REINSTATE_TEAM
from leaderboard.desk.acts.objections import ANSWER
from leaderboard.desk.run_search import STANDINGS, STATES, Search
from leaderboard.desk.run_table import as_csv, lines_of, runs_listed, with_what_is_listed
from leaderboard.journey.reasons import in_words, of_failed_run
from leaderboard.models import Objection, Phase, Submission
from leaderboard.progress import organiser_view
from leaderboard.states import RunState, Stage, SubmissionKind
from leaderboard.submissions import disqualified_teams
from leaderboard.templatetags.show import seconds
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import Offer, address_of, offer_of, offers_of
from leaderboard.web.desk.tabs import tabs

RUNS_PER_PAGE = 25
LOG_CHARACTERS = 4000  # of each attempt, on the page; all that is kept of it has a page of its own
MOST_MOMENTS = 400
_OF_CONTAINERS = {
    "exit_code": "Exit code",
    "oom_killed": "Out of memory, says the engine",
    "seconds": "Ran for",
    "warnings": "Warnings",
}


@never_cache
@require_safe
@for_viewers
def runs(request: HttpRequest) -> HttpResponse:
    """The runs that fit the search of the address, the newest first; many can be chosen for an act."""
    asked = Search.of(request.GET.dict())
    page = Paginator(with_what_is_listed(asked.rows()), RUNS_PER_PAGE).get_page(request.GET.get("page"))
    kept = asked.parameters
    person = person_of(request)
    context = {
        "tabs": tabs("desk_runs"),
        "asked": asked,
        "page": page,
        "lines": lines_of(page),
        "choices": _choices(asked, frame_of(request).phases),
        "acts": [(act, reverse("act", args=[act.name])) for act in run_acts.ACTS if may_act(person, act)],
        "csv": f"{reverse('desk_runs_csv')}?{urlencode(kept)}",
        "link_before_page": f"?{urlencode({**kept, 'page': ''})}",
        "here": request.get_full_path(),
    }
    return render(request, "desk/runs.html", context)


def _choices(asked: Search, phases: QuerySet[Phase]) -> list[tuple[str, str, list[tuple[str, str]], str]]:
    """The filter's lists: name, words, what can be chosen, what is."""
    standings = [(name, words) for name, (words, _) in STANDINGS.items()]
    found: list[tuple[str, str, list[tuple[str, str]]]] = [
        ("state", "State", list(STATES.items())),
        ("phase", "Phase", list(phases.values_list("slug", "name"))),
        ("kind", "Kind", list(SubmissionKind.choices)),
        ("entry", "Entry", list(Submission.Entry.choices)),
        ("track", "Track", list(Submission.Track.choices)),
        ("standing", "Standing", standings),
    ]
    return [(name, words, choices, getattr(asked, name)) for name, words, choices in found]


@never_cache
@require_safe
@for_viewers
def runs_csv(request: HttpRequest) -> HttpResponse:
    """All runs that fit the search, as a table."""
    text = as_csv(Search.of(request.GET.dict()).rows())
    headers = {"Content-Disposition": 'attachment; filename="runs.csv"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)


@never_cache
@require_safe
@for_viewers
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """The full story of a run: what happened, who decided what, every attempt, every case."""
    rows = Submission.objects.select_related("team", "phase", "cases_of", "image", "weights", "provenance")
    rows = rows.defer("method", "external_data", "image__config", "provenance__diff_ids").prefetch_related(
        runs_listed()
    )
    submission = the_one(rows.filter(pk=pk))
    if submission is None:
        raise Http404
    number = _number(request, submission)
    disclosure = Viewer(Reader.ORGANISER, instant_of(request)).of_submission(submission)
    told = organiser_view.everything(submission, disclosure, of_run=number, log_characters=LOG_CHARACTERS)
    moments = organiser_view.moments_of(told)
    context = {
        "tabs": tabs("desk_runs"),
        "submission": submission,
        "told": told,
        "shown": _shown(told["runs"][0]) if told["runs"] else None,
        "line": (line := lines_of([submission])[0]),
        "code_words": _code_told(line.state, line.code),
        "moments": moments[:MOST_MOMENTS],
        "left_out": len(moments[MOST_MOMENTS:]),
        "offers": _offers(request, submission),
        "objections": _objections(request, submission),
        "here": request.get_full_path(),
    }
    return render(request, "desk/run.html", context)


def _code_told(state: Stage, code: str) -> str:
    """The code of a failure, a fault or a rejection in words."""
    return of_failed_run(code).said if code and state == RunState.FAILED else in_words(code)


def _shown(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run as the page shows it: its state, its instants and what its containers said in words."""
    return {**run, "word": RunState(run["state"]).label, "attempts": [_attempt(one) for one in run["attempts"]]}


def _attempt(told: Mapping[str, Any]) -> dict[str, Any]:
    ended, container = told["ended_at"], told["container"] or {}
    return {
        **told,
        "claimed_at": datetime.fromisoformat(told["claimed_at"]),
        "ended_at": datetime.fromisoformat(ended) if ended else None,
        "container": [(_OF_CONTAINERS.get(name, name), _of_container(name, one)) for name, one in container.items()],
    }


def _of_container(name: str, value: Any) -> str:
    return seconds(value) if name == "seconds" and value is not None else value_in_words(name, value)


def _number(request: HttpRequest, submission: Submission) -> int:
    """Which of its runs is shown: the one that the address names, else the latest; 0 if it has none."""
    numbers = {str(one.number): one.number for one in submission.runs.all()}
    return numbers.get(request.GET.get("run", ""), max(numbers.values(), default=0))


def _offers(request: HttpRequest, submission: Submission) -> list[Offer]:
    """What this person may do about it, and about its team in its phase."""
    person, back = person_of(request), urlencode({"next": request.get_full_path()})
    found = offers_of(run_acts.ACTS, submission, person)
    is_out = disqualified_teams.current(submission.team_id, submission.phase_id) is not None
    if (offer := offer_of(REINSTATE_TEAM if is_out else DISQUALIFY_TEAM, submission.team, person)) is not None:
        found.append(offer._replace(url=f"{offer.url}&{urlencode({'phase': submission.phase.slug})}"))
    return [offer._replace(url=f"{offer.url}&{back}") for offer in found]


def _objections(request: HttpRequest, submission: Submission) -> list[tuple[Objection, str]]:
    """Each with where it is answered, for whoever may."""
    rows = Objection.objects.filter(decision__submission=submission).select_related("decision", "by")
    person, back = person_of(request), urlencode({"next": request.get_full_path()})
    found = []
    for one in rows:
        may = may_act(person, ANSWER) and ANSWER.is_offered(one)
        found.append((one, f"{address_of(ANSWER, [one])}&{back}" if may else ""))
    return found
