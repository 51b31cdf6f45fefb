"""What organisers decide about re-scorings: to start one, to apply it as a whole, to discard it. The record says so.

Each is refused with a sentence that says what to do, and with a code of its own where it is only too early (NotReady).
"""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from leaderboard.board import versions
from leaderboard.challenge.phases import lock_phase
from leaderboard.core import audit, clock, task_queue
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import CaseSet, Phase, RescoredRun, Rescoring, RunScores, Standing
from leaderboard.rescoring import applying, plan
from leaderboard.rescoring.preview import preview
from leaderboard.rescoring.progress import progress_of, undecided


class NotReady(Refused):
    """It will be possible by itself: runs are still being scored."""


def check_start(phase: Phase, cases: CaseSet | None) -> CaseSet:
    """The cases on which a phase would be scored anew. Raises Refused."""
    to_cases = cases or phase.case_set
    if phase.archived_at:
        raise Refused(f"The {phase.name} is archived: it keeps its evaluation version and its boards for ever.")
    if undecided(phase):
        raise Refused(f"The {phase.name} is being scored anew already: apply or discard that first.")
    if to_cases.first != phase.case_set.first:
        raise Refused(
            f"{to_cases.name} does not mend {phase.case_set.name}. Import the mended files with “import_cases "
            f"{to_cases.name} --mends {phase.case_set.name} …”, under a name that is free: then names, volumes and the "
            "public half are the same, and the kept masks fit."
        )
    _check_publicity(phase, to_cases)
    if phase.ranked_version == to_cases.evaluation_version and not plan.runs_to_score(phase, to_cases).exists():
        raise Refused(
            f"The {phase.name} is ranked by evaluation version {phase.ranked_version}, which is what this server has "
            f"for {to_cases.name}: there is nothing to score anew."
        )
    return to_cases


def _check_publicity(phase: Phase, cases: CaseSet) -> None:
    other = cases.phases.exclude(cases_are_public=phase.cases_are_public).first()
    if other or (cases.allows_downloads and not phase.cases_are_public):
        whose = f"the {other.name} uses" if other else "its downloads make"
        raise Refused(f"{cases.name} is not as hidden as the {phase.name} needs it, or not as public: {whose} it so.")


@transaction.atomic
def start(phase: Phase, *, cases: CaseSet | None = None, reason: str, by: Actor) -> Rescoring:
    """Begin to score all runs of a phase anew, by the server's metrics and on these cases. Raises Refused.

    The board tells the reason to everybody.
    """
    longest = Rescoring._meta.get_field("reason").max_length or 0
    if not 0 < len(reason.strip()) <= longest:
        raise Refused(f"Say why, in up to {longest} characters: the board tells everybody the reason.")
    phase = lock_phase(phase.pk)
    to_cases = check_start(phase, cases)
    rescoring = Rescoring.objects.create(
        phase=phase,
        from_version=phase.ranked_version,
        from_cases=phase.case_set,
        to_version=to_cases.evaluation_version,
        to_cases=to_cases,
        reason=reason.strip(),
        started_at=clock.now(),
    )
    plan.take_in(rescoring)
    audit.record(by, "start re-scoring", phase, before=_before(rescoring), after=_after(rescoring), why=reason)
    task_queue.enqueue_rescoring()
    return rescoring


def apply(
    phase: Phase, *, leave_out: bool = False, why: str = "", by: Actor, then: Callable[[], object] = lambda: None
) -> Rescoring:
    """Rank the phase by the re-scoring from now on: all runs at once. Raises Refused, NotReady.

    Runs of which masks are missing keep their old numbers and are ranked no more; that has to be said: `leave_out`.
    `then` is done in the same transaction: neither comes about without the other.
    """
    with versions.making(phase.pk) as mine:
        if not mine:
            raise NotReady(f"A board of the {phase.name} is being made at this moment. Try again in some seconds.")
        with transaction.atomic():
            rescoring = _apply(phase, leave_out=leave_out, why=why, by=by)
            then()
        return rescoring


def _apply(phase: Phase, *, leave_out: bool, why: str, by: Actor) -> Rescoring:
    phase = lock_phase(phase.pk)
    rescoring = _locked(phase)
    if phase.archived_at:
        raise Refused(f"The {phase.name} is archived: it keeps its evaluation version and its boards for ever.")
    plan.take_in(rescoring)
    now = progress_of(rescoring)
    if now.waiting:
        raise NotReady(f"{now.waiting} of {now.runs} runs are still to be scored anew. Apply it when they are.")
    if now.without_masks and not leave_out:
        raise Refused(
            f"The masks of {now.without_masks} runs are not kept any more: they would keep their old numbers and have "
            "no rank. Look at the preview, and say “Rank them no more” (--leave-out) if that is right."
        )
    changes = preview(rescoring).as_json()
    _forget(RescoredRun.objects.filter(rescoring__phase=phase, applied_at=None).exclude(rescoring=rescoring))
    applying.apply_all(rescoring)
    _decide(rescoring, Rescoring.State.APPLIED, changes)
    audit.record(by, "apply re-scoring", phase, before=_before(rescoring), after=_after(rescoring), why=why)
    task_queue.enqueue_board(phase.pk)
    return rescoring


@transaction.atomic
def discard(phase: Phase, *, why: str, by: Actor) -> Rescoring:
    """Leave everything as it is; what would have changed is kept, and never ranked. Raises Refused."""
    phase = lock_phase(phase.pk)
    rescoring = _locked(phase)
    if not why.strip():
        raise Refused("Say why: it is kept in the record.")
    changes = preview(rescoring).as_json()
    runs = _forget(RescoredRun.objects.filter(rescoring=rescoring))
    new = RunScores.objects.filter(run__in=runs, evaluation_version=rescoring.to_version)
    new.exclude(run__in=Standing.objects.filter(evaluation_version=rescoring.to_version).values("run")).delete()
    _decide(rescoring, Rescoring.State.DISCARDED, changes)
    audit.record(by, "discard re-scoring", phase, before=_after(rescoring), after=_before(rescoring), why=why)
    return rescoring


def _locked(phase: Phase) -> Rescoring:
    rescoring = undecided(phase)
    if rescoring is None:
        raise Refused(f"The {phase.name} is not being scored anew. Start that with “rescore start {phase.slug}”.")
    return rescoring


def _forget(rows: QuerySet[RescoredRun]) -> list[int]:
    """Drop new results, of which runs. Locked first: a worker may be writing some down at this moment."""
    runs = list(rows.select_for_update().order_by("pk").values_list("run", flat=True))
    rows.delete()
    return runs


def _decide(rescoring: Rescoring, state: Rescoring.State, changes: dict[str, Any]) -> None:
    rescoring.state, rescoring.decided_at, rescoring.changes = state, clock.now(), changes
    rescoring.save(update_fields=["state", "decided_at", "changes"])


def _before(rescoring: Rescoring) -> dict[str, str]:
    return {"evaluation_version": rescoring.from_version, "case_set": rescoring.from_cases.name}


def _after(rescoring: Rescoring) -> dict[str, str]:
    return {"evaluation_version": rescoring.to_version, "case_set": rescoring.to_cases.name}
