"""Who runs the challenge: viewers see everything and change nothing, organisers act, owners choose who does either."""

from leaderboard.models import User
from leaderboard.states import Role

RANKS = (Role.VIEWER, Role.ORGANISER, Role.OWNER)


def role_of(user: User) -> Role | None:
    """The person's role; None for everybody who only takes part.

    Django's own flags say it for accounts that an older server made: who may do everything is an owner.
    """
    if not user.is_active:
        return None
    if user.is_superuser:
        return Role.OWNER
    if user.role:
        return Role(user.role)
    return Role.VIEWER if user.is_staff else None


def has_role(user: User, least: Role) -> bool:
    """Whether the person has this role, or one that may do more."""
    role = role_of(user)
    return role is not None and RANKS.index(role) >= RANKS.index(least)
