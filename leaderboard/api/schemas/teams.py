"""One's team: members, invitations, captaincy, approvals."""

from datetime import datetime
from typing import Annotated

from ninja import Schema
from pydantic import Field

from leaderboard.api.schemas.base import Affiliation, Body, Name, Reason, TeamsName, Whole


class MemberOut(Schema):
    """A member of the team."""

    id: int
    name: str
    is_captain: bool
    joined_at: datetime


class TeamOut(Schema):
    """The team. Its captain reads the link by which people join it, too."""

    name: str
    slug: str
    affiliation: str
    members: list[MemberOut]
    join_link: str | None = Field(description="To its captain, by a token with “team”: it lets people in.")
    places_left: int
    captaincy_offered_to: int | None = Field(description="The member who is asked to be the captain.")


class TeamIn(Body):
    """How a team is called, and where it works."""

    name: TeamsName
    affiliation: Affiliation = ""


class JoinIn(Body):
    """The code of a team's link."""

    code: Name


class TokenIn(Body):
    """What the link of an invitation ends with."""

    token: Name


class InvitationIn(Body):
    """Whom to invite."""

    email: Name


class InvitationOut(Schema):
    """An invitation that nobody has answered."""

    id: int
    email: str
    sent_at: datetime
    sends: int
    expires_at: datetime


class MemberIn(Body):
    """Another member of the team, by their id."""

    member: Annotated[int, Field(ge=1, le=2**63 - 1), Whole]


class RemovalIn(Body):
    """Why somebody is removed: they read it."""

    why: Reason


class ApprovalIn(Body):
    """A phase for which organisers approve teams."""

    phase: Name


class ApprovalOut(Schema):
    """What organisers say to a team about a phase: waiting, approved, refused."""

    phase: str
    state: str
    asked_at: datetime
    decided_at: datetime | None
    reason: str
