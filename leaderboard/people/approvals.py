"""Whether organisers let a team take part in a phase, where the phase asks for that."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant, sanitised
from leaderboard.models import Phase, Team, TeamApproval, User
from leaderboard.people import team_mails
from leaderboard.people.team_locks import lock_team, membership_of

State = TeamApproval.State


def waiting(at: datetime) -> QuerySet[TeamApproval]:
    """What teams asked and nobody answered, of phases that may take something still; the oldest first."""
    takes_something = Q(phase__closes_at__gt=at) | Q(phase__post_challenge_opens_at__isnull=False)
    asked = TeamApproval.objects.filter(takes_something, state=State.WAITING, phase__requires_approval=True)
    return asked.filter(phase__archived_at=None).select_related("team", "phase").order_by("asked_at", "pk")


def of(team: Team, phase: Phase) -> TeamApproval | None:
    """What was asked and decided, if anything was."""
    return TeamApproval.objects.filter(team=team, phase=phase).first()


def refusal(phase: Phase, approval: TeamApproval | None) -> str:
    """Why a team may not hand in to the phase yet; empty if it may."""
    if not phase.requires_approval or (approval and approval.state == State.APPROVED):
        return ""
    if approval is None:
        return (
            f"The organisers approve the teams of the {phase.name}: ask for it on your team’s page. You can prepare "
            "drafts meanwhile."
        )
    if approval.state == State.WAITING:
        return (
            f"Your team waits for the organisers to approve it for the {phase.name}, since "
            f"{instant(approval.asked_at)}. Drafts are kept meanwhile, and you get a message."
        )
    reason = f": {approval.reason}" if approval.reason else "."
    return f"The organisers did not approve your team for the {phase.name}{reason}"


@transaction.atomic
def ask(user: User, team: Team, phase: Phase) -> None:
    """Ask the organisers, as any member may; once, until they have decided."""
    team = lock_team(team)
    membership_of(user, team)
    if not phase.requires_approval:
        raise Refused(f"The {phase.name} takes all teams: there is nothing to ask for.")
    approval, is_new = TeamApproval.objects.get_or_create(
        team=team, phase=phase, defaults={"asked_by": user, "asked_at": clock.now()}
    )
    if is_new:
        audit.record(Actor.person(user), "ask for approval", team, after={"phase": phase.name})
    elif approval.state == State.REFUSED:
        raise Refused("The organisers have decided. Write to them if something has changed.")


@transaction.atomic
def approve(approval: TeamApproval, *, by: Actor, why: str = "") -> None:
    """Let the team take part, and tell it."""
    _decide(approval, State.APPROVED, by, why)


@transaction.atomic
def refuse(approval: TeamApproval, *, by: Actor, why: str = "") -> None:
    """Do not let the team take part, and tell it why. Runs that it has handed in stay."""
    if not why.strip():
        raise Refused("Say why: the team reads it.")
    _decide(approval, State.REFUSED, by, why)


def _decide(approval: TeamApproval, state: State, by: Actor, why: str) -> None:
    lock_team(approval.team)
    row = TeamApproval.objects.select_for_update().select_related("team", "phase").get(pk=approval.pk)
    if row.state == state:
        raise Refused(f"This is decided already: {row.get_state_display()}.")
    before = {"state": row.state, "phase": row.phase.name}
    row.state, row.reason, row.decided_at, row.decided_by = state, sanitised(why).strip(), clock.now(), by.user
    row.save(update_fields=["state", "reason", "decided_at", "decided_by"])
    audit.record(by, f"{'approve' if state == State.APPROVED else 'refuse'} team", row.team, before=before, why=why)
    team_mails.decided(row)
