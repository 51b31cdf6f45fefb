"""A team at its browser: an upload that takes a while, and is sent again for as long as no answer comes."""

from __future__ import annotations

import http.client
import re
import secrets
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from django.test import Client

from leaderboard.models import Submission, User
from tests.leaderboard import cast

BOUNDARY = "a-boundary-that-no-image-has"
PIECES = 40
PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 30.0
WORDS = {"track": "main", "algorithm": "Grounder", "method": cast.METHOD, "external": "none", "external_data": ""}


@dataclass
class Upload:
    """An image on its way through the form at `address`, for `seconds` if nothing disturbs it."""

    address: str
    slug: str
    person: User
    image: Path
    seconds: float
    submission: Submission | None = None
    answers: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Begin; `submission` is there when the server has said that it was accepted."""
        browser = Client()
        browser.force_login(self.person)
        token = secrets.token_hex(16)
        cookies = {"rexg_session": browser.cookies["rexg_session"].value, "rexg_csrf": token}
        self._cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._words = WORDS | {"csrfmiddlewaretoken": token}
        self._path = f"/submit/{self.slug}/?ticket={secrets.token_hex(8)}"
        threading.Thread(target=self._send_until_accepted, daemon=True).start()

    def _send_until_accepted(self) -> None:
        while self.submission is None:
            try:
                where = self._sent()
            except (OSError, http.client.HTTPException) as error:
                self.answers.append(repr(error))
            else:
                if accepted := re.fullmatch(r".*/runs/(\d+)/", where):
                    self.submission = Submission(pk=int(accepted[1]))
            time.sleep(PAUSE_SECONDS)

    def _sent(self) -> str:
        """Send everything once; where the answer leads."""
        head, image, tail = self._body()
        host = self.address.removeprefix("http://")
        with closing(http.client.HTTPConnection(host, timeout=TIMEOUT_SECONDS)) as connection:
            connection.putrequest("POST", self._path)
            connection.putheader("Cookie", self._cookie)
            connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
            connection.putheader("Content-Length", str(len(head) + len(image) + len(tail)))
            connection.endheaders(head)
            size = len(image) // PIECES + 1
            for start in range(0, len(image), size):
                connection.send(image[start : start + size])
                time.sleep(self.seconds / PIECES)
            connection.send(tail)
            answer = connection.getresponse()
            self.answers.append(f"{answer.status} {answer.getheader('Location', '')}")
            return answer.getheader("Location", "")

    def _body(self) -> tuple[bytes, bytes, bytes]:
        fields = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self._words.items()
        )
        file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.tar.gz"\r\n\r\n'
        return (fields + file).encode(), self.image.read_bytes(), f"\r\n--{BOUNDARY}--\r\n".encode()
