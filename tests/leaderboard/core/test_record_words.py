"""What the record holds, as people read it: nobody is shown bytes, or an instant without its zone."""

import pytest

from leaderboard.core.record_words import name_in_words, value_in_words


@pytest.mark.parametrize(
    ("field", "value", "name", "words"),
    [
        ("memory_bytes", 34359738368, "memory", "32 GiB"),
        ("case_seconds", 120, "case", "2 min"),
        ("closes_at", "2026-09-15T04:00:00Z", "closes at", "Sep 15, 2026 04:00 UTC"),
        ("closes_at", "2026-09-15T06:00:00.123456+02:00", "closes at", "Sep 15, 2026 04:00 UTC"),
        ("revealed_at", None, "revealed at", "nothing"),
        ("draining", True, "draining", "yes"),
        ("phase_id", 3, "phase", "3"),
        ("slots", ["a", "b"], "slots", "a, b"),
        ("left_out", {"free_bytes": 1000000}, "left out", "free: 1 MB"),
        ("words", "From 2026-09-15T04:00:00Z on", "words", "From 2026-09-15T04:00:00Z on"),
    ],
)
def test_what_the_record_holds_is_read_in_words(field, value, name, words):
    assert (name_in_words(field), value_in_words(field, value)) == (name, words)
