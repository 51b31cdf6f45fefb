"""A team's pages: found, describe, invite, join, hand over, leave. Each change is one call, and says what it did.

What a rival asks about, by whatever number or link, is answered like what there is not.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from leaderboard.core import refusals
from leaderboard.core.refusal import Refused
from leaderboard.models import Handover, Invitation, Phase, Team, TeamApproval, User
from leaderboard.people import approvals, captaincy, invitations, teams
from leaderboard.people.addresses import unconfirmed_of
from leaderboard.people.team_mails import named
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.forms import CodeForm, InvitationForm, TeamForm

UNPROCESSABLE = 422
View = Callable[..., HttpResponse]


# --- the team's page --------------------------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team(request: HttpRequest) -> HttpResponse:
    """The person's team, where its captain also changes the link to join; or the two ways into one."""
    own = frame_of(request).team
    if own is None:
        return _without_team(request)
    if request.method != "POST":
        return _team_page(request, own)
    if request.POST.get("link") == "off":
        return _done(request, lambda: teams.switch_link_off(person_of(request), own), "Nobody joins by a link now.")
    renewed = "The link is new. An earlier one does not work any more."
    return _done(request, lambda: teams.renew_join_code(person_of(request), own), renewed)


def _team_page(
    request: HttpRequest, own: Team, invitation_form: InvitationForm | None = None, status: int = 200
) -> HttpResponse:
    person, frame = person_of(request), frame_of(request)
    memberships = list(own.memberships.select_related("user").order_by("-is_captain", "joined_at"))
    is_captain = any(one.is_captain and one.user_id == person.pk for one in memberships)
    context = {
        "team": own,
        "unconfirmed": unconfirmed_of(person),
        "refused": refusals.refused_among([person.email]),
        "memberships": memberships,
        "is_captain": is_captain,
        "handover": Handover.objects.filter(team=own).select_related("to", "offered_by").first(),
        "join_url": settings.SITE_URL + reverse("team_join", args=[own.join_code]),
        "places_left": max(0, settings.TEAM_MOST_MEMBERS - len(memberships)),
        "invitations": list(invitations.open_of(own)) if is_captain else [],
        "most_sends": invitations.MOST_SENDS,
        "invitation_form": invitation_form or InvitationForm(),
        "reason_characters": teams.MAX_REASON,
        "approvals": _approvals(request, own),
        "quotas": frame.quotas,
        "now": instant_of(request),
    }
    return render(request, "people/team.html", context, status=status)


def _approvals(request: HttpRequest, own: Team) -> list[tuple[Phase, TeamApproval | None]]:
    """The phases, open or next, for which organisers approve teams, with what they said to this one."""
    frame = frame_of(request)
    known = {phase.pk: phase for phase in [*frame.taking_phases, *filter(None, [frame.next_phase])]}
    asking = [phase for phase in known.values() if phase.requires_approval]
    said = {one.phase_id: one for one in own.approvals.filter(phase__in=asking)} if asking else {}
    return [(phase, said.get(phase.pk)) for phase in asking]


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


def _done(request: HttpRequest, act: Callable[[], object], done: str) -> HttpResponse:
    """Do it, and say so or why not, on the team's page."""
    try:
        act()
        messages.success(request, done)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("team")


def _of_a_team(view: View) -> View:
    """A change of the person's own team; who has none is led to where one is found."""

    @login_required
    @wraps(view)
    def wrapped(request: HttpRequest, **about: Any) -> HttpResponse:
        own = frame_of(request).team
        return view(request, own, **about) if own else redirect("team")

    return wrapped


# --- changes ----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@_of_a_team
def team_edit(request: HttpRequest, own: Team) -> HttpResponse:
    """Change the team's name and institutions."""
    known = {"name": own.name, "affiliation": own.affiliation}
    form = TeamForm(request.POST or None, initial=known, kept=known)
    if not _is_captain(request, own):
        messages.error(request, "Only the captain can change this.")
        return redirect("team")
    if form.is_bound and form.is_valid():
        try:
            teams.describe(person_of(request), own, **form.cleaned_data)
        except Refused as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, "Saved.")
            return redirect("team")
    return render(request, "people/team_edit.html", {"form": form}, status=UNPROCESSABLE if form.errors else 200)


@require_POST
@_of_a_team
def team_leave(request: HttpRequest, own: Team) -> HttpResponse:
    """Leave one's team."""
    return _done(
        request, lambda: teams.leave_team(person_of(request), own), "You left the team. Its runs stay with it."
    )


@require_POST
@_of_a_team
def team_remove(request: HttpRequest, own: Team, pk: int) -> HttpResponse:
    """The captain takes a member out, with a reason."""
    _member_or_404(own, pk)
    done = "Removed from the team, and told why. The link to join is new: the old one does not work any more."
    why = request.POST.get("why", "")
    return _done(request, lambda: teams.remove_member(person_of(request), own, pk, why), done)


@require_POST
@_of_a_team
def team_captain(request: HttpRequest, own: Team, pk: int) -> HttpResponse:
    """The captain offers the captaincy to a member."""
    member = _member_or_404(own, pk)
    done = f"{named(member)} is asked to accept. You are the captain until then, and can take it back."
    return _done(request, lambda: captaincy.offer(person_of(request), own, pk), done)


@require_POST
@_of_a_team
def team_handover(request: HttpRequest, own: Team) -> HttpResponse:
    """Answer what a captain offers, or take it back."""
    answers: dict[str, tuple[Callable[[User, Team], None], str]] = {
        "accept": (captaincy.accept, "You are the captain now."),
        "decline": (captaincy.decline, "You declined, and the captain is told."),
        "take-back": (captaincy.take_back, "You go on as the captain."),
    }
    act, done = answers.get(request.POST.get("answer", ""), (None, ""))
    return _done(request, lambda: act(person_of(request), own), done) if act else redirect("team")


def _is_captain(request: HttpRequest, own: Team) -> bool:
    """Whether the page with the form is this person's: what is sent is asked again under the team's lock."""
    return own.memberships.filter(user=person_of(request), is_captain=True).exists()


def _member_or_404(own: Team, pk: int) -> User:
    return get_object_or_404(own.memberships.select_related("user"), user_id=pk).user


@require_POST
@_of_a_team
def team_ask_approval(request: HttpRequest, own: Team, slug: str) -> HttpResponse:
    """Ask organisers to let the team take part in a phase."""
    phase = get_object_or_404(frame_of(request).phases, slug=slug)
    done = "The organisers are asked. The team gets a message when they have decided."
    return _done(request, lambda: approvals.ask(person_of(request), own, phase), done)


# --- invitations ------------------------------------------------------------------------------------------------------


@require_POST
@_of_a_team
def team_invite(request: HttpRequest, own: Team) -> HttpResponse:
    """The captain invites somebody by mail."""
    if not _is_captain(request, own):
        messages.error(request, "Only the captain can invite somebody.")
        return redirect("team")
    form = InvitationForm(request.POST)
    if form.is_valid():
        try:
            sent = invitations.invite(person_of(request), own, form.cleaned_data["email"])
        except Refused as refusal:
            form.add_error("email", str(refusal))
        else:
            messages.success(request, f"An invitation to {sent.email} is on its way.")
            return redirect("team")
    return _team_page(request, own, form, UNPROCESSABLE)


@require_POST
@_of_a_team
def team_invite_again(request: HttpRequest, own: Team, pk: int) -> HttpResponse:
    """Send an invitation again, with a new link."""
    invitation = get_object_or_404(Invitation, pk=pk, team=own)
    done = f"A message with a new link to {invitation.email} is on its way."
    return _done(request, lambda: invitations.send_again(person_of(request), invitation), done)


@require_POST
@_of_a_team
def team_revoke(request: HttpRequest, own: Team, pk: int) -> HttpResponse:
    """Withdraw an invitation."""
    invitation = get_object_or_404(Invitation, pk=pk, team=own)
    return _done(request, lambda: invitations.revoke(person_of(request), invitation), "Withdrawn: its link is useless.")


# --- joining ----------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def team_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Who invites to what, also before anybody signs in; and the answer."""
    found = invitations.find(token, instant_of(request))
    said = _invited_by(found)
    if request.method == "POST" and request.POST.get("answer") == "decline":
        try:
            invitations.decline(token, person_of(request) if request.user.is_authenticated else None)
        except Refused as refusal:
            return _join_page(request, refusal=str(refusal), **said)
        return _join_page(request, declined=True, **said)
    join = _joining(request, lambda person: invitations.accept(person, token))
    return join or _join_page(request, refusal="" if found else invitations.INVALID, status=_found(found), **said)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def team_join(request: HttpRequest, code: str) -> HttpResponse:
    """Ask whether to join the team behind its link, and join it."""
    found = teams.find_by_link(code)
    by = found.join_link_made_by if found else None
    said = {"team": found, "by": by, "made_at": found.join_link_made_at if found else None}
    join = _joining(request, lambda person: teams.join_team(person, code))
    return join or _join_page(request, refusal="" if found else teams.NO_LINK, status=_found(found), **said)


def _found(behind_link: object) -> int:
    return 200 if behind_link else 404


def _invited_by(found: Invitation | None) -> dict[str, Any]:
    if found is None:
        return {"team": None}
    return {"team": found.team, "by": found.invited_by, "invitation": found}


def _joining(request: HttpRequest, join: Callable[[User], Team]) -> HttpResponse | None:
    """The answer to whoever joins; None where nobody pressed the button."""
    if request.method != "POST":
        return None
    if not request.user.is_authenticated:
        return redirect_to_login(request.path)
    try:
        joined = join(person_of(request))
    except Refused as refusal:
        return _join_page(request, team=None, refusal=str(refusal))
    messages.success(request, f"You are in the team “{joined}” now.")
    return redirect("team")


def _join_page(request: HttpRequest, *, refusal: str = "", status: int = UNPROCESSABLE, **said: Any) -> HttpResponse:
    by = said.get("by")
    context = {
        **said,
        "refusal": refusal,
        "own": frame_of(request).team,
        "by": named(by) if by else "",
        "by_affiliation": by.affiliation if by else "",
        "unconfirmed": unconfirmed_of(person_of(request)) if request.user.is_authenticated else "",
        "back_to": request.path,
    }
    return render(request, "people/join.html", context, status=200 if said.get("declined") else status)
