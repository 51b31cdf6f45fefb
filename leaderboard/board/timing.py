"""How long a run took for a case: of the cases that a container of ours wrote a mask for."""

from collections.abc import Collection

from leaderboard.models import RunCase, Standing

Seconds = dict[int, list[float]]


def seconds_of(runs: Collection[int], scope: str) -> Seconds:
    """The seconds of the cases of these runs (their keys), over all cases or the public half.

    The first case of each container is left out: its time is also that of the start, in which a model is loaded. Runs
    of masks, which no container wrote, are in no list.
    """
    cases = RunCase.objects.filter(run__in=runs, batch__isnull=False).order_by("run", "batch", "position")
    columns = ("run", "batch", "outcome", "seconds", "case__in_public_half")
    found: Seconds = {}
    before = None
    for run, batch, outcome, seconds, in_half in cases.values_list(*columns):
        is_first, before = batch != before, batch
        counts = in_half or scope == Standing.Scope.ALL
        if not is_first and counts and outcome == RunCase.Outcome.FINISHED and seconds is not None:
            found.setdefault(run, []).append(seconds)
    return found
