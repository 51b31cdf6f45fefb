"""One table of the categories."""

import pytest

from evaluation import CATEGORIES, Kind, kind_of


def test_there_are_six_non_focal_and_eight_focal_ones_in_order():
    assert list(CATEGORIES) == [*(f"1{letter}" for letter in "abcdef"), *(f"2{letter}" for letter in "abcdefgh")]
    assert [category.kind for category in CATEGORIES.values()] == [Kind.NON_FOCAL] * 6 + [Kind.FOCAL] * 8


def test_each_is_listed_under_its_own_code_with_both_its_names():
    assert all(category.code == code for code, category in CATEGORIES.items())
    assert all(category.label and 0 < len(category.short_label) <= 14 for category in CATEGORIES.values())
    assert len({category.label for category in CATEGORIES.values()}) == len(CATEGORIES)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("1a", Kind.NON_FOCAL), ("2h", Kind.FOCAL), ("2z", Kind.FOCAL)]
    + [(code, None) for code in ("3a", "2", "2ab", "2A", "2a\n", "", None)],
)
def test_the_first_character_says_the_kind_also_of_a_code_that_the_table_lacks(code, kind):
    assert kind_of(code) is kind
