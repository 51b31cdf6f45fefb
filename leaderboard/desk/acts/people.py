"""What owners do about people's roles."""

from leaderboard.desk.acting import Act, Value
from leaderboard.desk.kinds import PERSON
from leaderboard.people import roles
from leaderboard.states import Role

ROLES = {
    Role.VIEWER: "Viewer: sees everything, changes nothing",
    Role.ORGANISER: "Organiser: runs the challenge",
    Role.OWNER: "Owner: gives and takes roles, too",
    roles.NONE: "None: takes part like everybody else",
}
SET_ROLE = Act(
    "set-role",
    "Set the role",
    PERSON,
    "It holds from their next request on. They are told by email. On an https site they need a second factor first.",
    roles.set_role,
    values=(Value("role", "Role", choices=ROLES),),
    role=Role.OWNER,
    needs_reason=True,
    needs_factor=True,
    is_grave=True,
)
ACTS = (SET_ROLE,)
