"""Names at the ends of lines."""

from itertools import pairwise

import pytest

from leaderboard.charts.labels import both_lengths, end_label, spread
from tests.leaderboard.charts.reading import elements


def test_names_that_have_room_stay_where_they_belong():
    assert spread([100, 20, 60], 0, 200) == [100, 20, 60]


def test_names_in_one_place_move_apart_around_it():
    assert spread([100, 100, 100], 0, 200, gap=10) == [90, 100, 110]


def test_names_keep_the_order_of_their_lines():
    wanted = [50.0, 49.0, 51.0, 52.0, 190.0, 191.0]
    placed = spread(wanted, 0, 200, gap=10)
    assert sorted(range(6), key=placed.__getitem__) == sorted(range(6), key=wanted.__getitem__)
    assert all(after - before >= 9.9 for before, after in pairwise(sorted(placed)))


@pytest.mark.parametrize("wanted", [[0.0] * 4, [200.0] * 4])
def test_names_stay_within_the_picture(wanted):
    placed = spread(wanted, 0, 200, gap=10)
    assert min(placed) >= 0
    assert max(placed) <= 200


def test_more_names_than_fit_begin_at_the_top():
    assert spread([5.0] * 4, 0, 20, gap=10) == [0, 10, 20, 30]


def test_a_name_that_had_to_move_is_led_to():
    assert not elements(end_label("Fissure", 50, 51), "lead")
    assert elements(end_label("Fissure", 50, 60), "lead")


def test_a_name_that_a_phone_has_no_room_for_is_there_in_two_lengths():
    assert [one.count("wide") for one in both_lengths("Fissure")] == [0]
    wide, narrow = both_lengths("Septum and Fissure")
    assert "Septum and Fissure" in wide
    assert "Septum and…</text>" in narrow
