"""The new numbers of runs take the place of the old ones: in one transaction, so that every reader sees either.

What is told of a run lies in its cases' results, its standings, and the version that it names; the scores of its
findings by the older version stay as an array. Boards that were made stay as they are: they hold what they show.
"""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from leaderboard.core import clock, events, task_queue
from leaderboard.models import Phase, RescoredCase, RescoredRun, Rescoring, Run, Standing
from leaderboard.rescoring.plan import AT_ONCE, in_parts

_RESULTS = """
UPDATE leaderboard_runcase AS one
SET result = new.result, reason_code = new.reason_code, mask_digest = new.mask_digest, scored_at = new.scored_at,
    evaluation_version = new.evaluation_version
FROM leaderboard_rescoredcase AS new
WHERE new.run_case_id = one.id AND new.rescored_id = ANY(%s)
"""
_CASES = """
UPDATE leaderboard_runcase AS one SET case_id = new.id
FROM leaderboard_case AS old JOIN leaderboard_case AS new ON new.name = old.name AND new.case_set_id = %s
WHERE old.id = one.case_id AND new.id <> old.id AND one.run_id = ANY(%s)
"""


def apply_all(rescoring: Rescoring) -> None:
    """Rank the phase by the re-scoring's version; its runs that are scored anew take their new numbers over.

    Call inside a transaction.
    """
    rank_by(rescoring)
    _take_over(rescoring, _scored(rescoring))


def rank_by(rescoring: Rescoring) -> None:
    """Standings and the version by which the phase is ranked: what its boards are made of. Call in a transaction."""
    Phase.objects.filter(pk=rescoring.phase_id).update(
        case_set=rescoring.to_cases, evaluation_version=rescoring.to_version
    )
    for keys in in_parts(_scored(rescoring).values_list("pk", flat=True)):
        _replace_standings(rescoring, RescoredRun.objects.filter(pk__in=keys))


def apply_late(minute: datetime) -> None:
    """Runs that ended after the re-scoring they missed was applied: those that were scored anew before this minute.

    On hidden cases nothing may tell the second at which they were, so they change when a minute begins.
    """
    late = RescoredRun.objects.filter(
        rescoring__state=Rescoring.State.APPLIED, applied_at=None, scored_at__lt=minute, standings__isnull=False
    )
    for one in late.select_related("rescoring__to_cases", "run")[:AT_ONCE]:
        _apply_one(one)


@transaction.atomic
def _apply_one(one: RescoredRun) -> None:
    phase = Phase.objects.select_for_update(no_key=True).get(pk=one.rescoring.phase_id)
    rows = RescoredRun.objects.select_for_update(of=("self",)).filter(pk=one.pk, applied_at=None)
    if phase.evaluation_version == one.rescoring.to_version and rows.exists():
        _replace_standings(one.rescoring, rows)
        _take_over(one.rescoring, rows)
        events.announce(one.run.submission_id)
        task_queue.enqueue_board(phase.pk)


def _scored(rescoring: Rescoring) -> QuerySet[RescoredRun]:
    return RescoredRun.objects.filter(rescoring=rescoring, applied_at=None, scored_at__isnull=False)


def _replace_standings(rescoring: Rescoring, some: QuerySet[RescoredRun]) -> None:
    """With new keys, so that boards take them for what they are: other numbers."""
    told = {run: standings or {} for run, standings in some.values_list("run", "standings")}
    Standing.objects.filter(run__in=told).delete()
    Standing.objects.bulk_create(
        Standing(run_id=run, scope=scope, evaluation_version=rescoring.to_version, **numbers)
        for run, standings in told.items()
        for scope, numbers in standings.items()
    )


def _take_over(rescoring: Rescoring, some: QuerySet[RescoredRun]) -> None:
    """Everything else that is told of the runs."""
    keys, runs = _columns(some)
    with connection.cursor() as cursor:
        cursor.execute(_RESULTS, [keys])
        cursor.execute(_CASES, [rescoring.to_cases_id, runs])
    Run.objects.filter(pk__in=runs).update(evaluation_version=rescoring.to_version)
    RescoredCase.objects.filter(rescored__in=keys).delete()
    RescoredRun.objects.filter(pk__in=keys).update(applied_at=clock.now(), standings=None)


def _columns(some: QuerySet[RescoredRun]) -> tuple[list[int], list[int]]:
    rows = list(some.order_by("pk").values_list("pk", "run"))
    return [key for key, _ in rows], [run for _, run in rows]
