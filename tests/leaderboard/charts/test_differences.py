"""Paired differences around 0."""

import pytest

from leaderboard.charts.differences import Difference, difference_plot
from leaderboard.charts.picture import About
from tests.leaderboard.charts.reading import elements, said, texts

ABOUT = About("it", "Differences")


@pytest.mark.parametrize(
    ("value", "interval", "is_open", "verdict"),
    [
        (0.04, (0.015, 0.063), False, "higher"),
        (-0.04, (-0.063, -0.015), False, "lower"),
        (0.01, (-0.01, 0.03), True, "can’t be told apart"),
        (0.01, (0.0, 0.02), True, "can’t be told apart"),
        (0.0, (0.0, 0.0), False, "the same"),
        (0.01, None, False, "–"),
    ],
)
def test_only_one_whose_interval_holds_zero_is_drawn_open(value, interval, is_open, verdict):
    picture = difference_plot(ABOUT, [Difference("Fissure against Hilum", value, interval)])
    assert bool(elements(picture.drawing, "open")) == is_open
    assert ("holds 0" in picture.key) == is_open
    assert picture.table.rows[0][-1] == verdict


def test_zero_is_in_the_middle_and_both_signs_are_written():
    drawing = difference_plot(ABOUT, [Difference("a", 0.02, (0.01, 0.04)), Difference("b", -0.04)]).drawing
    assert [one.get("cx") for one in elements(drawing, "pt")] == ["75.00%", "0.00%"]
    assert texts(drawing, "v") == ["+0.020+0.010 to +0.040", "−0.040"]
    assert texts(drawing, "tick") == ["−0.04", "0", "+0.04"]


def test_it_says_how_many_are_open_and_which_is_the_largest():
    drawing = difference_plot(ABOUT, [Difference("a", 0.01, (-0.01, 0.03)), Difference("b", -0.04)]).drawing
    assert said(drawing) == "2 differences in Dice; of 1 the 95 % interval holds 0. The largest: b, −0.040."
