"""Rows of a board side by side: what a version of it lists, and by how much they differ on the same findings.

Numbers are those that the version shows, and differences are differences of these. Single cases are read for the
intervals of differences, and for how findings are spread; over the cases that feed the version's numbers, if they still
may, and no closer than both that version and the present moment allow. Where they may not, or are gone, differences
stand without intervals of their own.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import evaluation
from evaluation import OVERALL
from leaderboard.board.comparison import Comparison, Entry, group_rows, overall
from leaderboard.board.disclosure import NO_WIDTH, Disclosure, Interval
from leaderboard.board.order import Order
from leaderboard.board.rows import Board, Row
from leaderboard.board.spread import NO_DICE, DiceCounts, SizeBin, dice_counts, size_bins, within
from leaderboard.core.text import sanitised
from leaderboard.models import BoardRow, BoardVersion, Standing, Team
from leaderboard.scores import arrays
from leaderboard.scores.arrays import FindingScores
from leaderboard.scores.resampled import Number, Pair, are_alike, groups_of, numbers_of, pairs_of
from leaderboard.scores.sizes import sizes_of
from leaderboard.states import SubmissionKind

METRIC = "dice"
logger = logging.getLogger(__name__)


# --- what there is to choose from -------------------------------------------------------------------------------------


class Choice(NamedTuple):
    """A row of a version: its `place` among all of them, and what names it in an address and in words."""

    key: str
    place: int
    rank: int | None
    team: int
    name: str
    algorithm: str


def choices_of(board: Board) -> list[Choice]:
    """The rows of a board that can be compared, in its order; one query.

    Keys are those of rows, `masks.` before those of masks that stand apart: their team may have a ranked row, too.
    """
    version = board.version
    if version is None:
        return []
    stored = BoardRow.objects.filter(pk__in=version.rows).values_list("pk", "shown__team", "shown__algorithm")
    said = {row: (team, algorithm) for row, team, algorithm in stored}
    lists = (("", board.rows), ("masks.", board.masks), ("after.", board.after))
    listed = [(before, one) for before, rows in lists for one in rows.places]
    return [
        Choice(f"{before}{team[2]}", place, one.rank, team[0], sanitised(team[1]), sanitised(algorithm))
        for place, (before, one) in enumerate(listed)
        if one.row in said
        for team, algorithm in [said[one.row]]
    ]


# --- side by side -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """How the findings of each entry are spread, the base first: by Dice; and the mean Dice by size, with intervals."""

    dice: Sequence[DiceCounts]
    bins: Sequence[SizeBin]
    means: Sequence[Sequence[float]]
    intervals: Sequence[Sequence[Interval | None]]


@dataclass(frozen=True, kw_only=True)
class BoardComparison(Comparison):
    """Rows of a board side by side, each the `source` of its entry; `spread` where single findings may be read."""

    spread: Spread | None


def compare(board: Board, chosen: Sequence[Choice], now: Disclosure, own: Team | None) -> BoardComparison | None:
    """Two or more rows of a board, which was read with what opened rows say; None where fewer are left of them."""
    rows = board.everything.those(choice.place for choice in chosen)
    entries = [_entry(board, choice, rows[choice.place], own) for choice in chosen if choice.place in rows]
    version = board.version
    if version is None or len(entries) < 2:
        return None
    disclosure = _disclosure(version, entries, now)
    scores = _scores(version, entries, now)
    seen = _seen(board, scores, disclosure) if scores else None
    paired = seen.paired if seen else []
    return BoardComparison(
        disclosure=disclosure,
        scope=version.scope,
        metric=METRIC,
        entries=entries,
        overall=overall(entries, METRIC, disclosure, paired),
        groups=group_rows(entries, [entry.source.opened.groups for entry in entries], METRIC, disclosure, paired),
        is_paired=bool(paired),
        spread=seen.spread if seen else None,
    )


def by_tests(board: Board, comparison: BoardComparison) -> list[tuple[Entry, str]]:
    """What the tests of all pairs of the board say of each entry against the base; none where they say nothing.

    They are corrected for all these pairs, so they tell fewer apart than the interval of one difference does.
    """
    order, base = board.order, comparison.base.source.place
    if order is None or base is None:
        return []
    return [(entry, _verdict(order, entry.source.place, base)) for entry in comparison.entries]


def _verdict(order: Order, place: int | None, base: int) -> str:
    if place is None:
        return "not tested"
    if place == base:
        return "base"
    if order.better[place, base]:
        return "better"
    return "worse" if order.better[base, place] else "can’t be told apart"


def _entry(board: Board, choice: Choice, row: Row, own: Team | None) -> Entry:
    is_masks = choice.key.startswith("masks.")
    of_what = {"post-challenge": row.is_post_challenge, "masks": row.is_of_masks, "organisers": row.of_organisers}
    tags = [words for words, holds in of_what.items() if holds]
    # A team may stand here twice: then its name alone does not tell which of its rows is meant.
    name = f"{choice.name} ({tags[0]})" if row.is_post_challenge or is_masks else choice.name
    return Entry(
        key=choice.key,
        name=name,
        short=name,
        title=choice.algorithm,
        tags=tags,
        scores=row,
        cases=board.cases,
        lost_cases=row.lost_cases,
        source=row,
        is_own=own is not None and own.pk == choice.team,
    )


# --- what may be read of single cases ---------------------------------------------------------------------------------


def _disclosure(version: BoardVersion, entries: Sequence[Entry], now: Disclosure) -> Disclosure:
    """The strictest of what may be seen of these, when the version was published and now."""
    then = Disclosure.to_public(now.phase, min(now.at, version.visible_from))
    is_any_after = any(entry.source.is_post_challenge for entry in entries)
    return then.of_kind(SubmissionKind.POST_CHALLENGE) if is_any_after else then


def _scores(version: BoardVersion, entries: Sequence[Entry], now: Disclosure) -> list[FindingScores]:
    """The scores of the findings that feed the numbers of these; none where they may not be read, or are others now."""
    if not _may_be_read(version, now):
        return []
    runs = [entry.source.run for entry in entries if entry.source.run is not None]
    if len(runs) < len(entries):  # the row was made before rows said of which run they are
        return []
    try:
        found = arrays.of_runs(runs, version.evaluation_version)
    except (LookupError, ValueError) as error:
        logger.warning("no paired differences in %s: %s", version, error)
        return []
    scores = [within(one, version.scope) for one in found]
    if not all(map(_is_of, scores, entries)) or not are_alike(scores):
        logger.warning("no paired differences in %s: scores are others now", version)
        return []
    return scores


def _may_be_read(version: BoardVersion, now: Disclosure) -> bool:
    """Whether the cases behind a version's numbers may feed new ones: the rules may be others since it was made."""
    if version.scope == Standing.Scope.HALF:
        return now.scope is not None
    return version.scope == Standing.Scope.ALL == now.scope


def _is_of(scores: FindingScores, entry: Entry) -> bool:
    """Whether these are the scores behind an entry's number, and no others that replaced them since."""
    shown = entry.source.dice
    return len(scores.findings) > 0 and abs(float(scores.case_dice.mean()) - shown) <= NO_DICE + NO_WIDTH


class _Seen(NamedTuple):
    """What single cases say, as it may be seen."""

    paired: Sequence[Mapping[str, Pair]]
    spread: Spread


def _seen(board: Board, scores: Sequence[FindingScores], disclosure: Disclosure) -> _Seen:
    sizes = sizes_of(board.case_set, scores[0])
    by_size = size_bins(sizes.ml, disclosure)
    groups = {
        code: members
        for code, members in groups_of(scores[0], sizes).items()
        if code == OVERALL or disclosure.shows_group(int(members.sum()))
    }
    of_bins = {f"bin {place}": by_size.place_of == place for place in range(len(by_size.bins))}
    seed = evaluation.seed_from(board.case_set.digest)
    numbers = [numbers_of(one, METRIC, {**groups, **of_bins}, seed=seed) for one in scores]
    spread = Spread(
        dice=[dice_counts(one.findings["dice"], disclosure) for one in scores],
        bins=by_size.bins,
        means=[by_size.means(one.findings["dice"], disclosure) for one in scores],
        intervals=[_intervals_of(by_size.bins, [of_run[name] for name in of_bins], disclosure) for of_run in numbers],
    )
    return _Seen(pairs_of(scores, numbers, groups), spread)


def _intervals_of(bins: Sequence[SizeBin], means: Sequence[Number], disclosure: Disclosure) -> list[Interval | None]:
    """The interval of the mean Dice in each bin, as it may be seen."""
    if not bins:
        return []
    found = evaluation.intervals_of(np.array(means)[:, 1:])
    return [disclosure.rounded_interval(ends, one.n) for ends, one in zip(found, bins, strict=True)]
