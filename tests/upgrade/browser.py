"""A person at a browser: pages, their forms with whatever they are filled in with, and what is sent."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from http import HTTPStatus

import requests

from tests.mail_server import MailServer

TIMEOUT = 60
PASSWORD = "a staple of batteries"  # everybody's
METHOD = "A frozen text encoder conditions a 3D U-Net at four scales by cross-attention. " * 2


def email_of(name: str) -> str:
    """Somebody's address."""
    return f"{name.lower()}@example.org"


class _Forms(HTMLParser):
    """The forms of a page: the names of their fields, and what these are filled in with, without buttons and files."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[tuple[set[str], dict[str, str]]] = []
        self._text: str | None = None
        self._choice: str | None = None
        self.feed(html)

    def with_fields(self, names: set[str]) -> dict[str, str]:
        """What the first form that has all of these fields is filled in with."""
        return next(filled for known, filled in self.forms if names | {"csrfmiddlewaretoken"} <= known)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "form":
            self.forms.append((set(), {}))
        if not self.forms:
            return
        known, filled = self.forms[-1]
        if tag in {"input", "textarea", "select"}:
            known.add(name)
        if tag == "input" and _is_filled_in(given):
            filled[name] = given.get("value", "")
        elif tag == "textarea":
            self._text, filled[name] = name, ""
        elif tag == "select":
            self._choice = name
        elif tag == "option" and self._choice and "selected" in given:
            filled[self._choice] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._text = None if tag == "textarea" else self._text
        self._choice = None if tag == "select" else self._choice

    def handle_data(self, data: str) -> None:
        if self._text:
            self.forms[-1][1][self._text] += data.removeprefix("\n")


def _is_filled_in(field: Mapping[str, str]) -> bool:
    kind = field.get("type", "text")
    return kind in {"text", "hidden", "number"} or (kind in {"checkbox", "radio"} and "checked" in field)


class Browser:
    """One person's cookies at the site at `address`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = requests.Session()

    def send(self, path: str, fields: Mapping[str, str], *, image: bytes | None = None, at: str = "") -> str:
        """Fill in the form of the page `path`, send it (to `at`, if that is elsewhere); where the answer leads.

        AssertionError when the site does not take it.
        """
        page = self._session.get(self._address + path, timeout=TIMEOUT)
        assert page.status_code == HTTPStatus.OK, f"{path}: HTTP {page.status_code}"
        answer = self._session.post(
            self._address + (at or path),
            data=_Forms(page.text).with_fields(set(fields)) | dict(fields),
            files=None if image is None else {"image": ("image.tar.gz", image)},
            headers={"Referer": self._address + path},
            allow_redirects=False,
            timeout=TIMEOUT,
        )
        complaints = re.findall(r'class="error[^>]*>.*', answer.text)
        assert answer.status_code == HTTPStatus.FOUND, f"{at or path}: HTTP {answer.status_code}: {complaints}"
        return answer.headers["Location"]

    def is_told(self, path: str, words: str) -> bool:
        """Whether a page says this."""
        return words in self._session.get(self._address + path, timeout=TIMEOUT).text

    def register(self, name: str) -> None:
        """Make an account."""
        words = {"name": name, "email": email_of(name), "password1": PASSWORD, "password2": PASSWORD}
        self.send("/account/signup/", words)

    def confirm(self, name: str, mails: MailServer) -> None:
        """Open the link of the message, and accept the rules."""
        self.send(mails.link(email_of(name)), {})
        self.send("/rules/", {"accept": "1"})

    def sign_in(self, name: str) -> None:
        """Sign in."""
        self.send("/account/login/", {"login": email_of(name), "password": PASSWORD})

    def submit(self, phase: str, algorithm: str, image: bytes) -> int:
        """Hand in an image; the submission's number."""
        words = {"track": "main", "algorithm": algorithm, "method": METHOD, "external": "none", "external_data": ""}
        return int(self.send(f"/submit/{phase}/", words, image=image).strip("/").split("/")[-1])
