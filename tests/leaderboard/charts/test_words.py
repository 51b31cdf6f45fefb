"""Numbers and names as pictures write them."""

import pytest

from leaderboard.charts import words


def test_a_score_that_is_not_shown_is_a_dash():
    assert (words.score(0.2868), words.score(None)) == ("0.287", "–")


@pytest.mark.parametrize(("low", "high", "shown"), [(2, 5, "2–5"), (3, 3, "3"), (2.5, 4, "2.5–4")])
def test_an_interval_of_one_rank_is_that_rank(low, high, shown):
    assert words.ranks(low, high) == shown


@pytest.mark.parametrize(
    ("part", "shown"), [(0, "0 %"), (0.0049, "under 1 %"), (0.005, "0 %"), (0.674, "67 %"), (1, "100 %")]
)
def test_a_share_that_is_not_quite_nothing_says_so(part, shown):
    assert words.share(part) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Fissure", "Fissure"),
        ("ten letters", "ten lette…"),
        ("気管支気管支", "気管支気…"),
        ("a\nb\u202ec", "a bc"),
        ("e\u0301" * 10, "e\u0301" * 10),
    ],
)
def test_a_name_fits_ten_columns(name, shown):
    assert words.shortened(name, 10) == shown
    assert words.width(shown) <= 10


def test_a_name_holds_nothing_that_xml_refuses():
    assert words.name("a\ufffe\uffff\x08b") == "ab"
