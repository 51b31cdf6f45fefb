"""Teams at the desk: found, looked at, and beside each other where two may be one."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from allauth.account.models import EmailAddress
from django.core.paginator import Paginator
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.core import audit, refusals
from leaderboard.core.text import storable
from leaderboard.desk.acts import runs as run_acts
from leaderboard.desk.acts import teams as acts
from leaderboard.desk.acts.disqualifications import DISQUALIFY_TEAM, REINSTATE_TEAM
from leaderboard.desk.run_table import lines_of, with_what_is_listed
from leaderboard.models import (
    EqualEntry,
    LikelyDouble,
    Membership,
    Phase,
    Submission,
    Team,
    TeamApproval,
    TeamDisqualification,
    User,
)
from leaderboard.models.doubles import IS_OPEN
from leaderboard.operations import doubles
from leaderboard.submissions.quota import quotas_of
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import Offer, offer_of, offers_of
from leaderboard.web.desk.tabs import tabs

PER_PAGE = 50
RUNS_SHOWN = 50
STORY = 50
MOST_WORDS = 200
_CONFIRMED = EmailAddress.objects.filter(user__membership__team=OuterRef("pk"), verified=True)
_OUT = TeamDisqualification.objects.filter(team=OuterRef("pk"), ended_at=None)
_WITH_A_RUN_OUT = Submission.objects.filter(team=OuterRef("pk"), disqualified_at__isnull=False)

_FILTERS: Mapping[str, tuple[str, Callable[[QuerySet[Team]], QuerySet[Team]]]] = {
    "waiting": (
        "waits for approval",
        lambda rows: rows.filter(
            Exists(TeamApproval.objects.filter(team=OuterRef("pk"), state=TeamApproval.State.WAITING))
        ),
    ),
    "organisers": ("of the organisers", lambda rows: rows.filter(is_of_organisers=True)),
    "unconfirmed": ("without a confirmed address", lambda rows: rows.exclude(Exists(_CONFIRMED))),
    "disqualified": (
        "disqualified, or with a disqualified run",
        lambda rows: rows.filter(Exists(_OUT) | Exists(_WITH_A_RUN_OUT)),
    ),
}


@never_cache
@require_safe
@for_viewers
def teams(request: HttpRequest) -> HttpResponse:
    """All teams, by words and by what they are; in the order of their names."""
    asked = {name: storable(request.GET.get(name, ""))[:MOST_WORDS].strip() for name in ("words", "phase", "state")}
    page = Paginator(_found(asked), PER_PAGE).get_page(request.GET.get("page"))
    parameters = request.GET.copy()
    parameters.pop("page", None)
    context = {
        "tabs": tabs("desk_teams"),
        "page": page,
        "asked": asked,
        "is_filtered": any(asked.values()),
        "phases": frame_of(request).phases.only("name", "slug", "closes_at"),
        "states": [(name, words) for name, (words, _) in _FILTERS.items()],
        "link_before_page": f"?{parameters.urlencode()}&page=" if parameters else "?page=",
        "doubles": LikelyDouble.objects.filter(IS_OPEN).count(),
    }
    return render(request, "desk/teams.html", context)


def _found(asked: Mapping[str, str]) -> QuerySet[Team]:
    rows = Team.objects.all()
    if words := asked["words"]:
        person = Q(user__name__icontains=words) | Q(user__email__icontains=words)
        theirs = Exists(Membership.objects.filter(person, team=OuterRef("pk")))
        rows = rows.filter(Q(name__icontains=words) | Q(affiliation__icontains=words) | theirs)
    if asked["phase"]:
        rows = rows.filter(Exists(Submission.objects.filter(team=OuterRef("pk"), phase__slug=asked["phase"])))
    if asked["state"] in _FILTERS:
        rows = _FILTERS[asked["state"]][1](rows)
    members = Membership.objects.filter(team=OuterRef("pk")).order_by()
    submissions = Submission.objects.filter(team=OuterRef("pk")).order_by().values("team")
    return rows.annotate(
        members=Subquery(members.values("team").values(count=Count("pk"))),
        captain=Subquery(members.filter(is_captain=True).values("user__name")[:1]),
        runs=Subquery(submissions.values(count=Count("pk"))),
        last_run_at=Subquery(submissions.values(last=Max("accepted_at"))),
        is_confirmed=Exists(_CONFIRMED),
        waits=Exists(TeamApproval.objects.filter(team=OuterRef("pk"), state=TeamApproval.State.WAITING)),
    ).order_by("name", "pk")


@never_cache
@require_safe
@for_viewers
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """One team: who is in it, what it has left, its runs, what was decided about it."""
    found = get_object_or_404(Team, slug=slug)
    person, frame = person_of(request), frame_of(request)
    likely = LikelyDouble.objects.filter(Q(first=found) | Q(second=found)).select_related("first", "second")
    story = audit.entries_about(found).defer("before", "after")
    context = {
        "tabs": tabs("desk_teams"),
        "team": found,
        "offers": offers_of((acts.MARK, acts.UNMARK), found, person),
        "members": [(one, offers_of((acts.MAKE_CAPTAIN,), one.membership, person)) for one in _members([found])],
        "approvals": [
            (one, offers_of((acts.APPROVE, acts.REFUSE), one, person))
            for one in found.approvals.select_related("phase", "decided_by")
        ],
        "taking_part": _taking_part(found, frame.phases, person),
        "quotas": quotas_of(found, frame.open_phases, instant_of(request)),
        "lines": lines_of(with_what_is_listed(found.submissions.all())[:RUNS_SHOWN]),
        "run_count": found.submissions.count(),
        "likely": likely,
        "story": story[:STORY],
    }
    return render(request, "desk/team.html", context)


def _taking_part(
    of: Team, known: QuerySet[Phase], person: User
) -> list[tuple[Phase, TeamDisqualification | None, Offer | None]]:
    """The phases to which it handed in: whether it is disqualified there, and the act that is possible then."""
    out = {one.phase_id: one for one in of.disqualifications.filter(ended_at=None)}
    theirs = Exists(Submission.objects.filter(team=of, phase=OuterRef("pk")))
    phases = known.filter(theirs | Q(pk__in=out)).only("name", "slug", "closes_at").order_by("-closes_at")
    return [(phase, out.get(phase.pk), _about_taking_part(of, phase, phase.pk in out, person)) for phase in phases]


def _about_taking_part(of: Team, phase: Phase, is_out: bool, person: User) -> Offer | None:
    offer = offer_of(REINSTATE_TEAM if is_out else DISQUALIFY_TEAM, of, person)
    return offer._replace(url=f"{offer.url}&{urlencode({'phase': phase.slug})}") if offer else None


def _members(of: list[Team]) -> list[Any]:
    """Each with the membership, whether the main address is confirmed, and whether a mail server refused it."""
    confirmed = EmailAddress.objects.filter(user=OuterRef("pk"), verified=True)
    people = User.objects.filter(membership__team__in=of).select_related("membership__team")
    found: list[Any] = list(people.annotate(is_confirmed=Exists(confirmed)).order_by("-membership__is_captain", "pk"))
    refused = refusals.refused_among(one.email for one in found)
    for one in found:
        one.is_refused = one.email.lower() in refused
    return found


@never_cache
@require_safe
@for_viewers
def likely_doubles(request: HttpRequest) -> HttpResponse:
    """Pairs of teams that may be one; those that nobody settled stand first."""
    rows = LikelyDouble.objects.select_related("first", "second", "settled_by").alias(is_settled=~IS_OPEN)
    page = Paginator(rows.order_by("is_settled", "-weight", "pk"), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "desk/doubles.html", {"tabs": tabs("desk_teams"), "page": page})


@never_cache
@require_safe
@for_viewers
def likely_double(request: HttpRequest, pk: int) -> HttpResponse:
    """Two teams side by side, with what they have in common."""
    found = get_object_or_404(LikelyDouble.objects.select_related("first", "second", "settled_by"), pk=pk)
    person = person_of(request)
    pair = [found.first, found.second]
    people = _members(pair)
    equal = EqualEntry.objects.filter(submission__team__in=pair).values("submission")
    entries = list(
        Submission.objects.filter(pk__in=equal)
        .select_related("phase", "team")
        .defer("method", "external_data")
        .order_by("accepted_at")
    )
    sides = [
        {
            "team": team,
            "members": [one for one in people if one.membership.team_id == team.pk],
            "entries": [
                (one, offers_of((run_acts.DISQUALIFY,), one, person)) for one in entries if one.team_id == team.pk
            ],
        }
        for team in pair
    ]
    context = {
        "tabs": tabs("desk_teams"),
        "found": found,
        "evidence": doubles.evidence_of(found),
        "sides": sides,
        "offers": offers_of((acts.NOT_A_DOUBLE,), found, person),
        "most": doubles.MOST_TEAMS,
    }
    return render(request, "desk/double.html", context)
