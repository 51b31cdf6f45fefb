"""A team is disqualified in a phase, or reinstated: all its runs there, for one reason that it reads."""

from leaderboard.desk.acting import Act, Value
from leaderboard.desk.choosing import Rows
from leaderboard.desk.kinds import PHASE, TEAM
from leaderboard.journey import decisions
from leaderboard.models import Phase

_IN = Value(
    "phase",
    "Phase",
    "In which phase; every other phase is a decision of its own.",
    read=PHASE.find,
    choices=Rows(Phase.objects.all, "slug"),
)


DISQUALIFY_TEAM = Act(
    "disqualify-team",
    "Disqualify the team",
    TEAM,
    "All its runs in the phase leave the board, and it can hand in nothing more there. Its runs at work go on, and may "
    "be cancelled apart. The boards of an archived phase stay as they are.",
    decisions.disqualify_team,
    values=(_IN,),
    needs_reason=True,
    is_grave=True,
    tells_team=True,
)
REINSTATE_TEAM = Act(
    "reinstate-team",
    "Reinstate the team",
    TEAM,
    "It may hand in again, and the runs that were disqualified with it may count. Those that were disqualified by "
    "themselves stay so.",
    decisions.reinstate_team,
    values=(_IN,),
    needs_reason=True,
    tells_team=True,
)
ACTS = (DISQUALIFY_TEAM, REINSTATE_TEAM)
