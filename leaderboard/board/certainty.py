"""How sure the order of a board is: computed as a version is made, and kept beside it (`order`).

It is about the rows that hold a rank, in their order: neither organisers' own teams, nor masks that stand apart, nor
post-challenge runs. All of it comes from the cases that feed the board's numbers. While these are rounded, ranks in
resamples are those of rounded scores, and how often a team takes one is told in whole per cent.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation import seed_from
from leaderboard.board.contents import Source
from leaderboard.board.disclosure import DECIMALS, Disclosure
from leaderboard.board.order import packed
from leaderboard.board.ranking import NUMBERS
from leaderboard.certainty.assessment import assess
from leaderboard.certainty.pairs import PairTests
from leaderboard.challenge.categories import ALL
from leaderboard.models import BoardCertainty, BoardRow, BoardVersion, Standing
from leaderboard.scores import arrays

LEAST = 2  # rows that hold a rank: of one there is no order
METRICS = ("hit_rate", "instance_f1", "distance_f1")
logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A row of a board, and what it is made of."""

    row: BoardRow
    source: Source


def assessed(disclosure: Disclosure, version: BoardVersion, entries: Sequence[Entry]) -> BoardCertainty | None:
    """How sure the order of a version is (not saved), which lists these among others; None where there is no order."""
    of_row = {one.row.pk: one for one in entries}
    ranked = [of_row[row] for row, rank in zip(version.rows, version.ranks, strict=False) if rank is not None]
    if len(ranked) < LEAST:
        return None
    runs = _runs(ranked)
    try:
        scores = _case_scores(version, runs)
    except (LookupError, ValueError) as error:
        logger.warning("no certainty for %s: %s", version, error)
        return None
    of_same, before = _tested.get(version.phase_id, (None, None))
    digest = version.phase.case_set.digest
    same = (digest, version.scope, version.evaluation_version)
    found = assess(
        scores,
        seed=seed_from(digest),
        runs=runs,
        before=before if of_same == same else None,
        metrics=_other_metrics(ranked),
        decimals=None if disclosure.shows_exact_scores else DECIMALS,
    )
    _tested[version.phase_id] = same, found.pairs
    intervals, top = found.stability.intervals, set(found.tied_with_the_top)
    return BoardCertainty(
        version=version,
        lows=intervals[:, 0].tolist() if intervals is not None else [],
        highs=intervals[:, 1].tolist() if intervals is not None else [],
        tied_with_the_top=[place in top for place in range(len(ranked))],
        packed=packed(found, disclosure),
    )


_tested: dict[int, tuple[tuple[str, ...], PairTests]] = {}
"""What this process last tested in a phase (its key), on which cases and by which evaluation version.

Of a board of 500 teams one run more takes a quarter of the time then; who begins anew finds the same."""


def _runs(ranked: Sequence[Entry]) -> list[int]:
    """The runs of these rows, by their keys."""
    run_of = dict(Standing.objects.filter(pk__in=[one.source.standing for one in ranked]).values_list("pk", "run"))
    return [run_of[one.source.standing] for one in ranked]


def _case_scores(version: BoardVersion, runs: Sequence[int]) -> NDArray[np.float64]:
    """The Dice of the cases that feed the version's numbers: (rows, cases)."""
    scores = arrays.case_dice(runs, version.evaluation_version)
    return scores[:, arrays.cases_of(runs[0]).in_public_half] if version.scope == Standing.Scope.HALF else scores


def _other_metrics(ranked: Sequence[Entry]) -> Mapping[str, list[float]]:
    """The numbers by which one could rank instead, as they are shown; one that a row lacks is left out."""
    found = {name: [one.row.numbers[ALL][NUMBERS.index(name)] for one in ranked] for name in METRICS}
    return {
        name: [value for value in values if value is not None] for name, values in found.items() if None not in values
    }
