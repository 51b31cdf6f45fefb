"""How often each team takes each rank."""

from math import isclose

from leaderboard.charts.picture import About
from leaderboard.charts.stability import RankShares, rank_stability
from tests.leaderboard.charts.reading import elements, pixels, said, share, texts

ABOUT = About("it", "Rank stability")
FISSURE = RankShares("Fissure", 1, {1: 0.64, 2: 0.32, 3: 0.04}, 1, (1, 2))
HILUM = RankShares("Hilum", 2, {2: 1.0}, 2, (2, 2))


def blobs(*teams: RankShares) -> list[tuple[float, float]]:
    drawing = rank_stability(ABOUT, teams).drawing
    return [(share(one, "cx"), pixels(one, "r")) for one in elements(drawing, "blob")]


def test_the_area_of_a_dot_is_its_share():
    (_, most), (_, half), _, (_, whole) = blobs(FISSURE, HILUM)
    assert isclose(most**2 / half**2, 2, rel_tol=0.05)
    assert isclose(whole**2 / most**2, 1 / 0.64, rel_tol=0.05)


def test_large_dots_are_drawn_before_the_small_ones_that_they_may_touch():
    sizes = [size for _, size in blobs(RankShares("A", 1, {1: 0.1, 2: 0.7, 3: 0.2}, 2, (1, 3)))]
    assert sizes == sorted(sizes, reverse=True)


def test_median_and_interval_lie_on_the_axis_of_the_dots():
    drawing = rank_stability(ABOUT, [RankShares("A", 2, {1: 0.5, 2: 0.5}, 1.5, (1, 2))]).drawing
    (interval,) = elements(drawing, "iv")
    assert (share(interval, "x1"), share(interval, "x2")) == (25, 75)
    assert [one.get("x") for one in elements(drawing, "at")] == ["50.00%"]


def test_a_later_page_of_a_long_board_begins_at_the_ranks_that_its_teams_take():
    teams = [RankShares(f"T{at}", at, {at - 3: 0.2, at: 0.8}, at, (at - 3, at)) for at in range(476, 501)]
    drawing = rank_stability(ABOUT, teams).drawing
    assert texts(drawing, "tick") == ["475", "480", "485", "490", "495", "500"]
    assert len(elements(drawing, "blob")) == 50


def test_shares_too_small_to_see_are_left_out():
    assert len(blobs(RankShares("A", 1, {1: 0.996, 9: 0.004}, 1, (1, 1)))) == 1


def test_of_ranks_that_are_each_taken_too_seldom_to_be_told_median_and_interval_are_drawn():
    drawing = rank_stability(ABOUT, [RankShares("A", 40, {}, 45, (1, 120))]).drawing
    assert (len(elements(drawing, "blob")), len(elements(drawing, "iv")), len(elements(drawing, "at"))) == (0, 1, 1)


def test_it_says_who_may_be_first_and_whose_rank_is_least_sure():
    assert said(rank_stability(ABOUT, [FISSURE, HILUM]).drawing) == (
        "2 teams. 1 may be first. 1 team keeps its rank in 95 % of resamples. "
        "The least sure is Fissure, rank 1–2 in 95 % of resamples."
    )
