"""Which team is better than which."""

import pytest

from leaderboard.charts.picture import About
from leaderboard.charts.significance import MOST, TestedTeam, Verdict, significance_map
from tests.leaderboard.charts.reading import elements, said, texts

ABOUT = About("it", "Every pair")
FISSURE = TestedTeam("Fissure", 1, (None, Verdict.OPEN, Verdict.BETTER), (None, 0.007, 0.04))
HILUM = TestedTeam("Hilum", 2, (Verdict.OPEN, None, Verdict.BETTER), (-0.007, None, 0.033))
CARINA = TestedTeam("Carina", 3, (Verdict.WORSE, Verdict.WORSE, None), (-0.04, -0.033, None))
TEAMS = (FISSURE, HILUM, CARINA)


def test_each_verdict_has_a_mark_of_its_own():
    drawing = significance_map(ABOUT, TEAMS).drawing
    marks = [one.get("href") for one in elements(drawing, tag="use")]
    assert marks == ["#it-better", "#it-better", "#it-worse", "#it-worse"]
    assert [one.get("fill") for one in elements(drawing, "open")] == ["url(#it-hatch)"] * 2
    assert elements(drawing, "sig-better")[0].get("d") != elements(drawing, "sig-worse")[0].get("d")


def test_nothing_is_drawn_where_a_team_meets_itself():
    assert len(elements(significance_map(ABOUT, TEAMS).drawing, "cell")) == 6


def test_differences_stand_in_the_cells_with_their_signs():
    assert texts(significance_map(ABOUT, TEAMS).drawing, "nu")[:3] == ["+.007", "+.040", "−.007"]


def test_without_differences_there_are_marks_only():
    bare = [TestedTeam(one.name, one.rank, one.verdicts) for one in TEAMS]
    picture = significance_map(ABOUT, bare)
    assert not texts(picture.drawing, "nu")
    assert picture.table.rows[0] == ("1 Fissure", "Carina", "–", "Hilum")


def test_the_table_lists_for_each_team_whom_it_beats_and_whom_it_cannot_be_told_from():
    assert significance_map(ABOUT, TEAMS).table.rows == [
        ("1 Fissure", "Carina (+0.040)", "–", "Hilum (+0.007)"),
        ("2 Hilum", "Carina (+0.033)", "–", "Fissure (−0.007)"),
        ("3 Carina", "–", "Fissure (−0.040), Hilum (−0.033)", "–"),
    ]


def test_it_says_how_many_pairs_are_open_and_who_may_be_as_good_as_the_first():
    assert said(significance_map(ABOUT, TEAMS).drawing) == (
        "1 of 3 pairs can’t be told apart. Fissure can’t be told from Hilum."
    )


def test_a_map_that_nobody_could_read_is_refused():
    with pytest.raises(ValueError, match=f"at most {MOST}"):
        significance_map(ABOUT, [FISSURE] * (MOST + 1))
