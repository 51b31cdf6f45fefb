"""The words for times, numbers and texts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from leaderboard.charts.scales import Axis, axis_for
from leaderboard.charts.words import interval
from leaderboard.core.text import sanitised
from leaderboard.templatetags import draw, show

AT = datetime(2026, 9, 15, 4, 0, tzinfo=UTC)


def test_an_instant_is_shown_in_utc_whatever_its_zone():
    there = AT.astimezone(timezone(timedelta(hours=-7)))
    assert show.when(there) == '<time datetime="2026-09-15T04:00:00Z">Sep 15, 2026 04:00 UTC</time>'


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(days=2, hours=19, minutes=46, seconds=59), "2 d 19 h 46 min"),
        (timedelta(days=1), "1 d 0 h"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(minutes=59, seconds=59.9), "59 min 59 s"),
        (timedelta(minutes=12, seconds=5), "12 min 05 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=0.5), "less than 1 s"),
        (timedelta(seconds=-5), "less than 1 s"),
    ],
)
def test_time_left_is_told_in_days_hours_and_minutes_and_in_seconds_in_the_last_hour(length, words):
    assert show.span(length) == words


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (0.84, "0.8 s"), (31.2, "31 s"), (124, "2 min 04 s"), (4800, "1 h 20 min")]
)
def test_durations(value, words):
    assert show.seconds(value) == words


def test_scores_have_three_decimals_and_a_missing_one_has_words():
    assert show.score(0.5) == "0.500"
    assert "not published" in show.score(None)
    assert interval((0.259, 0.3161)) == "0.259–0.316"
    assert interval(None) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (999_600, "1 MB"),
        (9_140_000_000, "9.14 GB"),
        (15_000_000_000, "15 GB"),
        (None, "–"),
    ],
)
def test_file_sizes_are_decimal(value, words):
    assert show.gigabytes(value) == words


def test_memory_is_binary():
    assert show.gibibytes(32 << 30) == "32 GiB"
    assert show.gibibytes(256 << 20) == "256 MiB"


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\u202eb\u2066c", "abc"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("\x00\x07\x9b", ""),
    ],
)
def test_plain_text_loses_what_only_a_terminal_understands(hostile, left):
    assert sanitised(hostile) == left


@pytest.mark.parametrize(
    ("source", "part", "absent"),
    [
        ("<script>x</script>", "&lt;script&gt;", "<script"),
        ("[x](javascript:alert)", "javascript", "href"),
        ("![x](https://evil.example/x.png)", "x", "<img"),
        ("# Big", "<h4>Big</h4>", "<h1"),
        ("[x](https://example.org)", 'rel="nofollow noopener ugc"', "onclick"),
        ("| a | b |\n|--:|---|\n| 1 | 2 |", "a", "style="),
    ],
)
def test_markdown_brings_in_nothing_from_elsewhere(source, part, absent):
    html = show.markdown(source)
    assert part in html
    assert absent not in html


@pytest.mark.parametrize(
    ("largest", "end"), [(0.0, 1.0), (0.04, 0.06), (0.1, 0.12), (0.316, 0.4), (0.61, 0.8), (1.0, 1.0), (3.0, 1.0)]
)
def test_an_axis_begins_at_zero_and_holds_its_largest_value(largest, end):
    assert axis_for([largest]).end == end


def test_a_dot_and_its_interval_lie_on_the_axis():
    svg = draw.dot(Axis(0.4, 4), 0.3, (0.2, 0.5))
    assert 'x1="50.00%" x2="100.00%"' in svg
    assert 'cx="75.00%"' in svg


def test_without_a_score_nothing_is_drawn_but_the_grid():
    assert "circle" not in draw.dot(Axis(0.4, 4), None, None)
