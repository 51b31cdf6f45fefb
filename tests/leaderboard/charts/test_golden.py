"""Drawings stay as they are, to the byte.

After a wanted change: `REX_RENEW_DRAWINGS=1 ./dev test tests/leaderboard/charts/test_golden.py`, look at the difference
that git shows, and at the pictures themselves.
"""

import os
from pathlib import Path

import pytest

from leaderboard.charts.badge import badge
from tests.leaderboard.charts.samples import KINDS, picture

STORED = Path(__file__).parent / "drawings"
DRAWINGS = {
    **{kind: picture(kind).drawing for kind in KINDS},
    "badge": badge("ReXGrounding", ("rank 3 (2–5)", "Dice 0.287")),
}


@pytest.mark.parametrize("kind", DRAWINGS)
def test_a_drawing_is_the_stored_one(kind):
    stored = STORED / f"{kind}.svg"
    if os.environ.get("REX_RENEW_DRAWINGS"):
        stored.parent.mkdir(exist_ok=True)
        stored.write_text(f"{DRAWINGS[kind]}\n", encoding="utf-8")
    assert f"{DRAWINGS[kind]}\n" == stored.read_text(encoding="utf-8")


def test_every_stored_drawing_is_one_of_ours():
    assert {one.stem for one in STORED.glob("*.svg")} == set(DRAWINGS)
