"""Teams and who is in them: found, describe, join by the link, leave, remove a member. Each refusal is a sentence.

A person is in at most one team; a team has one captain.
"""

from itertools import chain, count

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.text import slugify

from leaderboard.core import audit, clock, locks, task_queue
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line, sanitised
from leaderboard.models import Membership, Phase, Team, TeamApproval, User
from leaderboard.models.people import new_join_code
from leaderboard.people import addresses, captaincy, invitations, team_mails
from leaderboard.people.names import skeleton
from leaderboard.people.team_locks import (
    check_captain,
    check_has_a_place,
    check_in_no_team,
    lock_team,
    membership_of,
    other_member,
)
from leaderboard.people.team_mails import named

MAX_SLUG = 60
MAX_REASON = 500
NO_LINK = "This link is not valid any more. Ask the captain for the present one."


def check_member(user: User | None, team: Team) -> None:
    """Refuse who is not in the team any more, or may not sign in any more. Nobody (`None`) is the command line."""
    if user and not team.memberships.filter(user=user, user__is_active=True).exists():
        raise Refused(f"You are not in the team “{team}” any more. Nothing was submitted.")


def create_team(user: User, *, name: str, affiliation: str = "") -> Team:
    """Create a team with `user` as its captain."""
    addresses.check_confirmed(user, "found a team")
    name = _storable_name(name)
    try:
        with transaction.atomic():
            locks.one_at_a_time("teams' names")
            check_in_no_team(user)
            team = Team.objects.create(
                name=name,
                slug=_free_slug(name),
                affiliation=one_line(affiliation),
                skeleton=free_skeleton(name),
                join_link_made_by=user,
                join_link_made_at=clock.now(),
            )
            Membership.objects.create(team=team, user=user, is_captain=True)
            audit.record(Actor.person(user), "create team", team)
    except IntegrityError:  # by code of before, which doesn't wait for us
        raise Refused(f"There is a team called “{name}” already. Choose another name.") from None
    return team


def describe(captain: User, team: Team, *, name: str, affiliation: str) -> None:
    """Change name and institutions. Only the captain may; the name stays once it was approved, or handed in under."""
    name = _storable_name(name)
    with transaction.atomic():
        locks.one_at_a_time("teams' names")
        team = lock_team(team)
        check_captain(captain, team, "change this")
        old = Team.objects.get(pk=team.pk)
        if name != team.name:
            if team.submissions.exists():
                raise Refused("The team has handed in under its name: write to the organisers to change it.")
            if team.approvals.filter(state=TeamApproval.State.APPROVED).exists():
                raise Refused("The organisers approved the team under its name: write to them to change it.")
            team.skeleton, team.name = free_skeleton(name, but=team), name
        team.affiliation = one_line(affiliation)
        team.save(update_fields=["name", "skeleton", "affiliation"])
        fields = ["name", "affiliation"]
        changed = audit.record_change(Actor.person(captain), "describe team", old, team, fields=fields)
        if changed and old.name != team.name:
            team_mails.tell(
                team_mails.members_of(team, but=[captain]),
                f"Your team is called “{name}” now",
                f"{named(captain)} changed the name of your team from “{old.name}” to “{name}”.",
            )


def _storable_name(name: str) -> str:
    name = one_line(name)
    if not slugify(name):
        raise Refused("A team's name needs at least one Latin letter or digit.")
    return name


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


def find_by_link(code: str) -> Team | None:
    """The team whose present link this is, if it is switched on."""
    return _let_in_by(code).select_related("join_link_made_by").first()


def _let_in_by(code: str) -> QuerySet[Team]:
    """Of a team that nobody is in, whoever deleted its last member's account, nobody sees the runs by an old link."""
    members = Membership.objects.filter(team=OuterRef("pk"))
    return Team.objects.filter(Exists(members), join_code=code, join_link_is_on=True)


def join_team(user: User, code: str) -> Team:
    """Join the team whose captain handed out `code`."""
    addresses.check_confirmed(user, "join a team")
    with transaction.atomic():
        team = _let_in_by(code).select_for_update().first()
        if team is None:
            raise Refused(NO_LINK)
        if Membership.objects.filter(user=user, team=team).exists():
            return team
        check_in_no_team(user)
        check_has_a_place(team)
        Membership.objects.create(team=team, user=user)
        audit.record(Actor.person(user), "join team", team)
        invitations.tell_of_new_member(user, team)
    return team


def renew_join_code(user: User, team: Team) -> None:
    """Make a new link to join, and the old one useless; a link that was switched off is on then. For the captain."""
    _set_link(user, team, "renew join link", is_on=True)


def switch_link_off(user: User, team: Team) -> None:
    """Let nobody join by a link. The old one stays useless whatever comes. For the captain."""
    _set_link(user, team, "switch join link off", is_on=False)


@transaction.atomic
def _set_link(user: User, team: Team, action: str, *, is_on: bool) -> None:
    team = lock_team(team)
    check_captain(user, team, "change the team's link")
    team.join_link_is_on = is_on
    _renew_join_code(team, user)
    audit.record(Actor.person(user), action, team)


def leave_team(user: User, team: Team) -> None:
    """Leave the team. Its runs stay with it; a team that never submitted ends with its last member."""
    with transaction.atomic():
        team = lock_team(team)
        membership = membership_of(user, team)
        others = team.memberships.exclude(pk=membership.pk).exists()
        if others and membership.is_captain:
            raise Refused("Hand the team over before you leave it: somebody else has to be its captain.")
        if not others:
            _check_may_end(team)
        membership.delete()
        captaincy.forget(team, user)
        audit.record(Actor.person(user), "leave team", team)
        if not others:
            end_team(team, user)
            return
        team_mails.tell_of_leaving(user, team)


def end_team(team: Team, by: User) -> None:
    """What becomes of a team that nobody is in any more: one that has submitted stays, and lets nobody in."""
    invitations.revoke_all(team)
    if team.submissions.exists():
        team.join_link_is_on = False
        team.save(update_fields=["join_link_is_on"])
        return
    audit.record(Actor.person(by), "delete team", team, before=audit.state_of(team))
    team.delete()


def _check_may_end(team: Team) -> None:
    if team.submissions.exists():
        # or one person could found team after team, each with runs of its own
        raise Refused("You are the last member of a team that has submitted. Write to the organisers to leave it.")
    if team.drafts.exists():
        # or their files would stay behind, as many as one founds teams for
        raise Refused("The team ends with you, and has drafts: hand them in, or delete them first.")


def mark_as_of_organisers(team: Team, *, by: Actor, why: str = "") -> None:
    """Its runs are shown, marked, without a rank, and win nothing: a baseline, or the organisers' own."""
    _set_of_organisers(team, by, why, is_theirs=True)


def unmark_as_of_organisers(team: Team, *, by: Actor, why: str = "") -> None:
    """It is a team as all others: its runs hold ranks."""
    _set_of_organisers(team, by, why, is_theirs=False)


@transaction.atomic
def _set_of_organisers(team: Team, by: Actor, why: str, *, is_theirs: bool) -> None:
    row = lock_team(team)
    if row.is_of_organisers == is_theirs:
        raise Refused(f"The team “{row}” is {'' if is_theirs else 'not '}marked as of the organisers already.")
    row.is_of_organisers = is_theirs
    row.save(update_fields=["is_of_organisers"])
    action = "mark as of organisers" if is_theirs else "unmark as of organisers"
    on_boards = Phase.objects.filter(submissions__team=row).distinct()
    after = {"is_of_organisers": is_theirs, "boards": [phase.name for phase in on_boards]}
    audit.record(by, action, row, before={"is_of_organisers": not is_theirs}, after=after, why=why)
    for phase in on_boards:
        task_queue.enqueue_board(phase.pk)


def remove_member(captain: User, team: Team, member_id: int, why: str) -> None:
    """Take a member out of the team, with a reason, and make useless what lets this person in. For the captain."""
    why = sanitised(why).strip()
    if not why:
        raise Refused("Say why you remove this person: it is sent to them, and kept in the record.")
    if len(why) > MAX_REASON:
        raise Refused(f"The reason has {len(why)} characters; {MAX_REASON} are enough.")
    with transaction.atomic():
        team = lock_team(team)
        check_captain(captain, team, "remove a member")
        membership = other_member(captain, team, member_id)
        gone = membership.user
        membership.delete()
        captaincy.forget(team, gone)
        invitations.revoke_all_by(gone, team)
        _renew_join_code(team, captain)
        before = {"member": audit.described(gone), "user_id": member_id}
        audit.record(Actor.person(captain), "remove member", team, before=before, why=why)
        _tell_of_removal(captain, team, gone, why)


def _tell_of_removal(captain: User, team: Team, gone: User, why: str) -> None:
    team_mails.tell(
        [gone],
        f"You are not in the team “{team}” any more",
        f"{named(captain)} removed you from the team “{team}”. Its runs stay with the team.",
        f"The reason: {one_line(why)}",  # so that it cannot look like words of ours
    )
    team_mails.tell(
        team_mails.members_of(team, but=[captain]),
        f"{named(gone)} is not in the team “{team}” any more",
        f"{named(captain)} removed {named(gone)} from the team “{team}”.",
    )


def _renew_join_code(team: Team, by: User) -> None:
    team.join_code, team.join_link_made_by, team.join_link_made_at = new_join_code(), by, clock.now()
    team.save(update_fields=["join_code", "join_link_is_on", "join_link_made_by", "join_link_made_at"])
