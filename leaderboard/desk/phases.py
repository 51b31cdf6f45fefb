"""What changes of a phase would do: to what is seen, to entries, to ranks. Made by changing it, and taking that back.

So it says what the boards will say, by the code that makes them. Nobody else sees anything of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from leaderboard.challenge import changing, mid_phase
from leaderboard.challenge.policies import POLICIES
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.desk.seen import Sight, sights
from leaderboard.desk.touched import Touched, touched
from leaderboard.models import Phase
from leaderboard.rescoring.preview import BoardPreview, board_previews, boards_of

RANKING = frozenset(
    {"counting", "publication", "masks_are_ranked", "closes_at", "revealed_at", "embargo_until", "case_set"}
    | {"cases_are_public", "is_ranked"}
)
"""The policies of which boards are made."""
_NO_REASON = "a preview"


class Told(NamedTuple):
    """A policy with what it is now, and would be."""

    name: str
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Preview:
    """What changes would do. `problems` say why they are refused, by policy; then nothing else was found out."""

    before: Phase
    after: Phase
    changes: Sequence[Told]
    problems: Mapping[str, str]
    sights: Sequence[Sight] = ()
    touched: Sequence[Touched] = ()
    boards: Sequence[BoardPreview] = ()
    warnings: Sequence[str] = ()
    made_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        boards = [
            {
                "track": one.track,
                "reader": one.reader,
                "moved": one.moved,
                "changed": one.changed,
                "teams": [
                    {"team": of.team, "before": _place(of.before), "after": _place(of.after)} for of in one.teams
                ],
            }
            for one in self.boards
        ]
        return {
            "phase": self.before.slug,
            "changes": [one._asdict() for one in self.changes],
            "problems": dict(self.problems),
            "warnings": [*self.warnings],
            "line": {"before": line_of(self.before, clock.now()), "after": line_of(self.after, clock.now())},
            "seen": [one._asdict() for one in self.sights if one.differs],
            "entries": [asdict(one) for one in self.touched],
            "boards": boards,
        }


def _place(standpoint: Any) -> dict[str, Any] | None:
    if standpoint is None:
        return None
    return {"run": standpoint.submission, "rank": standpoint.rank, "dice": standpoint.dice}


def line_of(phase: Phase, at: datetime) -> str:
    """The phase at an instant, in the sentence that pages begin with."""
    if phase.is_draft:
        return f"The {phase.name} is a draft: nobody but organisers sees it."
    if at < phase.opens_at:
        return f"The {phase.name} opens {instant(phase.opens_at)}."
    if at < phase.closes_at:
        return f"The {phase.name} is open, closes {instant(phase.closes_at)}."
    return f"The {phase.name} closed {instant(phase.closes_at)}."


def preview(phase: Phase, written: Mapping[str, str], *, by: Actor) -> Preview:
    """What these values would change, as of now."""
    before = Phase.objects.select_related("case_set", "try_outs_on").get(pk=phase.pk)
    try:
        after = changing.changed(before, written)
        changes = told_of(before, after, written)
        changing.check(after)
    except changing.Unfit as unfit:
        after = _readable(before, written)
        return Preview(before, after, told_of(before, after, written), unfit.problems)
    now = clock.now()
    try:
        boards = _boards(before, written, by) if RANKING & {one.name for one in changes} else []
    except Refused as refusal:
        return Preview(before, after, changes, {"": str(refusal)})
    return Preview(
        before,
        after,
        changes,
        {},
        sights=sights(before, after, now),
        touched=list(touched(before, after, {one.name for one in changes}, boards)),
        boards=boards,
        warnings=list(mid_phase.warnings(before, after, now)),
        made_at=now,
    )


def told_of(before: Phase, after: Phase, names: Mapping[str, str]) -> list[Told]:
    """Of these policies those that differ, in words."""
    policies = [POLICIES[name] for name in names if name in POLICIES]
    found = [Told(one.name, one.label, one.tell(before), one.tell(after)) for one in policies]
    return [one for one in found if one.before != one.after]


def _readable(phase: Phase, written: Mapping[str, str]) -> Phase:
    """As it would be by those values that can be read."""
    fit = {}
    for name, text in written.items():
        try:
            changing.changed(phase, {name: text})
        except changing.Unfit:
            continue
        fit[name] = text
    return changing.changed(phase, fit)


def _boards(phase: Phase, written: Mapping[str, str], by: Actor) -> list[BoardPreview]:
    before = boards_of(phase.pk)
    with transaction.atomic():
        changing.change(phase, written, by=by, why=_NO_REASON)
        after = boards_of(phase.pk)
        transaction.set_rollback(True)
    return board_previews(before, after)
