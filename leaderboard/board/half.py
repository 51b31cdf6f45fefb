"""The public half of a case set, as a reader may see it: how even it is, and from the reveal on which cases it has."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from leaderboard.board.disclosure import HalfDisclosure
from leaderboard.challenge.halves.commitment import PUBLIC, WITHHELD
from leaderboard.challenge.halves.drawing import Line
from leaderboard.challenge.halves.kept import Half


@dataclass(frozen=True)
class Side:
    """A case, what stands for it in the opened commitment ("" without one), and on which side it is."""

    name: str
    tag: str
    side: str


@dataclass(frozen=True)
class ShownHalf:
    """What is shown of it. `holds` says whether the rows are still what was drawn and committed to.

    It is None for a set without a commitment, where the commitment is "". `balance`, `secret` and `cases` are empty
    where they are not shown.
    """

    case_set: str
    commitment: str
    holds: bool | None
    public: int
    withheld: int
    balance: list[Line]
    secret: str
    cases: list[Side]

    @classmethod
    def of(cls, disclosure: HalfDisclosure) -> Self:
        """As its reader may see it."""
        half = Half(disclosure.case_set)
        secret = half.secret
        return cls(
            case_set=disclosure.case_set.name,
            commitment=disclosure.case_set.half_commitment,
            holds=half.is_as_committed and half.is_as_drawn if disclosure.case_set.half_commitment else None,
            public=len(half.public),
            withheld=len(half.names) - len(half.public),
            balance=half.balance if disclosure.shows_balance else [],
            secret=secret.hex() if secret and disclosure.shows_names else "",
            cases=_sides(half) if disclosure.shows_names else [],
        )

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {**asdict(self), "balance": [asdict(line) | {"n": line.n} for line in self.balance]}


def _sides(half: Half) -> list[Side]:
    return [Side(name, half.tags.get(name, ""), PUBLIC if name in half.public else WITHHELD) for name in half.names]
