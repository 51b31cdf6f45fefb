"""The kinds of things that organisers act on."""

from leaderboard.desk.acting import Kind
from leaderboard.models import (
    Announcement,
    CaseSet,
    Host,
    LikelyDouble,
    Maintenance,
    Membership,
    Objection,
    Phase,
    RecordCheck,
    Submission,
    Team,
    TeamApproval,
    User,
)


def _called(run: Submission) -> str:
    return f"run {run.pk}: {run.algorithm} of {run.team}"


RUN = Kind("run", "runs", Submission, unread=("method", "external_data"), called=_called)
PHASE = Kind("phase", "phases", Phase, key="slug")
HOST = Kind("host", "hosts", Host, key="name")
TEAM = Kind("team", "teams", Team, key="slug")
PERSON = Kind("person", "people", User)
OBJECTION = Kind("objection", "objections", Objection)
NEW_HOST = Kind("a new host", "hosts", Host, is_new=True)
PAUSE = Kind("pause", "pauses", Maintenance)
NEW_PAUSE = Kind("a new pause", "pauses", Maintenance, is_new=True)
CASE_SET = Kind("case set", "case sets", CaseSet, key="name")
MEMBERSHIP = Kind("member", "members", Membership)
APPROVAL = Kind("approval", "approvals", TeamApproval)
DOUBLE = Kind("pair", "pairs", LikelyDouble)
ANNOUNCEMENT = Kind("announcement", "announcements", Announcement)
RECORD = Kind("record", "records", RecordCheck)
