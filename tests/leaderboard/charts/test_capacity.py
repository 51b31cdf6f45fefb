"""GPU hours until a deadline."""

from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.charts.capacity import Hours, capacity
from leaderboard.charts.picture import About
from tests.leaderboard.charts.reading import elements, pixels, said, texts

ABOUT = About("it", "What it shows")
BEGINS = datetime(2026, 9, 12, 8, tzinfo=UTC)


def steps(foreseen: float = 100.0, spread: float = 20.0, there: float = 110.0) -> list[Hours]:
    return [
        Hours(
            BEGINS + timedelta(hours=12 * part),
            foreseen * part / 4,
            (foreseen - spread) * part / 4,
            (foreseen + spread) * part / 4,
            there * part / 4,
        )
        for part in range(5)
    ]


@pytest.mark.parametrize(
    ("there", "verdict"), [(130.0, "It fits."), (110.0, "It just fits."), (90.0, "It does not fit.")]
)
def test_it_says_what_is_foreseen_and_whether_it_fits(there, verdict):
    words = said(capacity(ABOUT, steps(there=there)).drawing)
    assert "100 hours are foreseen (80 to 120)" in words
    assert f"there are {there:.0f}." in words
    assert words.endswith(verdict)


def test_lines_rise_and_end_where_their_numbers_are():
    drawing = capacity(ABOUT, steps()).drawing
    foreseen, there = elements(drawing, "foreseen"), elements(drawing, "there")
    assert len(foreseen) == len(there) == 4
    assert pixels(foreseen[-1], "y2") > pixels(there[-1], "y2"), "less lies lower"
    assert all(pixels(one, "y2") < pixels(one, "y1") for one in foreseen)
    assert len(elements(drawing, "band")) == 5
    assert texts(drawing, "yl")[0] == "0"


def test_its_table_has_all_numbers():
    table = capacity(ABOUT, steps()).table
    assert table.rows[-1] == ("Sep 14, 08:00 UTC", "100", "80 to 120", "110")


def test_of_nothing_it_says_so():
    assert "Nothing to show yet." in capacity(ABOUT, []).drawing
    assert capacity(ABOUT, steps(0.0, 0.0, 0.0)).drawing
