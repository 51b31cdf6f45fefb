"""Sizes in the administration: written with their unit, and kept to the byte."""

import pytest
from django.core.exceptions import ValidationError

from leaderboard.admin.sizes import SizeField
from leaderboard.core.sizes import in_words


@pytest.mark.parametrize("size", [0, 1, 999, 1024, 256 << 10, 32 << 30, 15 * 10**9, 15 * 10**9 + 1, 2**63 - 1])
def test_a_size_comes_back_as_it_was_shown(size):
    assert SizeField().clean(in_words(size)) == size
    assert not SizeField().has_changed(size, in_words(size))


@pytest.mark.parametrize(
    ("written", "size"), [("32 GiB", 32 << 30), ("1.5gib", 3 << 29), ("15 GB", 15 * 10**9), ("2,000", 2000)]
)
def test_a_size_is_read_as_people_write_it(written, size):
    assert SizeField().clean(written) == size


@pytest.mark.parametrize(
    "written",
    ["", "much", "-1 GB", "1.5", "3 GIGS", "0.3 bytes", "9e9 GB", "9999999999 GiB", "1,5 GiB", "1,50 GB", "12,3456 GB"],
)
def test_what_is_no_size_is_refused(written):
    with pytest.raises(ValidationError):
        SizeField().clean(written)
