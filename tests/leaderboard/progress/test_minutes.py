"""What is found once in a minute is what finding it anew would say."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from leaderboard.core import clock, minutes
from leaderboard.core.minutes import found_once
from leaderboard.models import Host
from tests.leaderboard import cast, gpu_host, masks, seen

MINUTE = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.fixture
def kept(monkeypatch):
    """Answers are kept, as they are where no test changes the past; those of other tests are gone."""
    monkeypatch.setattr(minutes, "MOST", 32)
    monkeypatch.setattr(minutes, "_kept", {})


@pytest.mark.parametrize(
    ("seconds", "answers"),
    [
        ((10, 30, 59.9), [1, 1, 1]),
        ((10, 60, 61, 69), [1, 2, 3, 4]),
        ((1.1, 1.9, 2.0, 4.9, 5.0, 20), [1, 1, 2, 3, 4, 4]),  # what is committed late is seen a second later
    ],
)
def test_an_answer_holds_to_the_end_of_its_minute_once_the_minute_before_is_settled(kept, seconds, answers):
    asked = iter(range(1, 9))
    found = [found_once(MINUTE + timedelta(seconds=at), "how many", lambda: next(asked)) for at in seconds]
    assert found == answers


def test_another_question_is_answered_anew_and_few_answers_are_kept(kept):
    at = MINUTE + timedelta(seconds=10)
    assert [found_once(at, number, partial(str, number)) for number in range(100)] == [*map(str, range(100))]
    assert found_once(at, 99, lambda: "anew") == "99"
    assert len(minutes._kept) <= minutes.MOST


@pytest.mark.django_db(transaction=True)
def test_what_people_do_within_the_minute_shows_in_everybodys_estimates_at_once(kept, host, monkeypatch):
    began = clock.now().replace(second=10, microsecond=0) - timedelta(hours=1)

    def at(seconds: int) -> None:
        monkeypatch.setattr(clock, "now", lambda: began + timedelta(seconds=seconds))
        Host.objects.update(seen_at=clock.now())

    at(0)
    masks.give_references(masks.cube())
    phase = cast.phase(cast.case_set(8), cases_are_public=False)
    alices, bobs, charlies = (cast.team_of(cast.person(name)) for name in ("Alice", "Bob", "Charlie"))
    gpu_host.claim(host, gpu_host.waiting(cast.submit_checked(alices, phase).runs.get()))

    def places(*waiting) -> list[int | None]:
        found = [seen.by_team(one).estimate for one in waiting]
        return [one.place if one else None for one in found]

    at(70)
    first = cast.submit_checked(bobs, phase)
    assert places(first) == [1]
    at(71)
    second = cast.submit_checked(charlies, phase)
    assert places(first, second) == [1, 2]
    at(72)
    first.runs.update(state="cancelled")
    assert places(second) == [1]
