"""The streams' addresses, as an ASGI application: `/runs/NUMBER/events/`.

Who asks is known by the session, as on pages, or by a program's personal token. Refusals are problem details
(RFC 9457). The database is asked in a few threads, whatever the number of streams, and no stream holds a connection
while it waits.
"""

import asyncio
import contextlib
import gc
import json
import os
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, NamedTuple

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
gc.disable()  # until all is imported (apps.py)
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - they need the settings
from django.contrib.auth import get_user  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.db import Error as DatabaseError  # noqa: E402
from django.http import HttpRequest  # noqa: E402

from leaderboard.core import clock, database, process_heartbeat  # noqa: E402
from leaderboard.models import ApiToken, User  # noqa: E402
from leaderboard.people import tokens  # noqa: E402
from leaderboard.people.sign_in import lacks_second_factor  # noqa: E402
from leaderboard.progress import watching  # noqa: E402
from leaderboard.streams.following import Look, follow  # noqa: E402
from leaderboard.streams.hub import Hub  # noqa: E402

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH = re.compile(r"/runs/(\d{1,18})/events/")
THREADS = 4
RETRY_SECONDS = 30
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="streams")
_hub = Hub(settings.REDIS_URL, f"{settings.INSTANCE}:live")
_open: Counter[int] = Counter()


class Proof(NamedTuple):
    """By what a request says who asks: the key of a session, or the text of a personal token."""

    session: str
    token: str


class Problem(Exception):
    """What is answered instead of a stream."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """What gunicorn calls for each request."""
    if scope["type"] != "http":
        return
    try:
        if scope["path"] == "/healthz":
            await _answer(send, HTTPStatus.OK, b"ok", {"Content-Type": "text/plain"})
            return
        submission_id = _asked(scope)
        proof = _proof_of(scope)
        person = await _known(proof)
        with _place(person):
            await _stream(submission_id, person, proof, receive, send)
    except Problem as problem:
        said = {"title": problem.status.phrase, "status": problem.status, "detail": str(problem)}
        headers = {"Content-Type": "application/problem+json", **problem.headers}
        await _answer(send, problem.status, json.dumps(said).encode(), headers)


def _asked(scope: Message) -> int:
    found = PATH.fullmatch(scope["path"])
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such stream.")
    if scope["method"] != "GET":
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "A stream is only read.", Allow="GET")
    return int(found[1])


async def _known(proof: Proof) -> int:
    person: int | None = await _in_thread(_person_of, proof)
    if person is not None:
        return person
    words = "This token is not known here, or may not read." if proof.token else "Sign in to follow a run."
    raise Problem(HTTPStatus.UNAUTHORIZED, words, WWW_Authenticate="Bearer")


@contextlib.contextmanager
def _place(person: int) -> Iterator[None]:
    """Hold a place for one more stream of this person."""
    if _open.total() >= settings.STREAMS_AT_ONCE:
        detail = "As many runs are followed live as can be. Pages ask by themselves, every few seconds."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, Retry_After=str(RETRY_SECONDS))
    if _open[person] >= settings.STREAMS_PER_PERSON:
        detail = f"You follow {settings.STREAMS_PER_PERSON} runs already. Close one of these pages."
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, Retry_After=str(RETRY_SECONDS))
    _open[person] += 1
    try:
        yield
    finally:
        _open[person] -= 1
        if not _open[person]:
            del _open[person]


async def _stream(submission_id: int, person: int, proof: Proof, receive: Receive, send: Send) -> None:
    look = partial(_in_thread, _look, submission_id, person, proof)
    if await look() is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such run of your team.")
    headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    await send(_start(HTTPStatus.OK, headers))
    leaves = asyncio.create_task(_left(receive))
    telling = asyncio.create_task(_tell(follow(_hub, submission_id, look), send))
    try:
        await asyncio.wait({leaves, telling}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (leaves, telling):
            task.cancel()
        await asyncio.gather(leaves, telling, return_exceptions=True)
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _tell(news: AsyncIterator[Look | None], send: Send) -> None:
    """Write what is new as events; a comment is for those between us. At the end, that there will be nothing more."""
    await _write(send, f"retry: {RETRY_SECONDS * 1000 // 10}\n\n")
    async for one in news:
        if one is None:
            await _write(send, ": still here\n\n")
        else:
            said = json.dumps({"seen": one.digest, "state": one.state, "finished": one.is_over})
            await _write(send, f"event: change\ndata: {said}\n\n")
    await _write(send, "event: end\ndata: {}\n\n")


async def _write(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
    await send(_start(status, {**headers, "Content-Length": str(len(body))}))
    await send({"type": "http.response.body", "body": body})


def _start(status: HTTPStatus, headers: dict[str, str]) -> Message:
    sent = {**headers, "Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    pairs = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    return {"type": "http.response.start", "status": int(status), "headers": pairs}


def _proof_of(scope: Message) -> Proof:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    session = ""
    with contextlib.suppress(CookieError):
        if morsel := SimpleCookie(headers.get(b"cookie", "")).get(settings.SESSION_COOKIE_NAME):
            session = morsel.value
    return Proof(session, token.strip() if scheme.lower() == "bearer" else "")


# --- in threads -------------------------------------------------------------------------------------------------------


async def _in_thread(ask: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_pool, _asking, ask, args)


def _asking(ask: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    try:
        return ask(*args)
    except DatabaseError:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database is away. Try again soon.", Retry_After=str(RETRY_SECONDS)
        ) from None
    finally:
        database.let_go()


def _person_of(proof: Proof) -> int | None:
    """Who asks: by a personal token that may read, if one is sent, or as who is signed in."""
    if proof.token:
        token = tokens.find(proof.token, clock.now())
        return token.user_id if token and ApiToken.Scope.READ in token.scopes else None
    request = HttpRequest()
    request.session = SessionStore(proof.session or None)
    person = get_user(request)
    may = isinstance(person, User) and person.is_active and not lacks_second_factor(person)
    return person.pk if may else None


def _look(submission_id: int, person: int, proof: Proof) -> Look | None:
    """What is shown to them now; None once they are signed out, or not of the team any more."""
    if _person_of(proof) != person:
        return None
    at = clock.now()
    found = watching.find(User.objects.get(pk=person), submission_id, at)
    if found is None:
        return None
    shown = watching.shown(*found)
    is_over = shown.view.finished and not shown.view.awaits_hints
    return Look(at, shown.digest, shown.view.state, is_over, follows_events=found[1].follows_events)


process_heartbeat.beat_in_background(f"streams@{socket.gethostname()}")
