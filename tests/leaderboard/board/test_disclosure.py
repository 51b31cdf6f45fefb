"""What each reader may see of each kind of phase, at each instant."""

from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.board.disclosure import Disclosure, Reader, Viewer, reader_of, scope_for_best_run
from leaderboard.models import CaseSet, Phase, Standing
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
        ("team", {"embargo_until": AT + timedelta(microseconds=1)}, None, False),
        ("public", {"embargo_until": AT + timedelta(days=1), "revealed_at": AT - timedelta(days=1)}, None, False),
        ("public", {"embargo_until": AT + timedelta(days=1), "publication": "half"}, None, False),
        ("organiser", {"embargo_until": AT + timedelta(days=1)}, ALL, True),
        ("team", {"embargo_until": AT}, ALL, False),
        ("public", {"embargo_until": AT, "publication": "nothing"}, None, False),
        ("public", {"embargo_until": AT, "revealed_at": AT - timedelta(days=1)}, ALL, True),
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


class TestThePublicHalf:
    @pytest.fixture
    def cases(self, db):
        return cast.draw_half(cast.case_set(4))

    @staticmethod
    def shown(reader: str, cases: CaseSet) -> tuple[bool, bool, bool]:
        found = Viewer(Reader(reader), AT).of_half(cases)
        return found.shows_balance, found.shows_opening, found.shows_names

    @pytest.mark.parametrize("publication", ["half", "everything", "nothing"])
    def test_the_commitment_is_shown_where_the_half_is_from_the_start_and_for_ever(self, cases, publication):
        for revealed_at in (None, AT - timedelta(days=1)):
            phase = cast.phase(cases, slug=f"{revealed_at is None}", publication=publication, revealed_at=revealed_at)
            commitment = cases.half_commitment if publication == "half" else ""
            assert {Disclosure(reader, phase, AT).half_commitment for reader in Reader} == {commitment}

    @pytest.mark.parametrize("reader", list(Reader))
    def test_before_the_reveal_organisers_see_how_even_it_is_and_nobody_which_cases_it_has(self, cases, reader):
        cast.phase(cases, publication="half", revealed_at=AT + timedelta(microseconds=1))
        assert self.shown(reader, cases) == (reader == "organiser", False, False)

    @pytest.mark.parametrize("reader", list(Reader))
    def test_at_the_reveal_it_is_opened_to_all_and_named_to_organisers(self, cases, reader):
        cast.phase(cases, publication="half", revealed_at=AT)
        assert self.shown(reader, cases) == (reader == "organiser", True, reader == "organiser")

    def test_it_stays_closed_while_another_phase_still_shows_the_half_of_these_cases(self, cases):
        cast.phase(cases, publication="half", revealed_at=AT)
        cast.phase(cases, slug="other", publication="everything")
        assert self.shown("organiser", cases) == (True, True, True)
        cast.phase(cases, slug="later", publication="half")
        assert self.shown("organiser", cases) == (True, False, False)

    def test_a_half_that_no_phase_shows_is_not_opened(self, cases):
        cast.phase(cases, publication="everything", revealed_at=AT)
        assert self.shown("organiser", cases) == (True, False, False)

    def test_one_that_was_drawn_before_there_were_commitments_is_not_opened(self, db):
        before = cast.case_set(4)
        phase = cast.phase(before, publication="half", revealed_at=AT)
        assert Disclosure.to_public(phase, AT).half_commitment == ""
        assert self.shown("organiser", before) == (True, False, False)


def test_an_embargo_is_none_of_try_outs_which_run_on_public_cases():
    development = Phase(cases_are_public=True)
    embargoed = Phase(embargo_until=AT + timedelta(days=1))
    shown = Disclosure(Reader.TEAM, embargoed, AT, "try_out", development)
    assert (shown.scope, shown.is_embargoed) == (ALL, False)


@pytest.mark.parametrize(
    ("reader", "policies", "names"),
    [
        ("public", {}, True),
        ("public", {"anonymous_until_reveal": True}, False),
        ("team", {"anonymous_until_reveal": True, "cases_are_public": True}, False),
        ("organiser", {"anonymous_until_reveal": True}, True),
        ("public", {"anonymous_until_reveal": True, "revealed_at": AT + timedelta(microseconds=1)}, False),
        ("public", {"anonymous_until_reveal": True, "revealed_at": AT}, True),
    ],
)
def test_who_reads_the_names_of_teams_on_boards(reader, policies, names):
    assert disclosure(reader, **policies).names_teams is names
