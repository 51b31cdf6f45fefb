"""Teams and who is in them: found, join, leave, remove a member, hand over. Each refusal is a sentence.

A person is in at most one team; a team has one captain.
"""

from itertools import chain, count

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.text import slugify

from leaderboard.core import audit, locks
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line
from leaderboard.models import Membership, Team, User
from leaderboard.models.people import new_join_code
from leaderboard.people import addresses
from leaderboard.people.names import skeleton

MAX_TEAM_MEMBERS = 20
MAX_SLUG = 60


def lock_team(team: Team) -> Team:
    """Serialise what draws on the team's quota, or changes its members. Call inside a transaction."""
    return Team.objects.select_for_update().get(pk=team.pk)


def check_member(user: User | None, team: Team) -> None:
    """Refuse who is not in the team any more, or may not sign in any more. Nobody (`None`) is the command line."""
    if user and not team.memberships.filter(user=user, user__is_active=True).exists():
        raise Refused(f"You are not in the team “{team}” any more. Nothing was submitted.")


def create_team(user: User, *, name: str, affiliation: str = "") -> Team:
    """Create a team with `user` as its captain."""
    addresses.check_confirmed(user, "found a team")
    name = one_line(name)
    if not slugify(name):
        raise Refused("A team's name needs at least one Latin letter or digit.")
    try:
        with transaction.atomic():
            locks.one_at_a_time("teams' names")
            _refuse_second_team(user)
            look = free_skeleton(name)
            team = Team.objects.create(
                name=name, slug=_free_slug(name), affiliation=one_line(affiliation), skeleton=look
            )
            Membership.objects.create(team=team, user=user, is_captain=True)
            audit.record(Actor.person(user), "create team", team)
    except IntegrityError:  # by code of before, which doesn't wait for us
        raise Refused(f"There is a team called “{name}” already. Choose another name.") from None
    return team


def free_skeleton(name: str, but: Team | None = None) -> str:
    """What the name looks like; Refused if another team (than `but`) looks the same, or nothing is left to look at."""
    look = skeleton(name)
    if not look:
        raise Refused("A team's name needs at least one letter or digit.")
    others = Team.objects.exclude(pk=but.pk) if but and but.pk else Team.objects.all()
    alike = others.filter(skeleton=look).first() or _alike_without_skeleton(others, look)
    if alike:
        if alike.name.lower() == name.lower():
            raise Refused(f"There is a team called “{name}” already. Choose another name.")
        raise Refused(f"There is a team called “{alike}” already, and this name looks the same. Choose another name.")
    return look


def _alike_without_skeleton(others: QuerySet[Team], look: str) -> Team | None:
    return next((team for team in others.filter(skeleton=None) if skeleton(team.name) == look), None)


def _free_slug(name: str) -> str:
    """The name in an address. Names that differ may share it: “β-Net” and “Net”."""
    slug = slugify(name)[:MAX_SLUG]
    numbered = (f"{slug[: MAX_SLUG - 5]}-{number}" for number in count(2))
    return next(one for one in chain([slug], numbered) if not Team.objects.filter(slug=one).exists())


def join_team(user: User, code: str) -> Team:
    """Join the team whose captain handed out `code`."""
    addresses.check_confirmed(user, "join a team")
    with transaction.atomic():
        team = Team.objects.select_for_update().filter(join_code=code).first()
        if team is None:
            raise Refused("This link is not valid any more. Ask the captain for the present one.")
        if Membership.objects.filter(user=user, team=team).exists():
            return team
        _refuse_second_team(user)
        if team.memberships.count() >= MAX_TEAM_MEMBERS:
            raise Refused(f"The team is full: {MAX_TEAM_MEMBERS} people are in it.")
        Membership.objects.create(team=team, user=user)
        audit.record(Actor.person(user), "join team", team)
    return team


def renew_join_code(user: User, team: Team) -> None:
    """Make the team's old join link useless. Only its captain may."""
    if not team.memberships.filter(user=user, is_captain=True).exists():
        raise Refused("Only the captain can renew the team's link.")
    with transaction.atomic():
        _renew_join_code(team)
        audit.record(Actor.person(user), "renew join link", team)


def leave_team(user: User, team: Team) -> None:
    """Leave the team. Its runs stay with it; a team that never submitted ends with its last member."""
    with transaction.atomic():
        membership = _membership(user, lock_team(team))
        others = team.memberships.exclude(pk=membership.pk).exists()
        if others and membership.is_captain:
            raise Refused("Make somebody else captain before you leave the team.")
        if not others and team.submissions.exists():
            # or one person could found team after team, each with runs of its own
            raise Refused("You are the last member of a team that has submitted. Write to the organisers to leave it.")
        if not others and team.drafts.exists():
            # or their files would stay behind, as many as one founds teams for
            raise Refused("The team ends with you, and has drafts: hand them in, or delete them first.")
        membership.delete()
        audit.record(Actor.person(user), "leave team", team)
        if not others:
            audit.record(Actor.person(user), "delete team", team, before=audit.state_of(team))
            team.delete()


def remove_member(captain: User, team: Team, member_id: int) -> None:
    """Take a member out of the team, and make the link that this person knows useless. Only the captain may."""
    with transaction.atomic():
        team = lock_team(team)
        membership = _member_of_captain(captain, team, member_id, "remove a member")
        membership.delete()
        _renew_join_code(team)
        gone = {"member": audit.described(membership.user), "user_id": member_id}
        audit.record(Actor.person(captain), "remove member", team, before=gone)


def make_captain(captain: User, team: Team, member_id: int) -> None:
    """Hand the team over to another member. Only its captain may."""
    with transaction.atomic():
        team = lock_team(team)
        membership = _member_of_captain(captain, team, member_id, "hand the team over")
        team.memberships.filter(user=captain).update(is_captain=False)
        team.memberships.filter(pk=membership.pk).update(is_captain=True)
        before = {"captain": audit.described(captain), "user_id": captain.pk}
        after = {"captain": audit.described(membership.user), "user_id": member_id}
        audit.record(Actor.person(captain), "make captain", team, before=before, after=after)


def _renew_join_code(team: Team) -> None:
    team.join_code = new_join_code()
    team.save(update_fields=["join_code"])


def _membership(user: User, team: Team) -> Membership:
    membership = team.memberships.filter(user=user).first()
    if membership is None:
        raise Refused("You are not in this team any more.")
    return membership


def _member_of_captain(captain: User, team: Team, member_id: int, act: str) -> Membership:
    """Another member of the captain's team, on whom the captain may act."""
    if not _membership(captain, team).is_captain:
        raise Refused(f"Only the captain can {act}.")
    membership = team.memberships.filter(user_id=member_id).exclude(user=captain).first()
    if membership is None:
        raise Refused("This person is not another member of your team.")
    return membership


def _refuse_second_team(user: User) -> None:
    User.objects.select_for_update().get(pk=user.pk)
    membership = Membership.objects.filter(user=user).select_related("team").first()
    if membership:
        raise Refused(f"You are in the team “{membership.team}”. One person is in one team.")
