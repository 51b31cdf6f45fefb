"""Refusals as problem details (RFC 9457): the status that programs go by, and the sentence that people read."""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from leaderboard.core.refusal import Refused
from leaderboard.people.throttle import TooSoon
from leaderboard.submissions import admission
from leaderboard.submissions.places import Busy
from leaderboard.web.errors import RETRY_SECONDS, SPACE_SECONDS

ROOT = "/api/"
CONTENT_TYPE = "application/problem+json"
SENTENCES: Mapping[int, str] = {
    400: "The request cannot be read. Bodies are JSON in UTF-8, and addresses are text.",
    401: "Send a personal token: “Authorization: Bearer rexg_pat_…”. Your account's page makes one.",
    403: "This token may not do that.",
    404: "There is nothing at this address, or nothing that is yours.",
    405: "This address does not do that. “Allow” says what it does.",
    408: "The request did not come to its end. Send it again.",
    410: "This file is not kept any more.",
    411: "Say how long the body is (Content-Length).",
    413: "The request is larger than anything it could be for.",
    415: "Bodies are JSON: send “Content-Type: application/json”.",
    429: "Too many requests. “Retry-After” says after how many seconds the next one is answered.",
    500: "Something of ours failed. The organisers can see it.",
    503: "The server is busy, or its database is away. Ask again soon.",
    507: "The server is short of disk space. Ask again later.",
}


class Problem(Exception):
    """A request that is refused, as its answer says it.

    headers: further ones of the answer; errors: what is wrong with which field.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail or SENTENCES.get(status, "")
        self.headers, self.errors = dict(headers or {}), list(errors)

    def answer(self) -> HttpResponse:
        """The answer."""
        response = HttpResponse(
            _content(self.status, self.detail, self.errors), status=self.status, content_type=CONTENT_TYPE
        )
        for name, value in self.headers.items():
            response[name] = value
        return response


def of_refusal(refusal: Refused) -> Problem:
    """What was refused in words: 409, since it fits its description; what passes by itself says when to ask again."""
    if isinstance(refusal, admission.NoSpace):
        return Problem(507, str(refusal), headers={"Retry-After": str(SPACE_SECONDS)})
    if isinstance(refusal, Busy | TooSoon):
        return Problem(429, str(refusal), headers={"Retry-After": str(refusal.seconds)})
    return Problem(413 if isinstance(refusal, admission.TooLarge) else 409, str(refusal))


def of_form(form: BaseForm) -> Problem:
    """What a form of the pages refuses."""
    return Problem(409, " ".join(f"{name}: {words[0]}" for name, words in form.errors.items()))


def _content(status: int, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> str:
    told: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    told["detail"] = detail
    return json.dumps(told | ({"errors": list(errors)} if errors else {}))


class Problems:
    """A middleware: whatever fails below the API's addresses is told as a problem, not as a page.

    What is refused before an operation is reached (no text, no such address, no database) has pages of its own. HEAD is
    GET there, as RFC 9110 asks.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        method = request.method
        if method == "HEAD" and request.path_info.startswith(ROOT):
            request.method = "GET"
        answer = self._get_response(request)
        request.method = method
        if answer.status_code < HTTPStatus.BAD_REQUEST or not request.path_info.startswith(ROOT):
            return answer
        if answer.get("Content-Type") == CONTENT_TYPE or not isinstance(answer, HttpResponse):
            return answer
        answer.content = _content(answer.status_code, SENTENCES.get(answer.status_code, "")).encode()
        answer["Content-Type"] = CONTENT_TYPE
        answer["Content-Length"] = str(len(answer.content))  # that of the page's is set by now
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            answer.headers.setdefault("Retry-After", str(RETRY_SECONDS))
        return answer
