"""Boards as somebody reads them: a version, ranked by one group of findings and in one order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, count, repeat
from typing import Any

from leaderboard.board.contents import Source, rows
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.order import certainty_of
from leaderboard.board.ranking import SORT_KEYS, Place, in_order, ranked
from leaderboard.board.rows import Board, Listed, Listing, Read
from leaderboard.board.versions import describe, gather, latest, shown_versions, with_certainty
from leaderboard.challenge.categories import ALL, GROUPS
from leaderboard.models import BoardRow, BoardVersion, Phase


def read_board(
    phase: Phase, track: str, at: datetime, *, group: str = ALL, sort: str = "rank", opened: bool = False
) -> Board:
    """The board of this instant, as everybody sees it. With `opened`, rows are read with what they say when opened.

    `group` ranks by one group of findings, `sort` is one of SORT_KEYS. Raises KeyError for an unknown group or key.
    """
    return board_of(phase, track, latest(phase, track, at), group=group, sort=sort, opened=opened)


def version_of(phase: Phase, track: str, at: datetime, number: int | None = None) -> BoardVersion | None:
    """The version of this number that everybody sees at this instant, or the present one; None where there is none."""
    if number is None:
        return latest(phase, track, at)
    return with_certainty(shown_versions(phase, track, at)).filter(number=number).first()


def board_of(
    phase: Phase,
    track: str,
    version: BoardVersion | None,
    *,
    group: str = ALL,
    sort: str = "rank",
    opened: bool = False,
) -> Board:
    """A version of a board, likewise; None before the first one was made."""
    return _board(phase, track, version, partial(_read, opened=opened or group != ALL), group, sort)


def _read(keys: Sequence[int], *, opened: bool) -> Mapping[int, BoardRow]:
    stored = BoardRow.objects.all() if opened else BoardRow.objects.defer("opened")
    return stored.in_bulk(keys)


def unpublished_board(disclosure: Disclosure, track: str) -> Board:
    """The board as its reader would see it at this instant, made for this reader alone."""
    known: dict[int, BoardRow] = {}

    def make(who: Disclosure, made_of: Mapping[str, Source]) -> Iterator[BoardRow]:
        for row in rows(who, made_of):
            row.pk = len(known)
            known[row.pk] = row
            yield row

    version = describe(disclosure, track, gather(disclosure, track, make))
    return _board(disclosure.phase, track, version, lambda _keys: known, ALL, "rank")


def _board(phase: Phase, track: str, version: BoardVersion | None, read: Read, group: str, sort: str) -> Board:
    if group not in GROUPS or sort not in SORT_KEYS:
        raise KeyError(group if group not in GROUPS else sort)
    lists: Lists = [[], [], []]
    reach = 0.0
    if version is not None:
        lists, reach = _as_made(version) if (group, sort) == (ALL, "rank") else _anew(version, group, sort)
    ranked, masks, after = (Listing(listed, read, group) for listed in lists)
    return Board(
        phase=phase,
        track=track,
        group=group,
        version=version,
        rows=ranked,
        masks=masks,
        after=after,
        everything=Listing(list(chain(*lists)), read, group),
        reach=reach,
    )


Lists = list[list[Listed]]


def _as_made(version: BoardVersion) -> tuple[Lists, float]:
    return _split(version, _listed(version)), version.reach


def _listed(version: BoardVersion) -> list[Listed]:
    """All rows, in the order in which they were made, each with what the version says of it."""
    unranked = len(version.rows) - len(version.ranks)
    of_all = zip(version.rows, [*version.ranks, *[None] * unranked], version.runs, strict=True)
    listed = [Listed(*of_row) for of_row in of_all]
    certainty = certainty_of(version)
    if certainty is None:
        return listed
    intervals = zip(certainty.lows, certainty.highs, strict=True) if certainty.lows else repeat(None)
    ranked = (at for at, one in enumerate(listed) if one.rank is not None)
    of_ranked = zip(ranked, count(), intervals, certainty.tied_with_the_top, strict=False)
    for at, place, interval, tied in of_ranked:
        listed[at] = listed[at]._replace(place=place, rank_interval=interval, tied_with_the_top=tied)
    return listed


def _split(version: BoardVersion, listed: list[Any]) -> list[list[Any]]:
    """What is said of all rows, by list."""
    ranked = len(version.ranks)
    apart = ranked + version.masks_count
    return [listed[:ranked], listed[ranked:apart], listed[apart:]]


def _anew(version: BoardVersion, group: str, sort: str) -> tuple[Lists, float]:
    """Ranked by another group of findings, or in another order; how sure ranks are, is known of all findings alone."""
    columns = ("pk", "accepted_at", "name", f"numbers__{group}")
    stored = BoardRow.objects.filter(pk__in=version.rows, numbers__has_key=group).values_list(*columns)
    of_row = {one.row: one for one in _listed(version)}
    unranked = {row for row, rank in zip(version.rows, version.ranks, strict=False) if rank is None}
    found = {row[0]: Place(*row)._replace(competes=row[0] not in unranked) for row in stored}
    first, masks, after = ([found[row] for row in some if row in found] for some in _split(version, version.rows))
    lists = (ranked(first), masks, after)
    reach = max((one.reach for one in (*first, *after)), default=0.0)
    return [[_again(of_row[one.row], one, group) for one in in_order(some, sort)] for some in lists], reach


def _again(listed: Listed, place: Place, group: str) -> Listed:
    """What a version says of a row, with its rank by a group of findings."""
    return listed if group == ALL else Listed(listed.row, place.rank, listed.runs)
