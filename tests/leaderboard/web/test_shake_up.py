"""What the reveal of the withheld half changed, on a page of its own."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.models import Phase, Standing, Team
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db
ADDRESS = "/leaderboard/test/main/shake-up/"


@pytest.fixture
def phase(people) -> Phase:
    """A phase that shows half of its cases: the rivals lead on the public half, and not on all of them."""
    made = cast.phase(cast.case_set(4), publication="half")
    for team, public, dice in ((people.team, 0.5, 0.45), (people.rivals, 0.6, 0.4)):
        run = scored(team, made, dice=dice, at=clock.now() - timedelta(minutes=9))
        Standing.objects.filter(run=run, scope="half").update(dice=public, cases=2)
    return made


def reveal(phase: Phase) -> None:
    earlier = clock.now() - timedelta(minutes=2)
    Phase.objects.filter(pk=phase.pk).update(closes_at=earlier, revealed_at=earlier)


def test_before_the_reveal_there_is_no_such_page(client, phase, people):
    assert client.get(ADDRESS).status_code == 404
    assert people.browser["Olga"].get(ADDRESS).status_code == 404
    assert not page(client.get("/leaderboard/test/")).all("a", href=ADDRESS)


def test_after_it_everybody_reads_who_rose_and_who_fell(client, phase, people):
    reveal(phase)
    shown = page(client.get(ADDRESS))
    assert "2 teams of 2 have another rank on all cases" in shown.text
    assert "the first one is another" in shown.text
    assert shown.text.index("Alice and Bob") < shown.text.index("Rivals")
    assert page(client.get("/leaderboard/test/")).all("a", href=ADDRESS)


def test_a_team_of_the_organisers_has_no_rank_to_move(client, phase, people):
    Team.objects.filter(pk=people.team.pk).update(is_of_organisers=True)
    reveal(phase)
    shown = page(client.get(ADDRESS))
    assert "No team’s rank changed at the reveal." in shown.text
    assert "Alice and Bob" not in shown.text


def test_where_everything_was_shown_there_is_none(client, phase):
    Phase.objects.update(publication="everything")
    reveal(phase)
    assert client.get(ADDRESS).status_code == 404
