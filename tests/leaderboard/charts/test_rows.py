"""Pictures of one row for each entry."""

from leaderboard.charts.picture import About
from leaderboard.charts.rows import HEAD, HEIGHT, Row, in_rows
from tests.leaderboard.charts.reading import elements, pixels, texts

ABOUT = About("it", "Rows")


def test_rows_stand_one_under_the_other_over_gridlines_as_long():
    drawing = in_rows(ABOUT, "said", [Row("A", []), Row("B", [])], [(0.0, "0")])
    assert [pixels(one, "y") for one in elements(drawing, "entry")] == [HEAD, HEAD + HEIGHT]
    (line,) = elements(drawing, "base")
    assert pixels(line, "y2") == HEAD + 2 * HEIGHT


def test_names_begin_in_one_line_whether_or_not_an_entry_has_a_rank():
    drawing = in_rows(ABOUT, "said", [Row("A", [], rank=1), Row("B", [])], [])
    assert [[one.get("x") for one in name.iter("tspan")] for name in elements(drawing, "t", "text")] == [
        [None, "28"],
        ["28"],
    ]


def test_a_word_beside_a_name_is_never_cut_off():
    (name,) = texts(in_rows(ABOUT, "said", [Row("A" * 60, [], css="reference")], []), "t")
    assert name.endswith("…, reference")
    assert "A" * 60 in name  # in full in its title
