"""One's team: who is in it, who is asked to, who captains it, and what organisers say to it."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from ninja import Router, Status

from leaderboard.api.challenge import NO_TEAM
from leaderboard.api.exchange import may
from leaderboard.api.operations import Key, operation
from leaderboard.api.problems import Problem, of_form
from leaderboard.api.schemas.teams import (
    ApprovalIn,
    ApprovalOut,
    InvitationIn,
    InvitationOut,
    JoinIn,
    MemberIn,
    RemovalIn,
    TeamIn,
    TeamOut,
    TokenIn,
)
from leaderboard.journey.lifecycle import display_name
from leaderboard.models import ApiToken, Handover, Invitation, Team, TeamApproval
from leaderboard.people import approvals, captaincy, invitations, teams
from leaderboard.web.context import frame_of, person_of
from leaderboard.web.forms import InvitationForm, TeamForm

router = Router(tags=["Team"])


@operation(router, "GET", "/team", answers=TeamOut)
def get_team(request: HttpRequest) -> dict[str, Any]:
    """Your team and its members."""
    return _own(request)


@operation(router, "POST", "/team", scope="team", status=201, answers=TeamOut)
def found_team(request: HttpRequest, said: TeamIn) -> Status[dict[str, Any]]:
    """Found a team; you are its captain."""
    return Status(201, _team(request, teams.create_team(person_of(request), **_described(said))))


@operation(router, "PATCH", "/team", scope="team", answers=TeamOut)
def describe_team(request: HttpRequest, said: TeamIn) -> dict[str, Any]:
    """As captain, change name and institutions. The name stays once it was approved, or handed in under."""
    team = _own_team(request)
    teams.describe(person_of(request), team, **_described(said, {"name": team.name, "affiliation": team.affiliation}))
    return _own(request)


@operation(router, "POST", "/team/leave", scope="team", status=204, answers=None)
def leave_team(request: HttpRequest) -> Status[None]:
    """Leave your team. Its runs stay with it."""
    teams.leave_team(person_of(request), _own_team(request))
    return Status(204, None)


# --- joining ----------------------------------------------------------------------------------------------------------


@operation(router, "POST", "/team/join", scope="team", answers=TeamOut)
def join_team(request: HttpRequest, said: JoinIn) -> dict[str, Any]:
    """Join the team whose captain handed out this code."""
    return _team(request, teams.join_team(person_of(request), said.code))


@operation(router, "POST", "/team/invitation/accept", scope="team", answers=TeamOut)
def accept_invitation(request: HttpRequest, said: TokenIn) -> dict[str, Any]:
    """Join the team whose captain sent you an invitation, by what its link ends with."""
    return _team(request, invitations.accept(person_of(request), said.token))


@operation(router, "POST", "/team/invitation/decline", scope="team", status=204, answers=None)
def decline_invitation(request: HttpRequest, said: TokenIn) -> Status[None]:
    """Say no to an invitation; its captain is told."""
    invitations.decline(said.token, person_of(request))
    return Status(204, None)


@operation(router, "POST", "/team/join-link", scope="team", answers=TeamOut)
def renew_join_link(request: HttpRequest) -> dict[str, Any]:
    """As captain, make the link by which people join a new one, and switch it on."""
    teams.renew_join_code(person_of(request), _own_team(request))
    return _own(request)


@operation(router, "DELETE", "/team/join-link", scope="team", status=204, answers=None)
def switch_join_link_off(request: HttpRequest) -> Status[None]:
    """As captain, let nobody join by a link."""
    teams.switch_link_off(person_of(request), _own_team(request))
    return Status(204, None)


# --- invitations by mail ----------------------------------------------------------------------------------------------


@operation(router, "GET", "/team/invitations", answers=list[InvitationOut])
def list_invitations(request: HttpRequest) -> list[dict[str, Any]]:
    """As captain, what you sent and nobody has answered. To other members there is nothing."""
    team = _own_team(request)
    is_captain = team.memberships.filter(user=person_of(request), is_captain=True).exists()
    return [_invitation(one) for one in invitations.open_of(team)] if is_captain else []


@operation(router, "POST", "/team/invitations", scope="team", status=201, answers=InvitationOut)
def invite(request: HttpRequest, said: InvitationIn) -> Status[dict[str, Any]]:
    """As captain, invite whoever reads an email address."""
    form = InvitationForm(said.dict())
    if not form.is_valid():
        raise of_form(form)
    sent = invitations.invite(person_of(request), _own_team(request), form.cleaned_data["email"])
    return Status(201, _invitation(sent))


@operation(router, "POST", "/team/invitations/{int:pk}/again", scope="team", answers=InvitationOut)
def send_invitation_again(request: HttpRequest, pk: Key) -> dict[str, Any]:
    """As captain, send a message with a new link; the one before is useless then."""
    invitation = _own_invitation(request, pk)
    invitations.send_again(person_of(request), invitation)
    invitation.refresh_from_db()
    return _invitation(invitation)


@operation(router, "DELETE", "/team/invitations/{int:pk}", scope="team", status=204, answers=None)
def withdraw_invitation(request: HttpRequest, pk: Key) -> Status[None]:
    """As captain, make an invitation's link useless."""
    invitations.revoke(person_of(request), _own_invitation(request, pk))
    return Status(204, None)


# --- members ----------------------------------------------------------------------------------------------------------


@operation(router, "POST", "/team/members/{int:pk}/remove", scope="team", answers=TeamOut)
def remove_member(request: HttpRequest, pk: Key, said: RemovalIn) -> dict[str, Any]:
    """As captain, take a member out of the team; the reason is sent to them. The link to join is new then."""
    teams.remove_member(person_of(request), _own_team(request), pk, said.why)
    return _own(request)


@operation(router, "POST", "/team/captaincy/offer", scope="team", answers=TeamOut)
def offer_captaincy(request: HttpRequest, said: MemberIn) -> dict[str, Any]:
    """As captain, ask another member to be the captain. Until they accept, nothing changes."""
    captaincy.offer(person_of(request), _own_team(request), said.member)
    return _own(request)


@operation(router, "POST", "/team/captaincy/accept", scope="team", answers=TeamOut)
def accept_captaincy(request: HttpRequest) -> dict[str, Any]:
    """Become the captain, as the present one offered."""
    captaincy.accept(person_of(request), _own_team(request))
    return _own(request)


@operation(router, "POST", "/team/captaincy/decline", scope="team", answers=TeamOut)
def decline_captaincy(request: HttpRequest) -> dict[str, Any]:
    """Do not become the captain; the present one is told."""
    captaincy.decline(person_of(request), _own_team(request))
    return _own(request)


@operation(router, "POST", "/team/captaincy/take-back", scope="team", answers=TeamOut)
def take_captaincy_back(request: HttpRequest) -> dict[str, Any]:
    """As captain, undo an offer that is not accepted yet."""
    captaincy.take_back(person_of(request), _own_team(request))
    return _own(request)


# --- approval ---------------------------------------------------------------------------------------------------------


@operation(router, "GET", "/team/approvals", answers=list[ApprovalOut])
def list_approvals(request: HttpRequest) -> list[dict[str, Any]]:
    """What your team asked organisers for, and what they decided."""
    return [_approval(one) for one in _own_team(request).approvals.select_related("phase")]


@operation(router, "POST", "/team/approvals", scope="team", answers=ApprovalOut)
def ask_for_approval(request: HttpRequest, said: ApprovalIn) -> dict[str, Any]:
    """Ask organisers to let the team take part in a phase, where they approve teams."""
    phase, team = get_object_or_404(frame_of(request).phases, slug=said.phase), _own_team(request)
    approvals.ask(person_of(request), team, phase)
    return _approval(team.approvals.select_related("phase").get(phase=phase))


# --- what is answered -------------------------------------------------------------------------------------------------


def _own_team(request: HttpRequest) -> Team:
    team = Team.objects.filter(memberships__user=person_of(request)).first()
    if team is None:
        raise Problem(404, NO_TEAM)
    return team


def _own_invitation(request: HttpRequest, pk: int) -> Invitation:
    return get_object_or_404(Invitation, pk=pk, team=_own_team(request))


def _described(said: TeamIn, kept: Mapping[str, str] | None = None) -> dict[str, str]:
    form = TeamForm(said.dict(), kept=kept)
    if not form.is_valid():
        raise of_form(form)
    return dict(form.cleaned_data)


def _own(request: HttpRequest) -> dict[str, Any]:
    return _team(request, _own_team(request))


def _team(request: HttpRequest, team: Team) -> dict[str, Any]:
    person = person_of(request)
    members = list(team.memberships.select_related("user").order_by("-is_captain", "joined_at"))
    is_captain = any(one.is_captain and one.user_id == person.pk for one in members)
    shows_link = is_captain and team.join_link_is_on and may(request, ApiToken.Scope.TEAM)
    return {
        **{name: getattr(team, name) for name in ("name", "slug", "affiliation")},
        "members": [
            {
                "id": one.user_id,
                "name": display_name(one.user),
                "is_captain": one.is_captain,
                "joined_at": one.joined_at,
            }
            for one in members
        ],
        "join_link": settings.SITE_URL + reverse("team_join", args=[team.join_code]) if shows_link else None,
        "places_left": max(0, settings.TEAM_MOST_MEMBERS - len(members)),
        "captaincy_offered_to": Handover.objects.filter(team=team).values_list("to_id", flat=True).first(),
    }


def _invitation(one: Invitation) -> dict[str, Any]:
    return {"id": one.pk, **{name: getattr(one, name) for name in ("email", "sent_at", "sends", "expires_at")}}


def _approval(one: TeamApproval) -> dict[str, Any]:
    said = {name: getattr(one, name) for name in ("state", "asked_at", "decided_at", "reason")}
    return {"phase": one.phase.slug, **said}
