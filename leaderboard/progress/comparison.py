"""Runs of one team side by side, as a page shows them; `comparing` makes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from leaderboard.board.comparison import Comparison, Difference, Entry
from leaderboard.challenge.categories import GROUPS
from leaderboard.models import Phase


@dataclass(frozen=True)
class FindingRow:
    """A finding with the Dice of each run; `sentence` is read for those that a page shows.

    `against`: each other run with its Dice, and its difference to the base.
    """

    case: str
    key: str
    category: str
    dice: Sequence[float]
    against: Sequence[tuple[Entry, float, Difference]]
    sentence: str = ""

    @property
    def category_label(self) -> str:
        """The category's name on pages."""
        return GROUPS.get(self.category, self.category)


@dataclass(frozen=True)
class Tally:
    """How many findings a run has better than the base, worse, and the same."""

    better: int
    worse: int
    same: int


@dataclass(frozen=True, kw_only=True)
class OwnComparison(Comparison):
    """Runs of a team, each with what only the team sees of it; the `source` of an entry is its line of the list.

    `cases_of` is the phase whose cases they ran on, of try-outs another one. `findings` are the most different first,
    `tallies` one for each other run.
    """

    cases_of: Phase
    findings: Sequence[FindingRow] = ()
    tallies: Sequence[Tally] = field(default=())

    @property
    def tallied(self) -> list[tuple[Entry, Tally]]:
        """Each other run with how its findings compare."""
        return list(zip(self.entries[1:], self.tallies, strict=True))
