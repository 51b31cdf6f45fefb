"""Counts hold for all processes, at the same instant, and are forgotten."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import F

from leaderboard.models import Throttle
from leaderboard.people import throttle
from leaderboard.people.throttle import Limit, TooSoon, in_words

LIMIT = Limit(free=3, first_seconds=10, longest_seconds=60, forget_seconds=100)


def count_one(*keys: str) -> bool:
    """Whether the try was let through."""
    try:
        throttle.count(dict.fromkeys(keys, LIMIT), sentence="{wait}")
    except TooSoon:
        return False
    return True


def let_pass(seconds: float) -> None:
    Throttle.objects.update(at=F("at") - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("level", "pause"), [(0, 0), (2.4, 0), (2.6, 10), (3, 10), (4, 20), (5, 40), (6, 60), (1e9, 60)]
)
def test_the_pause_doubles_up_to_a_bound(level, pause):
    assert LIMIT.pause(level) == pause


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (99, "99 seconds"), (100, "2 minutes"), (121, "3 minutes")]
)
def test_a_wait_is_never_said_to_be_shorter_than_it_is(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.django_db
def test_a_pause_ends():
    assert [count_one("a") for _ in range(4)] == [True, True, True, False]
    let_pass(11)
    assert count_one("a")
    assert not count_one("a")


@pytest.mark.django_db
def test_what_was_tried_is_forgotten_with_time():
    assert [count_one("a") for _ in range(4)][-1] is False
    let_pass(400)
    assert [count_one("a") for _ in range(3)] == [True, True, True]


@pytest.mark.django_db
def test_a_try_that_one_key_turns_away_counts_for_none():
    for _ in range(3):
        count_one("full")
    assert not count_one("empty", "full")
    assert [count_one("empty") for _ in range(3)] == [True, True, True]


@pytest.mark.django_db
def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_the_pause():
    for _ in range(3):
        count_one("a")
    let_pass(-3600)
    with pytest.raises(TooSoon) as refusal:
        throttle.count({"a": LIMIT}, sentence="{wait}")
    assert refusal.value.seconds <= 11


@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_instant_no_more_are_let_through_and_none_gets_stuck():
    def try_once(number):
        try:
            return count_one("one", "two") if number % 2 else count_one("two", "one")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(try_once, range(24)))
    assert sum(answers) == LIMIT.free


@pytest.mark.django_db
def test_a_flushed_broker_forgets_nothing():
    for _ in range(3):
        count_one("a")
    cache.clear()
    assert not count_one("a")
