"""What organisers do about teams."""

from leaderboard.core.audit import Actor
from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import APPROVAL, DOUBLE, MEMBERSHIP, TEAM
from leaderboard.models import Membership, TeamApproval
from leaderboard.operations import doubles
from leaderboard.people import approvals, captaincy, teams


def _make_captain(membership: Membership, *, by: Actor, why: str = "") -> None:
    captaincy.set_captain(membership.team, membership.user, by=by, why=why)


APPROVE = Act(
    "approve-team",
    "Approve",
    APPROVAL,
    "The team can hand in to the phase from now on. It gets a mail, with the reason if you give one.",
    approvals.approve,
    is_offered=lambda approval: approval.state != TeamApproval.State.APPROVED,
)
REFUSE = Act(
    "refuse-team",
    "Do not approve",
    APPROVAL,
    "The team can hand in nothing to the phase; runs that it has handed in stay. It gets a mail with the reason.",
    approvals.refuse,
    needs_reason=True,
    is_offered=lambda approval: approval.state != TeamApproval.State.REFUSED,
    is_grave=True,
)
MAKE_CAPTAIN = Act(
    "make-captain",
    "Make captain",
    MEMBERSHIP,
    "This member is the captain at once, and who was it is a member. Everybody in the team gets a mail.",
    _make_captain,
    is_offered=lambda membership: not membership.is_captain,
)
MARK = Act(
    "mark-of-organisers",
    "Mark as of the organisers",
    TEAM,
    "Boards show its runs, marked, without a rank: it moves no other team and wins no award. For baselines, too.",
    teams.mark_as_of_organisers,
    needs_reason=True,
    is_offered=lambda team: not team.is_of_organisers,
)
UNMARK = Act(
    "unmark-of-organisers",
    "Unmark",
    TEAM,
    "It is a team as all others: its runs hold ranks.",
    teams.unmark_as_of_organisers,
    needs_reason=True,
    is_offered=lambda team: team.is_of_organisers,
)
NOT_A_DOUBLE = Act(
    "not-a-double",
    "Two teams, not one",
    DOUBLE,
    "You looked: they are two. They are asked about again only if they have more in common than now.",
    doubles.settle,
    is_offered=lambda double: double.is_open,
)
ACTS = (APPROVE, REFUSE, MAKE_CAPTAIN, MARK, UNMARK, NOT_A_DOUBLE)
