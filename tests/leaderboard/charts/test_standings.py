"""Standings over time."""

from datetime import UTC, datetime, timedelta

from leaderboard.charts.picture import About
from leaderboard.charts.standings import Step, TeamLine, ranks_over_time, scores_over_time
from tests.leaderboard.charts.reading import elements, pixels, said, texts

ABOUT = About("it", "Over time")
BEGINS = datetime(2026, 6, 8, tzinfo=UTC)
ENDS = BEGINS + timedelta(days=100)
FISSURE = TeamLine("Fissure", [Step(BEGINS, 0.2), Step(BEGINS + timedelta(days=50), 0.4)])


def test_a_value_holds_until_the_next_one_comes():
    (line,) = elements(scores_over_time(ABOUT, [FISSURE], BEGINS, ENDS).drawing, "stair")
    strokes = [[one.get(name) for name in ("x1", "x2", "y1", "y2")] for one in line.iter("line")]
    assert strokes == [
        ["0.00%", "50.00%", "134", "134"],
        ["50.00%", "100.00%", "14", "14"],
        ["50.00%", "50.00%", "134", "14"],
    ]


def test_neighbours_have_other_strokes():
    lines = [TeamLine(f"Team {at}", [Step(BEGINS, 0.1 * at)]) for at in range(8)]
    classes = [one.get("class") for one in elements(scores_over_time(ABOUT, lines, BEGINS, ENDS).drawing, "stair")]
    assert len(set(classes[:4])) == 4


def test_the_first_rank_is_on_top():
    lines = [TeamLine("Fissure", [Step(BEGINS, 1)]), TeamLine("Hilum", [Step(BEGINS, 5)])]
    drawing = ranks_over_time(ABOUT, lines, BEGINS, ENDS).drawing
    first, last = (pixels(one, "cy") for one in elements(drawing, tag="circle"))
    assert first < last
    assert texts(drawing, "yl")[0] == "1"


def test_it_says_who_leads_at_the_end():
    drawing = scores_over_time(ABOUT, [TeamLine("Hilum", [Step(BEGINS, 0.3)]), FISSURE], BEGINS, ENDS).drawing
    assert said(drawing) == "2 teams, 1 change. At the end Fissure leads: score 0.400."


def test_while_a_team_has_no_value_nothing_is_drawn_of_it():
    gone, back = (BEGINS + timedelta(days=days) for days in (25, 50))
    line = TeamLine("Fissure", [Step(BEGINS, 0.4), Step(gone, None), Step(back, 0.4)])
    found = scores_over_time(ABOUT, [line], BEGINS, ENDS)
    (drawn,) = elements(found.drawing, "stair")
    strokes = [[one.get(name) for name in ("x1", "x2")] for one in drawn.iter("line")]
    assert strokes == [["0.00%", "25.00%"], ["50.00%", "100.00%"]]
    assert len(list(drawn.iter("circle"))) == 2
    assert [row[-1] for row in found.table.rows] == ["0.400", "–", "0.400"]


def test_a_team_without_a_run_has_no_line():
    drawing = scores_over_time(ABOUT, [FISSURE, TeamLine("Hilum", [])], BEGINS, ENDS).drawing
    assert "Hilum" not in drawing
