"""Oneself."""

from ninja import Schema

from leaderboard.api.schemas.base import Affiliation, Body, Name, PersonsName, Word


class TeamRef(Schema):
    """A team's name, and how addresses name it."""

    name: str
    slug: str


class ProfileOut(Schema):
    """Who the token acts for, and what it may do."""

    name: str
    email: str
    affiliation: str
    country: str
    orcid: str
    has_confirmed_address: bool
    has_accepted_rules: bool
    rules_version: str
    team: TeamRef | None
    scopes: list[str]


class ProfileIn(Body):
    """What is to change of it."""

    name: PersonsName | None = None
    affiliation: Affiliation | None = None
    country: Word | None = None
    orcid: Word | None = None


class NoticesOut(Schema):
    """Which kinds of notices a person gets by mail."""

    runs: bool
    try_outs: bool
    deadlines: bool
    announcements: bool


class NoticesIn(Body):
    """The kinds that are to change."""

    runs: bool | None = None
    try_outs: bool | None = None
    deadlines: bool | None = None
    announcements: bool | None = None


class RulesIn(Body):
    """The version of the rules that was read, and is accepted."""

    version: Name
