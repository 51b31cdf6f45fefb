"""Ranks, which run counts, and what the public may see of it."""

from datetime import timedelta

import pytest

import evaluation
from leaderboard.board import exports
from leaderboard.board.counting import counting_runs
from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.board.ranking import ranks as ranks_of
from leaderboard.core import clock
from leaderboard.journey import decisions
from leaderboard.models import BoardVersion, Phase, Run, Standing, Submission, Team
from leaderboard.progress import listing
from leaderboard.states import RunState
from tests.leaderboard import cast, seen


@pytest.mark.parametrize(
    ("scores", "ranks"),
    [
        ([], []),
        ([0.5], [1]),
        ([0.1, 0.3, 0.2], [3, 1, 2]),
        ([0.3, 0.3, 0.2], [1, 1, 3]),
        ([0.2, 0.2, 0.2, 0.1], [1, 1, 1, 4]),
        ([0.0, 0.0], [1, 1]),
    ],
)
def test_equal_scores_share_a_rank_and_the_next_one_skips(scores, ranks):
    assert ranks_of(scores) == ranks


pytestmark = pytest.mark.django_db


@pytest.fixture
def teams():
    return [cast.team_of(cast.person(name)) for name in ("Alice", "Charlie")]


def scored(team, phase, dice, *, half=None, track="main", minutes=0, findings=20, **fields) -> Submission:
    """A submission with a scored run and these numbers."""
    submission = cast.submit_checked(team, phase, track=track, **fields)
    Submission.objects.filter(pk=submission.pk).update(accepted_at=clock.now() + timedelta(minutes=minutes))
    run = submission.runs.get()
    Run.objects.filter(pk=run.pk).update(state=RunState.SCORED, ended_at=clock.now() - timedelta(minutes=1))
    for scope, value in (("all", dice), ("half", dice if half is None else half)):
        numbers = cast.numbers(value, findings, 0.00123, hit_rate=0.51239, instance_f1=0.4, distance_f1=None)
        Standing.objects.create(
            run=run,
            scope=scope,
            evaluation_version=evaluation.VERSION,
            dice=value,
            cases=3,
            lost_cases=0,
            summary=numbers,
            groups={"2d": numbers, "focal": numbers},
        )
    return submission


def shown(phase, track="main", **options):
    submissions = Submission.objects.in_bulk()
    return [(row.rank, submissions[row.submission]) for row in seen.board_by_public(phase, track, **options).rows]


def test_the_last_scored_run_counts_even_when_an_earlier_one_was_better(teams):
    phase = cast.phase(counting="last", runs_per_day=9)
    scored(teams[0], phase, 0.9, minutes=1)
    last = scored(teams[0], phase, 0.4, minutes=2)
    assert shown(phase) == [(1, last)]


def test_a_later_failed_run_does_not_displace_the_last_scored_one(teams):
    phase = cast.phase(counting="last", runs_per_day=9)
    counts = scored(teams[0], phase, 0.9, minutes=1)
    later = cast.submit_checked(teams[0], phase)
    Run.objects.filter(submission=later).update(state=RunState.FAILED)
    assert shown(phase) == [(1, counts)]


@pytest.mark.parametrize("counting", ["last", "best"])
def test_a_withdrawn_run_counts_nowhere_and_another_one_does_until_it_is_brought_back(teams, counting):
    phase = cast.phase(counting=counting, runs_per_day=9)
    other = scored(teams[0], phase, 0.4, minutes=1)
    withdrawn = scored(teams[0], phase, 0.9, minutes=2)
    decisions.withdraw(withdrawn, by=cast.OPERATOR)
    for read in (seen.board_by_public, seen.board_by_organiser):
        assert [(row.submission, row.runs) for row in read(phase).rows] == [(other.pk, 1)]
    counts = counting_runs([Disclosure(Reader.TEAM, phase, clock.now())], teams[0].pk)
    assert [runs for _, runs in sorted(counts.items())] == [[other.runs.get().pk]] * 2
    decisions.withdraw(other, by=cast.OPERATOR)
    assert (shown(phase), shown(phase, "overall")) == ([], [])
    decisions.bring_back(withdrawn, by=cast.OPERATOR)
    assert shown(phase) == [(1, withdrawn)]


@pytest.mark.parametrize("publication", ["everything", "half"])
def test_which_of_equal_rounded_scores_counts_tells_nothing_of_the_rest_until_the_reveal(teams, publication):
    phase = cast.phase(counting="best", publication=publication, runs_per_day=9)
    first = scored(teams[0], phase, 0.4001, minutes=1)
    better = scored(teams[0], phase, 0.4004, minutes=2)
    assert shown(phase) == [(1, first)]
    Phase.objects.filter(pk=phase.pk).update(revealed_at=clock.now())
    phase.refresh_from_db()
    assert shown(phase) == [(1, better)]


def test_the_best_run_counts_where_the_phase_says_so(teams):
    phase = cast.phase(counting="best", runs_per_day=9)
    best = scored(teams[0], phase, 0.9, minutes=1)
    scored(teams[0], phase, 0.4, minutes=2)
    assert shown(phase) == [(1, best)]


def test_the_best_run_is_the_best_on_the_public_half_before_and_after_the_reveal(teams):
    phase = cast.phase(counting="best", publication="half", runs_per_day=9)
    best_on_half = scored(teams[0], phase, 0.1, half=0.9, minutes=1)
    scored(teams[0], phase, 0.8, half=0.2, minutes=2)
    assert shown(phase) == [(1, best_on_half)]
    Phase.objects.update(revealed_at=clock.now() - timedelta(seconds=1))
    phase.refresh_from_db()
    assert shown(phase) == [(1, best_on_half)]
    assert seen.board_by_public(phase, "main").rows[0].dice == pytest.approx(0.1)


def test_of_a_submission_that_was_run_again_the_latest_run_counts(teams):
    phase = cast.phase(counting="best")
    submission = scored(teams[0], phase, 0.9)
    ended = {"created_at": clock.now(), "ended_at": clock.now() - timedelta(minutes=1)}
    again = Run.objects.create(submission=submission, number=2, state=RunState.SCORED, **ended)
    for standing in Standing.objects.filter(run__number=1):
        standing.pk, standing.run, standing.dice = None, again, 0.3
        standing.summary["dice"] = 0.3
        standing.save()
    assert [row.dice for row in seen.board_by_public(phase, "main").rows] == [0.3]


def test_a_main_entry_competes_in_overall_too_but_not_the_other_way_round(teams):
    phase = cast.phase()
    main = scored(teams[0], phase, 0.5)
    overall = scored(teams[1], phase, 0.6, track="overall")
    assert shown(phase, "overall") == [(1, overall), (2, main)]
    assert shown(phase, "main") == [(1, main)]


def test_a_disqualified_run_leaves_the_board(teams):
    phase = cast.phase()
    submission = scored(teams[0], phase, 0.5)
    Submission.objects.filter(pk=submission.pk).update(disqualified_at=clock.now())
    assert shown(phase) == []


def test_rows_of_another_evaluation_version_are_never_ranked_beside_this_one(teams):
    phase = cast.phase()
    scored(teams[0], phase, 0.5)
    Standing.objects.update(evaluation_version="0")
    assert shown(phase) == []


def test_before_the_reveal_scores_are_rounded_and_ties_follow_from_that(teams):
    phase = cast.phase()
    scored(teams[0], phase, 0.50004)
    scored(teams[1], phase, 0.50001)
    board = seen.board_by_public(phase, "main")
    assert [(row.rank, row.dice, row.dice_ci) for row in board.rows] == [(1, 0.5, (0.499, 0.501))] * 2
    assert [row.rank for row in seen.board_by_organiser(phase, "main").rows] == [1, 2]


def test_nothing_is_published_before_the_reveal_where_the_phase_says_so(teams):
    phase = cast.phase(publication="nothing")
    scored(teams[0], phase, 0.5)
    board = seen.board_by_public(phase, "main")
    assert (board.scope, list(board.rows)) == ("", [])


def test_organisers_see_the_exact_board_before_anything_is_published(teams):
    phase = cast.phase(publication="nothing")
    scored(teams[0], phase, 0.50004)
    assert [row.dice for row in seen.board_by_organiser(phase, "main").rows] == [0.50004]


def test_a_run_accepted_after_a_deadline_that_was_moved_forward_does_not_count(teams):
    phase = cast.phase()
    scored(teams[0], phase, 0.5)
    Phase.objects.update(closes_at=clock.now() - timedelta(hours=1), opens_at=clock.now() - timedelta(days=2))
    phase.refresh_from_db()
    assert shown(phase) == []


def shown_groups(phase: Phase) -> list[str]:
    """The groups of findings of the first row, by their codes."""
    return [line.code for line in seen.board_by_public(phase, "main").rows[0].opened.groups]


def test_small_groups_stay_hidden_until_the_reveal(teams):
    phase = cast.phase()
    scored(teams[0], phase, 0.5, findings=9)
    assert shown_groups(phase) == []
    Phase.objects.update(revealed_at=clock.now() - timedelta(seconds=1))
    phase.refresh_from_db()
    assert "2d" in shown_groups(phase)


def test_a_board_can_be_ranked_by_a_group_and_sorted_by_a_column(teams):
    phase = cast.phase()
    first, second = scored(teams[0], phase, 0.5), scored(teams[1], phase, 0.6)
    assert shown(phase, group="focal") == [(1, second), (2, first)]
    assert shown(phase, sort="team") == [(2, first), (1, second)]


def test_of_a_board_the_rows_that_are_shown_are_read_together_and_no_others(teams, django_assert_num_queries):
    phase = cast.phase()
    scored(teams[0], phase, 0.5)
    second = scored(teams[1], phase, 0.4)
    board = seen.board_by_public(phase)
    with django_assert_num_queries(0):
        assert (len(board.rows), board.rows[2:], board.reach) == (2, [], 0.501)
    with django_assert_num_queries(1):
        [row] = board.rows[1:]
    assert (row.rank, row.submission, row.listed) == (2, second.pk, "ranked")
    with django_assert_num_queries(1):
        assert [one.rank for one in board.everything] == [1, 2]
    second.delete()
    assert [one.rank for one in board.rows] == [1], "what is gone meanwhile is left out"


def test_an_unknown_group_is_an_error(teams):
    with pytest.raises(KeyError):
        seen.board_by_public(cast.phase(), "main", group="9z")


class TestTeamsOfTheOrganisers:
    @pytest.fixture
    def phase(self, teams):
        """Three teams, of which the second best is the organisers' own."""
        phase = cast.phase(cases_are_public=True, takes="both")
        ours = cast.team_of(cast.person("Olga"), name="Baseline")
        for team, dice in ((teams[0], 0.6), (ours, 0.5), (teams[1], 0.4)):
            scored(team, phase, dice)
        Team.objects.filter(pk=ours.pk).update(is_of_organisers=True)
        return phase

    def ranks(self, phase, **choices):
        return [(row.rank, row.team.name) for row in seen.board_by_public(phase, **choices).rows]

    def test_it_stands_where_its_dice_puts_it_without_a_rank_and_takes_none(self, phase):
        expected = [(1, "Team of Alice"), (None, "Baseline"), (2, "Team of Charlie")]
        assert self.ranks(phase) == expected
        assert self.ranks(phase, group="focal") == expected
        assert [(row.rank, row.team.name) for row in seen.board_by_organiser(phase).rows] == expected

    def test_equal_scores_of_others_share_their_rank_around_it(self, phase, teams):
        scored(cast.team_of(cast.person("Dora")), phase, 0.6)
        assert [rank for rank, _ in self.ranks(phase)] == [1, 1, None, 3]

    def test_in_another_order_it_holds_no_rank_either(self, phase):
        assert self.ranks(phase, sort="team") == [(None, "Baseline"), (1, "Team of Alice"), (2, "Team of Charlie")]

    def test_every_export_says_whose_it_is(self, phase):
        board = seen.board_by_public(phase)
        told = exports.as_json(board)["rows"][1]
        assert (told["rank"], told["of_organisers"]) == (None, True)
        assert exports.as_csv(board).splitlines()[2].startswith('"organisers, not ranked",,Baseline')
        assert exports.as_table(board).splitlines()[2].endswith("organisers")
        assert [row.listed for row in board.rows] == ["ranked", "organisers", "ranked"]

    def test_a_new_version_says_so_once_organisers_have_set_it(self, phase, teams):
        seen.board_by_public(phase)
        Team.objects.filter(pk=teams[0].pk).update(is_of_organisers=True)
        seen.board_by_public(phase)
        made = BoardVersion.objects.filter(track="main").order_by("number")
        assert [one.ranks for one in made] == [[1, None, 2], [None, None, 1]]


class TestAfterTheChallenge:
    @pytest.fixture
    def phase(self, teams):
        """A hidden phase that was revealed, with a counting run of each team and post-challenge runs of one."""
        phase = cast.phase(counting="best", publication="half", post_challenge_per_day=9, post_challenge_total=9)
        for team, dice in zip(teams, (0.61234, 0.51234), strict=True):
            scored(team, phase, dice, minutes=-60)
        before = {"closes_at": clock.now() - timedelta(minutes=1), "revealed_at": clock.now() - timedelta(minutes=1)}
        Phase.objects.update(post_challenge_opens_at=before["closes_at"], **before)
        phase.refresh_from_db()
        return phase

    def after(self, team, phase, dice, **fields):
        return scored(team, phase, dice, kind="post_challenge", **fields)

    def test_they_stand_apart_and_move_nobody(self, teams, phase):
        before = exports.as_json(seen.board_by_public(phase))
        best = self.after(teams[1], phase, 0.91234)
        self.after(teams[1], phase, 0.7)
        board = seen.board_by_public(phase)
        assert [(row.rank, row.submission, row.runs) for row in board.after] == [(None, best.pk, 2)]
        now = exports.as_json(board)
        assert [row["dice"] for row in now.pop("post_challenge")] == [0.912]
        assert now.pop("version") == before.pop("version") + 1
        assert now == {key: value for key, value in before.items() if key != "post_challenge"}
        assert [row.runs for row in board.rows] == [1, 1]
        assert "not ranked" in exports.as_table(board)

    def test_after_the_reveal_they_stay_rounded_without_small_groups_and_the_others_do_not(self, teams, phase):
        mine = self.after(teams[0], phase, 0.71234, findings=9)
        board = seen.board_by_public(phase)
        assert [(row.dice, row.hit_rate) for row in board.after] == [(0.712, 0.512)]
        assert [row.opened.groups for row in board.after] == [[]]
        assert [row.dice for row in board.rows] == [0.61234, 0.51234]
        own = seen.by_team(mine)
        assert own.figures is not None
        assert (own.figures.dice, own.figures.dice_ci, own.tables) == (0.712, (0.711, 0.714), ())
        exact = seen.by_organiser(mine).figures
        assert exact is not None
        assert exact.dice == 0.71234

    def test_which_of_two_that_look_equal_is_shown_does_not_tell_which_is_better(self, teams, phase):
        first = self.after(teams[0], phase, 0.71231)
        self.after(teams[0], phase, 0.71239)
        assert [row.submission for row in seen.board_by_public(phase).after] == [first.pk]

    def test_a_post_challenge_run_counts_nowhere_in_its_teams_list(self, teams, phase):
        self.after(teams[0], phase, 0.9)
        lines = listing.runs_of(teams[0], Viewer(Reader.TEAM, clock.now())).lines
        assert [line.counts for line in lines] == ["", "counts"]
