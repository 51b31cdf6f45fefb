"""Whose numbers and ranks a re-scoring changes, and by how much: made by applying it, and taking that back at once.

So it says what the boards will say, by the code that makes them. Nobody else sees anything of it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.board.reading import unpublished_board
from leaderboard.core import clock
from leaderboard.models import Phase, RescoredRun, Rescoring, Submission
from leaderboard.rescoring import applying

Place = tuple[str, str]
"""A team (its slug), and the list of the board that it is on: `Row.listed`."""


@dataclass(frozen=True)
class Standpoint:
    """How a team stands on a board: which submission counts, its rank (None: without one), and its Dice."""

    submission: int
    rank: int | None
    dice: float


@dataclass(frozen=True)
class Change:
    """A team on one list of a board, before and after; None where it is not on it."""

    team: str
    name: str
    listed: str
    before: Standpoint | None
    after: Standpoint | None

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
        boards = [{**asdict(one), "moved": one.moved, "changed": one.changed} for one in self.boards]
        return {**asdict(self), "boards": boards}


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
        boards=[BoardPreview(*of, changes_of(before[of], after[of])) for of in before],
    )


Named = tuple[str, Standpoint]


def boards_of(phase_id: int) -> dict[tuple[str, str], dict[Place, Named]]:
    """How every team stands, by track and reader: as the public sees it, and organisers."""
    phase = Phase.objects.select_related("case_set").get(pk=phase_id)
    at = clock.now()
    readers = (Disclosure(Reader.ORGANISER, phase, at), Disclosure.to_public(phase, at))
    return {
        (track, disclosure.reader.value): _standpoints(disclosure, track)
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
        found[slug, row.listed] = name, Standpoint(row.submission, row.rank, row.dice)
    return found


def changes_of(before: Mapping[Place, Named], after: Mapping[Place, Named]) -> list[Change]:
    """By list and rank after, then before; who is on it no more stands last."""
    changes = []
    for team, listed in before.keys() | after.keys():
        old, new = before.get((team, listed)), after.get((team, listed))
        name = (new or old or ("",))[0]
        changes.append(Change(team, name, listed, old[1] if old else None, new[1] if new else None))
    return sorted(changes, key=_place)


def _place(change: Change) -> tuple[bool, bool, float, float, str]:
    last = float("inf")
    ranks = [(one.rank or last) if one else last for one in (change.after, change.before)]
    return (change.listed != "ranked", change.after is None, *ranks, change.team)  # type: ignore[return-value]
