"""What may be handed in by the form of a phase: a run, a post-challenge run, a try-out; and what stands in the way."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leaderboard.challenge import phases
from leaderboard.core.refusal import Refused
from leaderboard.journey import submitting
from leaderboard.models import Phase, Submission, Team
from leaderboard.states import SubmissionKind
from leaderboard.submissions import admission, tried_out
from leaderboard.submissions.quota import Quota, quota_of


@dataclass(frozen=True)
class Kind:
    """One of the choices: what is left of it, why it cannot be chosen now, and whether it is."""

    value: str
    quota: Quota
    refusal: str
    chosen: bool


def quota_for(team: Team, phase: Phase, at: datetime) -> Quota:
    """What is left of what the phase scores at this instant."""
    return quota_of(team, phase, at, admission.entry_kind(phase, at))


def context_of(
    team: Team, phase: Phase, at: datetime, asked: str | None = None, entry: str | None = None
) -> dict[str, Any]:
    """What the form shows of it: the choices, what is left of what is scored, try-outs, what follows the deadline.

    asked, entry: the kind and the entry that the form says, if it does.
    """
    choices = offered(team, phase, at, asked, entry)
    return {
        "kinds": choices,
        "quota": choices[0].quota,
        "not_approved": admission.why_not_approved(team, phase),
        "opens_after": phases.takes_post_challenge(phase, phase.closes_at),
        "requires_try_out": phases.requires_try_out(phase, at),
        "announces_try_out": phases.announces_try_out(phase, at),
        "masks_refusal": choices[0].refusal,
    }


def offered(team: Team, phase: Phase, at: datetime, asked: str | None = None, entry: str | None = None) -> list[Kind]:
    """The choices of the form: what is scored first, then a try-out, where there are any.

    What was asked for is chosen, if it can be; else what is possible, first what is scored. Masks are not tried out.
    """
    is_of_masks = entry == Submission.Entry.MASKS
    scored: str = admission.entry_kind(phase, at)
    if not phases.offers_try_outs(phase):
        return [Kind(scored, quota_of(team, phase, at, scored), "", True)]
    values: list[str] = [scored, SubmissionKind.TRY_OUT]
    why_not = {value: _why_not(team, phase, at, value) for value in values}
    possible = [value for value in values if not why_not[value]] or values
    passed = tried_out.passed().filter(team=team, phase=phase)
    if is_of_masks:
        possible = [str(value) for value in possible if value != SubmissionKind.TRY_OUT] or values
    if not is_of_masks and not asked and phases.requires_try_out(phase, at) and not passed.exists():
        asked = SubmissionKind.TRY_OUT
    chosen = asked if asked in possible else possible[0]
    return [Kind(value, quota_of(team, phase, at, value), why_not[value], value == chosen) for value in values]


def _why_not(team: Team, phase: Phase, at: datetime, kind: str) -> str:
    try:
        admission.check_phase(team, phase, at, kind)
    except Refused as refusal:
        return str(refusal)
    return ""


@dataclass(frozen=True)
class Entry:
    """How what was tried out becomes a run: as which kind, whether the try-out has passed, what it became already.

    refusal: why it can't be made one now; empty if it can.
    """

    kind: str
    has_passed: bool
    submission: Submission | None
    refusal: str


def entry_of(try_out: Submission, at: datetime) -> Entry:
    """What can be made of a try-out at this instant."""
    kind = admission.entry_kind(try_out.phase, at)
    found = submitting.entered(try_out, kind)
    has_passed = tried_out.passed().filter(pk=try_out.pk).exists()
    return Entry(kind, has_passed, found, "" if found else _why_not_entered(try_out, at, kind, has_passed=has_passed))


def _why_not_entered(try_out: Submission, at: datetime, kind: str, *, has_passed: bool) -> str:
    """By what admission would refuse it now."""
    if not admission.may_go_to(try_out, try_out.phase):
        return f"Its image is not here any more, or the {try_out.phase.name} does not take it."
    if not has_passed and kind == SubmissionKind.SCORED and phases.requires_try_out(try_out.phase, at):
        return f"A run in the {try_out.phase.name} needs a try-out that has passed."
    return _why_not(try_out.team, try_out.phase, at, kind)
