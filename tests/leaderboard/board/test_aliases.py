"""What teams are called on boards that do not name them."""

from datetime import timedelta

import pytest

from leaderboard.board import aliases, all_runs, versions
from leaderboard.board.aliases import FEWEST, aliases_of
from leaderboard.board.changes import in_words
from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.board.exports import as_csv, as_json
from leaderboard.board.reading import board_of, read_board, unpublished_board
from leaderboard.board.rows import Board
from leaderboard.core import clock
from leaderboard.models import BoardVersion, Phase, Submission, TeamAlias
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def teams():
    return [cast.team_of(cast.person(name)) for name in ("Alice", "Bob", "Charlie")]


@pytest.fixture
def phase() -> Phase:
    return cast.phase(cases_are_public=True, anonymous_until_reveal=True, runs_per_day=9)


def board(phase: Phase, track: str = "main") -> Board:
    return read_board(Phase.objects.get(pk=phase.pk), track, clock.now())


def version(phase: Phase) -> BoardVersion:
    found = board(phase).version
    assert found is not None
    return found


def test_a_team_keeps_its_number_and_no_other_team_gets_it(teams, phase):
    first = aliases_of(phase, [teams[0].pk])
    every = aliases_of(phase, [team.pk for team in teams])
    assert every[teams[0].pk] == first[teams[0].pk]
    assert len(set(every.values())) == 3
    assert aliases_of(phase, [team.pk for team in reversed(teams)]) == every


def test_no_team_is_called_as_another_one_is_called_by_itself(teams, phase, monkeypatch):
    monkeypatch.setattr(aliases, "FEWEST", 9)
    cast.team_of(cast.person("Erik"), name="Team 3")
    cast.team_of(cast.person("Fritz"), name="Team 8")
    numbers = aliases_of(phase, [team.pk for team in teams])
    assert not {3, 8} & set(numbers.values())
    assert len(set(numbers.values())) == 3


def test_numbers_follow_neither_registration_nor_anything_else_that_is_known(phase):
    """Were they in the order of keys, 20 teams would be so by chance in one of 20! draws."""
    keys = [cast.team_of(cast.person(f"Person{number}")).pk for number in range(20)]
    numbers = aliases_of(phase, keys)
    in_order = [numbers[key] for key in keys]
    assert in_order not in (sorted(in_order), sorted(in_order, reverse=True))
    assert all(1 <= number <= FEWEST for number in in_order)
    other = aliases_of(cast.phase(phase.case_set, slug="other", cases_are_public=True), keys)
    assert other != numbers, "of another phase they are others"


def test_there_are_numbers_for_as_many_teams_as_come(phase, monkeypatch):
    monkeypatch.setattr("leaderboard.board.aliases.FEWEST", 9)
    keys = [cast.team_of(cast.person(f"Person{number}")).pk for number in range(12)]
    one_by_one = [aliases_of(phase, [key])[key] for key in keys]
    assert len(set(one_by_one)) == 12
    assert max(one_by_one) <= 99


def test_a_row_says_the_numbers_and_nothing_else_of_its_team(teams, phase):
    scored(teams[0], phase, paper_url="https://example.org/paper", code_url="https://example.org/code")
    [row] = board(phase).rows
    number = TeamAlias.objects.get(phase=phase, team=teams[0]).number
    assert (row.team.name, row.team.slug, row.key) == (f"Team {number}", f"team-{number}", f"team-{number}")
    assert {row.algorithm, row.affiliation, row.paper_url, row.code_url, row.commitment} == {""}
    assert (row.opened.method, row.opened.external_data, row.committed_at) == ("", "", None)
    assert (row.date.hour, row.date.minute, row.date.second) == (0, 0, 0)
    assert row.opened.groups, "its numbers are all there"
    assert as_json(board(phase))["rows"][0]["submission"] is None
    assert teams[0].name not in as_csv(board(phase))


def test_what_a_team_changes_of_its_words_makes_no_version(teams, phase):
    scored(teams[0], phase)
    before = version(phase)
    teams[0].affiliation, teams[0].name = "Another institute", "Another name"
    teams[0].save()
    assert version(phase) == before


def test_both_tracks_call_a_team_the_same(teams, phase):
    for team in teams:
        scored(team, phase)
    assert {row.team.name for row in board(phase).rows} == {row.team.name for row in board(phase, "overall").rows}


def test_of_equal_scores_on_one_day_the_order_tells_not_who_was_first(teams, phase):
    day = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for hour, team in enumerate(teams):
        scored(team, phase, at=day + timedelta(minutes=hour))
    shown = [row.team.name for row in board(phase).rows]
    assert shown == sorted(shown)


def test_among_all_runs_none_says_whose_it_is_who_handed_it_in_or_in_which_order(teams, phase):
    Phase.objects.update(show_submitters=True)
    phase.refresh_from_db()
    day = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for minutes, team in enumerate([*teams, *teams]):
        run = scored(team, phase, at=day + timedelta(minutes=minutes), algorithm="Known by its name")
        Submission.objects.filter(pk=run.submission_id).update(
            shows_submitter=True, submitted_by=team.memberships.get().user
        )
    numbers = aliases_of(phase, [team.pk for team in teams])
    for sort in all_runs.ORDERS:
        lines = all_runs.lines(phase, version(phase), list(all_runs.listed_in(version(phase), sort)))
        assert {line.row.team.name for line in lines} == {f"Team {number}" for number in numbers.values()}
        assert {(line.submitter, line.row.algorithm, line.row.date) for line in lines} == {("", "", day)}
        shown = [line.row.team.name for line in lines]
        assert shown == sorted(shown), "runs of one day stand by their team’s number"


def test_names_come_at_the_reveal_in_a_new_version_and_the_old_ones_stay_without(teams, phase):
    for place, team in enumerate(teams):
        scored(team, phase, dice=0.3 + place / 10)
    old = version(phase)
    Phase.objects.update(revealed_at=clock.now())
    new = version(phase)
    assert [row.team.name for row in board(phase).rows] == [team.name for team in reversed(teams)]
    assert new.number == old.number + 1
    assert [in_words(change) for change in new.changes] == ["The teams are named."]
    kept = [row.team.name for row in board_of(phase, "main", BoardVersion.objects.get(pk=old.pk)).rows]
    assert all(name.startswith("Team ") and name.removeprefix("Team ").isdigit() for name in kept)


def test_what_is_new_in_a_version_is_said_by_the_numbers(teams, phase):
    board(phase)
    scored(teams[0], phase)
    number = aliases_of(phase, [teams[0].pk])[teams[0].pk]
    assert [in_words(change) for change in version(phase).changes] == [f"Team {number} entered at rank 1."]


def test_organisers_read_the_names(teams, phase):
    scored(teams[0], phase)
    shown = unpublished_board(Disclosure(Reader.ORGANISER, phase, clock.now()), "main")
    assert [row.team.name for row in shown.rows] == [teams[0].name]
    assert not TeamAlias.objects.exists()


def test_where_teams_are_named_nothing_is_drawn(teams):
    phase = cast.phase()
    scored(teams[0], phase)
    versions.make(phase.pk)
    assert not TeamAlias.objects.exists()
    assert all("anonymous" not in one.rules for one in BoardVersion.objects.filter(phase=phase))
