"""What may be changed of a phase while it runs: the rules by which teams are dealt with fairly, decided here once.

* **Times.** A deadline moves later at any time; earlier never to within a day from now, and never to before what was
  accepted. What has opened has opened; nothing opens in the past. Opening, closing and revealing *now* is a press of
  its own, with a reason, which those rules leave out: `pressed`.
* **Limits.** What was accepted keeps the limits with which it was accepted, or has the new ones where they are wider:
  `keep_limits`. What is handed in later has the new ones. The number of GPUs stays while runs wait or work.
* **Quotas.** The runs of a team in all are never fewer than what some team has used.
* **What makes numbers comparable.** The cases, and whether categories are told, stay once something was handed in.
  Which run counts can change until the deadline: boards say so; after it nobody chooses winners.
* **Hidden cases** are made public by an act of its own (challenge.public_cases), never by editing.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.models import Phase, Run, Submission
from leaderboard.states import SubmissionKind, SubmissionState

AHEAD = timedelta(hours=24)  # of a deadline that is moved earlier
LATE = timedelta(minutes=2)  # between filling in a form and sending it
SECOND = timedelta(seconds=1)  # what forms leave out of an instant does not move it
KEPT_LIMITS = (
    *("case_seconds", "startup_seconds", "memory_bytes", "shm_bytes", "tmp_bytes", "output_bytes", "log_bytes"),
    *("cpus", "pids", "max_failures_in_row", "max_archive_bytes", "max_unpacked_bytes", "max_masks_bytes"),
)
"""What a submission keeps from when it was accepted."""
_TOTALS = {"runs_total": SubmissionKind.SCORED, "post_challenge_total": SubmissionKind.POST_CHALLENGE}


def check_opening(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse to open in the past, and to take back that a phase has opened once something was handed in."""
    if old is None or new.is_draft:
        return
    moves = abs(new.opens_at - old.opens_at) >= SECOND
    if moves and not old.is_draft and old.opens_at <= at and old.submissions.exists():
        raise Refused(f"It opened {instant(old.opens_at)}, and runs were handed in since: that can't be changed.")
    if (moves or old.is_draft) and new.opens_at < at - LATE:
        raise Refused("That instant has passed. Choose a later one; or open the phase now, which is a button.")


def check_deadline(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse a deadline that comes earlier without a day's notice, or before what was accepted."""
    if old is None or new.closes_at > old.closes_at - SECOND:
        return
    after = old.submissions.filter(kind=SubmissionKind.SCORED, accepted_at__gte=new.closes_at)
    if late := after.count():
        raise Refused(f"{late} {'run was' if late == 1 else 'runs were'} accepted after that: they would not count.")
    if not old.is_draft and new.closes_at < at + AHEAD:
        raise Refused(
            f"A deadline may move later, and earlier to {instant(at + AHEAD)} at the earliest: 24 hours from now."
        )


def check_counting(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse to choose which run counts once the deadline is over."""
    if old and old.counting != new.counting and old.closes_at <= at and handed_in(old).exists():
        raise Refused("The deadline is over: teams handed in by the rule that held. Which run counts stays as it is.")


def check_case_set(old: Phase | None, new: Phase, _at: datetime) -> None:
    """Refuse other cases once something ran on these: standings on different cases do not compare."""
    if old is None or old.case_set_id == new.case_set_id:
        return
    if Submission.objects.filter(Q(phase=old) | Q(cases_of=old)).exists():
        raise Refused(
            "Something was handed in on these cases. Mended references come by a re-scoring; for other cases copy the "
            "phase."
        )


def check_categories(old: Phase | None, new: Phase, _at: datetime) -> None:
    """Refuse to tell categories, or to stop, once something was handed in."""
    if old and old.show_categories != new.show_categories and handed_in(old).exists():
        raise Refused("Runs with and without categories do not compare, and some were handed in. Copy the phase.")


def check_quota(old: Phase | None, new: Phase, _at: datetime) -> None:
    """Refuse a total below what a team has used: others would have less than it had."""
    if old is None:
        return
    for field, kind in _TOTALS.items():
        if getattr(new, field) < getattr(old, field) and (most := most_used(old, kind)) > getattr(new, field):
            raise Refused(f"A team has used {most} of its runs already: no fewer than that.")


def check_gpus(old: Phase | None, new: Phase, _at: datetime) -> None:
    """Refuse another number of GPUs while something waits or works."""
    if old and old.gpus != new.gpus and (open_ones := under_way(old).count()):
        what = "run waits or works" if open_ones == 1 else "runs wait or work"
        raise Refused(f"{open_ones} {what} with {old.gpus} GPUs: let them end, then change it.")


def check_public(old: Phase | None, new: Phase, _at: datetime) -> None:
    """Refuse to make hidden cases public by editing."""
    if old and not old.cases_are_public and new.cases_are_public:
        raise Refused("Hidden cases are made public by an act of its own, “Make the cases public”, after the reveal.")


def handed_in(phase: Phase) -> QuerySet[Submission]:
    """The runs of a phase, but for try-outs and what was refused."""
    runs = phase.submissions.exclude(kind=SubmissionKind.TRY_OUT)
    return runs.exclude(state__in=(SubmissionState.REJECTED, SubmissionState.CANCELLED))


def under_way(phase: Phase) -> QuerySet[Submission]:
    """What of a phase is being checked, waits or works, try-outs among it."""
    ended = (SubmissionState.REJECTED, SubmissionState.CANCELLED)
    open_run = Run.objects.filter(submission=OuterRef("pk"), ended_at=None)
    is_at_work = Q(state=SubmissionState.ACCEPTED) & Exists(open_run)
    return phase.submissions.filter(~Q(state__in=(*ended, SubmissionState.ACCEPTED)) | is_at_work)


def most_used(phase: Phase, kind: str) -> int:
    """How many runs of this kind the team has used that has used most."""
    of_teams = phase.submissions.filter(kind=kind, charged=True).order_by().values("team").annotate(used=Count("pk"))
    return max((one["used"] for one in of_teams), default=0)


# --- limits of what was accepted --------------------------------------------------------------------------------------


def lowered(old: Phase, new: Phase) -> list[str]:
    """Which limits are narrower than before."""
    return [name for name in KEPT_LIMITS if getattr(new, name) < getattr(old, name)]


def keep_limits(old: Phase, new: Phase) -> None:
    """Have what was accepted keep what is lowered now. Call in the transaction that saves the phase."""
    kept = {name: _storable(getattr(old, name)) for name in lowered(old, new)}
    if not kept:
        return
    old.submissions.filter(kept_limits__isnull=True).update(kept_limits=kept)
    others = old.submissions.exclude(kept_limits__isnull=True).exclude(kept_limits=kept)
    for before in list(others.order_by().values_list("kept_limits", flat=True).distinct()):
        others.filter(kept_limits=before).update(kept_limits=_widest(before or {}, kept))


def _storable(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _widest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for name, value in other.items():
        found[name] = max(found.get(name, value), value, key=Decimal)
    return found


# --- what should be known before -------------------------------------------------------------------------------------


def warnings(old: Phase, new: Phase, at: datetime) -> Iterator[str]:
    """What is allowed, and should be thought about."""
    changed = {field.attname for field in Phase._meta.concrete_fields if _differs(old, new, field.attname)}
    is_live = not old.is_draft and old.opens_at <= at
    yield from _of_times(old, new, at, changed)
    if "counting" in changed and is_live:
        yield "Who stands where changes in mid-phase. Boards say “Another rule: which run counts”."
    if narrower := lowered(old, new):
        kept = "keeps" if len(narrower) == 1 else "keep"
        yield f"What was accepted {kept} the wider limit; what is handed in from now on has the new one."
    if "runs_per_day" in changed and is_live and new.runs_per_day < old.runs_per_day:
        yield "The day is the UTC day: teams that used more today have had more than others until midnight."
    if "requires_approval" in changed and new.requires_approval and is_live:
        yield "No team is approved yet unless you approved it: none of the others can hand in until you do."
    if "is_draft" in changed and not new.is_draft:
        yield "From now on everybody can see that the phase exists."
    if "publication" in changed and is_live:
        yield "What boards have shown stays at their addresses."


def _of_times(old: Phase, new: Phase, at: datetime, changed: Collection[str]) -> Iterator[str]:
    if "closes_at" in changed and not old.is_draft:
        if old.closes_at <= at < new.closes_at:
            yield "The phase opens again: results that are known may be answered. Say in the reason why that is fair."
        if new.closes_at < old.closes_at:
            yield "Teams planned by the later deadline. They are told by mail that it moved."
    if "opens_at" in changed and not old.is_draft and new.opens_at > old.opens_at:
        yield "Teams were promised an earlier opening."
    revealed = new.revealed_at
    if "revealed_at" in changed and revealed is not None and revealed <= at:
        yield "The full result is out at once, and can't be taken back."


def _differs(old: Phase, new: Phase, name: str) -> bool:
    return bool(getattr(old, name) != getattr(new, name))
