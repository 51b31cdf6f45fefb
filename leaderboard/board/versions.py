"""Versions of the boards: made when something changed, kept as they are, and only read when somebody looks.

Whoever changes what a board is made of says so (core.task_queue.enqueue_board); the sweeper asks now and then. What is
made is compared with what there is, so asking once too often makes nothing.

On public cases a version shows at once. On hidden ones what runs did shows from the next full minute on, whatever the
second at which they ended; what people decided, a reveal among it, shows at once, beside the same runs as before.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from leaderboard.board import all_runs
from leaderboard.board.certainty import Entry, assessed
from leaderboard.board.changes import find_changes
from leaderboard.board.contents import Source, rows, sources
from leaderboard.board.counting import counting_standings, post_challenge_standings, unranked_masks
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.ranking import Place, in_order, ranked
from leaderboard.challenge.categories import ALL
from leaderboard.core import clock, locks
from leaderboard.models import BoardRow, BoardVersion, Phase, Rescoring, Run, Submission
from leaderboard.states import RunState, SubmissionKind

RECENT = timedelta(minutes=1)
LEAD = timedelta(seconds=5)  # for making a version before the minute from which it shows


def latest(phase: Phase, track: str, at: datetime) -> BoardVersion | None:
    """The version that shows at this instant; None before the first one was made."""
    return with_certainty(shown_versions(phase, track, at)).first()


def latest_tag(slug: str, track: str, at: datetime) -> str | None:
    """Names that version of the phase with this slug among all of its board, by one short question.

    While the phase is being scored anew it names that, too: the board says so.
    """
    shown = _shown(BoardVersion.objects.filter(phase__slug=slug, phase__is_draft=False, track=track), at)
    anew = Rescoring.objects.filter(phase=OuterRef("phase"), state=Rescoring.State.UNDECIDED).values("pk")
    found = shown.values_list("number", "visible_from", Subquery(anew)).first()
    return f"{found[0]} {found[1].isoformat()} {found[2] or ''}" if found else None


def shown_versions(phase: Phase, track: str, at: datetime) -> QuerySet[BoardVersion]:
    """All versions that show, or did, at this instant, the present one first."""
    return _shown(_of(phase, track), at)


def with_certainty(versions: QuerySet[BoardVersion]) -> QuerySet[BoardVersion]:
    """The same, read with what rows say of how sure their order is."""
    return versions.select_related("certainty").defer("certainty__packed")


def _shown(versions: QuerySet[BoardVersion], at: datetime) -> QuerySet[BoardVersion]:
    return versions.filter(visible_from__lte=at).order_by("-visible_from", "-number")


def _of(phase: Phase, track: str) -> QuerySet[BoardVersion]:
    return BoardVersion.objects.filter(phase=phase, track=track)


# --- what a version says ----------------------------------------------------------------------------------------------


Find = Callable[[Disclosure, Mapping[str, Source]], Iterable[BoardRow]]
"""The rows that are made of these sources, which are named by their `basis`."""


def gather(disclosure: Disclosure, track: str, find: Find) -> list[list[Entry]]:
    """What a board lists at this instant: what counts, masks that stand apart, and post-challenge runs."""
    to_others = disclosure.of_kind(SubmissionKind.POST_CHALLENGE)
    return [
        _entries(disclosure, counting_standings(disclosure, track), find),
        _entries(disclosure, unranked_masks(disclosure, track), find),
        _entries(to_others, post_challenge_standings(to_others, track), find),
    ]


def _entries(disclosure: Disclosure, standings: Iterable[int], find: Find) -> list[Entry]:
    made_of = {source.basis(disclosure): source for source in sources(disclosure, standings)}
    return [Entry(row, made_of[row.basis]) for row in find(disclosure, made_of)]


def describe(disclosure: Disclosure, track: str, lists: Sequence[Sequence[Entry]]) -> BoardVersion:
    """A version (which is not saved) that lists these."""
    first, masks, after = ([_place(one, disclosure.phase) for one in some] for some in lists)
    order = [*(ranks := ranked(first)), *in_order(masks), *in_order(after)]
    phase, sources_of = disclosure.phase, {one.row.pk: one.source for some in lists for one in some}
    last_end = max((one.ended_at for one in sources_of.values()), default=None)
    version = BoardVersion(
        phase=phase,
        track=track,
        runs_until=disclosure.visible_until,
        evaluation_version=phase.ranked_version,
        scope=disclosure.scope or "",
        is_revealed=disclosure.is_revealed,
        rules=_rules(disclosure),
        cases=next((one.cases for one in sources_of.values()), 0),
        cases_total=phase.case_set.cases.count(),
        last_end_at=disclosure.shown_instant(last_end) if last_end else None,
        shown_groups=sorted({code for some in lists for one in some for code in one.row.numbers} - {ALL}),
        reach=max((one.reach for one in (*ranks, *after)), default=0.0),
        rows=[one.row for one in order],
        ranks=[one.rank for one in ranks],
        masks_count=len(masks),
        runs=[sources_of[one.row].runs for one in order],
    )
    version.digest = _digest(version)
    return version


def _place(entry: Entry, phase: Phase) -> Place:
    """Where it stands; organisers' own teams hold no rank, and in a phase that ranks nobody nobody does."""
    return Place.of(entry.row, ALL, competes=phase.is_ranked and not entry.source.of_organisers)


def _rules(disclosure: Disclosure) -> dict[str, Any]:
    phase = disclosure.phase
    names = ("counting", "publication", "masks_are_ranked", "cases_are_public")
    rules = {**{name: getattr(phase, name) for name in names}, "closes_at": phase.closes_at.isoformat()}
    if not phase.is_ranked:
        rules["unranked"] = True  # said only where it is so: versions of before stay as they are
    return rules if disclosure.names_teams else {**rules, "anonymous": True}


def _digest(version: BoardVersion) -> str:
    of_numbers = ("evaluation_version", "scope", "is_revealed", "rules", "cases_total")
    told = {name: getattr(version, name) for name in (*of_numbers, "rows", "ranks", "masks_count", "runs")}
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


# --- made -------------------------------------------------------------------------------------------------------------


def living(at: datetime) -> list[int]:
    """The phases (their keys) whose boards may change: archived ones keep what they have."""
    opened = Phase.objects.published().filter(opens_at__lte=at)
    without = opened.filter(board_versions=None)
    return list((opened.filter(archived_at=None) | without).order_by("pk").distinct().values_list("pk", flat=True))


def overdue() -> list[int]:
    """The phases (their keys) of which a run was scored a moment ago, and since then no board was made."""
    recent = Run.objects.filter(state=RunState.SCORED, ended_at__gt=clock.now() - RECENT)
    since = BoardVersion.objects.filter(phase=OuterRef("submission__phase"), made_at__gt=OuterRef("ended_at"))
    return list(recent.filter(~Exists(since)).values_list("submission__phase", flat=True).distinct())


def make(phase_id: int) -> bool:
    """Make the versions that are due of a phase's boards, until none is; False while another process is at it."""
    while True:
        with making(phase_id) as mine:
            if not mine or not _make_once(phase_id):
                return mine


def making(phase_id: int) -> AbstractContextManager[bool]:
    """Whether nobody else makes a board of the phase, nor will meanwhile.

    Who changes all numbers of a phase at once holds it, or a board could be made half of the old ones.
    """
    return locks.working_on("board", phase_id)


def _make_once(phase_id: int) -> bool:
    """Whether a version was made, or must be made anew."""
    phase = Phase.objects.select_related("case_set").get(pk=phase_id)
    if phase.is_draft or (phase.archived_at and phase.board_versions.exists()):
        return False  # there is none of a draft; of an archived phase it stays
    look = _Look(phase, clock.now())
    made = [_make_now(look, track) | _make_next(look, track) for track in Submission.Track.values]
    return any(made)


@transaction.atomic
def _make_now(look: "_Look", track: str) -> bool:
    """Have a version that says what is so now; on hidden cases, of the runs of the version before.

    Where that one showed none, of those until the present minute.
    """
    phase, now = look.phase, clock.now()
    before = latest(phase, track, now)
    disclosure = Disclosure.to_public(phase, look.at)
    if before and before.scope and not disclosure.shows_cases:
        disclosure = replace(disclosure, until=before.runs_until)
    unsaved = look.described(disclosure, track)
    if before and before.digest == unsaved.digest:
        return False
    _take_back(_of(phase, track).filter(visible_from__gt=now))  # made of what is not so any more
    _save(unsaved, disclosure, visible_from=now)
    return True


def stand(phase: Phase, at: datetime) -> bool:
    """Whether the boards that everybody sees say all that there is to say: nothing is still to be made."""
    look = _Look(phase, at)
    for track in Submission.Track.values:
        before = latest(phase, track, at)
        if before is None or before.digest != look.described(Disclosure.to_public(phase, at), track).digest:
            return False
    return True


@transaction.atomic
def _make_next(look: "_Look", track: str) -> bool:
    """On hidden cases: have a version for the next full minute, if it will say anything else."""
    phase, at = look.phase, look.at
    # Of the runs until now: one that ends later is in a version after it, and not in one of the middle of its minute.
    disclosure = replace(Disclosure.to_public(phase, next_minute(at + LEAD)), until=at + timedelta.resolution)
    if disclosure.shows_cases:
        return False
    unsaved = look.described(disclosure, track)
    others = _of(phase, track).order_by("-visible_from", "-number")
    before = others.filter(visible_from__lt=disclosure.at).first()
    planned = others.filter(visible_from__gte=disclosure.at)
    if [one.digest for one in planned] == ([unsaved.digest] if before and before.digest != unsaved.digest else []):
        return False
    _take_back(planned)
    if before is None or before.digest != unsaved.digest:
        _save(unsaved, disclosure, visible_from=disclosure.at)
    if clock.now() >= disclosure.at:  # it took too long: nobody may have seen it
        transaction.set_rollback(True)
        look.forget()  # its rows are not there
    return True


def _take_back(unseen: QuerySet[BoardVersion]) -> None:
    """Delete versions that nobody has seen."""
    for version in unseen:
        all_runs.take_back(version)
    unseen.delete()


def next_minute(at: datetime) -> datetime:
    """The full minute that comes next, or is now."""
    return (at + timedelta(minutes=1) - timedelta(microseconds=1)).replace(second=0, microsecond=0)


class _Unsaved(NamedTuple):
    """A version that is not saved, with what counts in it, and all runs that it lists."""

    version: BoardVersion
    counting: Sequence[Entry]
    runs: all_runs.Found

    @property
    def digest(self) -> str:
        """Names all that it says."""
        return self.version.digest


class _Look:
    """What versions would say of a phase, looked up at one instant: once for boards on which the same runs compete.

    Main entries compete in Overall too: where nothing was handed in for Overall, both boards list the same.
    """

    def __init__(self, phase: Phase, at: datetime) -> None:
        self.phase, self.at = phase, at
        self._are_same = not Submission.objects.filter(phase=phase, track=Submission.Track.OVERALL).exists()
        self._found: dict[tuple[Disclosure, str], _Unsaved] = {}

    def described(self, disclosure: Disclosure, track: str) -> _Unsaved:
        """What a version would say."""
        key = disclosure, Submission.Track.MAIN if self._are_same else track
        if key not in self._found:
            lists, runs = gather(disclosure, track, _stored_rows), all_runs.find(disclosure, track)
            version = all_runs.noted(describe(disclosure, track, lists), runs)
            self._found[key] = _Unsaved(version, lists[0], runs)
        found = self._found[key]
        version = copy(found.version)  # of each board its own, to be saved
        version.track = track
        return found._replace(version=version)

    def forget(self) -> None:
        """Look anew."""
        self._found.clear()


def _save(unsaved: _Unsaved, disclosure: Disclosure, *, visible_from: datetime) -> None:
    version = unsaved.version
    last = _of(version.phase, version.track).order_by("-number").first()
    version.number = last.number + 1 if last else 1
    version.changes = find_changes(last, version)
    version.made_at, version.visible_from = clock.now(), visible_from
    version.save(force_insert=True)
    if certainty := assessed(disclosure, version, unsaved.counting):
        certainty.save(force_insert=True)
    all_runs.save(version, unsaved.runs)


def _stored_rows(disclosure: Disclosure, made_of: Mapping[str, Source]) -> list[BoardRow]:
    """The rows, with what they are ranked by; those that are not there yet are made."""
    if not made_of:
        return []
    stored = BoardRow.objects.filter(basis__in=made_of).only("basis", "accepted_at", "name", "numbers")
    found = list(stored)
    if missing := made_of.keys() - {row.basis for row in found}:
        new = rows(disclosure, {basis: made_of[basis] for basis in sorted(missing)})
        BoardRow.objects.bulk_create(new, ignore_conflicts=True)
        return list(stored.all())
    return found
