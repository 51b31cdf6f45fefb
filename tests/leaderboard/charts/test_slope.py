"""Ranks before and after."""

from leaderboard.charts.picture import About
from leaderboard.charts.slope import MOST, End, Moving, slope
from tests.leaderboard.charts.reading import elements, pixels, said, texts

ABOUT = About("it", "Ranks before and after")
WAYS = ("Version 1", "Version 2")
FISSURE = Moving("Fissure", End(1, 0.327), End(2, 0.331))
HILUM = Moving("Hilum", End(2, 0.320), End(1, 0.333))
CARINA = Moving("Carina", End(3, 0.309), End(3, 0.309))


def test_who_rises_falls_and_stays_is_drawn_apart_and_said():
    picture = slope(ABOUT, WAYS, [FISSURE, HILUM, CARINA])
    lines = {one.get("class"): (pixels(one, "y1"), pixels(one, "y2")) for one in elements(picture.drawing, "ln")}
    assert lines["ln down"] == tuple(reversed(lines["ln up"]))
    assert len(set(lines["ln same"])) == 1
    assert said(picture.drawing) == "Fissure 1 to 2, Hilum 2 to 1. 1 team keeps its rank."
    assert "rises: 1" in picture.key
    assert picture.table.rows[1] == ("Hilum", "2", "1", "0.320", "0.333", "+0.013")


def test_equal_ranks_stand_below_each_other():
    teams = [Moving(name, End(1, 0.5), End(1, 0.5)) for name in ("A", "B")]
    places = [pixels(one, "y1") for one in elements(slope(ABOUT, WAYS, teams).drawing, "ln")]
    assert len(set(places)) == 2


def test_who_comes_or_goes_has_a_mark_without_a_line():
    teams = [CARINA, Moving("New", None, End(1, 0.4)), Moving("Gone", End(1, 0.4), None)]
    picture = slope(ABOUT, WAYS, teams)
    assert len(elements(picture.drawing, "ln")) == 1
    assert len(elements(picture.drawing, "nd")) == 4
    assert "Gone 1 to not on it" in said(picture.drawing)


def test_a_team_without_a_rank_stands_by_its_score():
    teams = [Moving("Low", End(None, 0.1), End(None, 0.3)), Moving("High", End(None, 0.2), End(None, 0.2))]
    picture = slope(ABOUT, WAYS, teams)
    assert texts(picture.drawing, "r")[:2] == ["–", "–"]
    assert said(picture.drawing) == "No rank moves. 2 teams keep their rank."


def test_what_is_further_down_is_left_out_and_counted():
    teams = [Moving(f"T{rank}", End(rank, 1 / rank), End(rank, 1 / rank)) for rank in range(1, MOST + 6)]
    picture = slope(ABOUT, WAYS, teams)
    assert len(elements(picture.drawing, "ln")) == MOST
    assert "5 teams further down are left out" in picture.key
    assert len(picture.table.rows) == MOST + 5
    assert "Nothing to show yet" in slope(ABOUT, WAYS, []).drawing
