"""Entries side by side, as a page shows them: a team's own runs, or rows of a board."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation import OVERALL
from leaderboard.board.disclosure import VARIES, Disclosure, Interval, Scores
from leaderboard.board.rows import GroupLine
from leaderboard.charts.shapes import COMPARED
from leaderboard.scores.resampled import Pair

MOST = len(COMPARED)  # each has a shape of its own
METRICS = {"dice": "Dice", "hit_rate": "Hit rate", "instance_f1": "Instance F1", "distance_f1": "Distance F1"}

Score = tuple[float | None, Interval | None]


@dataclass(frozen=True)
class Entry:
    """What stands beside others: `key` names it in an address, `name` in a sentence, `short` in a table.

    `title` is its algorithm, `tags` what it is besides. `scores` are its numbers, over `cases`, of which some were
    lost; `source` is what a page says more of it from.
    """

    key: str
    name: str
    short: str
    title: str
    tags: Sequence[str]
    scores: Scores | None
    cases: int
    lost_cases: int
    source: Any
    is_own: bool = False

    @property
    def begins(self) -> str:
        """Its name at the beginning of a sentence."""
        return self.name if self.name == self.short else self.name[:1].upper() + self.name[1:]


@dataclass(frozen=True)
class Difference:
    """By how much a number is higher than the base's, with its paired 95 % interval where there is one.

    `is_near`: where there is none, the two can't be told apart for another reason.
    """

    value: float
    ends: Interval | None = None
    is_near: bool = False

    @property
    def is_open(self) -> bool:
        """Whether these cases cannot tell the two apart."""
        return self.is_near if self.ends is None else self.ends[0] <= 0 <= self.ends[1] and self.ends != (0, 0)

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or what keeps from saying so."""
        if self.is_open:
            return "can’t be told apart"
        return "better" if self.value > 0 else "worse" if self.value < 0 else "the same"


@dataclass(frozen=True)
class GroupRow:
    """A group of `n` findings: the score of each entry with its interval; each other one with its difference."""

    code: str
    label: str
    n: int
    scores: Sequence[Score]
    against: Sequence[tuple[Entry, Difference | None]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Entries of one phase by one of METRICS: the base first, then those that are held against it, everywhere so.

    `disclosure` is the strictest of theirs, `scope` that of their numbers. `is_paired`: single cases were compared.
    """

    disclosure: Disclosure
    scope: str
    metric: str
    entries: Sequence[Entry]
    overall: Sequence[Difference | None]
    groups: Sequence[GroupRow]
    is_paired: bool

    @property
    def base(self) -> Entry:
        """The one that the others are held against."""
        return self.entries[0]

    @property
    def metric_label(self) -> str:
        """The number by which they are compared."""
        return METRICS[self.metric]

    @property
    def pairs(self) -> list[tuple[Entry, Difference | None]]:
        """Each other entry with its difference to the base, over all cases."""
        return list(zip(self.entries[1:], self.overall, strict=True))

    @property
    def sentences(self) -> list[tuple[str, Interval | None]]:
        """What came of each pair, in words, with the interval of its difference."""
        base, metric = self.base.name, self.metric_label
        said: list[tuple[str, Interval | None]] = []
        for entry, found in self.pairs:
            if found is None:
                said.append((f"{entry.begins} has no {metric} to compare", None))
            elif found.is_open:
                said.append((f"{entry.begins} can’t be told apart from {base}", found.ends))
            elif found.value == 0:
                said.append((f"{entry.begins} has the same {metric} as {base}", found.ends))
            else:
                said.append((f"{entry.begins} is {found.verdict} than {base} by {abs(found.value):.3f}", found.ends))
        return said

    @property
    def table(self) -> list[tuple[str, list[tuple[Entry, Score]]]]:
        """Every number that compares entries, by its name, of each with its interval."""
        return [(words, [(one, score_of(one.scores, name)) for one in self.entries]) for name, words in METRICS.items()]

    @property
    def looked_at(self) -> int:
        """How many differences of groups are shown."""
        return sum(one is not None for row in self.groups for _, one in row.against)


def score_of(scores: Scores | None, metric: str) -> Score:
    """One of METRICS with its interval, as it is shown."""
    return (getattr(scores, metric), getattr(scores, f"{metric}_ci")) if scores else (None, None)


# --- differences ------------------------------------------------------------------------------------------------------

Paired = Sequence[Mapping[str, Pair]]
"""Of each entry but the base what pairs of findings say, by group; empty where single cases are not read."""


def overall(entries: Sequence[Entry], metric: str, disclosure: Disclosure, paired: Paired) -> list[Difference | None]:
    """Each other entry's number over all cases, against that of the base."""
    scores = [score_of(entry.scores, metric) for entry in entries]
    is_of_one = entries[0].cases < VARIES
    return _differences(scores, OVERALL, disclosure, paired, is_of_one=is_of_one)


def group_rows(
    entries: Sequence[Entry], groups: Sequence[Sequence[GroupLine]], metric: str, disclosure: Disclosure, paired: Paired
) -> list[GroupRow]:
    """The groups that all entries have, and that may be shown; `groups` are those of each entry."""
    of_each = [{line.code: line for line in lines} for lines in groups]
    codes = [code for code in of_each[0] if all(code in known for known in of_each)]
    of_codes = [[known[code] for known in of_each] for code in codes]
    return [
        _row(entries, lines, metric, disclosure, paired) for lines in of_codes if disclosure.shows_group(lines[0].n)
    ]


def _row(
    entries: Sequence[Entry], lines: Sequence[GroupLine], metric: str, disclosure: Disclosure, paired: Paired
) -> GroupRow:
    base, scores = lines[0], [score_of(line, metric) for line in lines]
    is_of_one = base.n < VARIES or not any(ends for _, ends in scores)  # several findings of one case are like one
    differences = _differences(scores, base.code, disclosure, paired, is_of_one=is_of_one)
    return GroupRow(base.code, base.label, base.n, scores, list(zip(entries[1:], differences, strict=True)))


def _differences(
    scores: Sequence[Score], code: str, disclosure: Disclosure, paired: Paired, *, is_of_one: bool
) -> list[Difference | None]:
    base, *others = scores
    if not paired:
        return [_of_shown(base, other, disclosure) for other in others]
    return [
        _of_pair(base, other, of_entry.get(code), disclosure, is_of_one=is_of_one)
        for other, of_entry in zip(others, paired, strict=True)
    ]


def _of_shown(base: Score, other: Score, disclosure: Disclosure) -> Difference | None:
    if base[0] is None or other[0] is None:
        return None
    value = disclosure.difference(other[0], base[0])
    return Difference(value, is_near=value != 0 and _holds(base[1], other[0]) and _holds(other[1], base[0]))


def _of_pair(
    base: Score, other: Score, pair: Pair | None, disclosure: Disclosure, *, is_of_one: bool
) -> Difference | None:
    """A paired difference; one of too few cases or findings has no interval, and can't be told from 0."""
    if base[0] is None or other[0] is None or pair is None:
        return None
    value = disclosure.difference(other[0], base[0])
    ends = None if is_of_one else disclosure.paired_interval(value, pair.difference, pair.differing)
    return Difference(value, ends, is_near=ends is None and value != 0)


def _holds(ends: Interval | None, value: float) -> bool:
    return ends is not None and ends[0] <= value <= ends[1]
