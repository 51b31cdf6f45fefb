"""Whether a run was withdrawn from counting, who may change that now, and who did; what else organisers decided."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import prefetch_related_objects

from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.core import audit
from leaderboard.journey import lifecycle
from leaderboard.journey.decisions import AS_ORGANISER, BRING_BACK, WITHDRAW
from leaderboard.models import RunDecision, Submission, User
from leaderboard.states import RunState, Stage, SubmissionState

# What has come to nothing and is shown so: there is nothing to withdraw.
_COUNTS_FOR_NOTHING: frozenset[Stage] = frozenset(
    {SubmissionState.REJECTED, SubmissionState.CANCELLED, RunState.FAILED, RunState.CANCELLED}
)
_TOLD = {WITHDRAW: "Withdrawn: it does not count", BRING_BACK: "Brought back: it may count again"}


@dataclass(frozen=True)
class Withdrawal:
    """Whether a run is withdrawn, and what its reader may do about that at this instant."""

    withdrawn: bool
    can_withdraw: bool
    can_bring_back: bool
    needs_reason: bool


@dataclass(frozen=True)
class Decided:
    """That somebody withdrew a run or brought it back."""

    at: datetime
    text: str
    by: str


def withdrawal_of(submission: Submission, stage: Stage, disclosure: Disclosure) -> Withdrawal:
    """The same for a submission that its reader sees in this state."""
    phase, withdrawn = submission.phase, submission.withdrawn_at is not None
    is_open = disclosure.at < phase.closes_at and phase.archived_at is None
    organises = disclosure.reader is Reader.ORGANISER
    may_change = submission.is_scored and (is_open or organises)
    return Withdrawal(
        withdrawn,
        can_withdraw=may_change and not withdrawn and stage not in _COUNTS_FOR_NOTHING,
        can_bring_back=may_change and withdrawn and stage not in {SubmissionState.REJECTED, SubmissionState.CANCELLED},
        needs_reason=organises,
    )


def decided(submission: Submission) -> list[Decided]:
    """Each time that it was withdrawn or brought back, by the record; the reasons of organisers stay there."""
    if not (submission.withdrawn_at or submission.brought_back_at):
        return []  # most are never withdrawn: then nothing is asked
    actions = [action + by for action in (WITHDRAW, BRING_BACK) for by in ("", AS_ORGANISER)]
    entries = audit.entries_about(submission).filter(action__in=actions)
    rows = list(entries.order_by("pk").values_list("at", "action", "user_id"))
    people = User.objects.in_bulk({user for _, _, user in rows if user}) if rows else {}
    return [
        Decided(at, _TOLD[action.removesuffix(AS_ORGANISER)], _by(action, people.get(user)))
        for at, action, user in rows
    ]


def decided_by_organisers(submission: Submission) -> list[Decided]:
    """What they disqualified, reinstated or gave back, with the reason; what they ended or ran again the states tell.

    A reason stays told when the decision is taken back.
    """
    prefetch_related_objects([submission], "decisions")  # which its page shows, too
    found = [_told(one) for one in submission.decisions.all() if one.kind in _TOLD_OF_ORGANISERS]
    if submission.disqualified_at and not any(text.startswith("Disqualified") for _, text in found):
        # by a server of before, during an upgrade
        found.append((submission.disqualified_at, f"Disqualified: {submission.disqualified_reason}"))
    return [Decided(at, text, "the organisers") for at, text in found]


_TOLD_OF_ORGANISERS = frozenset(
    {RunDecision.Kind.DISQUALIFIED, RunDecision.Kind.REINSTATED, RunDecision.Kind.GIVEN_BACK}
)


def _told(decision: RunDecision) -> tuple[datetime, str]:
    whose = " with its team" if decision.of_team_id else ""
    why = f": {decision.reason}" if decision.reason else ""
    return decision.at, f"{decision.get_kind_display()}{whose}{why}"


def _by(action: str, person: User | None) -> str:
    if action.endswith(AS_ORGANISER):
        return "the organisers"
    return lifecycle.display_name(person) if person else "a member of the team"
