"""What is new in a version of a board, in words."""

import pytest

from leaderboard.board import versions
from leaderboard.board.changes import in_words
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.journey import decisions
from leaderboard.models import BoardVersion, Phase, Team
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db
BY = Actor("Olga")


@pytest.fixture
def phase() -> Phase:
    return cast.phase(cases_are_public=True, counting="best", runs_per_day=9)


@pytest.fixture
def teams(phase) -> list[Team]:
    """Three, of which two are on the board."""
    made = [cast.team_of(cast.person(name), name=f"{name}'s") for name in ("Alice", "Bob", "Charlie")]
    for team, dice in zip(made[:2], (0.4, 0.3), strict=True):
        scored(team, phase, dice=dice)
    versions.make(phase.pk)
    return made


def news(phase: Phase) -> list[str]:
    """What the next version says that is new."""
    versions.make(phase.pk)
    return [*map(in_words, BoardVersion.objects.filter(phase=phase, track="main").latest("number").changes)]


def test_the_first_version_has_nothing_new(phase, teams):
    assert BoardVersion.objects.get(track="main").changes == []


def test_a_team_enters(phase, teams):
    scored(teams[2], phase, dice=0.35)
    assert news(phase) == ["Charlie's entered at rank 2."]


def test_another_run_of_a_team_counts(phase, teams):
    scored(teams[1], phase, dice=0.5)
    assert news(phase) == ["Another run of Bob's counts: rank 1, before it was 2."]
    scored(teams[1], phase, dice=0.6)
    assert news(phase) == ["Another run of Bob's counts: rank 1."]


def test_a_team_leaves(phase, teams):
    decisions.disqualify(teams[0].submissions.get(), by=BY, why="Trained on the test set.")
    assert news(phase) == ["Alice's left the board."]


def test_a_worse_run_and_a_new_name_change_nobodys_place(phase, teams):
    scored(teams[0], phase, dice=0.1)
    Team.objects.filter(pk=teams[0].pk).update(name="Renamed")
    assert news(phase) == []


def test_rules_change(phase, teams):
    Phase.objects.update(counting="last")
    assert news(phase) == ["Another rule: which run counts."]


def test_the_result_is_revealed(teams):
    hidden = cast.phase(cast.case_set(name="hidden"), slug="hidden")
    versions.make(hidden.pk)
    Phase.objects.filter(pk=hidden.pk).update(revealed_at=clock.now())
    assert news(hidden) == ["The full result was revealed."]


def test_a_team_is_marked_as_one_of_the_organisers_and_is_told_without_ranks(phase, teams):
    Team.objects.filter(pk=teams[0].pk).update(is_of_organisers=True)
    assert news(phase) == ["Alice's is marked as a team of the organisers, and has no rank."]
    scored(teams[0], phase, dice=0.5)
    assert news(phase) == ["Another run of Alice's is shown, without a rank."]
    Team.objects.filter(pk=teams[0].pk).update(is_of_organisers=False)
    assert news(phase) == ["Alice's is no team of the organisers any more: rank 1."]


def test_a_team_of_the_organisers_enters_without_a_rank(phase, teams):
    Team.objects.filter(pk=teams[2].pk).update(is_of_organisers=True)
    scored(teams[2], phase, dice=0.35)
    assert news(phase) == ["Charlie's entered without a rank."]
