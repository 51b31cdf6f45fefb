"""Standings over time: what the first teams of a board held in its versions, and nothing that these did not show."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leaderboard.board import history, versions
from leaderboard.core import clock
from leaderboard.models import BoardVersion, Phase, Submission, Team, TeamAlias
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db
HISTORY = "/leaderboard/dev/main/history/"


@pytest.fixture
def phase() -> Phase:
    return cast.phase(slug="dev", cases_are_public=True, runs_per_day=50)


def versions_a_day_apart(phase: Phase) -> list[BoardVersion]:
    """The versions of the main track, as if one had come each day."""
    found = list(phase.board_versions.filter(track="main").order_by("-number"))
    for days, version in enumerate(found):
        version.visible_from = clock.now() - timedelta(days=days)
        version.save()
    return found[::-1]


def held(answer) -> dict[str, list[tuple[int, float]]]:
    """What each team held one after the other: its rank and its Dice."""
    courses = answer.context["history"].courses
    return {row.team.name: [(one.rank, one.dice) for one in steps] for row, steps in courses}


def test_ranks_and_scores_are_those_of_the_versions_whenever_they_changed(client, phase, people):
    for team, dice in ((people.team, 0.4), (people.rivals, 0.5), (people.team, 0.6), (people.rivals, 0.55)):
        scored(team, phase, dice=dice)
        versions.make(phase.pk)
    versions_a_day_apart(phase)
    answer = client.get(HISTORY)
    assert held(answer) == {"Alice and Bob": [(1, 0.4), (2, 0.4), (1, 0.6)], "Rivals": [(1, 0.5), (2, 0.5), (2, 0.55)]}
    shown = page(answer)
    assert "How the first 2 teams came to where they are." in shown.text
    assert "All 4 versions of the board are drawn." in shown.text
    assert "2 teams, 3 changes. At the end Alice and Bob leads: rank 1." in shown.text
    assert "2 teams, 2 changes. At the end Alice and Bob leads: score 0.600." in shown.text


def test_of_many_versions_some_are_read_with_the_same_questions(client, phase, people):
    scored(people.team, phase)
    versions.make(phase.pk)
    [first] = phase.board_versions.filter(track="main")

    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            client.get(HISTORY)
        return len(asked)

    client.get(HISTORY)
    before = questions()
    later = []
    for number in range(2, 1001):
        at = first.visible_from + timedelta(microseconds=number)
        fields = {field.name: getattr(first, field.name) for field in BoardVersion._meta.fields if field.name != "id"}
        later.append(BoardVersion(**fields | {"number": number, "visible_from": at}))
    BoardVersion.objects.bulk_create(later)
    answer = client.get(HISTORY)
    assert "Of 1000 versions of the board 60 are drawn, evenly spread." in page(answer).text
    assert questions() == before
    numbers = history._sample(1000)
    assert (min(numbers), max(numbers), len(numbers)) == (1, 1000, 60)
    assert history._sample(10_000) == history._sample(10_000)
    assert max(history._sample(10_000)) == 10_000


def test_ten_teams_are_drawn_and_ones_own(client, phase, people):
    for number in range(11):
        scored(cast.team_of(cast.person(f"P{number}"), name=f"Team {number}"), phase, dice=0.5 + number / 100)
    scored(people.team, phase, dice=0.1)
    versions.make(phase.pk)
    assert len(held(client.get(HISTORY))) == 10
    own = held(people.browser["Alice"].get(HISTORY))
    assert list(own)[-1] == "Alice and Bob"
    assert len(own) == 11
    assert own["Alice and Bob"] == [(12, 0.1)]


def test_organisers_hold_no_rank_and_have_no_line(client, phase, people):
    Team.objects.filter(pk=people.rivals.pk).update(is_of_organisers=True)
    scored(people.team, phase, dice=0.4)
    scored(people.rivals, phase, dice=0.5)
    versions.make(phase.pk)
    assert held(client.get(HISTORY)) == {"Alice and Bob": [(1, 0.4)]}


def test_a_name_is_the_one_that_shows_now_and_a_team_that_is_hidden_has_none(client, phase, people):
    scored(people.team, phase, dice=0.4)
    scored(people.rivals, phase, dice=0.5)
    versions.make(phase.pk)
    Team.objects.filter(pk=people.team.pk).update(name="Renamed")
    Submission.objects.filter(team=people.rivals).update(withdrawn_at=clock.now())
    versions.make(phase.pk)
    assert held(client.get(HISTORY)) == {"Renamed": [(2, 0.4), (1, 0.4)]}
    assert "Rivals" not in page(client.get(HISTORY)).text


def test_a_team_holds_nothing_while_it_is_not_on_the_board(client, phase, people):
    scored(people.team, phase, dice=0.4)
    versions.make(phase.pk)
    for withdrawn_at in (clock.now(), None):
        Submission.objects.filter(team=people.team).update(withdrawn_at=withdrawn_at)
        versions.make(phase.pk)
    versions_a_day_apart(phase)
    assert held(client.get(HISTORY)) == {"Alice and Bob": [(1, 0.4), (None, None), (1, 0.4)]}


def test_numbers_in_place_of_names_are_no_teams_of_that_name(client, people):
    phase = cast.phase(slug="dev", cases_are_public=True, anonymous_until_reveal=True, runs_per_day=9)
    scored(people.team, phase, dice=0.4)
    versions.make(phase.pk)
    alias = TeamAlias.objects.get(phase=phase, team=people.team).number
    Team.objects.filter(pk=people.rivals.pk).update(name=f"Team {alias}", slug=f"team-{alias}")
    scored(people.rivals, phase, dice=0.5)
    Phase.objects.update(revealed_at=clock.now())
    versions.make(phase.pk)
    assert held(client.get(HISTORY)) == {f"Team {alias}": [(1, 0.5)], "Alice and Bob": [(2, 0.4)]}


def test_on_hidden_cases_nothing_of_a_run_of_this_minute_is_drawn_and_a_reveal_is_named(client, people):
    phase = cast.phase(slug="dev", publication="half", runs_per_day=9)
    scored(people.team, phase, dice=0.40049)
    cast.let_a_minute_pass()
    run = scored(people.team, phase, dice=0.7)
    run.ended_at = clock.now()
    run.save()
    assert held(client.get(HISTORY)) == {"Alice and Bob": [(1, 0.3)]}
    cast.let_a_minute_pass()
    Phase.objects.update(revealed_at=clock.now())
    versions.make(phase.pk)
    answer = client.get(HISTORY)
    assert held(answer)["Alice and Bob"] == [(1, 0.3), (1, 0.6), (1, 0.7)]
    assert "numbers are those of the full result" in page(answer).text


def test_without_a_rank_there_is_nothing_to_draw(client, phase):
    assert "No team holds a rank on this board yet." in page(client.get(HISTORY)).text
    assert client.get("/leaderboard/dev/side/history/").status_code == 404
