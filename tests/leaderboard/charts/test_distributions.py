"""The Dice of single findings."""

from leaderboard.charts.distributions import Distribution, distribution_plot
from leaderboard.charts.picture import About
from tests.leaderboard.charts.reading import elements, pixels, said, texts

ABOUT = About("it", "Dice of single findings")
EDGES = (0.0, 0.5, 1.0)


def test_bars_of_all_entries_have_one_scale_of_shares():
    """Ten of 20 findings and 50 of 100 are as high."""
    entries = [Distribution("A", (10, 10), 0, 0.5), Distribution("B", (50, 25), 25, 0.4)]
    heights = [pixels(one, "height") for one in elements(distribution_plot(ABOUT, EDGES, entries).drawing, "bar")]
    assert heights == [36, 36, 36, 18]


def test_findings_with_nothing_right_stand_apart_from_small_dice():
    drawing = distribution_plot(ABOUT, EDGES, [Distribution("A", (10, 10), 20, 0.3)]).drawing
    (zero,) = elements(drawing, "zero")
    assert pixels(zero, "x") + pixels(zero, "width") <= 0
    assert pixels(zero, "height") == 36


def test_a_bin_that_is_not_shown_is_hatched_and_counts_in_no_share():
    picture = distribution_plot(ABOUT, EDGES, [Distribution("A", (None, 30), 10, 0.3)])
    assert len(elements(picture.drawing, "na")) == 1
    assert said(picture.drawing) == "A: mean 0.300 of 40 findings that are shown, 25 % with Dice 0."
    assert picture.table.rows == [("A", "0.300", "–", "10", "–", "30")]


def test_where_zeros_are_not_shown_nothing_is_said_of_them():
    drawing = distribution_plot(ABOUT, EDGES, [Distribution("A", (10, 30), None, None)]).drawing
    assert "at 0" not in texts(drawing, "t")[0]
    assert "with Dice 0" not in said(drawing)
    assert not elements(drawing, "zero")
