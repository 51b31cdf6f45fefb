"""Dice against the size of a finding."""

import pytest

from leaderboard.charts.picture import About
from leaderboard.charts.sizes import MOST, Bin, SizeLine, size_plot
from tests.leaderboard.charts.reading import elements, said, texts

ABOUT = About("it", "Dice by size")
BINS = [Bin(0, 1, None), Bin(1, 10, 40), Bin(10, None, 12)]


def test_a_bin_of_which_nobody_is_shown_is_hatched_and_not_told():
    picture = size_plot(ABOUT, BINS, [SizeLine("Fissure", (None, 0.2, 0.4))], "mL")
    assert [one.get("x") for one in elements(picture.drawing, "na")] == ["0%"]
    assert texts(picture.drawing, "n") == ["–", "40", "12"]
    assert picture.table.rows[0] == ("0 to 1 mL", "–", "–")


def test_no_line_crosses_a_bin_that_is_not_shown():
    gap = size_plot(ABOUT, BINS, [SizeLine("Fissure", (0.1, None, 0.4))], "mL").drawing
    whole = size_plot(ABOUT, BINS, [SizeLine("Fissure", (0.1, 0.2, 0.4))], "mL").drawing
    assert (len(elements(gap, "ln")), len(elements(whole, "ln"))) == (0, 2)


def test_each_entry_has_a_shape_of_its_own_and_more_than_there_are_shapes_are_refused():
    lines = [SizeLine(f"Team {at}", (0.1, 0.2, 0.3)) for at in range(MOST + 1)]
    drawing = size_plot(ABOUT, BINS, lines[:MOST], "mL").drawing
    assert all(len(elements(drawing, letter)) == len(BINS) for letter in "abcdef")
    with pytest.raises(ValueError, match="At most 6"):
        size_plot(ABOUT, BINS, lines, "mL")


def test_it_says_the_smallest_and_the_largest_bin_that_are_shown():
    drawing = size_plot(ABOUT, BINS, [SizeLine("Fissure", (None, 0.2, 0.4))], "mL").drawing
    assert said(drawing) == "Fissure: 0.200 at 1 to 10 mL, 0.400 at 10 mL and more. 1 bin is not shown."
