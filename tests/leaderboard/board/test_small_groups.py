"""What a board tells of hidden cases, taken from what else it tells, is never about a small group of findings."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from django.test import Client

from evaluation import CATEGORIES, Kind, SizeGroup, kind_of
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.numbers import shown_groups
from leaderboard.models import Finding, Phase
from tests.leaderboard import cast
from tests.leaderboard.scores.runs import scored

AT = datetime(2026, 9, 1, tzinfo=UTC)
HIDDEN = Disclosure.to_public(Phase(cases_are_public=False), AT)
CASES = 60
# By category, as in 100 cases of the challenge: of the focal ones three are rare.
COUNTS = {"1c": 17, "1d": 10, "1e": 10, "2a": 49, "2b": 36, "2c": 36, "2d": 58, "2e": 7, "2g": 1, "2h": 1}
RARE = ("2e", "2g", "2h")


def sizes_of(by_category: dict[str, int], without: int = 0) -> dict[str, int]:
    """How many findings each group has, if so many have no category."""
    found = {code: n for code, n in by_category.items() if n}
    for kind in Kind:
        found[kind] = sum(n for code, n in by_category.items() if kind_of(code) == kind)
    total = sum(by_category.values()) + without
    found |= {SizeGroup.SMALL: total // 2, SizeGroup.MEDIUM: total // 4}
    found[SizeGroup.LARGE] = total - total // 2 - total // 4
    return {code: n for code, n in found.items() if n}


def least_that_is_left(sizes: dict[str, int], shown: set[str]) -> int:
    """Of the findings of how many the numbers can be worked out, at the least, by the sums that are told.

    Each shown group is a sum over its atoms, which are categories (and none); whichever sum of atoms that is a
    combination of these is known, too.
    """
    total = sum(sizes.get(code, 0) for code in SizeGroup)
    codes = [code for code in CATEGORIES if code in sizes]
    atoms = [*(sizes[code] for code in codes), total - sum(sizes[code] for code in codes)]
    members = np.array(
        [
            np.ones(len(atoms)),
            *([*(float(kind_of(code) == kind) for code in codes), 0.0] for kind in Kind if kind in shown),
            *([*(float(code == one) for code in codes), 0.0] for one in codes if one in shown),
        ]
    )
    blocks = {tuple(column) for column in members.T}
    of_blocks = [sum(n for n, column in zip(atoms, members.T, strict=True) if tuple(column) == one) for one in blocks]
    return min(n for n in of_blocks if n)


def test_groups_that_are_left_out_are_together_no_small_group():
    random = np.random.default_rng(0)
    for _ in range(500):
        counts = random.poisson(random.uniform(0.3, 20), len(CATEGORIES)).tolist()
        without = int(random.integers(0, 15)) * int(random.integers(2))
        sizes = sizes_of(dict(zip(CATEGORIES, counts, strict=True)), without)
        shown = shown_groups(sizes, HIDDEN)
        assert all(sizes[code] >= 10 for code in shown)
        total = sum(counts) + without
        assert least_that_is_left(sizes, shown) >= 10 or (total < 10 and not shown), sizes
    assert shown_groups(sizes_of(COUNTS), HIDDEN) == {*sizes_of(COUNTS)} - {*RARE, "2b"}


@pytest.mark.django_db
def test_the_hits_of_a_rare_category_can_not_be_worked_out_from_what_anybody_reads():
    cases = cast.case_set(2 * CASES, findings=4)
    codes = [code for code, n in COUNTS.items() for _ in range(n)]
    half = Finding.objects.filter(case__in_public_half=True).order_by("case__name", "channel")
    for one, code in zip(half, [*codes, *["2d"] * (len(half) - len(codes))], strict=True):
        Finding.objects.filter(pk=one.pk).update(category=code)
    phase = cast.phase(cases, publication="half")
    rare = [one.category in RARE for one in Finding.objects.order_by("case__name", "channel")]
    scored(cast.team_of(cast.person("Alice")), phase, np.where(rare, 0.9, 0.05).tolist())
    cast.let_a_minute_pass()
    [row] = Client().get("/api/v1/phases/test/board").json()["items"]
    told = {one["code"]: one for one in row["groups"]}
    focal = {code for code in told if code in CATEGORIES and kind_of(code) is Kind.FOCAL}
    assert len(focal) > 1
    hits, n = ({code: number(one) for code, one in told.items()} for number in (_hits, _findings))
    assert hits["focal"] == sum(COUNTS[code] for code in RARE), "a rate tells the count"
    assert n["focal"] - sum(n[code] for code in focal) >= 10
    assert not focal & {*RARE}


def _hits(told: dict[str, Any]) -> int:
    return round(told["hit_rate"] * told["n"])


def _findings(told: dict[str, Any]) -> int:
    return int(told["n"])
