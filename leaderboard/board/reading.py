"""Boards as somebody reads them: a version, ranked by one group of findings and in one order."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from leaderboard.board.contents import rows
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.ranking import SORT_KEYS, Place, ranked, sort_key
from leaderboard.board.rows import Board, Listing, Read
from leaderboard.board.versions import Lists, describe, latest
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import BoardRow, BoardVersion, Phase


def read_board(
    phase: Phase, track: str, at: datetime, *, group: str = ALL, sort: str = "rank", opened: bool = False
) -> Board:
    """The board of this instant, as everybody sees it. With `opened`, rows are read with what they say when opened.

    `group` ranks by one group of findings, `sort` is one of SORT_KEYS. Raises KeyError for an unknown group or key.
    """
    return board_of(phase, track, latest(phase, track, at), group=group, sort=sort, opened=opened)


def board_of(
    phase: Phase, track: str, version: BoardVersion | None, *, group: str = ALL, sort: str = "rank", opened: bool = False
) -> Board:
    """A version of a board, likewise; None before the first one was made."""
    return _board(phase, track, version, partial(_read, opened=opened or group != ALL), group, sort)


def _read(keys: Sequence[int], *, opened: bool) -> Mapping[int, BoardRow]:
    stored = BoardRow.objects.all() if opened else BoardRow.objects.defer("opened")
    return stored.in_bulk(keys)


def unpublished_board(disclosure: Disclosure, track: str) -> Board:
    """The board as its reader would see it at this instant, made for this reader alone."""
    lists = Lists.of(disclosure, track)
    known: dict[int, BoardRow] = {}
    found = []
    for who, made_of in (lists.ranked, lists.masks, lists.after):
        some = rows(who, {one.basis(who): one for one in made_of})
        for row in some:
            row.pk = len(known) + 1
            known[row.pk] = row
        found.append(some)
    version = describe(disclosure, track, lists, found)
    return _board(disclosure.phase, track, version, lambda _keys: known, ALL, "rank")


def _board(phase: Phase, track: str, version: BoardVersion | None, read: Read, group: str, sort: str) -> Board:
    if group not in GROUPS or sort not in SORT_KEYS:
        raise KeyError(group if group not in GROUPS else sort)
    lists, reach = _as_made(version) if (group, sort) == (ALL, "rank") else _anew(version, group, sort)
    rows, masks, after = (Listing(places, read, group) for places in lists)
    everything = Listing([place for places in lists for place in places], read, group)
    return Board(
        phase=phase,
        track=track,
        group=group,
        version=version,
        rows=rows,
        masks=masks,
        after=after,
        everything=everything,
        reach=reach,
    )


Places = list[tuple[int, int | None]]


def _as_made(version: BoardVersion | None) -> tuple[list[Places], float]:
    if version is None:
        return [[], [], []], 0.0
    first: Places = list(zip(version.ranked, version.ranks, strict=True))
    return [first, [(row, None) for row in version.masks], [(row, None) for row in version.after]], version.reach


def _anew(version: BoardVersion | None, group: str, sort: str) -> tuple[list[Places], float]:
    """Ranked by another group of findings, or in another order."""
    if version is None:
        return [[], [], []], 0.0
    keys = {*version.ranked, *version.masks, *version.after}
    stored = BoardRow.objects.filter(pk__in=keys, numbers__has_key=group)
    found = {row: Place(row, *more) for row, *more in stored.values_list("pk", "accepted_at", "name", f"numbers__{group}")}
    first, masks, after = (
        [found[row] for row in some if row in found] for some in (version.ranked, version.masks, version.after)
    )
    first, order = ranked(first), sort_key(sort)
    reach = max((one.reach for one in (*first, *after)), default=0.0)
    return [[(one.row, one.rank) for one in sorted(some, key=order)] for some in (first, masks, after)], reach
