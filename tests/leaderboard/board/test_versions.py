"""Boards as they are published: when a version is made, what it says, and from when on it shows."""

from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.board import versions
from leaderboard.board.reading import board_of
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.journey import decisions
from leaderboard.models import BoardRow, BoardVersion, Phase, Run, Standing, Submission, Team
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 9, 12, 12, tzinfo=UTC)
BY = Actor("Olga")


class Clock:
    """The database's clock, as a test sets it: seconds after noon."""

    def __init__(self) -> None:
        self.seconds = 30.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


@pytest.fixture(autouse=True)
def at(monkeypatch) -> Clock:
    watch = Clock()
    monkeypatch.setattr(clock, "now", watch.now)
    return watch


@pytest.fixture
def teams() -> list[Team]:
    return [cast.team_of(cast.person(name)) for name in ("Alice", "Charlie")]


@pytest.fixture
def phase() -> Phase:
    """A phase on hidden cases."""
    return cast.phase(runs_per_day=9)


def ended(team: Team, phase: Phase, dice: float, seconds: float) -> Submission:
    """A run that was scored so many seconds after noon."""
    run = scored(team, phase, dice=dice)
    Run.objects.filter(pk=run.pk).update(ended_at=NOON + timedelta(seconds=seconds))
    return run.submission


def told(phase: Phase, seconds: float) -> list[int]:
    """The submissions of the board so many seconds after noon, best first."""
    version = versions.latest(phase, "main", NOON + timedelta(seconds=seconds))
    return [row.submission for row in board_of(phase, "main", version).rows]


def shown_from(phase: Phase) -> list[tuple[int, float]]:
    """All versions of the Main board, each with the second after noon from which it shows."""
    found = BoardVersion.objects.filter(phase=phase, track="main").order_by("number")
    return [(one.number, (one.visible_from - NOON).total_seconds()) for one in found]


def test_nothing_new_makes_nothing(teams, phase):
    ended(teams[0], phase, 0.5, -1)
    versions.make(phase.pk)
    before = list(BoardVersion.objects.values())
    versions.make(phase.pk)
    assert list(BoardVersion.objects.values()) == before


def test_on_public_cases_a_run_shows_at_once(at, teams):
    phase = cast.phase(cases_are_public=True)
    versions.make(phase.pk)
    at.seconds = 42
    mine = ended(teams[0], phase, 0.5, 42)
    versions.make(phase.pk)
    assert (told(phase, 41.9), told(phase, 42)) == ([], [mine.pk])


@pytest.mark.parametrize(("second", "made"), [(31, 31), (31, 54.9), (54, 55)])
def test_on_hidden_cases_a_run_shows_from_the_next_full_minute_on(at, teams, phase, second, made):
    versions.make(phase.pk)
    mine = ended(teams[0], phase, 0.5, second)
    at.seconds = made
    versions.make(phase.pk)
    assert (told(phase, 59.9), told(phase, 60)) == ([], [mine.pk])


def test_a_version_that_cannot_be_there_in_time_is_made_for_the_minute_after(at, teams, phase):
    """Else boards would change in the middle of a minute, and tell at which second a run ended."""
    versions.make(phase.pk)
    mine = ended(teams[0], phase, 0.5, 57)
    at.seconds = 58
    versions.make(phase.pk)
    assert (told(phase, 119.9), told(phase, 120)) == ([], [mine.pk])
    at.seconds = 70
    versions.make(phase.pk)
    assert (told(phase, 119.9), told(phase, 120)) == ([], [mine.pk])


def test_beside_a_version_that_was_made_in_time_a_later_run_waits_for_the_next(at, teams, phase):
    versions.make(phase.pk)
    first = ended(teams[0], phase, 0.5, 31)
    at.seconds = 32
    versions.make(phase.pk)
    second = ended(teams[1], phase, 0.6, 58)
    for at.seconds in (58.5, 60, 75, 110):
        versions.make(phase.pk)
    assert (told(phase, 60), told(phase, 119.9)) == ([first.pk], [first.pk])
    assert told(phase, 120) == [second.pk, first.pk]


def test_a_version_that_took_longer_than_its_minute_is_made_anew(at, teams, phase, monkeypatch):
    versions.make(phase.pk)
    mine = ended(teams[0], phase, 0.5, 40)
    describe = versions.describe

    def slowly(*of, **more):
        at.seconds = max(at.seconds, 61.0)
        return describe(*of, **more)

    at.seconds = 50
    monkeypatch.setattr(versions, "describe", slowly)
    versions.make(phase.pk)
    assert (told(phase, 119.9), told(phase, 120)) == ([], [mine.pk])


def test_a_version_that_nobody_saw_gives_way_to_one_that_says_more(at, teams, phase):
    versions.make(phase.pk)
    first = ended(teams[0], phase, 0.5, 31)
    at.seconds = 32
    versions.make(phase.pk)
    assert told(phase, 60) == [first.pk]
    second = ended(teams[1], phase, 0.6, 40)
    at.seconds = 41
    versions.make(phase.pk)
    assert shown_from(phase) == [(1, 30), (2, 60)]
    assert told(phase, 60) == [second.pk, first.pk]


def test_what_people_decide_shows_at_once_beside_the_same_runs_as_before(at, teams, phase):
    withdrawn, stays = ended(teams[0], phase, 0.5, -1), ended(teams[1], phase, 0.4, -1)
    versions.make(phase.pk)
    at.seconds = 40
    later = ended(teams[0], phase, 0.3, 35)
    versions.make(phase.pk)
    at.seconds = 45
    decisions.disqualify(withdrawn, by=BY, why="Trained on the test set.")
    versions.make(phase.pk)
    assert told(phase, 44.9) == [withdrawn.pk, stays.pk]
    assert told(phase, 45) == [stays.pk]
    assert told(phase, 60) == [stays.pk, later.pk]


def test_a_reveal_shows_at_once(at, teams, phase):
    Phase.objects.update(publication="nothing")
    mine = ended(teams[0], phase, 0.5, -1)
    versions.make(phase.pk)
    at.seconds = 50
    Phase.objects.update(revealed_at=at.now())
    versions.make(phase.pk)
    assert (told(phase, 49.9), told(phase, 50)) == ([], [mine.pk])
    assert [one.is_revealed for one in BoardVersion.objects.filter(track="main").order_by("number")] == [False, True]


@pytest.mark.parametrize("ends", [50, 60])
def test_an_embargo_ends_by_itself_with_every_run_that_ended_before_the_minute(at, teams, phase, ends):
    Phase.objects.update(embargo_until=NOON + timedelta(seconds=ends))
    at.seconds = -90
    versions.make(phase.pk)
    mine, last = ended(teams[0], phase, 0.5, -70), ended(teams[1], phase, 0.4, -1)
    at.seconds = 49
    versions.make(phase.pk)
    assert told(phase, 49.9) == []
    at.seconds = ends + 2
    versions.make(phase.pk)
    shown = told(phase, ends if ends == 60 else ends + 2)  # on a full minute a version was ready for it
    assert shown == [mine.pk, last.pk]


def test_a_draft_has_no_versions_until_it_is_published(teams, phase):
    Phase.objects.update(is_draft=True)
    versions.make(phase.pk)
    assert (versions.living(NOON), BoardVersion.objects.count()) == ([], 0)
    Phase.objects.update(is_draft=False, opens_at=NOON - timedelta(days=1))
    versions.make(phase.pk)
    assert versions.living(NOON) == [phase.pk]
    assert BoardVersion.objects.exists()


def test_rows_in_which_nothing_changed_are_shared(at, teams, phase):
    ended(teams[0], phase, 0.5, -1)
    versions.make(phase.pk)
    [row] = BoardRow.objects.all()
    ended(teams[1], phase, 0.6, 31)
    at.seconds = 32
    versions.make(phase.pk)
    rows = [one.rows for one in BoardVersion.objects.filter(track="main").order_by("number")]
    assert BoardRow.objects.count() == 2
    assert rows == [[row.pk], [BoardRow.objects.exclude(pk=row.pk).get().pk, row.pk]]


def test_a_version_keeps_the_words_that_were_true_when_it_was_made(at, teams, phase):
    ended(teams[0], phase, 0.5, -1)
    versions.make(phase.pk)
    Team.objects.filter(pk=teams[0].pk).update(name="Renamed")
    at.seconds = 40
    versions.make(phase.pk)
    names = [
        board_of(phase, "main", one).rows[0].team.name
        for one in BoardVersion.objects.filter(track="main").order_by("number")
    ]
    assert names == [teams[0].name, "Renamed"]


def test_other_rules_make_another_version(teams, phase):
    versions.make(phase.pk)
    Phase.objects.update(counting="best")
    versions.make(phase.pk)
    rules = [one.rules["counting"] for one in BoardVersion.objects.filter(track="main").order_by("number")]
    assert rules == ["last", "best"]


def test_an_archived_phase_keeps_the_board_that_it_has(teams, phase):
    ended(teams[0], phase, 0.5, -1)
    Phase.objects.update(archived_at=NOON)
    assert versions.living(clock.now()) == [phase.pk]
    versions.make(phase.pk)
    Standing.objects.all().delete()
    assert versions.living(clock.now()) == []
    versions.make(phase.pk)
    assert len(told(phase, 60)) == 1


def test_of_two_processes_one_makes_it(teams, phase):
    ended(teams[0], phase, 0.5, -1)
    with cast.another_process_at("board", phase.pk):
        versions.make(phase.pk)
        assert not BoardVersion.objects.exists()
    versions.make(phase.pk)
    assert BoardVersion.objects.exists()


@pytest.mark.parametrize(("second", "minute"), [(0, 0), (0.000001, 60), (59.9, 60), (60, 60)])
def test_the_next_full_minute(second, minute):
    assert versions.next_minute(NOON + timedelta(seconds=second)) == NOON + timedelta(seconds=minute)
