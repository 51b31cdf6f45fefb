"""The rows that hold the truth. Rules about them live in admission, lifecycle, pipeline and standings."""

from leaderboard.models.challenge import Case, CaseSet, Finding, Phase
from leaderboard.models.history import StateChange
from leaderboard.models.hosts import Host
from leaderboard.models.operations import Alarm, Pulse
from leaderboard.models.people import Membership, RulesAcceptance, Team, User
from leaderboard.models.runs import Attempt, Batch, Run, RunCase, Standing
from leaderboard.models.submissions import AlgorithmImage, Submission

__all__ = [
    "Alarm",
    "AlgorithmImage",
    "Attempt",
    "Batch",
    "Case",
    "CaseSet",
    "Finding",
    "Host",
    "Membership",
    "Phase",
    "Pulse",
    "RulesAcceptance",
    "Run",
    "RunCase",
    "Standing",
    "StateChange",
    "Submission",
    "Team",
    "User",
]
