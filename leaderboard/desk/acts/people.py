"""What is done about people: their roles by owners; their data and accounts when they ask for it."""

from leaderboard.desk.acting import Act, Value
from leaderboard.desk.kinds import PERSON
from leaderboard.people import ending, roles
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
EXPORT = Act(
    "export-person",
    "Export the data",
    PERSON,
    "A file with everything that is kept of this person, but for secrets. Give it to nobody but them.",
    ending.export_on_request,
    needs_reason=True,
    needs_factor=True,
    delivers="person.json",
)
DELETE = Act(
    "delete-person",
    "Delete the account",
    PERSON,
    "The account ends at once, with everything that says who it was. What the team did stays the team’s. There is no "
    "way back.",
    ending.end_on_request,
    needs_reason=True,
    is_offered=lambda person: person.current_role is None,
    confirms=True,
    needs_factor=True,
    is_grave=True,
)
ACTS = (SET_ROLE, EXPORT, DELETE)
