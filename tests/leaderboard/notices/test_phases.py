"""A phase opens, its results are out: told once by themselves, to each team with its ranks; or not wanted."""

from datetime import timedelta

import pytest

from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.models import NoticeKind, OutgoingMail, Phase, Submission, ToldDeadline, User
from leaderboard.notices import choices, deadlines, phases
from tests.leaderboard import cast
from tests.leaderboard.scores.runs import scored

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=30)


def subjects() -> dict[str, list[str]]:
    """What each person was told."""
    found: dict[str, list[str]] = {}
    for mail in OutgoingMail.objects.order_by("pk"):
        found.setdefault(mail.to.partition("@")[0], []).append(mail.subject.partition(": ")[2])
    return found


@pytest.fixture
def teams():
    cast.person("Dora")  # is in no team
    return [cast.team_of(cast.person(name)) for name in ("Alice", "Charlie")]


def known(phase: Phase) -> None:
    """The server has known of the phase for long."""
    deadlines.write_due()
    ToldDeadline.objects.filter(phase=phase).update(since=clock.now() - LONG_AGO)


def test_that_a_phase_opened_is_told_once_to_everybody_in_a_team_who_wants_it(teams):
    choices.stop(User.objects.get(name="Charlie"), NoticeKind.PHASES)
    phase = cast.phase(opens_at=clock.now() + timedelta(hours=1), closes_at=clock.now() + timedelta(days=20))
    known(phase)
    phases.write_due()
    assert subjects() == {}
    Phase.objects.update(opens_at=clock.now() - timedelta(minutes=1))
    for _ in range(2):
        phases.write_due()
    assert subjects() == {"alice": ["The Phase test is open"]}
    assert OutgoingMail.objects.get().true_until == Phase.objects.get().closes_at


def test_what_opened_before_the_server_knew_of_it_or_days_ago_is_no_news(teams):
    deadlines.write_due()
    phase = cast.phase(opens_at=clock.now() - timedelta(hours=1), closes_at=clock.now() + timedelta(days=20))
    deadlines.write_due()
    phases.write_due()
    known(phase)
    Phase.objects.update(opens_at=clock.now() - timedelta(days=2))
    phases.write_due()
    assert subjects() == {}


def test_of_a_draft_nothing_is_told(teams):
    known(cast.phase(opens_at=clock.now() - timedelta(minutes=1), closes_at=clock.now() + timedelta(days=20)))
    Phase.objects.update(is_draft=True)
    phases.write_due()
    assert subjects() == {}


def test_results_are_told_to_each_team_with_its_own_ranks_once_the_board_stands(teams):
    now = clock.now()
    phase = cast.phase(publication="nothing", opens_at=now - LONG_AGO, closes_at=now + timedelta(hours=1))
    for team, dice in zip(teams, ([0.9, 0.8, 0.9], [0.2, 0.1, 0.3]), strict=True):
        scored(team, phase, dice)
    known(phase)
    Submission.objects.update(accepted_at=now - timedelta(hours=1))
    Phase.objects.update(closes_at=now - timedelta(minutes=9), revealed_at=now - timedelta(minutes=5))
    phases.write_due()
    assert subjects() == {}, "the board does not say so yet"
    versions.make(phase.pk)
    for _ in range(2):
        phases.write_due()
    assert subjects() == {name: ["The results of the Phase test are out"] for name in ("alice", "charlie")}
    assert "Team of Alice has rank 1 of 2" in OutgoingMail.objects.get(to="alice@example.org").body
    rival = OutgoingMail.objects.get(to="charlie@example.org").body
    assert "Team of Charlie has rank 2 of 2" in rival
    assert "Alice" not in rival
