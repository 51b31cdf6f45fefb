"""The rows that hold the truth. The rules about them live in the packages above them: submissions, journey, board."""

from leaderboard.models.audit import AuditEntry
from leaderboard.models.challenge import Case, CaseSet, Finding, Phase
from leaderboard.models.drafts import Draft, ResumableUpload
from leaderboard.models.equal_entries import EqualEntry, Equality, ImageLayer, LayerUse
from leaderboard.models.history import StateChange
from leaderboard.models.hosts import Host
from leaderboard.models.mail import OutgoingMail
from leaderboard.models.operations import Alarm, ProcessHeartbeat
from leaderboard.models.people import Membership, RulesAcceptance, Team, Throttle, User
from leaderboard.models.runs import Attempt, Batch, Run, RunCase, Standing
from leaderboard.models.submissions import AlgorithmImage, ImageProvenance, Submission, Weights
from leaderboard.models.tokens import ApiAnswer, ApiToken
from leaderboard.models.turns import Turn

__all__ = [
    "Alarm",
    "AlgorithmImage",
    "ApiAnswer",
    "ApiToken",
    "Attempt",
    "AuditEntry",
    "Batch",
    "Case",
    "CaseSet",
    "Draft",
    "EqualEntry",
    "Equality",
    "Finding",
    "Host",
    "ImageLayer",
    "ImageProvenance",
    "LayerUse",
    "Membership",
    "OutgoingMail",
    "Phase",
    "ProcessHeartbeat",
    "ResumableUpload",
    "RulesAcceptance",
    "Run",
    "RunCase",
    "Standing",
    "StateChange",
    "Submission",
    "Team",
    "Throttle",
    "Turn",
    "User",
    "Weights",
]
