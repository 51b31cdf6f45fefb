"""One's own profile, and one's team."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from ninja import Router, Status

from leaderboard.api.challenge import NO_TEAM
from leaderboard.api.exchange import token_of
from leaderboard.api.operations import Key, operation
from leaderboard.api.problems import Problem
from leaderboard.api.schemas import JoinIn, ProfileIn, ProfileOut, RulesIn, TeamIn, TeamOut
from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.core.text import one_line
from leaderboard.journey.lifecycle import display_name
from leaderboard.models import Team, User
from leaderboard.people import teams
from leaderboard.people.addresses import is_confirmed
from leaderboard.people.rules import accept_rules, has_accepted_rules
from leaderboard.web.context import person_of
from leaderboard.web.forms import SignupForm, TeamForm

router = Router(tags=["People"])


# --- oneself ----------------------------------------------------------------------------------------------------------


@operation(router, "GET", "/me", answers=ProfileOut)
def get_profile(request: HttpRequest) -> dict[str, Any]:
    """Who the token acts for, and what it may do."""
    return _profile(request)


def _profile(request: HttpRequest) -> dict[str, Any]:
    person, token = person_of(request), token_of(request)
    return {
        "name": person.name,
        "email": person.email,
        "affiliation": person.affiliation,
        "has_confirmed_address": is_confirmed(person),
        "has_accepted_rules": has_accepted_rules(person),
        "rules_version": settings.RULES_VERSION,
        "team": person.team,
        "scopes": token.scopes if token else [],
    }


@operation(router, "PATCH", "/me", scope="team", answers=ProfileOut)
def change_profile(request: HttpRequest, said: ProfileIn) -> dict[str, Any]:
    """Change your name or your affiliation."""
    person = person_of(request)
    words = {"name": person.name, "affiliation": person.affiliation}
    words |= {name: one_line(value) for name, value in said.dict().items() if value is not None}
    form = SignupForm(words)
    if not form.is_valid():
        raise Problem(409, " ".join(f"{name}: {words[0]}" for name, words in form.errors.items()))
    with transaction.atomic():
        old, new = User.objects.get(pk=person.pk), User.objects.select_for_update().get(pk=person.pk)
        new.name, new.affiliation = form.cleaned_data["name"], form.cleaned_data["affiliation"]
        new.save(update_fields=["name", "affiliation"])
        audit.record_change(Actor.person(person), "change profile", old, new, fields=["name", "affiliation"])
    person.name, person.affiliation = new.name, new.affiliation
    return _profile(request)


@operation(router, "POST", "/me/rules", scope="team", answers=ProfileOut)
def accept_rules_of_challenge(request: HttpRequest, said: RulesIn) -> dict[str, Any]:
    """Accept the rules, by the version that you have read."""
    if said.version != settings.RULES_VERSION:
        raise Problem(409, f"The rules in force are version {settings.RULES_VERSION}. Read them, and accept that one.")
    accept_rules(person_of(request))
    return _profile(request)


# --- the team ---------------------------------------------------------------------------------------------------------


@operation(router, "GET", "/team", answers=TeamOut)
def get_team(request: HttpRequest) -> dict[str, Any]:
    """Your team and its members."""
    person = person_of(request)
    return _team(person, _own_team(person))


@operation(router, "POST", "/team", scope="team", status=201, answers=TeamOut)
def found_team(request: HttpRequest, said: TeamIn) -> Status[dict[str, Any]]:
    """Found a team; you are its captain."""
    person, form = person_of(request), TeamForm(said.dict())
    if not form.is_valid():
        raise Problem(409, " ".join(f"{name}: {words[0]}" for name, words in form.errors.items()))
    return Status(201, _team(person, teams.create_team(person, **form.cleaned_data)))


@operation(router, "POST", "/team/join", scope="team", answers=TeamOut)
def join_team(request: HttpRequest, said: JoinIn) -> dict[str, Any]:
    """Join the team whose captain handed out this code."""
    person = person_of(request)
    return _team(person, teams.join_team(person, said.code))


@operation(router, "POST", "/team/leave", scope="team", status=204, answers=None)
def leave_team(request: HttpRequest) -> Status[None]:
    """Leave your team. Its runs stay with it."""
    person = person_of(request)
    teams.leave_team(person, _own_team(person))
    return Status(204, None)


@operation(router, "POST", "/team/join-link", scope="team", answers=TeamOut)
def renew_join_link(request: HttpRequest) -> dict[str, Any]:
    """As captain, make the link by which people join a new one."""
    person = person_of(request)
    team = _own_team(person)
    teams.renew_join_code(person, team)
    return _team(person, team)


@operation(router, "DELETE", "/team/members/{int:pk}", scope="team", status=204, answers=None)
def remove_member(request: HttpRequest, pk: Key) -> Status[None]:
    """As captain, take a member out of the team. The link to join is new then."""
    person = person_of(request)
    teams.remove_member(person, _own_team(person), pk)
    return Status(204, None)


@operation(router, "POST", "/team/members/{int:pk}/captain", scope="team", answers=TeamOut)
def make_captain(request: HttpRequest, pk: Key) -> dict[str, Any]:
    """As captain, hand the team over to another member."""
    person = person_of(request)
    team = _own_team(person)
    teams.make_captain(person, team, pk)
    return _team(person, team)


def _own_team(person: User) -> Team:
    team = person.team
    if team is None:
        raise Problem(404, NO_TEAM)
    return team


def _team(person: User, team: Team) -> dict[str, Any]:
    members = list(team.memberships.select_related("user").order_by("-is_captain", "joined_at"))
    is_captain = any(one.is_captain and one.user_id == person.pk for one in members)
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
        "join_link": settings.SITE_URL + reverse("team_join", args=[team.join_code]) if is_captain else None,
        "places_left": max(0, teams.MAX_TEAM_MEMBERS - len(members)),
    }
