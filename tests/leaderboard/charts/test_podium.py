"""The first three places."""

import pytest

from leaderboard.charts.picture import About
from leaderboard.charts.podium import PodiumShares, podium
from tests.leaderboard.charts.reading import elements, said, share, texts

ABOUT = About("it", "The first three places")


def test_the_three_shares_stand_one_after_the_other():
    drawing = podium(ABOUT, [PodiumShares("Fissure", (0.5, 0.3, 0.2))]).drawing
    bars = [elements(drawing, css)[0] for css in ("p1", "p2", "p3")]
    assert [(share(bar, "x"), share(bar, "width")) for bar in bars] == [(0, 50), (50, 30), (80, 20)]


def test_a_number_stands_only_in_a_part_that_has_room_for_it():
    drawing = podium(ABOUT, [PodiumShares("Fissure", (0.9, 0.08, 0.02))]).drawing
    assert texts(drawing, "in1") == ["90"]
    assert not texts(drawing, "in2")


def test_the_second_place_is_hatched_not_only_paler():
    drawing = podium(ABOUT, [PodiumShares("Fissure", (0.5, 0.3, 0.2))]).drawing
    assert len([one for one in elements(drawing, tag="rect") if one.get("fill") == "url(#it-hatch)"]) == 1


def test_who_is_never_among_the_first_three_has_no_row():
    picture = podium(ABOUT, [PodiumShares("Fissure", (1, 0, 0)), PodiumShares("Recess", (0, 0, 0))])
    assert [row[0] for row in picture.table.rows] == ["Fissure"]
    assert "Recess" not in picture.drawing


@pytest.mark.parametrize(("shares", "words"), [((0.674, 0.3, 0.02), "A in 67 %"), ((0, 0.5, 0.5), "nobody here")])
def test_it_says_how_often_who_is_first(shares, words):
    assert said(podium(ABOUT, [PodiumShares("A", shares)]).drawing) == (
        f"First of all resamples: {words}. 1 team ever among the first three."
    )
