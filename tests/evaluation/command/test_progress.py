"""How far a long work is."""

import io
import time
from types import SimpleNamespace

import pytest

from evaluation.command import progress
from evaluation.command.progress import Progress


class Clock:
    """Stands in for time.monotonic."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(time, "monotonic", clock := Clock())
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=terminal))
    return terminal


def work(clock, total, seconds_each, **options):
    shown = Progress("cases scored", **options)
    for done in range(total + 1):
        shown.show(done, total)
        clock.now += seconds_each


def test_a_log_gets_a_line_each_tenth(clock, capsys):
    work(clock, 100, 1.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[4] == "cases scored: 50 of 100, 50 s, 1.0 a second, 50 s left"
    assert lines[9] == "cases scored: 100 of 100, 1 min 40 s"


def test_a_log_gets_a_line_every_half_minute_of_slow_work(clock, capsys):
    shown = Progress("cases scored")
    for _ in range(100):
        shown.show(0, 20)
        clock.now += 1
    assert capsys.readouterr().err.splitlines() == [
        f"cases scored: 0 of 20, {t}" for t in ("30 s", "1 min 0 s", "1 min 30 s")
    ]


def test_a_short_work_passes_in_silence(clock, terminal):
    work(clock, 100, 0.001)
    assert terminal.getvalue() == progress.CLEAR_LINE


def test_a_terminal_gets_one_line_that_counts(clock, terminal):
    work(clock, 4, 30.0)
    lines = terminal.getvalue().split(progress.CLEAR_LINE)
    assert lines[1] == "cases scored: 1 of 4, 30 s, 2.0 a minute, 1 min 30 s left"
    assert lines[-1] == "cases scored: 4 of 4, 2 min 0 s\n"
    assert terminal.getvalue().count("\n") == 1


def test_it_can_be_quiet(clock, capsys):
    work(clock, 100, 10.0, quiet=True)
    assert capsys.readouterr().err == ""


def test_hours_are_told_in_hours(clock, capsys):
    shown = Progress("cases scored")
    clock.now += 4000
    shown.show(1, 3)
    assert capsys.readouterr().err == "cases scored: 1 of 3, 1 h 6 min, 0.9 an hour, 2 h 13 min left\n"


def test_nobody_reading_stops_no_work(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=Closed()))
    progress.tell("unheard")
