"""Whose numbers and ranks a re-scoring changes, and by how much: made by applying it, and taking that back at once.

So it says what the boards will say, by the code that makes them. Nobody else sees anything of it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Q

from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.board.reading import unpublished_board
from leaderboard.core import clock
from leaderboard.models import Phase, RescoredRun, Rescoring, Standing, Submission
from leaderboard.rescoring import applying
from leaderboard.rescoring.paired import Interval, Scored, change_intervals

Place = tuple[str, str]
"""A team (its slug), and the list of the board that it is on: `Row.listed`."""


@dataclass(frozen=True)
class Standpoint:
    """How a team stands on a board: which submission counts, its rank (None: without one), its Dice with its interval.

    `run` is the key of the run that the Dice is of, where the board's row says so.
    """

    submission: int
    rank: int | None
    dice: float
    dice_ci: Interval | None = None
    run: int | None = None


@dataclass(frozen=True)
class Change:
    """A team on one list of a board, before and after; None where it is not on it.

    `interval` is the paired 95 % interval of the change of its Dice, where both are of the same cases.
    """

    team: str
    name: str
    listed: str
    before: Standpoint | None
    after: Standpoint | None
    interval: Interval | None = None

    @property
    def is_moved(self) -> bool:
        """Whether its rank is another one."""
        return (self.before and self.before.rank) != (self.after and self.after.rank)

    @property
    def dice_change(self) -> float | None:
        """By how much its Dice changes, where it has one before and after."""
        return self.after.dice - self.before.dice if self.before and self.after else None


@dataclass(frozen=True)
class BoardPreview:
    """A board before and after, as `reader` sees it: the public now, or organisers, who see all cases unrounded."""

    track: str
    reader: str
    teams: list[Change]

    @property
    def moved(self) -> int:
        """How many ranks are other ones."""
        return sum(one.is_moved for one in self.teams)

    @property
    def changed(self) -> int:
        """How many teams have another Dice, or came or went."""
        return sum(one.dice_change != 0 for one in self.teams)

    def as_json(self) -> dict[str, Any]:
        """For pages and scripts, and for the record."""
        return {**asdict(self), "moved": self.moved, "changed": self.changed}


@dataclass(frozen=True)
class Preview:
    """What changes: of runs how many, of findings (each in each run) how many, and each board."""

    runs: int
    runs_changed: int
    findings_changed: int
    largest_change: float
    boards: list[BoardPreview]

    def as_json(self) -> dict[str, Any]:
        """For scripts, and for the record."""
        return {**asdict(self), "boards": [one.as_json() for one in self.boards]}


def preview(rescoring: Rescoring) -> Preview:
    """What would change if it was applied now, with the runs that are scored anew so far."""
    rows = RescoredRun.objects.filter(rescoring=rescoring, scored_at__isnull=False)
    changed = rows.filter(~Q(dice_changed=0.0) | Q(findings_changed__gt=0))
    changes = list(rows.values_list("findings_changed", "dice_changed"))
    before = boards_of(rescoring.phase_id)
    with transaction.atomic():
        applying.rank_by(rescoring)
        after = boards_of(rescoring.phase_id)
        transaction.set_rollback(True)
    return Preview(
        runs=len(changes),
        runs_changed=changed.count(),
        findings_changed=sum(findings for findings, _ in changes),
        largest_change=max((dice for _, dice in changes), key=abs, default=0.0),
        boards=board_previews(before, after),
    )


Named = tuple[str, Standpoint]


@dataclass(frozen=True)
class ShownBoard:
    """A board at one moment: how its teams stand, and what their numbers are over."""

    teams: Mapping[Place, Named]
    scope: str
    evaluation_version: str
    digest: str


def boards_of(phase_id: int) -> dict[tuple[str, str], ShownBoard]:
    """How every team stands, by track and reader: as the public sees it, and organisers."""
    phase = Phase.objects.select_related("case_set").get(pk=phase_id)
    at = clock.now()
    readers = (Disclosure(Reader.ORGANISER, phase, at), Disclosure.to_public(phase, at))
    return {
        (track, disclosure.reader.value): ShownBoard(
            _standpoints(disclosure, track), disclosure.scope or "", phase.ranked_version, phase.case_set.digest
        )
        for track in Submission.Track.values
        for disclosure in readers
    }


def _standpoints(disclosure: Disclosure, track: str) -> dict[Place, Named]:
    """By the names that teams have, also where a board shows none: organisers read this."""
    rows = list(unpublished_board(disclosure, track).everything)
    submissions = Submission.objects.filter(pk__in=[row.submission for row in rows])
    named = {pk: (slug, name) for pk, slug, name in submissions.values_list("pk", "team__slug", "team__name")}
    found = {}
    for row in rows:
        slug, name = named[row.submission]
        found[slug, row.listed] = name, Standpoint(row.submission, row.rank, row.dice, row.dice_ci, row.run)
    return found


def board_previews(
    before: Mapping[tuple[str, str], ShownBoard], after: Mapping[tuple[str, str], ShownBoard]
) -> list[BoardPreview]:
    """Each board before and after."""
    return [
        BoardPreview(*of, _with_intervals(changes_of(before[of].teams, after[of].teams), before[of], after[of]))
        for of in before
    ]


def changes_of(before: Mapping[Place, Named], after: Mapping[Place, Named]) -> list[Change]:
    """By list and rank after, then before; who is on it no more stands last."""
    changes = []
    for team, listed in before.keys() | after.keys():
        old, new = before.get((team, listed)), after.get((team, listed))
        name = (new or old or ("",))[0]
        changes.append(Change(team, name, listed, old[1] if old else None, new[1] if new else None))
    return sorted(changes, key=_place)


def _with_intervals(changes: list[Change], old: ShownBoard, new: ShownBoard) -> list[Change]:
    """The same with the paired interval of each Dice that changes; numbers over other cases have none."""
    changed = {place: one for place, one in enumerate(changes) if one.dice_change}
    if not changed or old.scope != new.scope:
        return changes
    pairs = [
        (Scored(one.before.run, old.evaluation_version), Scored(one.after.run, new.evaluation_version))
        for one in changed.values()
        if one.before and one.after
    ]
    ends = change_intervals(pairs, in_half=new.scope == Standing.Scope.HALF, digest=new.digest)
    of_place = dict(zip(changed, ends, strict=True))
    return [replace(one, interval=of_place.get(place)) for place, one in enumerate(changes)]


def _place(change: Change) -> tuple[bool, bool, float, float, str]:
    last = float("inf")
    ranks = [(one.rank or last) if one else last for one in (change.after, change.before)]
    return (change.listed != "ranked", change.after is None, *ranks, change.team)  # type: ignore[return-value]
