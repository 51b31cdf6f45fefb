"""Which names look like an address of a page, of which mail programs make a link; instants as people write them."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError

from leaderboard.core.refusal import Refused
from leaderboard.core.text import check_no_link, read_instant


@pytest.mark.parametrize(
    "name",
    [
        *("evil.com", "EVIL.COM", "Win at evil.example now", "sub.evil.co.uk/path", "müller.de", "пример.рф", "a.ai"),
        *("evil。com", "evil．com", "evil.\u200bcom", "evil\u2060.com", "xn--80ak6aa92e.xn--p1ai", "bücher.xn--p1ai"),
        *("mail me@evil.com", "https://1", "http:evil", "mailto:me", "javascript:alert(1)", "www.evil", "192.0.2.1"),
        *("Dr.Who", "Team_evil.com", "(evil.com)", "“evil.com”", "evil.com:8000"),
    ],
)
def test_what_looks_like_an_address_of_a_page_is_no_name(name):
    with pytest.raises(ValidationError, match="Leave addresses of pages out of it"):
        check_no_link(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Dora", "Dr. Who", "J. R. R. Tolkien", "A.I. Lab", "U.S.A.", "DFKI e.V.", "St. Gallen", "Team 2.0", "v1.5"),
        *(
            "Müller & Söhne",
            "O’Neill, Jr.",
            "CT-Net",
            "A:B",
            "10.5",
            "Inc.",
            "...",
            "我们。",
            "et al.",
            "nnU-Net v2.1b",
        ),
    ],
)
def test_initials_titles_and_numbers_are(name):
    check_no_link(name)


@pytest.mark.parametrize(
    "written",
    ["2026-09-14 20:00", " 2026-09-14T20:00 UTC", "2026-09-14 20:00 Z", "2026-09-14 22:00+02:00"],
)
def test_an_instant_is_in_utc_unless_it_says_another_clock(written):
    assert read_instant(written) == datetime(2026, 9, 14, 20, tzinfo=UTC)


@pytest.mark.parametrize("written", ["", "tomorrow", "20:00", "2026-02-30 20:00", "0001-01-01 00:00+14:00"])
def test_what_is_no_instant_is_refused(written):
    with pytest.raises(Refused, match="is no date and time"):
        read_instant(written)
