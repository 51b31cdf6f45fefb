"""How sure the order of a board is: made with its version, of the cases that feed it, and kept as it was."""

import csv
import io

import numpy as np
import pytest
from django.test import Client

import evaluation
from leaderboard.board import certainty, exports, versions
from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.board.order import Order, packed
from leaderboard.board.reading import board_of, read_board, unpublished_board
from leaderboard.certainty import ranking
from leaderboard.certainty.assessment import assess
from leaderboard.core import clock
from leaderboard.models import BoardCertainty, BoardVersion, CaseSet, Phase, Team
from tests.leaderboard import cast
from tests.leaderboard.scores.runs import scored

pytestmark = pytest.mark.django_db
NAMES = ("Alice", "Charlie", "Dora", "Emil", "Frida")
CASES = 24


@pytest.fixture(autouse=True)
def no_process_knows_any_pair(monkeypatch) -> None:
    monkeypatch.setattr(certainty, "_tested", {})


@pytest.fixture
def case_set() -> CaseSet:
    return cast.case_set(CASES)


@pytest.fixture
def teams() -> list[Team]:
    return [cast.team_of(cast.person(name)) for name in NAMES]


def dice_of(teams: list[Team], seed: int = 5) -> np.ndarray:
    """The Dice of each case (teams, cases): the first teams are better, by less than they vary."""
    random = np.random.default_rng(seed)
    base = random.uniform(0.2, 0.8, CASES)
    less = 0.03 * np.arange(len(teams))[:, None]
    return np.clip(base - less + random.normal(0, 0.06, (len(teams), CASES)), 0, 1)


def handed_in(teams: list[Team], phase: Phase, dice: np.ndarray) -> None:
    for team, of_cases in zip(teams, dice, strict=True):
        scored(team, phase, of_cases.tolist())


def board(phase: Phase):
    cast.let_a_minute_pass()
    return read_board(phase, "main", clock.now())


def intervals_of(dice: np.ndarray, case_set: CaseSet, decimals: int | None = None) -> list[tuple[int, int]]:
    """By the definition: ranks of the same 1,000 resamples for all, the 26th and the 975th of each team's."""
    means = evaluation.resampled_means(dice, seed=evaluation.seed_from(case_set.digest))
    drawn = np.sort(ranking.ranks(means.T[1:], decimals), axis=0)
    return list(zip(drawn[25].tolist(), drawn[974].tolist(), strict=True))


def test_each_rank_has_the_interval_that_the_resamples_give(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    dice = dice_of(teams)
    handed_in(teams, phase, dice)
    order = np.argsort(-dice.mean(axis=1))
    rows = list(board(phase).rows)
    assert [row.team.pk for row in rows] == [teams[place].pk for place in order]
    assert [row.rank_interval for row in rows] == intervals_of(dice[order], case_set)
    assert len({row.rank_interval for row in rows}) > 1


def test_before_the_reveal_only_the_public_half_tells_how_sure_an_order_is(teams, case_set):
    """With two sets of scores that differ in the withheld half alone, all that is stored is the same."""
    told = []
    dice, in_half = dice_of(teams), np.array(case_set.cases.order_by("name").values_list("in_public_half", flat=True))
    others = np.where(in_half, dice, dice_of(teams, seed=9))
    for number, scores in enumerate((dice, others)):
        phase = cast.phase(case_set, slug=f"phase-{number}", publication="half")
        handed_in(teams, phase, scores)
        made = board(phase)
        stored = BoardCertainty.objects.get(version=made.version)
        told.append((stored.lows, stored.highs, stored.tied_with_the_top, bytes(stored.packed)))
    assert told[0] == told[1]
    ranks = np.argsort(-np.round(dice[:, in_half].mean(axis=1), 3), kind="stable")
    assert list(zip(*told[0][:2], strict=True)) == intervals_of(dice[ranks][:, in_half], case_set, decimals=3)


@pytest.mark.parametrize(("fields", "step"), [({"cases_are_public": True}, 1), ({}, 10)])
def test_how_often_a_rank_is_taken_is_told_in_whole_per_cent_while_scores_are_rounded(teams, case_set, fields, step):
    phase = cast.phase(case_set, **fields)
    handed_in(teams, phase, dice_of(teams))
    order = board(phase).order
    counts = order.frequencies.counts
    assert (counts % step == 0).all()
    assert (counts % 10 == 0).all() == (step == 10)


def test_who_cannot_be_told_from_whom_is_kept_for_every_pair(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    dice = np.clip(np.linspace(0.3, 0.6, CASES) - np.array([[0.0], [0.001], [0.2], [0.25], [0.1]]), 0, 1)
    dice[1, ::2] += 0.002  # now better, now worse than the first
    handed_in(teams, phase, dice)
    shown = board(phase)
    order, names = shown.order, [row.team.name for row in shown.rows]
    alike = {names[place]: [names[other] for other in order.not_told_from(place)] for place in range(len(names))}
    assert alike == {
        "Team of Alice": ["Team of Charlie"],
        "Team of Charlie": ["Team of Alice"],
        "Team of Frida": [],
        "Team of Dora": [],
        "Team of Emil": [],
    }
    assert [row.tied_with_the_top for row in shown.rows] == [True, True, False, False, False]


def test_one_run_more_says_what_making_all_anew_says(teams, case_set):
    """Whoever makes boards remembers the tests of pairs that it knows."""
    phase = cast.phase(case_set, cases_are_public=True)
    dice = dice_of(teams)
    handed_in(teams[:4], phase, dice[:4])
    board(phase)
    handed_in(teams[4:], phase, dice[4:])
    remembered = BoardCertainty.objects.get(version=board(phase).version)
    certainty._tested.clear()
    BoardVersion.objects.all().delete()
    anew = BoardCertainty.objects.get(version=board(phase).version)
    assert bytes(remembered.packed) == bytes(anew.packed)
    assert remembered.lows == anew.lows


def test_teams_of_the_organisers_move_no_interval(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    dice = dice_of(teams)
    handed_in(teams, phase, dice)
    Team.objects.filter(pk=teams[0].pk).update(is_of_organisers=True)
    rows = list(board(phase).rows)
    own, others = [row for row in rows if row.of_organisers], [row for row in rows if not row.of_organisers]
    assert [(row.rank, row.rank_interval, row.place) for row in own] == [(None, None, None)]
    ranked = sorted(range(1, 5), key=lambda place: -dice[place].mean())
    assert [row.rank_interval for row in others] == intervals_of(dice[ranked], case_set)
    assert [row.place for row in others] == [0, 1, 2, 3]


def test_intervals_go_with_their_rows_in_any_order_and_belong_to_all_findings_alone(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    handed_in(teams, phase, dice_of(teams))
    by_rank = {row.team.pk: row.rank_interval for row in board(phase).rows}
    by_name = read_board(phase, "main", clock.now(), sort="team").rows
    assert {row.team.pk: row.rank_interval for row in by_name} == by_rank
    shown = read_board(phase, "main", clock.now(), sort="team")
    assert shown.at_places([3, 0])[3].rank == 4
    of_a_group = read_board(phase, "main", clock.now(), group="2d").rows
    assert [row.rank_interval for row in of_a_group] == [None] * 5


def test_exports_say_it_too(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    dice = np.linspace(0.3, 0.6, CASES) - np.array([[0.0], [0.001], [0.2], [0.25], [0.1]])
    dice[1, ::2] += 0.002
    handed_in(teams, phase, dice)
    shown = board(phase)
    names = ("rank_low", "rank_high", "tied_with_the_top", "not_told_from")
    lines = {line["team"]: line for line in csv.DictReader(io.StringIO(exports.as_csv(shown)))}
    assert [lines["Team of Alice"][name] for name in names] == ["1", "2", "yes", "team-of-charlie"]
    assert [lines["Team of Frida"][name] for name in names] == ["3", "3", "no", ""]
    of_api = Client().get(f"/api/v1/phases/{phase.slug}/board").json()["items"]
    for rows in (exports.as_json(shown)["rows"], of_api):
        told = [(list(row["rank_interval"]), row["tied_with_the_top"], row["not_told_from"]) for row in rows[:3]]
        first, second = (row["team_slug"] if "team_slug" in row else row["team"] for row in rows[:2])
        assert told == [([1, 2], True, [second]), ([1, 2], True, [first]), ([3, 3], False, [])]


def test_who_cannot_be_told_from_whom_is_the_same_in_any_order(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    handed_in([teams[place] for place in (2, 0, 3, 4, 1)], phase, dice_of(teams))
    told = {row.team.slug: shown.not_told_from(row) for shown in [board(phase)] for row in shown.rows}
    assert len({str(alike) for alike in told.values()}) > 1
    for sort in ("team", "date"):
        shown = read_board(phase, "main", clock.now(), sort=sort)
        assert [row.rank for row in shown.rows] != [1, 2, 3, 4, 5]
        assert {row.team.slug: shown.not_told_from(row) for row in shown.rows} == told


def test_one_team_alone_has_no_order(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    handed_in(teams[:1], phase, dice_of(teams)[:1])
    shown = board(phase)
    assert (shown.rows[0].rank, shown.rows[0].rank_interval, shown.order) == (1, None, None)


def test_a_board_whose_runs_have_no_common_cases_is_made_without_intervals(teams, case_set, caplog):
    phase = cast.phase(case_set, cases_are_public=True)
    dice = dice_of(teams)
    handed_in(teams[:1], phase, dice[:1])
    phase.case_set = cast.case_set(CASES, name="others", findings=2)
    phase.save()
    dice = np.repeat(dice, 2, axis=1)
    handed_in(teams[1:2], phase, dice[1:2])
    shown = board(phase)
    assert [row.rank for row in shown.rows] == [1, 2]
    assert shown.order is None
    assert "no certainty for version" in caplog.text


def test_a_version_from_before_there_were_intervals_is_read_without(teams, case_set):
    phase = cast.phase(case_set, cases_are_public=True)
    handed_in(teams, phase, dice_of(teams))
    version = board(phase).version
    BoardCertainty.objects.all().delete()
    old = board_of(phase, "main", versions.latest(phase, "main", clock.now()))
    assert old.version == version
    assert [row.rank for row in old.rows] == [1, 2, 3, 4, 5]
    assert {row.rank_interval for row in old.rows} == {None}


def test_organisers_see_a_board_of_their_own_without_intervals(teams, case_set):
    phase = cast.phase(case_set, publication="half")
    handed_in(teams, phase, dice_of(teams))
    shown = unpublished_board(Disclosure(Reader.ORGANISER, phase, clock.now()), "main")
    assert [row.rank for row in shown.rows] == [1, 2, 3, 4, 5]
    assert shown.order is None


def test_the_median_of_ranks_is_that_of_all_of_them_also_where_few_are_told():
    """Of hundreds of equals each takes hundreds of ranks, and what comes once in 200 resamples is not told."""
    random = np.random.default_rng(1)
    scores = random.uniform(0, 1, (400, 60))
    found = assess(scores, seed=1, decimals=3)
    kept = packed(found, Disclosure.to_public(Phase(cases_are_public=False), clock.now()))
    read = Order.of(BoardCertainty(lows=[], highs=[], tied_with_the_top=[False] * 400, packed=kept))
    told = [sum(read.shares(place).values()) for place in range(400)]
    drawn = np.sort(ranking.ranks(evaluation.resampled_means(scores, seed=1).T[1:], 3), axis=0)
    assert min(told) < 0.25
    assert read.medians == drawn[500].tolist()


def test_an_order_that_was_kept_before_medians_were_tells_the_middle_of_intervals():
    found = assess(np.random.default_rng(1).uniform(0, 1, (3, 60)), seed=1, decimals=3)
    kept = np.load(io.BytesIO(packed(found, Disclosure.to_public(Phase(cases_are_public=False), clock.now()))))
    old = io.BytesIO()
    np.savez(old, **{name: kept[name] for name in kept.files if name != "medians"})
    stored = BoardCertainty(lows=[1, 1, 2], highs=[1, 3, 3], tied_with_the_top=[False] * 3, packed=old.getvalue())
    assert Order.of(stored).medians == [1, 2, 2]


def test_a_ranking_of_500_is_kept_in_little_room():
    """Thousands of versions are kept for ever."""

    random = np.random.default_rng(1)
    scores = np.clip(
        random.uniform(0, 1, 60) - random.uniform(0, 0.4, (500, 1)) + random.normal(0, 0.1, (500, 60)), 0, 1
    )
    found = assess(scores, seed=1, decimals=3)
    kept = packed(found, Disclosure.to_public(Phase(cases_are_public=False), clock.now()))
    assert len(kept) < 100_000
    read = Order.of(BoardCertainty(lows=[], highs=[], tied_with_the_top=[False] * 500, packed=kept))
    assert (read.better == found.pairs.better).all()
    assert [one.ranks for one in read.others] == [one.ranks.tolist() for one in found.methods.values()]
