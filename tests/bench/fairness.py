"""How long teams wait when ten of them hand in three runs each, in virtual time on real rows.

One team's masks take a minute each to score. The server's own answer to who is next stands beside first come, first
served, as it was before: images by the order of their messages, what began by age and then the least served, masks by
the order of their reports and each batch to its end. Printed are virtual minutes since everything was handed in.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.database import scratch_database

if TYPE_CHECKING:
    from leaderboard.models import Batch, Run
    from tests.leaderboard.virtual_challenge import Challenge, Policy

COLUMNS = (("checked", min), ("started", min), ("canary scored", min), ("scored", min), ("scored", max))
HEADS = ("1st check", "1st start", "1st mask", "1st score", "last score", "canary wait")


def main() -> None:
    """Simulate both, and print."""
    parser = argparse.ArgumentParser(prog="./dev bench fairness", description=__doc__)
    parser.add_argument("--teams", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3, help="submissions of a team")
    parser.add_argument("--cases", type=int, default=6, help="cases of a run")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--scorers", type=int, default=2, help="processes that score")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rexg-bench-") as folder, scratch_database(Path(folder)):
        from leaderboard.core import blobs
        from tests.leaderboard.virtual_challenge import Policy

        blobs.prepare()
        before = _simulated(options, first_come())
        now = _simulated(options, Policy())
    _show(before, now)


def _simulated(options: argparse.Namespace, policy: "Policy") -> "Challenge":
    """The whole challenge under a policy, on empty tables."""
    from django.core.management import call_command

    from tests.leaderboard.virtual_challenge import Places, challenge

    call_command("flush", verbosity=0, interactive=False)
    places = Places(slots=options.slots, scorers=options.scorers)
    made = challenge(options.teams, options.cases, policy=policy, places=places, heavy=frozenset({"Team P00"}))
    made.hand_in(options.runs)
    made.run()
    return made


# --- what it is compared with ----------------------------------------------------------------------------------------


def first_come() -> "Policy":
    """Who came first is served first, whosoever he is; a run starts when its team has least at work."""
    from leaderboard.models import Batch, Submission
    from leaderboard.states import UNCHECKED
    from tests.leaderboard.virtual_challenge import EVER, Policy

    def oldest(lock: str, rows: Any) -> AbstractContextManager[Any]:
        from leaderboard.core import locks
        from tests.leaderboard.virtual_challenge import held

        waiting = list(rows.values_list("pk", flat=True))
        busy = locks.at_work(lock, waiting)
        return held(lock, next((key for key in waiting if key not in busy), None))

    return Policy(
        check=lambda: oldest("image", Submission.objects.filter(state__in=UNCHECKED).order_by("pk")),
        score=lambda: oldest("scores", Batch.objects.filter(state="reported").order_by("notified_at")),
        fill_slots=_fill_by_age,
        turn_seconds=EVER,
    )


def _fill_by_age(start: Callable[["Run"], "Batch | None"]) -> None:
    """What began, the oldest first; then starts, by what teams have at work; then helpers."""
    from django.db import transaction

    from leaderboard.core import clock
    from leaderboard.hosts.slots import free_slots
    from leaderboard.journey import scheduling
    from leaderboard.models import Batch
    from leaderboard.states import RUNNABLE

    with transaction.atomic():
        at = clock.now()
        free = len(free_slots(at))
        waiting = Batch.objects.filter(state="waiting", notified_at=None, run__state__in=RUNNABLE)
        rows = list(waiting.select_related("run").order_by("run__started_at", "number"))
        busy = set(Batch.objects.filter(state="leased").values_list("run", flat=True))
        going_on = {batch.run_id: batch for batch in reversed(rows) if batch.run_id not in busy}
        helping = [batch for batch in rows if batch not in going_on.values()]
        queue = [lambda run=run: start(run) for run in scheduling.queue()]
        found = [*(lambda batch=batch: batch for batch in going_on.values())]
        for choose in (*found, *queue, *(lambda batch=batch: batch for batch in helping)):
            if free and (batch := choose()):
                Batch.objects.filter(pk=batch.pk).update(notified_at=at)
                free -= 1


# --- what came of it -------------------------------------------------------------------------------------------------


def _show(before: "Challenge", now: "Challenge") -> None:
    width = 14 * len(HEADS)
    print(f"\nvirtual minutes     {'first come, first served':<{width}}  in turns")
    print(f"{'':18}{_cells(HEADS)}  {_cells(HEADS)}")
    for team in before.teams:
        name = f"{team.name}{' (heavy)' if team.name in before.heavy else ''}"
        print(f"{name:18}{_row(before, team.name)}  {_row(now, team.name)}")
    for title, of in (("longest", max), ("shortest", min)):
        print(f"{title:18}{_extremes(before, of)}  {_extremes(now, of)}")


def _numbers(simulated: "Challenge", team: str) -> list[float]:
    events = [event for event in simulated.events if event.team == team]
    times = [pick(event.at for event in events if event.what == what) for what, pick in COLUMNS]
    return [seconds / 60 for seconds in (*times, max(simulated.waits[team]))]


def _row(simulated: "Challenge", team: str) -> str:
    return _cells([f"{minutes:.1f}" for minutes in _numbers(simulated, team)])


def _extremes(simulated: "Challenge", of: Callable[[Any], float]) -> str:
    light = [_numbers(simulated, team.name) for team in simulated.teams if team.name not in simulated.heavy]
    return _cells([f"{of(column):.1f}" for column in zip(*light, strict=True)])


def _cells(values: Any) -> str:
    return "".join(f"{value:>14}" for value in values)
