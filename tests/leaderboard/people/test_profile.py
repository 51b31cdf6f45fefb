"""What a person says of themselves."""

import pytest

from leaderboard.core.refusal import Refused
from leaderboard.people.profile import country_choices, country_name, orcid_of


@pytest.mark.parametrize(
    "typed",
    [
        "0000-0002-1825-0097",
        " 0000000218250097 ",
        "https://orcid.org/0000-0002-1825-0097/",
        "orcid.org/0000\u20110002\u20111825\u20110097",
    ],
)
def test_an_orcid_id_is_kept_in_one_form(typed):
    assert orcid_of(typed) == "0000-0002-1825-0097"


def test_its_check_character_may_be_an_x():
    assert orcid_of("0000-0002-1694-233x") == "0000-0002-1694-233X"


def test_nothing_is_no_orcid_id():
    assert orcid_of("  ") == ""


@pytest.mark.parametrize("digit", "012345689X")
def test_a_mistyped_one_is_refused(digit):
    with pytest.raises(Refused, match="mistyped"):
        orcid_of(f"0000-0002-1825-009{digit}")


@pytest.mark.parametrize("typed", ["0000-0002-1825-009", "0000-0002-1825-00977", "X000-0002-1825-0097", "٠" * 16])
def test_what_has_another_form_is_refused(typed):
    with pytest.raises(Refused, match="16 digits"):
        orcid_of(typed)


def test_countries_have_names():
    assert len(country_choices()) > 200
    assert (country_name("CH"), country_name("")) == ("Switzerland", "")
