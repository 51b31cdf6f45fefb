"""What organisers do about people, when they ask for it."""

from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import PERSON
from leaderboard.people import ending
from leaderboard.people.roles import role_of

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
    is_offered=lambda person: role_of(person) is None,
    confirms=True,
    needs_factor=True,
    is_grave=True,
)
ACTS = (EXPORT, DELETE)
