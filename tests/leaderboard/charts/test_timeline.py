"""Phases over time, drawn."""

from datetime import UTC, datetime, timedelta

from leaderboard.charts.picture import About
from leaderboard.charts.timeline import Bar, timeline

ABOUT = About("phases", "Phases over time")
JUNE = datetime(2026, 6, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def test_each_phase_is_a_bar_on_one_axis_in_per_cent():
    bars = [
        Bar("Development", JUNE, JUNE + 99 * DAY, "", "Over"),
        Bar("Test <b>", JUNE + 70 * DAY, JUNE + 99 * DAY, "live", "Open", [(JUNE + 112 * DAY, "Reveal")]),
    ]
    picture = timeline(ABOUT, bars, JUNE + 90 * DAY)
    drawing = str(picture.drawing)
    assert drawing.count("<rect") == 2
    assert 'class="bar live"' in drawing
    assert "Test &lt;b&gt;" in drawing
    assert "<b>" not in drawing
    assert "Reveal" in drawing
    assert "viewBox" not in drawing
    assert "style=" not in drawing
    assert [row[0] for row in picture.table.rows] == ["Development", "Test <b>"]
    assert picture.table.rows[1][-1] == "Reveal Sep 28, 2026 00:00"


def test_a_draft_of_changes_shows_where_it_would_end():
    def drawn(days: int) -> str:
        bar = Bar("Test", JUNE, JUNE + 20 * DAY, new_end=JUNE + days * DAY)
        return str(timeline(ABOUT, [bar], JUNE).drawing)

    assert "bar add" in drawn(25)
    assert "bar less" in drawn(15)


def test_without_phases_it_says_so():
    assert "Nothing to show yet" in str(timeline(ABOUT, [], JUNE).drawing)


def test_long_years_have_few_months():
    bar = Bar("Long", JUNE, JUNE + 900 * DAY)
    assert str(timeline(ABOUT, [bar], JUNE).drawing).count('class="grid"') <= 8
