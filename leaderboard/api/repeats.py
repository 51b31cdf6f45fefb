"""The same request again, by its Idempotency-Key: carried out once, answered as often as it is sent, for a day.

The key's row, what the request changes, and the answer are one transaction: a server that dies in between leaves
nothing, and a second request that comes meanwhile waits for the first one's row. A refusal changed nothing and is not
kept: what was refused may be asked for again with the same key.
"""

import hashlib
import re
from collections.abc import Callable

from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from psycopg.errors import LockNotAvailable

from leaderboard.api.problems import Problem
from leaderboard.models import ApiAnswer, ApiToken
from leaderboard.people.tokens import ANSWERS_KEPT
from leaderboard.web.context import instant_of

HEADER = "Idempotency-Key"
LONGEST = 255
WAIT_SECONDS = 5
KEPT_HEADERS = ("Content-Type", "Location")
REPLAYED = "Idempotent-Replayed"


def once(request: HttpRequest, token: ApiToken, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """The answer of `run`, or the one that was given to this key before. Raises Problem."""
    key = request.headers.get(HEADER, "")
    if not re.fullmatch(rf"[!-~]{{1,{LONGEST}}}", key):
        raise Problem(400, f"{HEADER} has 1 to {LONGEST} letters, digits and signs (ASCII).")
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{WAIT_SECONDS}s"])
            return _once(request, token, key, run)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Problem(
                409, "The first request with this key is still at work.", headers={"Retry-After": str(WAIT_SECONDS)}
            ) from None
        raise


def _once(request: HttpRequest, token: ApiToken, key: str, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    at, fingerprint = instant_of(request), _fingerprint(request)
    token.answers.filter(key=key, at__lt=at - ANSWERS_KEPT).delete()
    row, is_new = ApiAnswer.objects.get_or_create(token=token, key=key, defaults={"fingerprint": fingerprint, "at": at})
    if not is_new:
        return _again(row, fingerprint)
    answer = run()
    if not isinstance(answer, HttpResponse) or not 200 <= answer.status_code < 300:
        transaction.set_rollback(True)
        return answer
    row.status, row.content = answer.status_code, answer.content.decode()
    row.headers = {name: answer[name] for name in KEPT_HEADERS if name in answer}
    row.save(update_fields=["status", "content", "headers"])
    return answer


def _again(row: ApiAnswer, fingerprint: str) -> HttpResponse:
    if row.fingerprint != fingerprint:
        raise Problem(409, f"This {HEADER} was used with another request. Take a new one for each.")
    return HttpResponse(row.content, status=row.status, headers={**row.headers, REPLAYED: "true"})


def _fingerprint(request: HttpRequest) -> str:
    about = f"{request.method} {request.get_full_path()}\n{request.content_type}\n".encode()
    return hashlib.sha256(about + request.body).hexdigest()
