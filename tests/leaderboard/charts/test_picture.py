"""What every picture consists of."""

import pytest

from leaderboard.charts.picture import About, Table, gridlines
from tests.leaderboard.charts.reading import elements, value


@pytest.mark.parametrize("name", ["", "1st", "two words", 'a"b', "größe", "a\n"])
def test_a_name_that_could_be_no_id_is_refused(name):
    with pytest.raises(ValueError, match="No name of a picture"):
        About(name, "What it shows")


def test_a_column_with_a_long_cell_is_one_of_text():
    table = Table("Who", ("Team", "Rank", "Better than"), [("A", "1", "B, C"), ("B", "2", "a very long list of teams")])
    assert table.columns == [("Rank", "n"), ("Better than", "w")]
    assert table.labelled[0] == ("A", [(("Rank", "n"), "1"), (("Better than", "w"), "B, C")])


def test_a_row_that_has_not_a_cell_for_each_head_is_refused():
    with pytest.raises(ValueError, match="zip"):
        _ = Table("Who", ("Team", "Rank"), [("A", "1", "2")]).labelled


def test_labels_at_the_ends_of_an_axis_stay_inside_and_zero_is_a_stronger_line():
    drawn = "".join(gridlines([(0.0, "0"), (0.5, "0.1"), (1.0, "0.2")], 20, 100))
    assert [value(one, "class") for one in elements(drawn, tag="text")] == ["tick first", "tick", "tick last"]
    assert [value(one, "class") for one in elements(drawn, tag="line")] == ["base", "grid", "grid"]
