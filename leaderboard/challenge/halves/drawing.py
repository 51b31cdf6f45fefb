"""Half of the cases, drawn with a secret, so that both halves are alike in every stratum.

1. Cases are sorted by name and put together by patient: two scans, or two reconstructions of one, of which one is shown
   would tell of the other. They are known by CT-RATE's names (`train_19753_a_2.nii.gz`: patient 19753); a case of any
   other name is a patient of its own. Were one patient more than the half, each case would be drawn for itself.
2. The patients are shuffled, and taken in that order while they fit into n // 2 cases.
3. A patient of the half and one of the rest with as many cases change sides, chosen at random, wherever that makes no
   count more uneven, until in every stratum the half's count is within `TOLERANCE` of its share, or `PROPOSALS` were
   made. The imbalance is the sum of what the counts are off beyond that.

Chance is HMAC-SHA256 of the secret over a counter. So the secret and the set give the half, whatever the version of
Python.

The half is not the best balanced one, on purpose: that one could be found without the secret. It is where a random
start first becomes even enough, and of 300 cases like the challenge's about 2^262 halves are (of 2^296 in all). For an
even number of cases a half and its complement are as likely as each other: so each case is public with a chance of
exactly one half (but for patients of several cases), whatever is known of the set, and only the counts of many cases
together are foreseen. Of very few cases few halves are even: then a half is worth little, and little of it is secret.
"""

import hmac
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from leaderboard.challenge.halves.strata import CaseFacts, Stratum, strata

TOLERANCE = 1  # findings, or cases: so the halves differ by two at most
PROPOSALS = 20_000  # of 100 to 1,000 cases a few hundred do
PATIENT = re.compile(r"((?:train|valid|test)_\d+)_[a-z]+_\d+\.nii\.gz")

Counts = npt.NDArray[np.int64]
Unit = tuple[int, ...]  # the numbers of the cases of one patient


def draw(cases: Sequence[CaseFacts], secret: bytes) -> frozenset[str]:
    """The names of the public half: n // 2 of n cases, or as near below that as patients of several cases let it be.

    The order of `cases` plays no part.
    """
    ordered = sorted(cases, key=lambda case: case.name)
    chance = _Chance(secret)
    size = len(ordered) // 2
    half, rest = _split(chance.shuffled(_patients(ordered, size)), size)
    table = np.array([one.counts for one in strata(ordered)], np.int64).reshape(-1, len(ordered)).T
    _even_out(half, rest, table, chance)
    return frozenset(ordered[number].name for unit in half for number in unit)


def imbalance(cases: Sequence[CaseFacts], half: Collection[str]) -> float:
    """By how much counts are off beyond `TOLERANCE`, summed over the strata: 0 for a half that is even enough."""
    table = np.array([one.counts for one in strata(cases)], np.int64).reshape(-1, len(cases)).T
    chosen = [number for number, case in enumerate(cases) if case.name in half]
    return _excess(table[chosen].sum(0), table.sum(0), len(chosen), len(cases)) / max(len(cases), 1)


@dataclass(frozen=True)
class Line:
    """A stratum, and how many of it each half has."""

    kind: str
    code: str
    label: str
    public: int
    withheld: int

    @property
    def n(self) -> int:
        """How many there are in all."""
        return self.public + self.withheld


def balance(cases: Sequence[CaseFacts], half: Collection[str]) -> list[Line]:
    """Each stratum of the set in both halves, in the order in which groups are told."""
    return [_line(stratum, cases, half) for stratum in strata(cases)]


def _line(stratum: Stratum, cases: Sequence[CaseFacts], half: Collection[str]) -> Line:
    public = sum(of_case for of_case, case in zip(stratum.counts, cases, strict=True) if case.name in half)
    return Line(stratum.kind, stratum.code, stratum.label, public, sum(stratum.counts) - public)


class _Chance:
    """Numbers that nobody foresees without the secret."""

    def __init__(self, secret: bytes) -> None:
        self._numbers: Iterator[int] = (
            int.from_bytes(hmac.digest(secret, b"draw %d" % number, "sha256")[:8], "big") for number in count()
        )

    def below(self, end: int) -> int:
        """The next one, from 0 to before `end`; uneven by less than end / 2^64."""
        return next(self._numbers) % end

    def shuffled(self, units: Sequence[Unit]) -> list[Unit]:
        """Fisher and Yates: each order is as likely as any other."""
        order = list(units)
        for last in range(len(order) - 1, 0, -1):
            chosen = self.below(last + 1)
            order[last], order[chosen] = order[chosen], order[last]
        return order


def _patients(ordered: Sequence[CaseFacts], most: int) -> list[Unit]:
    """The cases of each patient, by number; each case for itself if one patient has more than `most`."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, case in enumerate(ordered):
        patient = PATIENT.fullmatch(case.name)
        found[patient[1] if patient else case.name].append(number)
    if max(map(len, found.values()), default=0) > most:
        return [(number,) for number in range(len(ordered))]
    return [tuple(numbers) for numbers in found.values()]


def _split(units: Sequence[Unit], size: int) -> tuple[list[Unit], list[Unit]]:
    half: list[Unit] = []
    rest: list[Unit] = []
    left = size
    for unit in units:
        if len(unit) <= left:
            half.append(unit)
            left -= len(unit)
        else:
            rest.append(unit)
    return half, rest


def _even_out(half: list[Unit], rest: list[Unit], table: Counts, chance: _Chance) -> None:
    """Let units of `half` and `rest` change sides until every count is even enough. `table` is cases by strata."""
    if not half or not rest:
        return
    total, size = table.sum(0), sum(map(len, half))
    counts = table[[number for unit in half for number in unit]].sum(0)
    excess = _excess(counts, total, size, len(table))
    for _ in range(PROPOSALS):
        if not excess:
            return
        ours, theirs = chance.below(len(half)), chance.below(len(rest))
        if len(half[ours]) != len(rest[theirs]):
            continue
        changed = counts - table[list(half[ours])].sum(0) + table[list(rest[theirs])].sum(0)
        after = _excess(changed, total, size, len(table))
        if after <= excess:
            half[ours], rest[theirs] = rest[theirs], half[ours]
            counts, excess = changed, after


def _excess(counts: Counts, total: Counts, size: int, cases: int) -> int:
    """The imbalance times the number of cases: whole numbers, so that no rounding decides."""
    return int(np.maximum(np.abs(counts * cases - total * size) - TOLERANCE * cases, 0).sum())
