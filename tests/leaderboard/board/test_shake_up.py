"""How runs stand on the public half, on the rest, and on all cases."""

import pytest

import evaluation
from leaderboard.board import versions
from leaderboard.board.shake_up import OfHalves, shake_up, shake_up_of
from leaderboard.core import clock
from leaderboard.models import BoardVersion, Phase, Standing
from tests.evaluation import builders
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored


def test_ranks_on_each_half_and_on_all_cases():
    first, second, third = OfHalves(1, 0.40, 4, 0.6, 2), OfHalves(2, 0.45, 4, 0.5, 2), OfHalves(3, 0.1, 4, 0.1, 2)
    found = shake_up([first, second, third])
    assert [(one.submission, one.public_rank, one.withheld_rank, one.rank, one.gained) for one in found] == [
        (2, 2, 1, 1, 1),
        (1, 1, 2, 2, -1),
        (3, 3, 3, 3, 0),
    ]
    assert [one.withheld_dice for one in found] == pytest.approx([0.4, 0.2, 0.1])


def test_what_the_board_showed_as_a_tie_was_one():
    found = shake_up([OfHalves(1, 0.3, 4, 0.5004, 2), OfHalves(2, 0.4, 4, 0.4996, 2)])
    assert [(one.submission, one.public_rank, one.rank) for one in found] == [(2, 1, 1), (1, 1, 2)]


def test_of_no_runs_there_is_none():
    assert shake_up([]) == []


def test_the_withheld_dice_is_what_the_evaluation_says_of_those_cases():
    scores = [[0.1], [0.7, 0.2, 0.3], [0.0], [0.9, 0.4], [0.35]]
    results = [
        builders.case_result(f"case_{number}", *(builders.finding_result(dice=dice) for dice in of_case))
        for number, of_case in enumerate(scores)
    ]

    def dice(of: slice) -> float:
        return evaluation.aggregate(results[of], seed=1)["summary"]["dice"]

    [move] = shake_up([OfHalves(1, dice(slice(None)), 5, dice(slice(2)), 2)])
    assert move.withheld_dice == pytest.approx(dice(slice(2, None)), abs=1e-12)


def test_equal_scores_on_the_withheld_half_share_a_rank_whatever_the_last_bits_are():
    equal = [OfHalves(number, (0.1 * number + 0.3) / 2, 4, 0.1 * number, 2) for number in range(1, 8)]
    assert {move.withheld_rank for move in shake_up(equal)} == {1}


class TestOfABoard:
    @pytest.fixture
    def phase(self, db) -> Phase:
        """A phase that shows the half: two teams, of which the second one is better on what was withheld."""
        phase = cast.phase(cast.case_set(4), publication="half")
        for name, public, dice in (("Alice", 0.6, 0.4), ("Charlie", 0.5, 0.45)):
            run = scored(cast.team_of(cast.person(name)), phase, dice=dice)
            run.standings.filter(scope=Standing.Scope.HALF).update(dice=public, cases=2)
        cast.let_a_minute_pass()
        return phase

    @staticmethod
    def board(phase: Phase) -> BoardVersion:
        versions.make(phase.pk)
        found = versions.latest(phase, "main", clock.now())
        assert found is not None
        return found

    def test_there_is_none_before_the_reveal(self, phase):
        assert len(self.board(phase).ranks) == 2
        assert shake_up_of(self.board(phase)) == []

    def test_at_the_reveal_it_is_of_the_ranked_entries(self, phase):
        Phase.objects.update(revealed_at=clock.now())
        board = self.board(Phase.objects.get())
        assert [(one.public_rank, one.withheld_rank, one.rank) for one in shake_up_of(board)] == [(2, 1, 1), (1, 2, 2)]

    def test_where_all_was_shown_there_is_none(self, phase):
        Phase.objects.update(revealed_at=clock.now(), publication="everything")
        assert shake_up_of(self.board(Phase.objects.get())) == []
