"""The numbers of single cases and findings of all runs that a version of a board lists, where they may be shown.

Of public cases they are shown at once, under the cases' names and in the order of these. Of hidden ones once they were
published (challenge/published_cases.py), for versions that were made of the full result: under numbers, in the order of
these, without post-challenge runs, and without what became of a case.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import evaluation
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.rows import Board, Row
from leaderboard.challenge import published_cases
from leaderboard.models import BoardVersion, Run
from leaderboard.scores import arrays
from leaderboard.scores.aggregates import finding_sizes
from leaderboard.scores.arrays import FindingScores
from leaderboard.scores.layout import NOT_MEASURED

Integers = NDArray[np.intp]
Columns = dict[str, list[Any]]
COUNTS = ("tp", "fp", "fn")
DISTANCE = ("distance_tp", "distance_fp", "distance_fn")
OF_A_CASE = ("status", "dice", "findings", "hits", *COUNTS, "distance_findings", *DISTANCE)
OF_A_FINDING = ("dice", "hit", *COUNTS, *DISTANCE)


class About(NamedTuple):
    """A finding as it is told: its case, its channel or number within it, its category and size, None where unknown."""

    case: str
    finding: int
    category: str | None
    size: str | None


@dataclass(frozen=True, eq=False)
class CaseNumbers:
    """Rows of a version, at least one, with the numbers of their cases.

    Rows are in the order of the board. `order` are places of cases, in the order of their names, in that in which they
    are told.
    """

    board: Board
    version: BoardVersion
    disclosure: Disclosure
    rows: Sequence[Row]
    scores: Sequence[FindingScores]
    order: Integers

    @property
    def names_cases(self) -> bool:
        """Whether cases stand here under their names."""
        return self.disclosure.cases_are_public

    @property
    def seed(self) -> int:
        """By which the resamples of the cases are drawn. Of hidden cases it is told to nobody: it gives their order."""
        return evaluation.seed_from(self.board.case_set.digest)

    @cached_property
    def cases(self) -> list[str]:
        """What the cases are called here."""
        if self.names_cases:
            return [self._names[place] for place in self.order]
        return [str(number) for number in range(1, len(self.order) + 1)]

    @property
    def resamples(self) -> NDArray[np.float64]:
        """How often each case counts in each resample (resamples, cases), behind all intervals of the board."""
        return evaluation.resample_counts(len(self.order), seed=self.seed)[:, self.order]

    def of_cases(self) -> Iterator[tuple[Row, Columns]]:
        """Each row with the numbers of its cases: OF_A_CASE, one of each in the order of `cases`."""
        for row, scores in zip(self.rows, self.scores, strict=True):
            yield row, self._of_cases(scores)

    def _of_cases(self, scores: FindingScores) -> Columns:
        found, cases = scores.findings, len(scores.statuses)
        is_measured = found["distance_tp"] != NOT_MEASURED

        def added(values: NDArray[Any]) -> list[int]:
            sums: list[int] = np.bincount(scores.case_of, values, cases)[self.order].astype(int).tolist()
            return sums

        statuses = [str(scores.statuses[place]) if self.names_cases else None for place in self.order]
        return {
            "status": statuses,
            "dice": scores.case_dice[self.order].tolist(),
            "findings": added(np.ones(len(found))),
            "hits": added(found["hit"]),
            **{name: added(found[name]) for name in COUNTS},
            "distance_findings": added(is_measured),
            **{name: added(np.where(is_measured, found[name], 0)) for name in DISTANCE},
        }

    def of_findings(self) -> Iterator[tuple[Row, Columns]]:
        """Each row with the numbers of its findings: OF_A_FINDING, one of each in the order of `findings`."""
        for row, scores in zip(self.rows, self.scores, strict=True):
            found = scores.findings[self._finding_order]
            columns = {name: found[name].tolist() for name in OF_A_FINDING}
            for name in DISTANCE:
                columns[name] = [None if count == NOT_MEASURED else count for count in columns[name]]
            yield row, columns

    @cached_property
    def findings(self) -> list[About]:
        """What is told of each finding: the same in all runs."""
        first, sizes = self.scores[0], finding_sizes(self.board.case_set)
        limits = evaluation.size_limits(list(sizes.values()))
        called = dict(zip(self.order.tolist(), self.cases, strict=True))
        told, number, before = [], 0, -1
        for place in self._finding_order:
            case, channel = int(first.case_of[place]), int(first.findings["channel"][place])
            number, before = (number + 1 if case == before else 1), case
            size = sizes.get((self._names[case], str(channel)))
            told.append(
                About(
                    case=called[case],
                    finding=channel if self.names_cases else number,
                    category=first.findings["category"][place].decode() or None,
                    size=str(evaluation.size_group(size, limits)) if size is not None else None,
                )
            )
        return told

    @property
    def _names(self) -> Sequence[str]:
        return self.scores[0].cases.names

    @cached_property
    def _finding_order(self) -> Integers:
        """The places of findings in the order in which they are told: by case, within it by channel or number."""
        case_of, channels = self.scores[0].case_of, self.scores[0].findings["channel"]
        places = [np.flatnonzero(case_of == case) for case in self.order]
        if not self.names_cases:
            secret = published_cases.secret_of(self.board.phase)
            for case, of_case in enumerate(places):
                name, known = self._names[self.order[case]], dict(zip(channels[of_case].tolist(), of_case, strict=True))
                ordered = published_cases.order_of_findings(secret, name, known)
                places[case] = np.array([known[channel] for channel in ordered])
        return np.concatenate(places)


def listed(disclosure: Disclosure, board: Board) -> list[Row]:
    """The rows of a version whose numbers of cases may be shown, in its order; one query."""
    return list(board.everything) if disclosure.cases_are_public else [*board.rows, *board.masks]


def read(disclosure: Disclosure, board: Board, version: BoardVersion, rows: Sequence[Row]) -> CaseNumbers:
    """The numbers of the cases of these rows of a version.

    Raises LookupError without any row, and where the numbers of a run are not kept.
    """
    runs = _runs(rows, version)
    scores = arrays.of_runs([runs[row.submission] for row in rows], version.evaluation_version)
    if not scores or any(one.cases is not scores[0].cases for one in scores):
        raise LookupError("this version has no runs, or they are of different cases")
    return CaseNumbers(board, version, disclosure, rows, scores, _order(disclosure, scores[0].cases.names))


def _order(disclosure: Disclosure, names: Sequence[str]) -> Integers:
    if disclosure.cases_are_public:
        return np.arange(len(names))
    secret = published_cases.secret_of(disclosure.phase)
    return np.array(published_cases.order_of_cases(secret, names), np.intp)


def _runs(rows: Sequence[Row], version: BoardVersion) -> dict[int, int]:
    """The run of each row by its submission; of rows that do not name it, the last one that was scored by then."""
    known = {row.submission: row.run for row in rows if row.run is not None}
    without = [row.submission for row in rows if row.run is None]
    if without:
        by_version = {"scores__evaluation_version": version.evaluation_version, "ended_at__lt": version.runs_until}
        older = Run.objects.filter(submission__in=without, **by_version).order_by("number")
        known |= dict(older.values_list("submission", "pk"))
    return known
