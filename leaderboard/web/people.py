"""Teams and the rules: found, join, hand out the link, accept."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from leaderboard.core import refusals
from leaderboard.core.refusal import Refused
from leaderboard.models import RulesAcceptance, Team, User
from leaderboard.people import teams
from leaderboard.people.addresses import unconfirmed_of
from leaderboard.people.rules import accept_rules
from leaderboard.web.context import frame_of, person_of
from leaderboard.web.forms import CodeForm, TeamForm

UNPROCESSABLE = 422


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team(request: HttpRequest) -> HttpResponse:
    """The person's team: its members, the captain's link; or the two ways into one."""
    frame = frame_of(request)
    own = frame.team
    if own is None:
        return _without_team(request)
    if request.method == "POST":
        try:
            teams.renew_join_code(person_of(request), own)
            messages.success(request, "The link is new. The old one does not work any more.")
        except Refused as refusal:
            messages.error(request, str(refusal))
        return redirect("team")
    memberships = list(own.memberships.select_related("user").order_by("-is_captain", "joined_at"))
    context = {
        "team": own,
        "unconfirmed": unconfirmed_of(person_of(request)),
        "refused": refusals.refused_among([person_of(request).email]),
        "memberships": memberships,
        "is_captain": any(one.is_captain and one.user_id == request.user.pk for one in memberships),
        "join_url": settings.SITE_URL + reverse("team_join", args=[own.join_code]),
        "places_left": teams.MAX_TEAM_MEMBERS - len(memberships),
        "quotas": frame.quotas,
    }
    return render(request, "people/team.html", context)


@login_required
@require_POST
def team_leave(request: HttpRequest) -> HttpResponse:
    """Leave one's team."""
    return _change_team(request, teams.leave_team, "You left the team. Its runs stay with it.")


@login_required
@require_POST
def team_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """The captain takes a member out."""
    done = "Removed from the team. The link to join is new: the old one does not work any more."
    return _change_team(request, lambda person, own: teams.remove_member(person, own, pk), done)


@login_required
@require_POST
def team_captain(request: HttpRequest, pk: int) -> HttpResponse:
    """The captain hands the team over."""
    done = "The team has a new captain."
    return _change_team(request, lambda person, own: teams.make_captain(person, own, pk), done)


def _change_team(request: HttpRequest, act: Callable[[User, Team], None], done: str) -> HttpResponse:
    own = frame_of(request).team
    try:
        if own is not None:
            act(person_of(request), own)
            messages.success(request, done)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("team")


def _without_team(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    joins = "code" in request.POST
    code_form = CodeForm(request.POST if joins else None, prefix=None)
    team_form = TeamForm(
        request.POST if request.method == "POST" and not joins else None, initial={"affiliation": person.affiliation}
    )
    if joins and code_form.is_valid():
        return redirect("team_join", code=code_form.cleaned_data["code"])
    if team_form.is_bound and team_form.is_valid():
        try:
            founded = teams.create_team(person, **team_form.cleaned_data)
        except Refused as refusal:
            team_form.add_error("name", str(refusal))
        else:
            messages.success(request, f"The team “{founded}” is founded. You are its captain.")
            return redirect("team")
    status = UNPROCESSABLE if team_form.errors or code_form.errors else 200
    context = {"team_form": team_form, "code_form": code_form, "unconfirmed": unconfirmed_of(person)}
    return render(request, "people/no_team.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team_join(request: HttpRequest, code: str) -> HttpResponse:
    """Ask whether to join the team behind a link, and join it."""
    found = Team.objects.filter(join_code=code).first()
    own = frame_of(request).team
    if request.method == "POST":
        try:
            joined = teams.join_team(person_of(request), code)
        except Refused as refusal:
            context = {"team": found, "own": own, "refusal": str(refusal)}
            return render(request, "people/join.html", context, status=UNPROCESSABLE)
        messages.success(request, f"You are in the team “{joined}” now.")
        return redirect("team")
    context = {"team": found, "own": own, "code": code, "unconfirmed": unconfirmed_of(person_of(request))}
    return render(request, "people/join.html", context, status=200 if found else 404)


@require_http_methods(["GET", "HEAD", "POST"])
def rules(request: HttpRequest) -> HttpResponse:
    """The rules that are in force, and the form to accept them."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = reverse("rules")
    if request.method == "POST" and request.user.is_authenticated:
        if request.POST.get("accept"):
            accept_rules(person_of(request))
            messages.success(request, f"You accepted the rules, version {settings.RULES_VERSION}.")
            return HttpResponseRedirect(target)  # not `redirect`, which takes a word for the name of a page
        missed = True
    else:
        missed = False
    acceptance = (
        RulesAcceptance.objects.filter(user=person_of(request), version=settings.RULES_VERSION).first()
        if request.user.is_authenticated
        else None
    )
    context = {"version": settings.RULES_VERSION, "acceptance": acceptance, "next": target, "missed": missed}
    return render(request, "people/rules.html", context, status=UNPROCESSABLE if missed else 200)
