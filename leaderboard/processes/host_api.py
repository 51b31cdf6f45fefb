"""The addresses that GPU hosts call. A host knows its own token and nothing else; what it sends is checked.

A host may read the image, the weights and the volumes of the batches that it holds, and nothing more: never a
reference mask, never another team's image or weights, never a prediction.
"""

import json
import uuid
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.db.models import Q
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    UnreadablePostError,
)
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from containers.protocol.orders import Fields, OrderRejected, parse_batch_id
from containers.protocol.reports import parse_report
from leaderboard.core import blobs, clock, database, disk_space
from leaderboard.core.text import storable
from leaderboard.core.unfinished import is_out_of_space
from leaderboard.hosts import gpus, registry
from leaderboard.journey import leases, pipeline
from leaderboard.journey.locking import LeaseLost
from leaderboard.journey.outcomes import BadReport
from leaderboard.models import Batch, Host
from leaderboard.states import BatchState

MAX_BODY_BYTES = 32 << 20
MAX_SLOTS = 64
MAX_ABILITIES = 64
#: Fields of a hello that came later: a host says them when it was told that they are read.
READS = ("gpus", "can", "machine")
HostView = Callable[..., HttpResponseBase]


class BadRequest(ValueError):
    """A request that does not have the agreed form."""


def for_hosts(method: str) -> Callable[[HostView], HostView]:
    """A view that only a known, not revoked host reaches, called as view(request, host, ...)."""

    def decorate(view: HostView) -> HostView:
        @csrf_exempt
        @require_http_methods([method])
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            host = registry.host_with_token(token)
            if scheme != "Bearer" or host is None:
                return _refuse(HTTPStatus.UNAUTHORIZED, "This token is unknown or revoked.")
            Host.objects.filter(pk=host.pk).update(seen_at=clock.now())
            try:
                return view(request, host, *args, **kwargs)
            except LeaseLost as lost:
                why = "cancelled" if lost.cancelled else "stale"
                return JsonResponse({"go_on": False, "why": why, "detail": why}, status=HTTPStatus.CONFLICT)
            except (BadRequest, OrderRejected, BadReport) as error:
                return _refuse(HTTPStatus.BAD_REQUEST, str(error))
            except UnreadablePostError as broken:  # the host sends it again
                return _refuse(HTTPStatus.REQUEST_TIMEOUT, f"the request did not arrive whole: {broken}")

        return wrapped

    return decorate


def _refuse(status: HTTPStatus, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


def _body(request: HttpRequest, *wanted: str, and_newer: bool = False) -> Fields:
    """The request's JSON object, with these fields and no other. Raises BadRequest, OrderRejected.

    `and_newer`: what a newer host says beyond them is left unread.
    """
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise BadRequest(f"a request has a length, of at most {MAX_BODY_BYTES} bytes")
    try:
        # The door by which hosts' words come in: what passes it can be stored.
        body = storable(json.loads(request.read(int(length))))
    except (ValueError, RecursionError):
        raise BadRequest("the request is not JSON") from None
    others = body if and_newer and isinstance(body, dict) else ()
    return Fields(body, "request", frozenset((*wanted, *others)))


@for_hosts("POST")
def hello(request: HttpRequest, host: Host) -> HttpResponseBase:
    """A host says what it offers; then it may be called."""
    said = _body(request, "version", "slots", "engine", "free_bytes", "trouble", *READS, and_newer=True)
    slots = [_slot(value) for value in said.items("slots", 0, MAX_SLOTS)]
    if len({slot["name"] for slot in slots}) < len(slots):
        raise BadRequest("each slot has a name of its own")
    Host.objects.filter(pk=host.pk).update(
        hello_at=clock.now(),
        slots=slots,
        engine=said.text("engine", 1000)[:200],
        version=said.text("version", 40),
        # an older host does not say these
        trouble=said.text("trouble", 1000) if "trouble" in said.value else "",
        free_bytes=said.integer("free_bytes", 0, 2**62) if said.value.get("free_bytes") is not None else None,
        gpus=gpus.read(said.value["gpus"]) if said.value.get("gpus") is not None else None,
        machine=_machine(said.value["machine"]) if said.value.get("machine") is not None else None,
        takes_weights="weights" in (said.items("can", 0, MAX_ABILITIES) if said.value.get("can") is not None else ()),
    )
    pipeline.fill_slots()
    answer = {"lease_seconds": settings.LEASE_SECONDS, "instance": settings.INSTANCE, "reads": list(READS)}
    return JsonResponse(answer)


def _machine(said: object) -> dict[str, int]:
    """Bytes of a host's memory, disk and caches; what a newer host says beyond them is left unread."""
    fields = Fields(said, "machine", frozenset(said) if isinstance(said, dict) else frozenset())
    return {name: fields.integer(name, 0, 2**62) for name in ("memory_bytes", "disk_bytes", "cache_bytes")}


def _slot(value: object) -> dict[str, Any]:
    slot = Fields(value, "slot", frozenset({"name", "gpus"}))
    devices = slot.items("gpus", 0, MAX_SLOTS)
    if not all(isinstance(gpu, str) and len(gpu) <= 100 for gpu in devices):
        raise BadRequest("a slot's GPUs are short texts")
    return {"name": slot.text("name", 60), "gpus": devices}


@for_hosts("POST")
def claim(request: HttpRequest, host: Host, batch_id: uuid.UUID) -> HttpResponseBase:
    """Lease a batch and read its order."""
    said = _body(request, "key", "slot")
    key = uuid.UUID(parse_batch_id(said.text("key", 60)))
    return JsonResponse(pipeline.claim(host, batch_id, key=key, slot=said.text("slot", 60)))


@for_hosts("POST")
def heartbeat(request: HttpRequest, host: Host, batch_id: uuid.UUID) -> HttpResponseBase:
    """Renew the lease."""
    said = _body(request, "fence", "done")
    pipeline.heartbeat(host, batch_id, fence=said.integer("fence", 0, 2**31), done=said.integer("done", 0, 10**6))
    return JsonResponse({"go_on": True})


@for_hosts("GET")
def blob(_request: HttpRequest, host: Host, digest: str) -> HttpResponseBase:
    """An image, weights or a volume of a batch that this host holds."""
    mine = Batch.objects.filter(host=host, state=BatchState.LEASED)
    for store, wanted in (
        (blobs.images, Q(run__submission__image__archive=digest)),
        (blobs.volumes, Q(cases__case__volume=digest)),
        (blobs.weights, Q(run__submission__weights__archive=digest)),
    ):
        if mine.filter(wanted).exists() and store.exists(digest):
            database.let_go()  # a download takes its time, and others need the connection
            return FileResponse(store.path(digest).open("rb"), content_type="application/octet-stream")
    return _refuse(HTTPStatus.NOT_FOUND, "There is no such file for this host.")


@for_hosts("PUT")
def output(request: HttpRequest, host: Host, batch_id: uuid.UUID, name: str) -> HttpResponseBase:
    """Receive the mask of a case, streamed to the store."""
    fence, length = request.GET.get("fence", ""), request.headers.get("Content-Length", "")
    digest = f"sha256:{request.headers.get('X-Content-SHA256', '')}"
    if not (fence.isdecimal() and length.isdecimal()):
        raise BadRequest("a mask comes with a fence and a length")
    batch = leases.check_lease(host, batch_id, fence=int(fence))
    if int(length) > batch.run.submission.phase.output_bytes:
        raise BadRequest("the mask is larger than the phase's space for masks")
    if name not in {case.file_name for case in batch.cases.filter(outcome="").only("token", "batch")}:
        raise BadRequest(f"{name!r} is not an open case of this batch")
    if not disk_space.allows_mask(int(length)):
        # The host asks again for as long as its attempt may last.
        return _no_space()
    database.let_go()  # so does an upload
    try:
        mask = blobs.outputs.put(cast(BinaryIO, request), expected=digest)
    except blobs.DigestMismatch as mismatch:
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(mismatch))
    except OSError as error:
        if isinstance(error, UnreadablePostError) or not is_out_of_space(error):
            raise
        disk_space.log_shortage()
        return _no_space()
    leases.receive_mask(host, batch_id, fence=int(fence), name=name, mask=mask)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _no_space() -> JsonResponse:
    return _refuse(
        HTTPStatus.SERVICE_UNAVAILABLE, f"the server is short of disk space ({disk_space.shortage()}): try again"
    )


@for_hosts("POST")
def report(request: HttpRequest, host: Host, batch_id: uuid.UUID) -> HttpResponseBase:
    """Take over what became of a batch."""
    body = _body(request, "fence", "cases", "container", "fault", "log", "rejected")
    pipeline.report(host, batch_id, parse_report(body.value))
    return JsonResponse({"accepted": True})


urlpatterns = [
    path("hello", hello),
    path("batches/<uuid:batch_id>/claim", claim),
    path("batches/<uuid:batch_id>/heartbeat", heartbeat),
    path("batches/<uuid:batch_id>/outputs/<str:name>", output),
    path("batches/<uuid:batch_id>/report", report),
    path("blobs/<str:digest>", blob),
]
