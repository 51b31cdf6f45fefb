"""What each reader may see of each kind of phase, at each instant."""

from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.board.disclosure import Disclosure, Reader, reader_of, scope_for_best_run
from leaderboard.models import Phase, Standing
from tests.leaderboard import cast

AT = datetime(2026, 9, 1, 12, 34, 56, 789, tzinfo=UTC)
MINUTE = datetime(2026, 9, 1, 12, 34, tzinfo=UTC)
ALL, HALF = Standing.Scope.ALL, Standing.Scope.HALF


def disclosure(reader: str = "team", **policies: object) -> Disclosure:
    return Disclosure(Reader(reader), Phase(**policies), AT)


@pytest.mark.parametrize(
    ("reader", "policies", "scope", "exact"),
    [
        ("public", {}, ALL, False),
        ("team", {}, ALL, False),
        ("public", {"publication": "half"}, HALF, False),
        ("team", {"publication": "half"}, HALF, False),
        ("team", {"publication": "nothing"}, None, False),
        ("public", {"publication": "nothing"}, None, False),
        ("organiser", {"publication": "nothing"}, ALL, True),
        ("organiser", {"publication": "half"}, ALL, True),
        ("public", {"publication": "half", "revealed_at": AT}, ALL, True),
        ("public", {"publication": "half", "revealed_at": AT + timedelta(microseconds=1)}, HALF, False),
        ("public", {"publication": "nothing", "revealed_at": AT - timedelta(days=1)}, ALL, True),
        ("public", {"cases_are_public": True}, ALL, True),
    ],
)
def test_which_cases_feed_the_numbers_and_whether_they_are_rounded(reader, policies, scope, exact):
    shown = disclosure(reader, **policies)
    assert (shown.scope, shown.shows_exact_scores) == (scope, exact)
    assert shown.rounded(0.123456) == (0.123456 if exact else 0.123)
    assert shown.rounded_interval([0.11111, 0.22222]) == ((0.11111, 0.22222) if exact else (0.111, 0.222))
    assert [shown.shows_group(size) for size in (9, 10)] == [exact, True]


@pytest.mark.parametrize(
    ("reader", "policies", "shows"),
    [
        ("team", {}, False),
        ("public", {}, False),
        ("organiser", {}, True),
        ("team", {"cases_are_public": True}, True),
        ("team", {"revealed_at": AT - timedelta(days=1)}, False),  # a reveal is about numbers, not about single cases
    ],
)
def test_single_cases_and_exact_instants_are_for_public_cases_and_organisers(reader, policies, shows):
    shown = disclosure(reader, **policies)
    assert shown.shows_cases is shows
    assert shown.visible_until == (AT if shows else MINUTE)
    assert shown.shown_instant(AT - timedelta(seconds=90)) == (
        AT - timedelta(seconds=90) if shows else datetime(2026, 9, 1, 12, 33, tzinfo=UTC)
    )
    assert shown.percent(34, 100) == (34 if shows else 30)
    assert shown.is_visible(MINUTE) is shows
    assert shown.is_visible(MINUTE - timedelta(microseconds=1))
    assert not shown.is_visible(None)


@pytest.mark.parametrize("value", [0.0625, 0.0045, 0.9995, 0.0005, 0.12349999999999999, 1.0])
def test_scores_are_rounded_as_they_lie_nearest_and_ties_to_the_even_side(value):
    assert disclosure().rounded(value) == round(value, 3)


@pytest.mark.parametrize("ends", [None, [], [None, None], [0.1, None]])
def test_an_interval_that_there_is_not_is_not_shown(ends):
    assert disclosure().rounded_interval(ends) is None


def test_the_best_run_is_chosen_by_the_public_half_for_ever():
    assert scope_for_best_run(Phase(publication="half", revealed_at=AT)) == HALF
    assert scope_for_best_run(Phase(publication="everything")) == ALL


@pytest.mark.django_db
def test_who_reads_a_submission():
    alice, bob, charlie = cast.person("Alice"), cast.person("Bob"), cast.person("Charlie")
    submission = cast.submit(cast.team_of(alice, bob), cast.phase())
    cast.team_of(charlie)
    assert [reader_of(one, submission) for one in (alice, bob, charlie)] == [Reader.TEAM, Reader.TEAM, None]
    assert reader_of(cast.person("Olga", is_staff=True), submission) is Reader.ORGANISER


def test_of_one_finding_or_one_case_there_is_no_interval():
    shown = disclosure("organiser")
    several, one = cast.numbers(0.4, 2), cast.numbers(0.4, 1)
    assert shown.scores(several).dice_ci == pytest.approx((0.37, 0.43))
    assert shown.scores(one).dice_ci is None
    several["confidence_intervals"] |= {"dice": [0.4, 0.4]}
    assert shown.scores(several).dice_ci is None, "two findings of one case"
    assert shown.scores(several).hit_rate_ci is not None
