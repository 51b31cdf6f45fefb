"""The kinds of things that organisers act on."""

from leaderboard.desk.acting import Kind
from leaderboard.models import CaseSet, Host, Phase, Submission, Team, User

RUN = Kind("run", "runs", Submission, unread=("method", "external_data"))
PHASE = Kind("phase", "phases", Phase, key="slug")
HOST = Kind("host", "hosts", Host, key="name")
TEAM = Kind("team", "teams", Team, key="slug")
PERSON = Kind("person", "people", User)
CASE_SET = Kind("case set", "case sets", CaseSet, key="name")
