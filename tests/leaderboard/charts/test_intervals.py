"""Scores as dots with their intervals."""

from leaderboard.charts.intervals import Entry, interval_plot
from leaderboard.charts.picture import About
from leaderboard.charts.scales import Axis
from tests.leaderboard.charts.reading import elements, said, share, texts

ABOUT = About("it", "Dice")


def test_a_dot_and_its_interval_lie_on_the_axis():
    drawing = interval_plot(ABOUT, [Entry("Fissure", 0.3, (0.2, 0.5))], axis=Axis(0.6, 3)).drawing
    assert [one.get("cx") for one in elements(drawing, "pt")] == ["50.00%"]
    assert [(one.get("x1"), one.get("x2")) for one in elements(drawing, "iv")] == [("33.33%", "83.33%")]


def test_the_axis_holds_every_interval():
    drawing = interval_plot(ABOUT, [Entry("Fissure", 0.3, (0.2, 0.41)), Entry("Hilum", 0.1)]).drawing
    assert share(elements(drawing, "iv")[0], "x2") == 82


def test_a_reference_is_a_hollow_diamond_without_a_rank_and_says_what_it_is():
    drawing = interval_plot(ABOUT, [Entry("SAT", 0.153, (0.136, 0.170), rank=7, is_reference=True)]).drawing
    assert elements(drawing, "hollow", "path")
    assert not elements(drawing, "pt")
    assert texts(drawing, "t") == ["SAT, reference"]


def test_an_own_entry_is_told_by_a_word_not_by_colour_alone():
    assert texts(interval_plot(ABOUT, [Entry("Lingula", 0.3, rank=4, is_own=True)]).drawing, "t") == ["4Lingula, you"]


def test_an_entry_whose_score_is_not_shown_has_a_row_without_a_dot():
    picture = interval_plot(ABOUT, [Entry("Fissure", None)])
    assert texts(picture.drawing, "v") == ["–"]
    assert not elements(picture.drawing, "pt")
    assert said(picture.drawing) == "No scores are shown."


def test_it_says_who_is_first_and_last_and_counts_references_apart():
    entries = [Entry("Fissure", 0.3, (0.2, 0.4)), Entry("Hilum", 0.1), Entry("SAT", 0.05, is_reference=True)]
    assert said(interval_plot(ABOUT, entries).drawing) == (
        "2 entries. Fissure has a Dice of 0.300 (95 % interval 0.200 to 0.400); the last, Hilum, 0.100. "
        "1 reference beside them."
    )
