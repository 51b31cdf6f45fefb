"""What organisers do about case sets, which `manage.py import_cases` makes."""

from leaderboard.challenge import case_files, downloads
from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import CASE_SET
from leaderboard.models import CaseSet


def _is_unused(case_set: CaseSet) -> bool:
    return not case_files.uses_of(case_set)


DELETE = Act(
    "delete-cases",
    "Delete",
    CASE_SET,
    "The set goes, at once and for ever: for one that was imported by mistake and that no phase uses. Its files go "
    "within two days, but for those that another set has too.",
    case_files.delete,
    needs_reason=True,
    is_offered=_is_unused,
    confirms=True,
    is_grave=True,
)
ALLOW_DOWNLOADS = Act(
    "allow-downloads",
    "Allow downloads",
    CASE_SET,
    "Its volumes and reference masks are copied to where they are handed out: to everybody who accepts the terms.",
    downloads.allow,
    is_offered=lambda case_set: not case_set.allows_downloads,
)
END_DOWNLOADS = Act(
    "end-downloads",
    "End downloads",
    CASE_SET,
    "Nothing more is handed out from this instant on, and the copies go.",
    downloads.end,
    is_offered=lambda case_set: case_set.allows_downloads,
)
ACTS = (ALLOW_DOWNLOADS, END_DOWNLOADS, DELETE)
