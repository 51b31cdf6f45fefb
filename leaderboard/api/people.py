"""Oneself: the profile, the rules, which notices one gets."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router

from leaderboard.api.exchange import token_of
from leaderboard.api.operations import operation
from leaderboard.api.problems import Problem, of_form
from leaderboard.api.schemas.people import NoticesIn, NoticesOut, ProfileIn, ProfileOut, RulesIn
from leaderboard.models import NoticeKind, User
from leaderboard.notices import choices
from leaderboard.people import profile
from leaderboard.people.addresses import is_confirmed
from leaderboard.people.rules import accept_rules, has_accepted_rules
from leaderboard.web.accounts.own import ProfileForm
from leaderboard.web.context import person_of

router = Router(tags=["People"])


@operation(router, "GET", "/me", answers=ProfileOut)
def get_profile(request: HttpRequest) -> dict[str, Any]:
    """Who the token acts for, and what it may do."""
    return _profile(request)


def _profile(request: HttpRequest) -> dict[str, Any]:
    person, token = person_of(request), token_of(request)
    return {
        **{field: getattr(person, field) for field in profile.FIELDS},
        "email": person.email,
        "has_confirmed_address": is_confirmed(person),
        "has_accepted_rules": has_accepted_rules(person),
        "rules_version": settings.RULES_VERSION,
        "team": person.team,
        "scopes": token.scopes if token else [],
    }


@operation(router, "PATCH", "/me", scope="team", answers=ProfileOut)
def change_profile(request: HttpRequest, said: ProfileIn) -> dict[str, Any]:
    """Change your name, affiliation, country (ISO 3166-1, two letters) or ORCID iD. An empty one is taken away."""
    person = person_of(request)
    words = {field: getattr(person, field) for field in profile.FIELDS}
    form = ProfileForm(words | {name: value for name, value in said.dict().items() if value is not None}, kept=words)
    if not form.is_valid():
        raise of_form(form)
    profile.change(person, **form.cleaned_data)
    return _profile(request)


@operation(router, "POST", "/me/rules", scope="team", answers=ProfileOut)
def accept_rules_of_challenge(request: HttpRequest, said: RulesIn) -> dict[str, Any]:
    """Accept the rules, by the version that you have read."""
    if said.version != settings.RULES_VERSION:
        raise Problem(409, f"The rules in force are version {settings.RULES_VERSION}. Read them, and accept that one.")
    accept_rules(person_of(request))
    return _profile(request)


@operation(router, "GET", "/me/notices", answers=NoticesOut)
def get_notices(request: HttpRequest) -> dict[str, Any]:
    """Which kinds of notices you get by mail."""
    return _notices(person_of(request))


@operation(router, "PATCH", "/me/notices", scope="team", answers=NoticesOut)
def choose_notices(request: HttpRequest, said: NoticesIn) -> dict[str, Any]:
    """Choose which kinds of notices you get by mail; what you do not name stays as it is."""
    person = person_of(request)
    chosen = _notices(person) | {kind: wants for kind, wants in said.dict().items() if wants is not None}
    choices.choose(person, {NoticeKind(kind) for kind, wants in chosen.items() if wants})
    return _notices(person)


def _notices(person: User) -> dict[str, bool]:
    wanted = choices.wanted_by(person)
    return {kind.value: kind in wanted for kind in NoticeKind}
