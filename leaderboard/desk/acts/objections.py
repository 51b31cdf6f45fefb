"""Organisers answer what a team objects to."""

from leaderboard.desk.acting import Act, Value
from leaderboard.desk.kinds import OBJECTION
from leaderboard.journey import objections

ANSWER = Act(
    "answer-objection",
    "Answer",
    OBJECTION,
    "The team reads the answer on the run's page, and gets it by mail. It changes nothing else: reinstate the run if "
    "the team is right.",
    objections.answer,
    values=(
        Value("answer", "Answer", "Plain text, for the team. It cannot be changed once it is sent.", is_long=True),
    ),
    is_offered=lambda objection: objection.answered_at is None,
)
ACTS = (ANSWER,)
