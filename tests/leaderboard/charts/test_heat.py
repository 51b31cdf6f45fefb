"""Teams by categories."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from leaderboard.charts.heat import Category, Team, heat_map
from leaderboard.charts.picture import About
from tests.leaderboard.charts.reading import elements, said, texts, value

ABOUT = About("it", "Dice by category")
CATEGORIES = [Category("1a", "Airways", 22), Category("1e", "Micronodules", None)]


def shades(*means: float) -> list[str]:
    """The shades of a team's cells; those of the key come last, in their order."""
    categories = [Category(str(place), "x", 10) for place in range(len(means))]
    drawing = heat_map(ABOUT, categories, [Team("A", means)]).drawing
    return [value(one, "class") for one in elements(drawing, tag="rect")][: len(means)]


def test_a_cell_has_two_decimals_without_the_zero():
    drawing = heat_map(ABOUT, CATEGORIES, [Team("Fissure", [0.237, 0.999])]).drawing
    assert [one for one in texts(drawing, "c") if one in (".24", "1.0")] == [".24", "1.0"]


def test_the_shade_is_that_of_the_number_in_the_cell():
    """0.0796 is shown as .08, from which on the key says that the next shade is used."""
    assert shades(0.0796, 0.64) == ["h1", "h8"]


def test_shades_are_as_fine_as_the_largest_mean_allows():
    assert shades(0.0, 0.08) == ["h0", "h8"]
    assert shades(0.0, 0.1, 1.0) == ["h0", "h1", "h8"]


def test_a_mean_that_is_not_shown_is_hatched_and_key_and_table_say_why():
    picture = heat_map(ABOUT, CATEGORIES, [Team("Fissure", [0.2, None])], "after the reveal")
    assert [one.get("fill") for one in elements(picture.drawing, "na")] == ["url(#it-0-hatch)"]
    assert "after the reveal" in picture.key
    assert "–: after the reveal." in picture.table.caption
    assert picture.table.rows == [("Fissure", "0.200", "–")]


def test_shades_are_explained_only_where_one_is_drawn():
    def explained(*means: float | None) -> bool:
        return "Mean Dice, each shade" in heat_map(ABOUT, CATEGORIES, [Team("Fissure", means)]).drawing

    assert explained(0.2, None)
    assert not explained(None, None)


def test_n_stands_under_each_head_unless_it_is_not_told():
    drawing = heat_map(ABOUT, CATEGORIES, [Team("Fissure", [0.2, None])]).drawing
    assert texts(drawing, "hd") == ["1a", "1e"]
    assert texts(drawing, "n") == ["22"]


def test_it_says_where_teams_do_best_and_worst():
    categories = [*CATEGORIES, Category("1c", "Emphysema", 28)]
    drawing = heat_map(ABOUT, categories, [Team("A", [0.2, None, 0.5]), Team("B", [0.1, None, 0.3])]).drawing
    assert said(drawing) == (
        "2 teams: best in Emphysema, 0.40 on average; worst in Airways, 0.15. 1 category is not shown."
    )


@pytest.mark.parametrize("theme", [0, 1])
def test_the_number_can_be_read_on_every_shade(theme):
    """WCAG 2: 4.5 to 1, of small text."""
    css = (Path(settings.BASE_DIR) / "leaderboard/static/site/base.css").read_text()
    tokens = {
        name: re.findall(r"#[0-9a-f]{6}", value)[theme if "light-dark" in value else 0]
        for name, value in re.findall(r"--(h\d|on-\w+): ([^;]+);", css)
    }
    inks = ["on-lo"] * 4 + ["on-mid"] * 2 + ["on-hi"] * 3
    for shade, ink in enumerate(inks):
        dark, light = sorted((_luminance(tokens[f"h{shade}"]), _luminance(tokens[ink])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (shade, ink)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
