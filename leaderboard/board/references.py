"""Reference rows as a board shows them: read as they are now, since they are organisers' words, and in no version.

They stand apart from what was run here, in the order of their Dice over the group of findings by which the board is
read, and have no rank. A row of which that group is not known is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.challenge.reference_rows import Interval, Numbers, numbers_of
from leaderboard.models import Phase, ReferenceRow


class Source(NamedTuple):
    """Where numbers are from, over how many cases and findings."""

    words: str
    link: str
    date: date | None
    cases: int | None
    findings: int | None

    @property
    def facts(self) -> str:
        """When it said so, and over how many cases and findings its numbers are; empty where nothing is known."""
        findings = f" with {self.findings:,} findings" if self.findings else ""
        told_on = f"As of {self.date:%b %-d, %Y}." if self.date else ""
        over = f"Over {self.cases:,} cases{findings}." if self.cases else ""
        return f"{told_on} {over}".strip()


class ReferenceLine(NamedTuple):
    """One group of findings within a row."""

    code: str
    numbers: Numbers

    @property
    def label(self) -> str:
        """What the group is called."""
        return GROUPS[self.code]

    @property
    def n(self) -> int | None:
        """How many findings it has, if that is known."""
        return self.numbers.n

    @property
    def dice(self) -> float:
        """Their Dice."""
        return self.numbers.dice

    @property
    def dice_ci(self) -> Interval | None:
        """Its 95 % interval."""
        return self.numbers.dice_ci

    @property
    def hit_rate(self) -> float | None:
        """Their hit rate."""
        return self.numbers.hit_rate


@dataclass(frozen=True)
class Reference:
    """A reference row, read by one group of findings: `numbers` are over that."""

    row: ReferenceRow
    numbers: Numbers

    @property
    def key(self) -> str:
        """Names the row on its page; no team has a dot in its name there."""
        return f"reference.{self.row.pk}"

    @property
    def source(self) -> Source:
        """Where its numbers are from."""
        row = self.row
        return Source(row.source, row.source_link, row.source_date, row.cases, row.findings)

    @property
    def by_group(self) -> dict[str, Numbers]:
        """Its numbers over each group of findings that its source gives, in the usual order."""
        known = self.row.numbers
        return {code: numbers_of(known[code]) for code in GROUPS if code in known}

    @property
    def lines(self) -> list[ReferenceLine]:
        """What it says when it is opened: its groups."""
        return [ReferenceLine(code, numbers) for code, numbers in self.by_group.items() if code != ALL]


def references_of(phase: Phase, group: str = ALL) -> list[Reference]:
    """The reference rows of a phase that have numbers over a group of findings, the highest Dice first."""
    rows = ReferenceRow.objects.filter(phase=phase, numbers__has_key=group)
    found = [Reference(row, numbers_of(row.numbers[group])) for row in rows]
    return sorted(found, key=lambda one: (-one.numbers.dice, one.row.name, one.row.pk))


def sources_of(references: Sequence[Reference]) -> list[Source]:
    """Where these are from, each once, in their order: a page numbers them from 1."""
    return list(dict.fromkeys(one.source for one in references))
