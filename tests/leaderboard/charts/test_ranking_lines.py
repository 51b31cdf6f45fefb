"""Ranks by other ways to rank."""

from leaderboard.charts.picture import About
from leaderboard.charts.ranking_lines import RankedTeam, ranking_lines
from tests.leaderboard.charts.reading import elements, pixels, said, texts

ABOUT = About("it", "Ranked another way")
WAYS = ("Dice", "Rank, then mean", "Hit rate")
STILL, MOVING = RankedTeam("Fissure", (1, 1, 1)), RankedTeam("Hilum", (2, 3, 2))


def test_the_number_on_each_node_is_the_rank():
    drawing = ranking_lines(ABOUT, WAYS, [STILL, MOVING]).drawing
    nodes = ["".join(one.itertext()) for one in elements(drawing, "node")]
    assert nodes == ["1", "1", "1", "2", "3", "2"]


def test_only_a_team_that_moves_is_drawn_as_moving():
    drawing = ranking_lines(ABOUT, WAYS, [STILL, MOVING]).drawing
    assert [one.get("class") for one in elements(drawing, "ln")] == ["ln"] * 2 + ["ln moves"] * 2


def test_a_rank_far_from_those_of_the_page_lies_at_its_edge_and_says_its_number():
    teams = [RankedTeam(f"T{rank}", (rank, rank)) for rank in range(26, 51)]
    far = RankedTeam("Far", (50, 400))
    drawing = ranking_lines(ABOUT, WAYS[:2], [*teams, far]).drawing
    heights = {"".join(one.itertext()): pixels(one, "y") for one in elements(drawing, "node")}
    assert heights["400"] - heights["50"] == 60
    assert pixels(elements(drawing, "drawn")[0], "height") < 1000


def test_the_own_line_is_drawn_over_the_others():
    own = RankedTeam("Lingula", (1, 2, 1), is_own=True)
    drawing = ranking_lines(ABOUT, WAYS, [own, MOVING]).drawing
    assert [one.get("class") for one in elements(drawing, "node")][-3:] == ["at node own"] * 3


def test_a_missing_rank_leaves_a_gap():
    drawing = ranking_lines(ABOUT, WAYS, [RankedTeam("Fissure", (1, None, 1))]).drawing
    assert not elements(drawing, "ln")
    assert len(elements(drawing, "node")) == 2


def test_a_narrow_picture_names_the_ways_by_letters_that_its_key_explains():
    picture = ranking_lines(ABOUT, WAYS, [STILL])
    assert [one for one in texts(picture.drawing, "narrow") if len(one) == 1] == ["A", "B", "C"]
    assert "<b>B</b>Rank, then mean" in picture.key


def test_it_says_how_many_keep_their_rank_and_who_moves_most():
    assert said(ranking_lines(ABOUT, WAYS, [STILL, MOVING]).drawing) == (
        "2 teams ranked in 3 ways. 1 team keeps its rank in all of them; "
        "Hilum moves by 1, the most, by Rank, then mean."
    )
    assert said(ranking_lines(ABOUT, WAYS, [STILL]).drawing).endswith("All ways give the same order.")
