"""Runs of several teams that failed in the same way within a day: rather a fault of the phase than of a team.

A team's image that does not work is the team's affair. The same failure of `FEWEST_TEAMS` teams, which are also at
least a third of all whose runs ended in that phase and day, points at the phase: at a case, a limit, a host. What
was given back or ran again since does not count: so these acts settle it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Count, Exists, Min, OuterRef, Q
from django.urls import reverse

from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.journey.failure_kinds import AFTER_A_MASK, DIFFERENT
from leaderboard.models import Phase, Run
from leaderboard.states import ENDED, RunState

FEWEST_TEAMS = 3
LEAST_SHARE = 1 / 3
WITHIN = timedelta(days=1)


def failures(at: datetime) -> Iterator[Item]:
    """Each way of failing that several teams share in a phase."""
    newer = Run.objects.filter(submission=OuterRef("submission"), number__gt=OuterRef("number"))
    states = [one for one in ENDED if one in RunState.values]
    ended = Run.objects.filter(~Exists(newer), ended_at__gt=at - WITHIN, state__in=states)
    failed = ended.filter(state=RunState.FAILED, submission__charged=True)
    told = failed.exclude(failure_kind__in=["", AFTER_A_MASK, DIFFERENT]).order_by()
    groups = told.values("submission__phase", "failure_kind").annotate(
        teams=Count("submission__team", distinct=True), runs=Count("pk", distinct=True), since=Min("ended_at")
    )
    found = list(groups.filter(teams__gte=FEWEST_TEAMS))
    if not found:
        return
    phases = Phase.objects.in_bulk([one["submission__phase"] for one in found])
    teams = Count("submission__team", distinct=True, filter=~Q(state=RunState.CANCELLED))
    of_all = dict(
        ended.order_by().values("submission__phase").annotate(teams=teams).values_list("submission__phase", "teams")
    )
    for one in found:
        phase, total = phases[one["submission__phase"]], of_all[one["submission__phase"]]
        if one["teams"] >= total * LEAST_SHARE:
            yield _item(phase, one["failure_kind"], one["teams"], total, one["runs"], one["since"], at)


def _item(phase: Phase, kind: str, teams: int, total: int, runs: int, since: datetime, at: datetime) -> Item:
    asked = {"phase": phase.slug, "code": kind, "state": RunState.FAILED, "since": f"{since - WITHIN:%Y-%m-%d}"}
    return Item(
        Urgency.NOW if phase.opens_at <= at < phase.closes_at else Urgency.LATER,
        "bad",
        "Failing alike",
        f"{phase}: {runs} runs of {teams} teams, of {total} whose runs ended within a day, failed in the same way "
        f"({kind.replace('_', ' ')}).",
        "That is rather a fault of the phase (a case, a limit, a host) than of a team. Choose them all, and run them "
        "again or give them back.",
        since=since,
        links=[("These runs", f"{reverse('desk_runs')}?{urlencode(asked)}")],
    )
