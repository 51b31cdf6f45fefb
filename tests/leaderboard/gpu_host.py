"""A GPU host as the server sees one: it claims, uploads and reports through the functions behind the API."""

import contextlib
import io
import json
import uuid
from typing import Any

from containers.protocol.reports import parse_report, rejection_report
from leaderboard.core import blobs
from leaderboard.journey import leases, pipeline
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Attempt, Batch, Host, Run
from leaderboard.states import BatchState


def waiting(run: Run) -> Batch:
    """The run's next waiting batch."""
    return run.batches.filter(state=BatchState.WAITING).order_by("number")[0]


def claim(host: Host, batch: Batch, *, key: uuid.UUID | None = None, slot: str = "slot0") -> dict[str, Any]:
    """Claim a batch."""
    return pipeline.claim(host, batch.pk, key=key or uuid.uuid4(), slot=slot)


def finished(order: dict[str, Any], number: int, content: bytes) -> dict[str, Any]:
    """The report's line for a case whose mask is uploaded first."""
    blob = blobs.outputs.put(io.BytesIO(content))
    attempt = Attempt.objects.get(batch=order["batch"], fence=order["fence"])
    name = order["cases"][number]["name"]
    with contextlib.suppress(LeaseLost):  # the report will hear of it
        leases.receive_mask(attempt.host, attempt.batch_id, fence=attempt.fence, name=name, mask=blob)
    return {
        "name": name,
        "status": "finished",
        "reason": None,
        "seconds": 1.0,
        "output": {"blob": blob.digest, "size": blob.size},
    }


def lost(
    order: dict[str, Any],
    number: int,
    status: str = "failed",
    reason: str | None = "crashed",
    *,
    seconds: float = 1.0,
) -> dict[str, Any]:
    """The report's line for a case without a mask."""
    return {
        "name": order["cases"][number]["name"],
        "status": status,
        "reason": reason,
        "seconds": seconds,
        "output": None,
    }


def refuse_image(host: Host, order: dict[str, Any], code: str = "not_unpackable", why: str = "") -> None:
    """Report that the order's image cannot be used there: the engine cannot unpack it, or what `code` says."""
    names = [case["name"] for case in order["cases"]]
    said = json.loads(json.dumps(rejection_report(order["fence"], names, code, why).to_json()))
    pipeline.report(host, uuid.UUID(order["batch"]), parse_report(said))


def report(
    host: Host,
    order: dict[str, Any],
    cases: list[dict[str, Any]],
    *,
    fault: str = "",
    exit_code: int | None = 0,
    log: str = "hello\x00world",
    **container: Any,
) -> None:
    """Report on an order; `container` is more of how its container ended."""
    ended: dict[str, Any] = {"exit_code": exit_code, "oom_killed": False, "seconds": 1.0, "warnings": []}
    said = {
        "fence": order["fence"],
        "cases": cases,
        "container": ended | container,
        "fault": {"code": fault, "detail": "from the test"} if fault else None,
        "log": log,
    }
    pipeline.report(host, uuid.UUID(order["batch"]), parse_report(said))


def finish_run(host: Host, run: Run, content: bytes, **ending: Any) -> None:
    """Carry a run to its end, with the same mask for every case."""
    while run.batches.filter(state=BatchState.WAITING).exists():
        order = claim(host, waiting(run))
        lines = [finished(order, number, content) for number in range(len(order["cases"]))]
        report(host, order, lines, **ending)
        score_reported(run)
    run.refresh_from_db()


def score_reported(run: Run) -> None:
    """Do what a scoring worker does when it is told of the batches."""
    for batch in run.batches.filter(state=BatchState.REPORTED):
        pipeline.score_batch(batch.pk)
