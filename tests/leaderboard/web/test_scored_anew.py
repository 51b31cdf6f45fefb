"""What pages say while all runs of a phase are scored anew, and of a run that is not on the board meanwhile."""

import pytest
from django.urls import reverse

from leaderboard.models import Phase
from leaderboard.operations.health import snapshot
from leaderboard.rescoring import decisions
from tests.leaderboard import cast, masks
from tests.leaderboard.rescoring import trial

pytestmark = pytest.mark.django_db
SAID = "All runs are being scored anew by evaluation version 2 (an entity was counted twice); until that is applied"


@pytest.fixture
def phase() -> Phase:
    made = cast.phase(cast.case_set(2), cases_are_public=True)
    masks.give_references(masks.cube(4))
    return made


@pytest.fixture(autouse=True)
def first(phase):
    return trial.scored(phase, "Alice", 4)


def text_of(client, address: str) -> str:
    return " ".join(client.get(address).content.decode().split())


def _notes(client, address: str) -> str:
    """The board, without the lines above and below it, which count seconds."""
    return text_of(client, address).partition('id="board"')[2].partition("<footer")[0]


def start(phase: Phase) -> None:
    decisions.start(phase, reason="an entity was counted twice.", by=cast.OPERATOR)


def test_the_board_says_so_and_nothing_of_how_far_it_is(client, phase):
    with trial.deployed("2"):
        address = f"/leaderboard/{phase.slug}/"
        start(phase)
        before = _notes(client, address)
        assert SAID in before
        trial.work_on()
        assert _notes(client, address) == before
        decisions.apply(phase, by=cast.OPERATOR)
        after = text_of(client, address)
    assert SAID not in after
    assert "Evaluation version 2" in after


def test_a_visitor_who_has_the_board_is_told_of_it(client, phase):
    address = f"/leaderboard/{phase.slug}/"
    with trial.deployed("2"):
        client.get(address)
        tag = client.get(address).headers["ETag"]
        start(phase)
        answer = client.get(address, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert SAID in " ".join(answer.content.decode().split())


def test_the_board_says_what_becomes_of_new_runs_before_organisers_begin(client, phase):
    with trial.deployed("2"):
        assert "New runs are scored by evaluation version 2, and ranked once all runs are" in text_of(
            client, f"/leaderboard/{phase.slug}/"
        )
    assert "New runs are scored" not in text_of(client, f"/leaderboard/{phase.slug}/")


def test_an_older_version_of_the_board_says_nothing_of_it(client, phase):
    text_of(client, f"/leaderboard/{phase.slug}/")
    with trial.deployed("2"):
        start(phase)
        assert SAID not in text_of(client, f"/leaderboard/{phase.slug}/main/versions/1/")


def test_the_team_of_a_run_that_waits_for_its_place_reads_why(client, phase):
    with trial.deployed("2"):
        late = trial.scored(phase, "Eve", 4)
        client.force_login(late.submission.team.memberships.get().user)
        shown = text_of(client, reverse("submission", args=[late.submission_id]))
    assert "The board is that of version 1, and this run is not on it" in shown


def test_the_team_of_a_ranked_run_reads_nothing_of_it(client, first):
    client.force_login(first.submission.team.memberships.get().user)
    assert "this run is not on it" not in text_of(client, reverse("submission", args=[first.submission_id]))


def test_organisers_are_told_what_waits_for_them(phase):
    def finding() -> str:
        return next(check.says for check in snapshot().checks if check.name == "rescoring")

    assert finding().startswith("Each phase")
    with trial.deployed("2"):
        assert "test: ranked by another evaluation version" in finding()
        start(phase)
        assert finding().startswith("Each phase")
        trial.work_on()
        assert "test: all runs are scored anew" in finding()
    with trial.deployed("3"):
        trial.scored(phase, "Eve", 4)
        assert "test: all runs are scored anew" in finding()
