"""A phase that ranks nobody: its board stands in the order of scores, and no page of it says a rank."""

import pytest

from leaderboard.board import versions
from leaderboard.challenge.phases import save_phase
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import BoardVersion
from leaderboard.scores.scoring import evaluation_case
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db
PAGES = ("", "main/runs/", "main/certainty/", "main/categories/", "main/compare/", "main/history/", "board.csv")


@pytest.fixture
def unranked():
    """With two scored runs."""
    phase = cast.phase(is_ranked=False, cases_are_public=True)
    for name, dice in (("Alice", 0.3), ("Charlie", 0.7)):
        scored(cast.team_of(cast.person(name), name=f"Team {name}"), phase, dice=dice)
    cast.let_a_minute_pass()
    versions.make(phase.pk)
    return phase


def test_entries_stand_in_the_order_of_their_scores_without_ranks(unranked, client):
    version = versions.latest(unranked, "main", clock.now())
    assert version is not None
    assert version.ranks == [None, None]
    assert version.rules["unranked"]
    said = page(client.get(f"/leaderboard/{unranked.slug}/")).text
    assert said.index("Team Charlie") < said.index("Team Alice")
    assert "This phase ranks nobody" in said


@pytest.mark.parametrize("path", PAGES)
def test_every_page_of_such_a_board_answers(unranked, client, path):
    assert client.get(f"/leaderboard/{unranked.slug}/{path}").status_code == 200


def test_all_runs_say_that_nobody_is_ranked(unranked, client):
    assert "counts, nobody is ranked" in page(client.get(f"/leaderboard/{unranked.slug}/main/runs/")).text


WORDS = (
    "tied with the top",
    "hold a rank",
    "holds a rank",
    "shares a rank",
    "Ranks have intervals",
    "How sure",
    "Tests are",
)


@pytest.mark.parametrize("path", PAGES[:-1])
def test_no_page_of_such_a_board_speaks_of_ranks_that_nobody_has(unranked, client, path):
    query = "?with=team-alice&with=team-charlie" if "compare" in path else ""
    said = page(client.get(f"/leaderboard/{unranked.slug}/{path}{query}")).text
    for words in WORDS:
        assert words not in said.replace("How sure is this order?", ""), words


def test_a_file_says_that_its_rows_are_not_ranked(unranked, client):
    rows = client.get(f"/leaderboard/{unranked.slug}/board.csv").content.decode().splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["not ranked"] * 2


def test_whether_a_board_ranks_stays_once_it_has_rows(unranked):
    unranked.is_ranked = True
    with pytest.raises(Refused, match="stays, too"):
        save_phase(unranked, by=cast.OPERATOR)
    BoardVersion.objects.all().delete()
    save_phase(unranked, by=cast.OPERATOR)


def test_findings_without_a_category_are_scored_without_one():
    case = cast.case_set(1).cases.get()
    case.findings.update(category="")
    assert evaluation_case(case).categories == {}
