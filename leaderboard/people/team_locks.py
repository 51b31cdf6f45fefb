"""A team under its lock: what every change of its members asks first. Each refusal is a sentence."""

from django.conf import settings

from leaderboard.core.refusal import Refused
from leaderboard.models import Membership, Team, User

NOT_IN_IT = "You are not in this team any more."


def lock_team(team: Team) -> Team:
    """Serialise what draws on the team's quota, or changes its members. Call inside a transaction.

    Refused if it has ended meanwhile, with its last member.
    """
    locked: Team | None = Team.objects.select_for_update().filter(pk=team.pk).first()
    if locked is None:
        raise Refused(NOT_IN_IT)
    return locked


def check_in_no_team(user: User) -> None:
    """Refuse whoever is in a team; the person's row is locked, after the team's."""
    User.objects.select_for_update().get(pk=user.pk)
    membership = Membership.objects.filter(user=user).select_related("team").first()
    if membership:
        raise Refused(f"You are in the team “{membership.team}”. One person is in one team.")


def check_has_a_place(team: Team) -> None:
    """Refuse one more member of a team, whose row is locked, when it is full."""
    if team.memberships.count() >= settings.TEAM_MOST_MEMBERS:
        raise Refused(f"The team is full: it may have {settings.TEAM_MOST_MEMBERS} members.")


def check_captain(user: User, team: Team, act: str) -> Membership:
    """The captain's membership; Refused for everybody else."""
    membership = membership_of(user, team)
    if not membership.is_captain:
        raise Refused(f"Only the captain can {act}.")
    return membership


def membership_of(user: User, team: Team) -> Membership:
    """The person's place in the team; Refused for somebody who has left it."""
    membership: Membership | None = team.memberships.filter(user=user, user__is_active=True).first()
    if membership is None:
        raise Refused(NOT_IN_IT)
    return membership


def other_member(captain: User, team: Team, member_id: int) -> Membership:
    """Another member of the captain's team."""
    others = team.memberships.filter(user_id=member_id).exclude(user=captain)
    membership: Membership | None = others.select_related("user").first()
    if membership is None:
        raise Refused("This person is not another member of your team.")
    return membership
