"""The policies of a phase, as people write them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from leaderboard.challenge.policies import POLICIES, unset
from leaderboard.core.refusal import Refused
from leaderboard.models import Phase
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


def test_every_field_that_organisers_edit_is_a_policy():
    fields = {one.name for one in Phase._meta.concrete_fields if one.editable and not one.primary_key}
    assert fields - set(POLICIES) == {"slug"}
    assert not set(POLICIES) - fields


def test_what_is_written_reads_back():
    phase = cast.phase(case_seconds=90, memory_bytes=3 << 29, cpus=Decimal("2.5"), try_outs_on=None)
    for policy in POLICIES.values():
        value = getattr(phase, policy.name)
        read = policy.read(policy.write(phase))
        if isinstance(value, datetime):
            value = value.replace(second=0, microsecond=0)
        assert read == value, policy.name
        assert policy.tell(phase)
        assert policy.means


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("closes_at", "2026-09-15 04:00", datetime(2026, 9, 15, 4, tzinfo=UTC)),
        ("closes_at", "2026-09-15T04:00Z", datetime(2026, 9, 15, 4, tzinfo=UTC)),
        ("closes_at", "2026-09-14T21:00-07:00", datetime(2026, 9, 15, 4, tzinfo=UTC)),
        ("revealed_at", "", None),
        ("case_seconds", "2 min", 120),
        ("case_seconds", "90", 90),
        ("startup_seconds", "1 h", 3600),
        ("memory_bytes", "32 GiB", 32 << 30),
        ("max_archive_bytes", "15 GB", 15 * 10**9),
        ("cpus", "2.5", Decimal("2.5")),
        ("pids", "2,048", 2048),
        ("requires_approval", "yes", True),
        ("counting", "best", "best"),
        ("try_outs_on", "", None),
    ],
)
def test_values_are_read(name, text, value):
    assert POLICIES[name].read(text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("closes_at", "tomorrow"),
        ("closes_at", ""),
        ("case_seconds", "2 parsecs"),
        ("memory_bytes", "much"),
        ("pids", "2.5"),
        ("pids", "NaN"),
        ("cpus", "x"),
        ("requires_approval", "perhaps"),
        ("counting", "worst"),
        ("try_outs_on", "nowhere"),
        ("case_set", "nowhere"),
        ("name", " "),
    ],
)
def test_what_can_not_be_read_is_refused_with_the_policys_name(name, text):
    with pytest.raises(Refused, match=POLICIES[name].label):
        POLICIES[name].read(text)


def test_what_is_not_set():
    phase = cast.phase(publication="half")
    assert unset(phase) == ["description", "try-outs", "commitment to the public half", "reveal"]
