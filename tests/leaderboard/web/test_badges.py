"""The badge of a team: for pages elsewhere, with what the board shows."""

import re

import pytest

from leaderboard.board.aliases import aliases_of
from leaderboard.core import clock
from leaderboard.models import Run, Team
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db
ALICES, RIVALS = (f"/leaderboard/dev/main/badge/{slug}.svg" for slug in ("alice-and-bob", "rivals"))


@pytest.fixture
def phase(people):
    made = cast.phase(slug="dev", cases_are_public=True, name="Validation phase")
    scored(people.team, made, dice=0.4)
    scored(people.rivals, made, dice=0.5)
    return made


def said(answer) -> str:
    assert answer["Content-Type"] == "image/svg+xml"
    [title] = re.findall("<title>(.*)</title>", answer.content.decode())
    return title


def test_it_says_what_the_board_says(client, phase):
    assert said(client.get(ALICES)) == "ReXGrounding Validation phase: rank 2 of 2 · Dice 0.400 (0.370–0.430)"
    assert said(client.get(RIVALS)).startswith("ReXGrounding Validation phase: rank 1 of 2")
    overall = client.get(ALICES.replace("/main/", "/overall/"))
    assert said(overall).startswith("ReXGrounding Validation phase, Overall track: rank 2 of 2")


def test_organisers_teams_are_not_ranked_on_it_and_do_not_count(client, phase, people):
    people.rivals.is_of_organisers = True
    people.rivals.save()
    assert said(client.get(RIVALS)) == "ReXGrounding Validation phase: not ranked · Dice 0.500 (0.470–0.530)"
    assert "rank 1 of 1" in said(client.get(ALICES))


def test_it_does_not_tell_whether_there_is_a_team_that_is_not_on_the_board(client, people):
    cast.phase(slug="dev", cases_are_public=True)
    known, unknown = client.get(ALICES), client.get("/leaderboard/dev/main/badge/nobody-here.svg")
    assert said(known) == "ReXGrounding Phase dev: no published result"
    assert (known.status_code, known.content, known["ETag"]) == (200, unknown.content, unknown["ETag"])
    scored(people.rivals, cast.phase(cast.case_set(name="more"), slug="more", cases_are_public=True), dice=0.5)
    assert client.get(RIVALS).content == unknown.content


def test_a_number_in_place_of_a_name_has_none_also_where_a_team_is_really_called_so(client, people):
    made = cast.phase(slug="dev", cases_are_public=True, anonymous_until_reveal=True)
    scored(people.team, made, dice=0.4)
    number = aliases_of(made, [people.team.pk])[people.team.pk]
    Team.objects.filter(pk=people.rivals.pk).update(name=f"Team {number}", slug=f"team-{number}")
    assert said(client.get(f"/leaderboard/dev/main/badge/team-{number}.svg")).endswith("no published result")


def test_what_it_shows_when_there_is_nothing_is_grey(client, phase):
    nothing = client.get("/leaderboard/dev/main/badge/nobody-here.svg").content.decode()
    assert ("#0a5a80" in nothing, "#0a5a80" in client.get(ALICES).content.decode()) == (False, True)


def test_on_hidden_cases_it_changes_when_the_board_does(client, people):
    hidden = cast.phase(slug="dev")
    scored(people.team, hidden, dice=0.4012)
    Run.objects.update(ended_at=clock.now())
    assert said(client.get(ALICES)).endswith("no published result")
    cast.let_a_minute_pass()
    assert said(client.get(ALICES)).endswith("rank 1 of 1 · Dice 0.401 (0.371–0.431)")


def test_pages_elsewhere_may_show_and_keep_it_for_a_while(client, phase):
    answer = client.get(ALICES)
    assert answer["Cache-Control"] == "public, max-age=300"
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert client.get(ALICES, headers={"If-None-Match": answer["ETag"]}).status_code == 304


@pytest.mark.parametrize("address", ["/leaderboard/none/main/badge/x.svg", "/leaderboard/dev/side/badge/x.svg"])
def test_there_is_none_of_another_phase_or_track(client, phase, address):
    assert client.get(address).status_code == 404


def test_the_team_finds_it_on_its_opened_row_to_copy(client, phase, people, settings):
    opened = "/leaderboard/dev/?open=alice-and-bob"
    shown = people.browser["Alice"].get(opened).content.decode()
    image = f"{settings.SITE_URL}{ALICES}"
    assert f"[![ReXGrounding Challenge]({image})]({settings.SITE_URL}/leaderboard/dev/)" in shown
    assert f"&lt;img src=&quot;{image}&quot;" in shown
    assert page(people.browser["Alice"].get(opened)).all("img", src=ALICES)
    for stranger in (client, people.browser["Charlie"]):
        assert "Badge for a page of yours" not in stranger.get(opened).content.decode()
