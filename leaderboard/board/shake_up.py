"""The shake-up: how runs stand on the public half, on the half that was withheld, and on all cases.

For phases that are revealed: whoever knows two of the three numbers of a run knows the third one.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from leaderboard.board.disclosure import DECIMALS
from leaderboard.board.ranking import ranks
from leaderboard.models import BoardRow, BoardVersion, Phase, Standing
from leaderboard.states import RunState

CERTAIN_DECIMALS = 12  # the last bits of a difference are noise, which would part what is equal


class OfHalves(NamedTuple):
    """The Dice of an entry (its key) over all its cases and over the public half, and how many cases these are."""

    submission: int
    dice: float
    cases: int
    public_dice: float
    public_cases: int


class Move(NamedTuple):
    """Dice and rank of an entry on the public half, as the board showed them, on the withheld one, and on all cases."""

    submission: int
    public_dice: float
    withheld_dice: float
    dice: float
    public_rank: int
    withheld_rank: int
    rank: int

    @property
    def gained(self) -> int:
        """By how many ranks it rose at the reveal; below 0, it fell."""
        return self.public_rank - self.rank


def shake_up(entries: Sequence[OfHalves]) -> list[Move]:
    """What became of the ranked entries of a board, by their rank on all cases, then on the public half.

    Before the reveal ranks came from Dice of three decimals, and so do they here. Raises ZeroDivisionError where
    nothing was withheld.
    """
    public = [round(one.public_dice, DECIMALS) for one in entries]
    withheld = [_withheld(one) for one in entries]
    columns = ([one.submission for one in entries], public, withheld, [one.dice for one in entries])
    ranked = (ranks(public), ranks(withheld), ranks([one.dice for one in entries]))
    moves = [Move(*of_entry) for of_entry in zip(*columns, *ranked, strict=True)]
    return sorted(moves, key=lambda move: (move.rank, move.public_rank, move.submission))


def _withheld(entry: OfHalves) -> float:
    """The Dice over the other half: the one that ranks is a mean over cases, so what one half leaves is the other's."""
    left = (entry.dice * entry.cases - entry.public_dice * entry.public_cases) / (entry.cases - entry.public_cases)
    return round(left, CERTAIN_DECIMALS)


def shake_up_of(version: BoardVersion) -> list[Move]:
    """That of a board, by its ranked rows; nothing before the reveal, and where its phase never showed half."""
    if not version.is_revealed or version.rules["publication"] != Phase.Publication.HALF:
        return []
    return shake_up([one for one in _of_halves(version) if one.cases > one.public_cases])


def _of_halves(version: BoardVersion) -> list[OfHalves]:
    """Of each ranked entry its latest run that has both standings."""
    with_rank = [row for row, rank in zip(version.rows, version.ranks, strict=False) if rank is not None]
    ranked = BoardRow.objects.filter(pk__in=with_rank).values("submission")
    standings = Standing.objects.filter(
        run__submission__in=ranked, run__state=RunState.SCORED, evaluation_version=version.evaluation_version
    )
    found: dict[int, dict[str, tuple[float, int]]] = defaultdict(dict)
    columns = ("run__submission", "scope", "dice", "cases")
    for submission, scope, dice, cases in standings.order_by("run__number").values_list(*columns):
        found[submission][scope] = dice, cases
    scopes = (Standing.Scope.ALL, Standing.Scope.HALF)
    return [OfHalves(key, *of[scopes[0]], *of[scopes[1]]) for key, of in found.items() if set(of) == set(scopes)]
