"""The columns of a board that its reader chooses, and how an address says which.

Ranks, teams and Dice with its interval always stand there. A column by which the board is sorted does, too.
"""

from collections.abc import Iterable
from typing import NamedTuple

MEASURES = {
    "hit_rate": "Hit rate",
    "instance_f1": "Instance F1",
    "instance_pr": "Instance precision, recall",
    "distance_f1": "Distance F1",
    "distance_pr": "Distance precision, recall",
    "seconds": "Seconds a case",
}
COLUMNS = {
    "institutions": "Institutions",
    **MEASURES,
    "runs": "Runs",
    "date": "Date",
    "links": "Paper and code",
}
"""What each is called, in the order in which they stand."""
USUAL = ("institutions", "hit_rate", "instance_f1", "distance_f1", "runs", "date")
NONE = "none"
ALWAYS = 4  # rank, team, Dice, and its picture
FEW, MANY = 3, 4


def as_told(told: Iterable[str]) -> str:
    """These columns as an address names them: empty for the usual ones, or for nothing. KeyError for an unknown one.

    A form sends each of them, and NONE in any case: else none of them would look like the usual ones.
    """
    named = {name for some in told for name in some.split(",") if name}
    if unknown := named - COLUMNS.keys() - {NONE}:
        raise KeyError(*unknown)
    chosen = tuple(name for name in COLUMNS if name in named)
    return "" if not named or chosen == USUAL else ",".join(chosen) or NONE


class Columns(NamedTuple):
    """The columns of a table; whether they were chosen."""

    names: tuple[str, ...]
    are_chosen: bool

    @classmethod
    def of(cls, told: str, sort: str) -> "Columns":
        """Those that an address names, of a board that is sorted by this key."""
        names = {*(told.split(",") if told else USUAL), sort}
        return cls(tuple(name for name in COLUMNS if name in names), bool(told))

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def css(self) -> str:
        """How much room they take: a table of few columns hides none of them, one of many has none for pictures."""
        if not self.are_chosen:
            return ""
        in_table = [name for name in self.names if name != "institutions"]
        many = len(MEASURES.keys() & set(self.names)) >= MANY
        return f"chosen{' many' if many else ' few' if len(in_table) <= FEW else ''}"

    @property
    def span(self) -> int:
        """How many columns the table has in all."""
        return ALWAYS + len([name for name in self.names if name != "institutions"])

    @property
    def span_of_references(self) -> int:
        """The same of the table of reference rows, which have no runs."""
        return self.span - ("runs" in self.names)

    @property
    def choices(self) -> list[tuple[str, str, bool]]:
        """Each column that can be chosen, what it is called, and whether it is."""
        return [(name, label, name in self.names) for name, label in COLUMNS.items()]
