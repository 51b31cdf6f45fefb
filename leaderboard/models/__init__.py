"""The rows that hold the truth. The rules about them live in the packages above them: submissions, journey, board."""

from leaderboard.models.audit import AuditEntry, RecordCheck
from leaderboard.models.boards import BoardCertainty, BoardRow, BoardVersion, ListedRun, TeamAlias
from leaderboard.models.challenge import (
    Case,
    CaseNumberSecret,
    CasePicture,
    CaseSet,
    CaseSetImport,
    DataAcceptance,
    DataTerms,
    DeletedHalf,
    Finding,
    HalfSecret,
    Phase,
    StoredVolume,
)
from leaderboard.models.decisions import Objection, RunDecision, TeamDisqualification
from leaderboard.models.doubles import LikelyDouble
from leaderboard.models.drafts import Draft, ResumableUpload
from leaderboard.models.equal_entries import EqualEntry, Equality, ImageLayer, LayerUse
from leaderboard.models.history import StateChange
from leaderboard.models.hosts import Host
from leaderboard.models.mail import OutgoingMail, RefusedAddress
from leaderboard.models.notices import (
    Announcement,
    NoticeKind,
    NoticeStop,
    PendingNotice,
    SiteLine,
    ToldDeadline,
)
from leaderboard.models.operations import Alarm, Maintenance, ProcessHeartbeat
from leaderboard.models.people import Membership, RulesAcceptance, Team, Throttle, User
from leaderboard.models.phase_changes import PhaseChanges
from leaderboard.models.references import ReferenceRow
from leaderboard.models.rescoring import RescoredCase, RescoredRun, Rescoring
from leaderboard.models.runs import Attempt, Batch, Run, RunCase, RunScores, Standing
from leaderboard.models.site import ChallengeDate, FaqSection, NewsItem, PreRegistration, Question, Registration
from leaderboard.models.submissions import AlgorithmImage, ImageProvenance, Submission, Weights
from leaderboard.models.teams import Handover, Invitation, TeamApproval
from leaderboard.models.tokens import ApiAnswer, ApiToken
from leaderboard.models.turns import Turn

__all__ = [
    "Alarm",
    "AlgorithmImage",
    "Announcement",
    "ApiAnswer",
    "ApiToken",
    "Attempt",
    "AuditEntry",
    "Batch",
    "BoardCertainty",
    "BoardRow",
    "BoardVersion",
    "Case",
    "CaseNumberSecret",
    "CasePicture",
    "CaseSet",
    "CaseSetImport",
    "ChallengeDate",
    "DataAcceptance",
    "DataTerms",
    "DeletedHalf",
    "Draft",
    "EqualEntry",
    "Equality",
    "FaqSection",
    "Finding",
    "HalfSecret",
    "Handover",
    "Host",
    "ImageLayer",
    "ImageProvenance",
    "Invitation",
    "LayerUse",
    "LikelyDouble",
    "ListedRun",
    "Maintenance",
    "Membership",
    "NewsItem",
    "NoticeKind",
    "NoticeStop",
    "Objection",
    "OutgoingMail",
    "PendingNotice",
    "Phase",
    "PhaseChanges",
    "PreRegistration",
    "ProcessHeartbeat",
    "Question",
    "RecordCheck",
    "ReferenceRow",
    "RefusedAddress",
    "Registration",
    "RescoredCase",
    "RescoredRun",
    "Rescoring",
    "ResumableUpload",
    "RulesAcceptance",
    "Run",
    "RunCase",
    "RunDecision",
    "RunScores",
    "SiteLine",
    "Standing",
    "StateChange",
    "StoredVolume",
    "Submission",
    "Team",
    "TeamAlias",
    "TeamApproval",
    "TeamDisqualification",
    "Throttle",
    "ToldDeadline",
    "Turn",
    "User",
    "Weights",
]
