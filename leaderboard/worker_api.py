"""The addresses that GPU hosts call. A host knows its own token and nothing else; what it sends is checked.

A host may read the image and the volumes of the batches that it holds, and nothing more: never a reference mask, never
another team's image, never a prediction.
"""

import hashlib
import json
import uuid
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.db.models import Q
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from leaderboard import clock, orders, pipeline, storage
from leaderboard.models import Batch, Host
from leaderboard.states import BatchState

MAX_BODY_BYTES = 32 << 20
MAX_SLOTS = 64
HostView = Callable[..., HttpResponseBase]


def hash_token(token: str) -> str:
    """What the server keeps of a host's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def for_hosts(method: str) -> Callable[[HostView], HostView]:
    """A view that only a known, not revoked host reaches, called as view(request, host, ...)."""

    def decorate(view: HostView) -> HostView:
        @csrf_exempt
        @require_http_methods([method])
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            host = Host.objects.filter(token_hash=hash_token(token), revoked_at=None).first()
            if scheme != "Bearer" or host is None:
                return _refuse(HTTPStatus.UNAUTHORIZED, "This token is unknown or revoked.")
            Host.objects.filter(pk=host.pk).update(seen_at=clock.now())
            try:
                return view(request, host, *args, **kwargs)
            except pipeline.Stale as stale:
                why = "cancelled" if stale.cancelled else "stale"
                return JsonResponse({"go_on": False, "why": why, "detail": why}, status=HTTPStatus.CONFLICT)
            except (orders.BadReport, KeyError, TypeError, ValueError) as error:
                return _refuse(HTTPStatus.BAD_REQUEST, str(error))

        return wrapped

    return decorate


def _refuse(status: HTTPStatus, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


def _body(request: HttpRequest) -> Any:
    length = int(request.headers.get("Content-Length") or 0)
    if length > MAX_BODY_BYTES:
        raise ValueError(f"a request has at most {MAX_BODY_BYTES} bytes")
    return json.loads(request.read(length))


@for_hosts("POST")
def hello(request: HttpRequest, host: Host) -> HttpResponseBase:
    """A host says what it offers; then it may be called."""
    said = _body(request)
    slots = [{"name": str(slot["name"])[:60], "gpus": [str(gpu) for gpu in slot["gpus"]]} for slot in said["slots"]]
    if len(slots) > MAX_SLOTS or len({slot["name"] for slot in slots}) < len(slots):
        raise ValueError(f"a host has at most {MAX_SLOTS} slots, each with a name of its own")
    Host.objects.filter(pk=host.pk).update(slots=slots, engine=str(said.get("engine", ""))[:200])
    pipeline.fill_slots()
    return JsonResponse({"lease_seconds": settings.LEASE_SECONDS, "instance": settings.INSTANCE})


@for_hosts("POST")
def claim(request: HttpRequest, host: Host, batch_id: uuid.UUID) -> HttpResponseBase:
    """Lease a batch and read its order."""
    said = _body(request)
    return JsonResponse(pipeline.claim(host, batch_id, key=uuid.UUID(said["key"]), slot=str(said["slot"])))


@for_hosts("POST")
def heartbeat(request: HttpRequest, host: Host, batch_id: uuid.UUID) -> HttpResponseBase:
    """Renew the lease."""
    said = _body(request)
    pipeline.heartbeat(host, batch_id, fence=int(said["fence"]), done=int(said["done"]))
    return JsonResponse({"go_on": True})


@for_hosts("GET")
def blob(_request: HttpRequest, host: Host, digest: str) -> HttpResponseBase:
    """An image or a volume of a batch that this host holds."""
    mine = Batch.objects.filter(host=host, state=BatchState.LEASED)
    for store, wanted in (
        (storage.images, Q(run__submission__image__archive=digest)),
        (storage.volumes, Q(cases__case__volume=digest)),
    ):
        if mine.filter(wanted).exists() and store.exists(digest):
            return FileResponse(store.path(digest).open("rb"), content_type="application/octet-stream")
    return _refuse(HTTPStatus.NOT_FOUND, "There is no such file for this host.")


@for_hosts("PUT")
def output(request: HttpRequest, host: Host, batch_id: uuid.UUID, name: str) -> HttpResponseBase:
    """Receive the mask of a case, streamed to the store."""
    batch = pipeline.check_lease(host, batch_id, fence=int(request.GET["fence"]))
    length = int(request.headers["Content-Length"])
    if length > batch.run.submission.phase.output_bytes:
        raise ValueError("the mask is larger than the phase's space for masks")
    if name not in {case.file_name for case in batch.cases.filter(outcome="")}:
        raise ValueError(f"{name!r} is not an open case of this batch")
    try:
        storage.outputs.put(cast(BinaryIO, request), expected=f"sha256:{request.headers['X-Content-SHA256']}")
    except storage.DigestMismatch as mismatch:
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(mismatch))
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


@for_hosts("POST")
def report(request: HttpRequest, host: Host, batch_id: uuid.UUID) -> HttpResponseBase:
    """Take over what became of a batch."""
    pipeline.report(host, batch_id, orders.parse_report(_body(request)))
    return JsonResponse({"accepted": True})


urlpatterns = [
    path("hello", hello),
    path("batches/<uuid:batch_id>/claim", claim),
    path("batches/<uuid:batch_id>/heartbeat", heartbeat),
    path("batches/<uuid:batch_id>/outputs/<str:name>", output),
    path("batches/<uuid:batch_id>/report", report),
    path("blobs/<str:digest>", blob),
]
