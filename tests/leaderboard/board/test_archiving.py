"""Archiving: never before the final board stands."""

from datetime import timedelta

import pytest

from leaderboard.board import versions
from leaderboard.board.archiving import archive
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Phase
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db


def test_a_phase_on_hidden_cases_is_archived_once_its_full_result_is_on_the_boards(team):
    phase = cast.phase(publication="half")
    scored(team, phase)
    versions.make(phase.pk)
    now = clock.now()
    Phase.objects.update(opens_at=now - timedelta(days=9), closes_at=now - timedelta(minutes=5))
    with pytest.raises(Refused, match="not revealed"):
        archive(Phase.objects.get(), by=cast.OPERATOR, why="Over.")
    Phase.objects.update(revealed_at=now - timedelta(minutes=2))
    with pytest.raises(Refused, match="still being made"):
        archive(Phase.objects.get(), by=cast.OPERATOR, why="Over.")
    assert Phase.objects.get().archived_at is None
    assert not AuditEntry.objects.filter(action="archive").exists()
    versions.make(phase.pk)
    archive(Phase.objects.get(), by=cast.OPERATOR, why="Over.")
    assert Phase.objects.get().archived_at


def test_on_public_cases_no_reveal_is_waited_for(team):
    now = clock.now()
    phase = cast.phase(cases_are_public=True)
    scored(team, phase)
    Phase.objects.update(opens_at=now - timedelta(days=9), closes_at=now - timedelta(minutes=5))
    with pytest.raises(Refused, match="still being made"):
        archive(Phase.objects.get(), by=cast.OPERATOR, why="Over.")
    versions.make(phase.pk)
    archive(Phase.objects.get(), by=cast.OPERATOR, why="Over.")
    assert Phase.objects.get().archived_at
