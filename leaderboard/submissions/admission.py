"""The only place that refuses: a submission, a cancellation, a place in a team.

Every refusal is a `Refused` whose text is the sentence that the user reads. A submission is checked twice by the same
rules: before the form is shown (so that nobody uploads 9 GB in vain), and again in the transaction that accepts it,
with the team's row locked: two uploads that end in the same instant cannot both take the last run of the day.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.text import slugify

from containers import intake
from leaderboard.core import clock, disk_space
from leaderboard.core.text import one_line
from leaderboard.models import Membership, Phase, RulesAcceptance, Submission, Team, User
from leaderboard.models.people import new_join_code
from leaderboard.states import ENDED, RunState, SubmissionState

MIN_METHOD_CHARACTERS = 100
MAX_METHOD_CHARACTERS = 20_000
MAX_EXTERNAL_DATA_CHARACTERS = 10_000
MAX_TEAM_MEMBERS = 20
NO_ROOM = "The server is short of disk space; nothing was charged, the organisers have been told."


class Refused(Exception):
    """Not now, or not like this. The text says what is so and what to do."""


@dataclass(frozen=True)
class Quota:
    """A team's runs in a phase: used and allowed, today (UTC) and in total; `next_day` is when a new day begins."""

    today_used: int
    today_limit: int
    total_used: int
    total_limit: int
    next_day: datetime


# --- teams -----------------------------------------------------------------------------------------------------------


def found_team(user: User, *, name: str, affiliation: str = "") -> Team:
    """Found a team with `user` as its captain."""
    name = one_line(name)
    slug = slugify(name)
    if not slug:
        raise Refused("A team's name needs at least one Latin letter or digit.")
    try:
        with transaction.atomic():
            _refuse_second_team(user)
            team = Team.objects.create(name=name, slug=slug, affiliation=one_line(affiliation))
            Membership.objects.create(team=team, user=user, is_captain=True)
    except IntegrityError:
        raise Refused(f"There is a team called “{name}” already. Choose another name.") from None
    return team


def join_team(user: User, code: str) -> Team:
    """Join the team whose captain handed out `code`."""
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
    return team


def renew_join_code(user: User, team: Team) -> None:
    """Make the team's old join link useless. Only its captain may."""
    if not team.memberships.filter(user=user, is_captain=True).exists():
        raise Refused("Only the captain can renew the team's link.")
    team.join_code = new_join_code()
    team.save(update_fields=["join_code"])


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
        membership.delete()
        if not others:
            team.delete()


def remove_member(captain: User, team: Team, member_id: int) -> None:
    """Take a member out of the team, and make the link that this person knows useless. Only the captain may."""
    with transaction.atomic():
        team = lock_team(team)
        membership = _of_captain(captain, team, member_id, "remove a member")
        membership.delete()
        team.join_code = new_join_code()
        team.save(update_fields=["join_code"])


def make_captain(captain: User, team: Team, member_id: int) -> None:
    """Hand the team over to another member. Only its captain may."""
    with transaction.atomic():
        team = lock_team(team)
        membership = _of_captain(captain, team, member_id, "hand the team over")
        team.memberships.filter(user=captain).update(is_captain=False)
        team.memberships.filter(pk=membership.pk).update(is_captain=True)


def _membership(user: User, team: Team) -> Membership:
    membership = team.memberships.filter(user=user).first()
    if membership is None:
        raise Refused("You are not in this team any more.")
    return membership


def _of_captain(captain: User, team: Team, member_id: int, act: str) -> Membership:
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


# --- rules -----------------------------------------------------------------------------------------------------------


def accept_rules(user: User) -> None:
    """Record that the user accepted the present version of the rules; the first time counts."""
    RulesAcceptance.objects.get_or_create(user=user, version=settings.RULES_VERSION)


def has_accepted_rules(user: User) -> bool:
    """Whether the user accepted the version of the rules that is in force."""
    return RulesAcceptance.objects.filter(user=user, version=settings.RULES_VERSION).exists()


# --- submissions -----------------------------------------------------------------------------------------------------


def quota(team: Team, phase: Phase, at: datetime | None = None) -> Quota:
    """What the team has used of its runs, by the UTC day of the database's clock."""
    at = (at or clock.now()).astimezone(UTC)
    charged = Submission.objects.filter(team=team, phase=phase, charged=True)
    tomorrow = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Quota(
        today_used=charged.filter(quota_day=at.date()).count(),
        today_limit=phase.runs_per_day,
        total_used=charged.count(),
        total_limit=phase.runs_total,
        next_day=tomorrow,
    )


def check_open_for(user: User, phase: Phase) -> Team:
    """The team for which `user` may submit to `phase` right now; Refused with what to do first otherwise."""
    team = user.team
    if team is None:
        raise Refused("Found a team, or join one by its captain's link, before you submit.")
    if not has_accepted_rules(user):
        raise Refused("Read and accept the rules before you submit.")
    check_phase(team, phase)
    check_room()
    return team


def check_phase(team: Team, phase: Phase, at: datetime | None = None) -> None:
    """Refuse when the phase is not open or the team has no run left in it."""
    at = at or clock.now()
    if at < phase.opens_at:
        raise Refused(f"The {phase.name} opens on {_instant(phase.opens_at)}.")
    if at >= phase.closes_at or phase.archived_at:
        raise Refused(f"The {phase.name} closed on {_instant(phase.closes_at)}.")
    used = quota(team, phase, at)
    if used.total_used >= used.total_limit:
        raise Refused(f"Your team has used all of its {used.total_limit} runs in the {phase.name}.")
    if used.today_used >= used.today_limit:
        raise Refused(
            f"Your team has used its {used.today_limit} {'run' if used.today_limit == 1 else 'runs'} of today. "
            f"The next day begins on {_instant(used.next_day)}."
        )
    if refused_today(team, phase, at) >= phase.refused_per_day:
        raise Refused(
            f"{phase.refused_per_day} uploads of your team came to nothing today: rejected, or cancelled before their "
            f"first container. The next one is taken on {_instant(used.next_day)}."
        )


def refused_today(team: Team, phase: Phase, at: datetime) -> int:
    """How many of the team's uploads came to nothing on this UTC day without being charged, by the team's doing."""
    of_today = Submission.objects.filter(team=team, phase=phase, charged=False, quota_day=at.astimezone(UTC).date())
    ended = (SubmissionState.REJECTED, SubmissionState.CANCELLED)
    return of_today.filter(Q(state__in=ended) | Q(runs__state=RunState.CANCELLED)).distinct().count()


def check_member(user: User | None, team: Team) -> None:
    """Refuse who is not in the team any more, or may not sign in any more. Nobody (`None`) is the command line."""
    if user and not team.memberships.filter(user=user, user__is_active=True).exists():
        raise Refused(f"You are not in the team “{team}” any more. Nothing was submitted.")


def check_words(*, algorithm: str, method: str, external_data: str, track: str) -> None:
    """Refuse what the board could not show or the rules do not allow."""
    if not 1 <= len(algorithm.strip()) <= 40:
        raise Refused("Name your algorithm in 1 to 40 characters; the board shows this name.")
    if not any(letter.isalnum() for letter in algorithm):  # zero-width characters alone would show as nothing
        raise Refused("Your algorithm's name needs at least one letter or digit; the board shows it.")
    if not MIN_METHOD_CHARACTERS <= len(method.strip()) <= MAX_METHOD_CHARACTERS:
        raise Refused(
            f"Describe the method in {MIN_METHOD_CHARACTERS} to {MAX_METHOD_CHARACTERS} characters: "
            f"you wrote {len(method.strip())}."
        )
    if not 1 <= len(external_data.strip()) <= MAX_EXTERNAL_DATA_CHARACTERS:
        raise Refused("Name every external data set and pre-trained model, or write “none”.")
    if track not in Submission.Track.values:
        raise Refused(f"Choose a track: {' or '.join(Submission.Track.values)}.")


def check_room(size: int = 0) -> None:
    """Refuse an upload of `size` further bytes for which the disk has no room."""
    if not disk_space.for_upload(size):
        raise Refused(NO_ROOM)


def check_upload(size: int, phase: Phase) -> None:
    """Refuse an image archive that is empty or too large for the phase."""
    if size == 0:
        raise Refused("The file is empty. Write the image with: docker save IMAGE | gzip > image.tar.gz")
    if size > phase.max_archive_bytes:
        raise Refused(
            f"The file has {size / 1e9:.1f} GB; the {phase.name} takes up to {phase.max_archive_bytes / 1e9:.3g} GB. "
            "Leave build tools and caches out of the image, and compress the archive with gzip."
        )


def check_beginning(beginning: bytes) -> None:
    """Refuse by its first bytes a file that can be no image archive, so that nobody uploads the rest in vain."""
    try:
        intake.check_beginning(beginning)
    except intake.ImageRejected as rejection:
        raise Refused(str(rejection)) from rejection


def lock_team(team: Team) -> Team:
    """Serialise what draws on the team's quota. Call inside a transaction."""
    return Team.objects.select_for_update().get(pk=team.pk)


def check_cancel(state: str) -> None:
    """Refuse to cancel what has ended."""
    if state in ENDED:
        raise Refused("This run has ended; there is nothing to cancel.")


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%b %-d, %Y %H:%M} UTC"
