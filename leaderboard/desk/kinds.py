"""The kinds of things that organisers act on."""

from leaderboard.desk.acting import Kind
from leaderboard.models import Announcement, Host, LikelyDouble, Membership, Phase, Submission, Team, TeamApproval, User

RUN = Kind("run", "runs", Submission, unread=("method", "external_data"))
PHASE = Kind("phase", "phases", Phase, key="slug")
HOST = Kind("host", "hosts", Host, key="name")
TEAM = Kind("team", "teams", Team, key="slug")
PERSON = Kind("person", "people", User)
MEMBERSHIP = Kind("member", "members", Membership)
APPROVAL = Kind("approval", "approvals", TeamApproval)
DOUBLE = Kind("pair", "pairs", LikelyDouble)
ANNOUNCEMENT = Kind("announcement", "announcements", Announcement)
