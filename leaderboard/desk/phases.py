"""What changes of a phase would do: to what is seen, to entries, to ranks. Made by changing it, and taking that back.

So it says what the boards will say, by the code that makes them. Nobody else sees anything of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, QuerySet

from leaderboard.challenge import changing, mid_phase
from leaderboard.challenge.policies import POLICIES
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.models import Draft, Phase, Run, RunCase, Submission
from leaderboard.rescoring.preview import BoardPreview, boards_of, changes_of
from leaderboard.states import RunState, SubmissionKind

RANKING = frozenset(
    {"counting", "publication", "masks_are_ranked", "closes_at", "revealed_at", "embargo_until", "case_set"}
    | {"cases_are_public"}
)
"""The policies of which boards are made."""
MOST_NAMES = 50
_NO_REASON = "a preview"


class Told(NamedTuple):
    """A policy with what it is now, and would be."""

    name: str
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Touched:
    """Entries of one state: how many, what the changes mean for them, and of which teams where that matters."""

    what: str
    number: int
    means: str
    teams: Sequence[str] = ()


@dataclass(frozen=True)
class Preview:
    """What changes would do. `problems` say why they are refused, by policy; then nothing else was found out."""

    before: Phase
    after: Phase
    changes: Sequence[Told]
    problems: Mapping[str, str]
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
        touched=list(_touched(before, after, {one.name for one in changes}, boards)),
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
    return [BoardPreview(*of, changes_of(before[of], after[of])) for of in before]


# --- entries ----------------------------------------------------------------------------------------------------------


def _touched(before: Phase, after: Phase, names: set[str], boards: Sequence[BoardPreview]) -> Iterator[Touched]:
    """Entries by their state, then those for which the changes are bad news."""
    for_queued, for_drafts = _of_limits(before, after, names)
    under_way = mid_phase.under_way(before)
    at_work = Run.objects.filter(submission__in=under_way, started_at__isnull=False, ended_at=None).count()
    yield Touched("At work", at_work, for_queued)
    yield Touched("Waiting", under_way.count() - at_work, for_queued)
    yield Touched("Drafts", Draft.objects.filter(phase=before).count(), for_drafts)
    of_phase = Run.objects.filter(submission__phase=before, submission__kind=SubmissionKind.SCORED)
    scored = of_phase.filter(state=RunState.SCORED).values("submission").distinct().count()
    yield Touched("Scored", scored, _of_counting(boards))
    yield from _would_not_pass(before, after)
    yield from _at_the_quota(before, after)
    yield from _not_approved(before, after)


def _of_limits(before: Phase, after: Phase, names: set[str]) -> tuple[str, str]:
    limits = [name for name in mid_phase.KEPT_LIMITS if name in names]
    if not limits:
        return "nothing", "nothing" if not names else "their teams read it on the form"
    lower = mid_phase.lowered(before, after)
    kept = ", ".join(f"{POLICIES[name].label.lower()} {POLICIES[name].tell(before)}" for name in lower)
    wider = ", ".join(
        f"{POLICIES[name].label.lower()} {POLICIES[name].tell(after)}" for name in limits if name not in lower
    )
    parts = [f"keep {kept}" if kept else "", f"have {wider} from their next container on" if wider else ""]
    return "; ".join(filter(None, parts)), "get the new limits; their teams read them on the form"


def _of_counting(boards: Sequence[BoardPreview]) -> str:
    teams = {
        of.team
        for one in boards
        for of in one.teams
        if of.before and of.after and of.before.submission != of.after.submission
    }
    if not teams:
        return "nothing"
    return f"{len(teams)} {'team has' if len(teams) == 1 else 'teams have'} another counting run"


def _would_not_pass(before: Phase, after: Phase) -> Iterator[Touched]:
    if after.case_seconds >= before.case_seconds:
        return
    slow = RunCase.objects.filter(
        run__submission__phase=before, run__state=RunState.SCORED, seconds__gt=after.case_seconds
    )
    runs = Run.objects.filter(pk__in=slow.values("run"))
    means = f"took more than {POLICIES['case_seconds'].tell(after)} on a case; their scores stay"
    yield Touched("Would not pass again", runs.count(), means, _teams(Submission.objects.filter(runs__in=runs)))


def _at_the_quota(before: Phase, after: Phase) -> Iterator[Touched]:
    if after.runs_total >= before.runs_total:
        return
    runs = before.submissions.filter(kind=SubmissionKind.SCORED, charged=True)
    used_up = runs.order_by().values("team").annotate(used=Count("pk")).filter(used__gte=after.runs_total)
    teams = _teams(before.submissions.filter(team__in=used_up.values("team")))
    yield Touched("Teams without a run left", len(teams), f"have used {after.runs_total}", teams)


def _not_approved(before: Phase, after: Phase) -> Iterator[Touched]:
    if before.requires_approval or not after.requires_approval:
        return
    approved = before.approvals.filter(state="approved").values("team")
    drafts = Draft.objects.filter(phase=before).exclude(team__in=approved)
    names = sorted(set(drafts.values_list("team__name", flat=True)))[:MOST_NAMES]
    yield Touched(
        "Drafts of teams that are not approved", drafts.count(), "can’t be handed in until you approve", names
    )


def _teams(submissions: QuerySet[Submission]) -> list[str]:
    return list(submissions.order_by("team__name").values_list("team__name", flat=True).distinct()[:MOST_NAMES])
