"""Resumable uploads over HTTP: tus 1.0, with creation, checksum, termination and expiration.

The protocol is at https://tus.io/protocols/resumable-upload; its published clients work unchanged. They work for the
person who is signed in (then with the token against forged requests, as each form), or who has a draft's key, which its
page shows. What is somebody else's does not exist. Each refusal is a status of the protocol, with a sentence as text.
"""

import base64
import binascii
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.core import signing
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import reverse
from django.utils.http import http_date
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.journey import submitting
from leaderboard.models import Draft, Phase, ResumableUpload, User
from leaderboard.states import Role
from leaderboard.submissions import admission, drafts, resumable
from leaderboard.submissions.places import Busy, upload_place
from leaderboard.web.accounts import viewers
from leaderboard.web.errors import RETRY_SECONDS, SPACE_SECONDS

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration"
PIECE = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460
MAX_METADATA_CHARACTERS = 2048
READING = {"HEAD", "OPTIONS"}
_keys = signing.Signer(salt="draft upload")


class TusError(Exception):
    """A request that gets a status and a sentence instead of what it asked for."""

    def __init__(self, status: int, words: str, **headers: str) -> None:
        super().__init__(words)
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}


def key_of(draft: Draft, person: User) -> str:
    """What a program sends as its bearer token: good for the upload of this draft, as this person, and nothing else."""
    return _keys.sign(f"{draft.pk.hex}.{person.pk}")


# --- who asks, and how ------------------------------------------------------------------------------------------------


def speaks_tus(*methods: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A view of the protocol, called as view(request, person, ...) for somebody who may be known."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt  # checked in _person, before which nothing of the body is read
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            request.method = _method(request)
            try:
                answer = _options() if request.method == "OPTIONS" else _answer(request, *args, **kwargs)
            except TusError as error:
                answer = HttpResponse(str(error), status=error.status, content_type="text/plain; charset=utf-8")
                for name, value in error.headers.items():
                    answer[name] = value
            answer["Tus-Resumable"] = VERSION
            answer["Cache-Control"] = "no-store"
            return answer

        def _answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                raise TusError(405, "This address does not do that.", Allow=", ".join((*methods, "OPTIONS")))
            if request.headers.get("Tus-Resumable") != VERSION:
                raise TusError(412, f"This server speaks tus {VERSION}: say so in Tus-Resumable.", Tus_Version=VERSION)
            if (request.content_type or "").startswith(("multipart/", "application/x-www-form-urlencoded")):
                raise TusError(415, f"Bytes of an upload come as {PIECE}.")
            return view(request, _person(request), *args, **kwargs)

        return wrapped

    return decorate


def _method(request: HttpRequest) -> str:
    """What is asked for: also by who can send POST alone. Nothing else is overridden: a GET changes nothing."""
    asked = (request.method or "").upper()
    return request.headers.get("X-HTTP-Method-Override", asked).upper() if asked == "POST" else asked


def _options() -> HttpResponse:
    answer = HttpResponse(status=HTTPStatus.NO_CONTENT)
    answer["Tus-Version"] = VERSION
    answer["Tus-Extension"] = EXTENSIONS
    answer["Tus-Checksum-Algorithm"] = ",".join(resumable.CHECKSUMS)
    largest = max((phase.max_upload_bytes for phase in Phase.objects.published()), default=0)
    if largest:
        answer["Tus-Max-Size"] = str(largest)
    return answer


def _person(request: HttpRequest) -> User:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        with suppress(signing.BadSignature, ValueError):
            draft, _, person = _keys.unsign(token).partition(".")
            if found := User.objects.filter(pk=int(person), is_active=True).first():
                request.draft_of_key = UUID(draft)  # type: ignore[attr-defined]
                return _let_change(request, found)
        raise TusError(
            401, "This key is not known here; its draft's page shows the right one.", WWW_Authenticate="Bearer"
        )
    if not request.user.is_authenticated:
        raise TusError(401, "Sign in, or send the key that the draft's page shows.", WWW_Authenticate="Bearer")
    if request.method not in READING and csrf_protect(lambda _: HttpResponse())(request).status_code != 200:
        raise TusError(403, "The request does not come from a page of this site. Load the page again.")
    return _let_change(request, request.user)


def _let_change(request: HttpRequest, person: User) -> User:
    """The person, if they may do what is asked for: a viewer changes nothing, by a key neither."""
    if request.method not in READING and person.current_role == Role.VIEWER:
        raise TusError(403, viewers.WORDS)
    return person


def _draft(request: HttpRequest, person: User, key: UUID) -> Draft:
    draft = drafts.find(key, person.team)
    if draft is None or getattr(request, "draft_of_key", key) != key:
        raise TusError(404, "There is no such draft of your team.")
    return draft


def _upload(request: HttpRequest, person: User, key: UUID) -> ResumableUpload:
    rows = ResumableUpload.objects.select_related("draft__phase", "draft__team")
    upload = rows.filter(pk=key, draft__team=person.team).first()
    if upload is None or getattr(request, "draft_of_key", upload.draft_id) != upload.draft_id:
        raise TusError(404, "There is no such upload of your team; it was handed in, ended, or had expired.")
    return upload


def _refuse_unoffered(request: HttpRequest) -> None:
    """Refuse what is not among EXTENSIONS before anything is changed: what it asks for would not be what it gets."""
    if "Upload-Concat" in request.headers:
        raise TusError(400, "This server takes a file in one upload: switch off parallel uploads (concatenation).")
    if "Upload-Defer-Length" in request.headers:
        raise TusError(400, "This server asks for the length at once (Upload-Length), not later (Upload-Defer-Length).")


# --- the protocol -----------------------------------------------------------------------------------------------------


@speaks_tus("POST")
def create(request: HttpRequest, person: User, key: UUID) -> HttpResponse:
    """Begin the upload of a draft, possibly with its first bytes."""
    draft = _draft(request, person, key)
    _refuse_unoffered(request)
    length, said = _number(request, "Upload-Length"), _metadata(request)
    part = said.get("part", ResumableUpload.Part.IMAGE)
    if part not in ResumableUpload.Part.values:
        raise TusError(400, f"The part of a draft is {' or '.join(ResumableUpload.Part.values)}, not {part[:40]!r}.")
    _checksum(request)  # what is wrong with it is said before another upload gives way to this one
    with _in_words():
        admission.check_open_for(person, draft.phase, clock.now())
        upload = resumable.begin(
            draft,
            name=said.get("filename", ""),
            length=length,
            fingerprint=said.get("fingerprint", ""),
            part=part,
        )
    if request.content_type == PIECE and request.headers.get("Content-Length", "0") != "0":
        _receive(request, person, upload, offset=0)
    answer = _state(upload, HttpResponse(status=HTTPStatus.CREATED))
    answer["Location"] = reverse("upload", args=[upload.pk])
    return answer


@speaks_tus("HEAD", "PATCH", "DELETE")
def upload(request: HttpRequest, person: User, key: UUID) -> HttpResponse:
    """How far an upload is; its next piece; its end."""
    found = _upload(request, person, key)
    if request.method == "PATCH":
        if request.content_type != PIECE:
            raise TusError(415, f"Bytes of an upload come as {PIECE}.")
        _receive(request, person, found, offset=_number(request, "Upload-Offset"))
    elif request.method == "DELETE":
        if not resumable.end(found):
            raise TusError(410, "This upload was handed in, or ended, at this moment.")
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    else:
        with _in_words():
            resumable.settled(found)
        answer = _state(found, HttpResponse(status=HTTPStatus.OK))
        answer["Upload-Length"] = str(found.length)
        return answer
    return _state(found, HttpResponse(status=HTTPStatus.NO_CONTENT))


def _receive(request: HttpRequest, person: User, upload: ResumableUpload, *, offset: int) -> None:
    piece = resumable.Piece(
        offset=offset,
        length=_number(request, "Content-Length"),
        stream=request,
        checksum=_checksum(request),
        hang_up=lambda: _hang_up(request),
    )
    try:
        with _in_words(), upload_place(person, upload.draft.team):
            resumable.receive(upload, piece)
    except UnreadablePostError:
        raise TusError(503, "The connection was lost. What came before is kept: go on there.") from None
    if upload.completed_at:
        submitting.submit_draft(upload.draft_id)


def _hang_up(request: HttpRequest) -> None:
    connection = request.META.get("gunicorn.socket")
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)


# The status of each refusal, the first that fits; and after how many seconds it is worth trying again. What passes by
# itself is 503 where one thinks of 408 and 429, which published clients take for final.
_STATUSES: tuple[tuple[type[Exception], int, int | None], ...] = (
    (resumable.WrongOffset, 409, None),
    (resumable.Locked, 423, 2),
    (resumable.Gone, 410, None),
    (resumable.CutOff, 503, None),
    (resumable.TooLong, 413, None),
    (resumable.ChecksumMismatch, CHECKSUM_MISMATCH, None),
    (Busy, 503, RETRY_SECONDS),
    (admission.NoSpace, 507, SPACE_SECONDS),
    (admission.TooLarge, 413, None),
    (Refused, 422, None),
)


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what the server's parts refuse into statuses of the protocol."""
    try:
        yield
    except (Refused, resumable.PieceRefused) as error:
        status, seconds = next((status, seconds) for kind, status, seconds in _STATUSES if isinstance(error, kind))
        headers = {} if seconds is None else {"Retry_After": str(seconds)}
        if isinstance(error, resumable.WrongOffset):
            headers["Upload_Offset"] = str(error.received)
        raise TusError(status, str(error), **headers) from None


def _state(upload: ResumableUpload, answer: HttpResponse) -> HttpResponse:
    answer["Upload-Offset"] = str(upload.received)
    answer["Upload-Expires"] = http_date(cast(datetime, resumable.expires_at(upload)).timestamp())
    return answer


def _number(request: HttpRequest, name: str) -> int:
    text = request.headers.get(name, "")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise TusError(400, f"{name} must be a whole number, not {text[:40]!r}.")
    return int(text)


def _metadata(request: HttpRequest) -> dict[str, str]:
    """What the client says of its file: `key base64,key base64`."""
    text, said = request.headers.get("Upload-Metadata", ""), {}
    if len(text) > MAX_METADATA_CHARACTERS:
        raise TusError(400, f"Upload-Metadata has more than {MAX_METADATA_CHARACTERS} characters.")
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            said[name] = storable(_decoded(value).decode(errors="replace"))
        except TusError:
            raise TusError(400, "Upload-Metadata must be pairs of a name and a value in base64.") from None
    return said


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise TusError(400, "It is not in base64.") from None


def _checksum(request: HttpRequest) -> tuple[str, bytes] | None:
    text = request.headers.get("Upload-Checksum", "")
    if not text:
        return None
    algorithm, _, value = text.partition(" ")
    if algorithm not in resumable.CHECKSUMS:
        raise TusError(400, f"Upload-Checksum by {' or '.join(resumable.CHECKSUMS)}, not {algorithm[:20]!r}.")
    return algorithm, _decoded(value)
