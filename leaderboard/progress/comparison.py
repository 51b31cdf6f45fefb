"""Runs of one team side by side, as a page shows them; `comparing` makes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from leaderboard.board.disclosure import Interval, Scores
from leaderboard.challenge.categories import GROUPS
from leaderboard.models import Phase
from leaderboard.progress.listing import Line

MOST = 5
METRICS = {"dice": "Dice", "hit_rate": "Hit rate", "instance_f1": "Instance F1", "distance_f1": "Distance F1"}

Score = tuple[float | None, Interval | None]


@dataclass(frozen=True)
class Difference:
    """By how much a number is higher than the base's, with its paired 95 % interval where there is one.

    `is_near`: where there is none, each of the two numbers lies in the interval of the other.
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
    """A group of `n` findings: the score of each run with its interval.

    `against`: each other submission's key with its difference to the base.
    """

    code: str
    label: str
    n: int
    scores: Sequence[Score]
    against: Sequence[tuple[int, Difference | None]]


@dataclass(frozen=True)
class FindingRow:
    """A finding with the Dice of each run; `sentence` is read for those that a page shows.

    `against`: each other submission's key, its Dice, and its difference to the base.
    """

    case: str
    key: str
    category: str
    dice: Sequence[float]
    against: Sequence[tuple[int, float, Difference]]
    sentence: str = ""

    @property
    def category_label(self) -> str:
        """The category's name on pages."""
        return GROUPS.get(self.category, self.category)

    @property
    def spread(self) -> float:
        """How far the runs are apart."""
        return max(self.dice) - min(self.dice)


@dataclass(frozen=True)
class Tally:
    """How many findings a run has better than the base, worse, and the same."""

    better: int
    worse: int
    same: int


@dataclass(frozen=True)
class Comparison:
    """Runs of one phase by one of METRICS: the base first, then those that are held against it, everywhere so.

    `is_paired`: single cases were compared. `findings` are the most different first, `tallies` one for each other run.
    """

    phase: Phase
    metric: str
    lines: Sequence[Line]
    overall: Sequence[Difference | None]
    groups: Sequence[GroupRow]
    is_paired: bool
    findings: Sequence[FindingRow] = ()
    tallies: Sequence[Tally] = ()

    @property
    def metric_label(self) -> str:
        """The number by which they are compared."""
        return METRICS[self.metric]

    @property
    def pairs(self) -> list[tuple[Line, Difference | None]]:
        """Each other run with its difference to the base, over all cases."""
        return list(zip(self.lines[1:], self.overall, strict=True))

    @property
    def sentences(self) -> list[tuple[str, Interval | None]]:
        """What came of each pair, in words, with the interval of its difference."""
        base, metric = f"submission {self.lines[0].submission.pk}", self.metric_label
        said: list[tuple[str, Interval | None]] = []
        for line, found in self.pairs:
            run = f"Submission {line.submission.pk}"
            if found is None:
                said.append((f"{run} has no {metric} to compare", None))
            elif found.is_open:
                said.append((f"{run} can’t be told apart from {base}", found.ends))
            elif found.value == 0:
                said.append((f"{run} has the same {metric} as {base}", found.ends))
            else:
                said.append((f"{run} is {found.verdict} than {base} by {abs(found.value):.3f}", found.ends))
        return said

    @property
    def tallied(self) -> list[tuple[Line, Tally]]:
        """Each other run with how its findings compare."""
        return list(zip(self.lines[1:], self.tallies, strict=True))

    @property
    def table(self) -> list[tuple[str, list[tuple[Line, Score]]]]:
        """Every number that compares runs, by its name, of each run with its interval."""
        return [
            (words, [(line, score_of(line.figures, name)) for line in self.lines]) for name, words in METRICS.items()
        ]

    @property
    def looked_at(self) -> int:
        """How many differences of groups are shown."""
        return sum(one is not None for row in self.groups for _, one in row.against)


def score_of(scores: Scores | None, metric: str) -> Score:
    """One of METRICS with its interval, as it is shown."""
    return (getattr(scores, metric), getattr(scores, f"{metric}_ci")) if scores else (None, None)
