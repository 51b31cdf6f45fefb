"""That teams' runs will not fit until the deadline: said in time to do something about it."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from leaderboard.desk.acts.hosts import ADD
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.models import Host
from leaderboard.operations.capacity import Capacity, Verdict, capacities_at

LATE_HOURS = 1.0  # what is less late than this wants nobody


def will_not_fit(at: datetime) -> Iterator[Item]:
    """Of each open phase one thing, if it will not fit, or if its last runs would start late."""
    for found in capacities_at(at):
        yield from _of_phase(found)


def _of_phase(found: Capacity) -> Iterator[Item]:
    if found.foreseen is None:
        return
    of = found.foreseen
    if of.verdict != Verdict.SHORT and of.late_hours < LATE_HOURS:
        return
    yield Item(
        Urgency.DEADLINE,
        "bad" if of.verdict == Verdict.SHORT else "warn",
        "Will not fit",
        f"{found.phase.name}: {of.hours:.0f} GPU hours are foreseen until the deadline ({of.low:.0f} to "
        f"{of.high:.0f}), and {of.there:.0f} are there. The last runs would start {found.last_runs_start}.",
        "A run that is accepted by the deadline counts all the same. Add hosts, let draining ones take work again, or "
        "tell the teams.",
        acts=[(ADD, Host())],
        links=[("Hosts and queue", reverse("desk_hosts"))],
    )
