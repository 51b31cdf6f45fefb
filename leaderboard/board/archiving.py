"""Archiving a phase: at a press alone, and never before its final board stands."""

from datetime import datetime

from django.db import transaction

from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions
from leaderboard.models import Phase


@transaction.atomic
def archive(phase: Phase, *, by: Actor, why: str = "") -> None:
    """Let go of a phase's masks, images and weights, for ever. Raises Refused."""
    decisions.archive(phase, by=by, why=why)  # which asks whether it is over, and every run has ended
    check_final_board(Phase.objects.select_related("case_set").get(pk=phase.pk), clock.now())


def check_final_board(phase: Phase, at: datetime) -> None:
    """Refuse while the full result is not out, or not on the boards."""
    if not phase.cases_are_public and (phase.revealed_at is None or phase.revealed_at > at):
        raise Refused(f"The full result of the {phase.name} is not revealed: its final board does not stand yet.")
    if not versions.stand(phase, at):
        raise Refused(f"The final boards of the {phase.name} are still being made. Try again in a minute.")
