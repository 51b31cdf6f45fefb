"""Versions of the boards: made when something changed, kept as they are, and only read when somebody looks.

Whoever changes what a board is made of says so (core.task_queue.enqueue_board); the sweeper asks now and then. What is
made is compared with what there is, so asking once too often makes nothing.

On public cases a version shows at once. On hidden ones what runs did shows from the next full minute on, whatever the
second at which they ended; what people decided, a reveal among it, shows at once, beside the same runs as before.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import Max

import evaluation
from leaderboard.board.contents import Source, rows, sources
from leaderboard.board.counting import counting_standings, post_challenge_standings, unranked_masks
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.ranking import Place, ranked, sort_key
from leaderboard.challenge.categories import ALL
from leaderboard.core import clock, locks
from leaderboard.models import BoardRow, BoardVersion, Phase, Submission
from leaderboard.states import SubmissionKind

LEAD = timedelta(seconds=5)  # for making a version before the minute from which it shows


def latest(phase: Phase, track: str, at: datetime) -> BoardVersion | None:
    """The version that shows at this instant; None before the first one was made."""
    return _of(phase, track).filter(visible_from__lte=at).order_by("-visible_from", "-number").first()


def _of(phase: Phase, track: str) -> Any:
    return BoardVersion.objects.filter(phase=phase, track=track)


# --- what a version says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lists:
    """What a board is made of: of each of its lists, who sees it, and what each row is made of."""

    ranked: tuple[Disclosure, list[Source]]
    masks: tuple[Disclosure, list[Source]]
    after: tuple[Disclosure, list[Source]]

    @classmethod
    def of(cls, disclosure: Disclosure, track: str) -> "Lists":
        """As they are at its instant."""
        to_others = disclosure.of_kind(SubmissionKind.POST_CHALLENGE)
        return cls(
            (disclosure, sources(disclosure, counting_standings(disclosure, track))),
            (disclosure, sources(disclosure, unranked_masks(disclosure, track))),
            (to_others, sources(to_others, post_challenge_standings(to_others, track))),
        )

    @property
    def every(self) -> list[Source]:
        """What all rows are made of."""
        return [*self.ranked[1], *self.masks[1], *self.after[1]]


def describe(disclosure: Disclosure, track: str, lists: Lists, found: Sequence[Sequence[BoardRow]]) -> BoardVersion:
    """A version (which is not saved) of these rows, of each list."""
    first, masks, after = ([Place.of(row, ALL) for row in some] for some in found)
    first = ranked(first)
    by_rank = sort_key("rank")
    phase, every = disclosure.phase, lists.every
    last_end = max((one.ended_at for one in every), default=None)
    version = BoardVersion(
        phase=phase,
        track=track,
        runs_until=disclosure.visible_until,
        evaluation_version=evaluation.VERSION,
        scope=disclosure.scope or "",
        is_revealed=disclosure.is_revealed,
        rules=_rules(phase),
        cases=next((one.cases for one in every), 0),
        cases_total=phase.case_set.cases.count(),
        last_end_at=disclosure.shown_instant(last_end) if last_end else None,
        groups=sorted({code for some in found for row in some for code in row.numbers} - {ALL}),
        reach=max((one.reach for one in (*first, *after)), default=0.0),
        ranked=[one.row for one in first],
        ranks=[one.rank for one in first],
        masks=[one.row for one in sorted(masks, key=by_rank)],
        after=[one.row for one in sorted(after, key=by_rank)],
    )
    version.digest = _digest(version)
    return version


def _rules(phase: Phase) -> dict[str, Any]:
    names = ("counting", "publication", "masks_are_ranked", "cases_are_public")
    return {**{name: getattr(phase, name) for name in names}, "closes_at": phase.closes_at.isoformat()}


def _digest(version: BoardVersion) -> str:
    names = ("evaluation_version", "scope", "is_revealed", "rules", "cases_total", "ranked", "ranks", "masks", "after")
    told = {name: getattr(version, name) for name in names}
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


# --- made -------------------------------------------------------------------------------------------------------------


def living(at: datetime) -> list[int]:
    """The phases (their keys) whose boards may change: archived ones keep what they have."""
    opened = Phase.objects.filter(opens_at__lte=at)
    without = opened.filter(board_versions=None)
    return list((opened.filter(archived_at=None) | without).order_by("pk").distinct().values_list("pk", flat=True))


def make(phase_id: int) -> None:
    """Make the versions that are due of a phase's boards, until none is; nothing while another process is at it."""
    while True:
        with locks.working_on("board", phase_id) as mine:
            if not mine or not _make_once(phase_id):
                return


def _make_once(phase_id: int) -> bool:
    """Whether a version was made, or must be made anew."""
    phase = Phase.objects.select_related("case_set").get(pk=phase_id)
    if phase.archived_at and phase.board_versions.exists():
        return False  # it keeps its board
    made = [_make_now(phase, track) | _make_next(phase, track) for track in Submission.Track.values]
    return any(made)


@transaction.atomic
def _make_now(phase: Phase, track: str) -> bool:
    """Have a version that says what is so now; on hidden cases, of the runs of the version before."""
    now = clock.now()
    before = latest(phase, track, now)
    disclosure = Disclosure.to_public(phase, now)
    if before and not disclosure.shows_cases:
        disclosure = replace(disclosure, until=before.runs_until)
    version = _stored(disclosure, track)
    if before and before.digest == version.digest:
        return False
    _of(phase, track).filter(visible_from__gt=now).delete()  # made of what is not so any more
    _save(version, visible_from=now)
    return True


@transaction.atomic
def _make_next(phase: Phase, track: str) -> bool:
    """On hidden cases: have a version for the next full minute, if it will say anything else."""
    now = clock.now()
    disclosure = Disclosure.to_public(phase, next_minute(now + LEAD))
    if disclosure.shows_cases:
        return False
    version = _stored(disclosure, track)
    others = _of(phase, track).order_by("-visible_from", "-number")
    before = others.filter(visible_from__lt=disclosure.at).first()
    planned = others.filter(visible_from__gte=disclosure.at)
    if [one.digest for one in planned] == ([version.digest] if before and before.digest != version.digest else []):
        return False
    planned.delete()
    if before is None or before.digest != version.digest:
        _save(version, visible_from=disclosure.at)
    if clock.now() >= disclosure.at:  # it took too long: nobody may have seen it
        transaction.set_rollback(True)
    return True


def next_minute(at: datetime) -> datetime:
    """The full minute that comes next, or is now."""
    return (at + timedelta(minutes=1) - timedelta(microseconds=1)).replace(second=0, microsecond=0)


def _save(version: BoardVersion, *, visible_from: datetime) -> None:
    last = _of(version.phase, version.track).aggregate(last=Max("number"))["last"]
    version.number, version.made_at, version.visible_from = (last or 0) + 1, clock.now(), visible_from
    version.save(force_insert=True)


def _stored(disclosure: Disclosure, track: str) -> BoardVersion:
    """The version as it would be, its rows stored."""
    lists = Lists.of(disclosure, track)
    found = [_stored_rows(*some) for some in (lists.ranked, lists.masks, lists.after)]
    return describe(disclosure, track, lists, found)


def _stored_rows(disclosure: Disclosure, made_of: Sequence[Source]) -> list[BoardRow]:
    """The rows, with what they are ranked by; those that are not there yet are made."""
    by_basis = {one.basis(disclosure): one for one in made_of}
    stored = BoardRow.objects.filter(basis__in=by_basis)
    missing = by_basis.keys() - set(stored.values_list("basis", flat=True))
    if missing:
        new = rows(disclosure, {basis: by_basis[basis] for basis in sorted(missing)})
        BoardRow.objects.bulk_create(new, ignore_conflicts=True)
    return list(stored.only("accepted_at", "name", "numbers"))
