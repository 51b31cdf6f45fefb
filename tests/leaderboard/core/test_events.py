"""Live events: fresh when the broker is there, harmless when it is not."""

import threading
import time

import pytest

from leaderboard.celery import app
from leaderboard.core import events, task_queue

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_change_gives_a_new_version():
    before = events.version(1)
    events.announce(1)
    assert events.version(1) != before


def test_waiting_ends_when_something_changes():
    timer = threading.Timer(0.3, events._announce, [1])
    timer.start()
    began = time.monotonic()
    events.wait(10)
    timer.join()
    assert 0.2 < time.monotonic() - began < 5


def test_waiting_takes_its_time_when_nothing_changes():
    began = time.monotonic()
    events.wait(0.5)
    assert time.monotonic() - began >= 0.5


def test_without_a_broker_nothing_fails_and_waiting_still_waits(settings, caplog):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    events.connection.cache_clear()
    try:
        events.announce(1)
        assert events.version(1) is None
        began = time.monotonic()
        events.wait(0.3)
        assert time.monotonic() - began >= 0.3
    finally:
        events.connection.cache_clear()
    assert "no live event" in caplog.text


def test_a_broker_that_is_away_is_asked_once_and_then_left_alone_for_a_while(monkeypatch, caplog):
    calls = []

    def refuse(*arguments, **options):
        calls.append(arguments)
        raise ConnectionRefusedError

    monkeypatch.setattr(app, "send_task", refuse)
    monkeypatch.setattr(task_queue, "_away_until", 0.0)
    for number in range(3):
        task_queue.enqueue_image_check(number)
    assert len(calls) == 1
    assert "waits for the sweeper" in caplog.text
