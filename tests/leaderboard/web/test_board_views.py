"""The views of a board beside the table: how sure its order is, and its Dice by category."""

import numpy as np
import pytest
from django.test import Client

from leaderboard.models import BoardCertainty, Phase
from tests.leaderboard import cast
from tests.leaderboard.scores.runs import scored
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
NAMES = ("Alice", "Charlie", "Dora", "Emil", "Frida", "Gustav")
CASES = 24


def with_runs(phase: Phase) -> None:
    """Six teams, of which the first two can't be told apart."""
    base = np.linspace(0.2, 0.6, CASES)
    for place, name in enumerate(NAMES):
        dice = base - 0.02 * place
        if name == "Charlie":
            dice = base + 0.01 * (-1.0) ** np.arange(CASES)
        scored(cast.team_of(cast.person(name)), phase, np.repeat(dice, 2).tolist())
    cast.let_a_minute_pass()


@pytest.fixture
def public() -> Phase:
    phase = cast.phase(cast.case_set(CASES, findings=2), cases_are_public=True)
    with_runs(phase)
    return phase


@pytest.fixture
def half() -> Phase:
    phase = cast.phase(cast.case_set(CASES, findings=2), publication="half")
    with_runs(phase)
    return phase


def read(path: str) -> str:
    response = Client().get(path)
    assert response.status_code == 200
    return page(response).text


def test_the_page_says_how_many_may_be_first_and_who_cannot_be_told_from_whom(public):
    said = read("/leaderboard/test/main/certainty/")
    assert "2 teams may be first." in said
    assert "Of 5 pairs of neighbours 1 can’t be told apart." in said
    assert "Team of Charlie tied with the top" in said
    assert "nobody: told apart from all" in said


def test_where_too_few_cases_can_tell_nobody_apart_the_page_says_so():
    """Who is better in each of six has a p-value of 1/64, which Holm's correction makes 6/64."""
    phase = cast.phase(cast.case_set(6), cases_are_public=True)
    for name, dice in (("Alice", 0.9), ("Charlie", 0.5), ("Dora", 0.1)):
        scored(cast.team_of(cast.person(name)), phase, dice)
    assert "6 cases can’t tell so many teams apart by any test." in read("/leaderboard/test/main/certainty/")
    for path in ("/leaderboard/test/", "/leaderboard/test/main/certainty/"):
        assert "tied with the top" not in read(path).replace("tied with the top marks a team", ""), path
    assert "Here they can tell none from it, so no row is marked." in read("/leaderboard/test/")


def test_an_opened_row_says_from_whom_it_cannot_be_told(public):
    said = read("/leaderboard/test/?open=team-of-charlie")
    assert "95 % interval of its rank: 1–2. Can’t be told from: Team of Alice" in said.replace("\xa0", " ")


@pytest.mark.parametrize("sort", ["rank", "team", "date"])
def test_that_holds_in_whichever_order_the_board_stands(public, sort):
    said = read(f"/leaderboard/test/?open=team-of-dora&sort={sort}").replace("\xa0", " ")
    assert "95 % interval of its rank: 3. Can’t be told from: nobody: told apart from all. How sure" in said
    assert "Can’t be told from: Team of Alice" in read(f"/leaderboard/test/?open=team-of-charlie&sort={sort}")


def test_views_beside_the_table_are_of_all_findings_by_rank(public):
    for view in ("certainty", "categories"):
        plain = read(f"/leaderboard/test/main/{view}/")
        assert read(f"/leaderboard/test/main/{view}/?sort=team&group=2d") == plain


def test_each_version_keeps_its_views(public):
    before = read("/leaderboard/test/main/versions/1/certainty/"), read("/leaderboard/test/main/versions/1/categories/")
    scored(cast.team_of(cast.person("Zoe")), public, 0.9)
    now = read("/leaderboard/test/main/certainty/")
    assert "Team of Zoe" in now
    after = read("/leaderboard/test/main/versions/1/certainty/"), read("/leaderboard/test/main/versions/1/categories/")
    assert not any("Team of Zoe" in said for said in (*before, *after))
    assert "shown from" in after[0]


def test_a_version_without_intervals_says_why(public):
    read("/leaderboard/test/")
    BoardCertainty.objects.all().delete()
    assert "made before ranks had intervals" in read("/leaderboard/test/main/versions/1/certainty/")


def test_by_category_only_groups_of_ten_findings_are_told_before_the_reveal(half):
    said = read("/leaderboard/test/main/categories/")
    assert "fewer than 10 findings, or as many more as would tell these; shown after the reveal" in said
    assert "public half (12 cases)" in said


def test_pages_of_many_teams_have_the_others_on_the_next(public, monkeypatch):
    monkeypatch.setattr("leaderboard.web.boards.certainty.ROWS_PER_PAGE", 4)
    first, second = (read(f"/leaderboard/test/main/certainty/?page={number}") for number in (1, 2))
    assert "Page 1 of 2" in first
    assert "Team of Gustav" not in first.partition("How this is made")[0]
    assert "Team of Gustav" in second
    assert "The first three places" not in second


def test_what_there_is_not_is_not_found(public):
    for path in ("nope/main/certainty/", "test/side/certainty/", "test/main/versions/99/categories/"):
        assert Client().get(f"/leaderboard/{path}").status_code == 404


def test_a_phase_that_publishes_nothing_shows_nothing_here():
    phase = cast.phase(cast.case_set(CASES, findings=2), publication="nothing")
    with_runs(phase)
    for view in ("certainty", "categories"):
        assert "Team of" not in read(f"/leaderboard/test/main/{view}/")
