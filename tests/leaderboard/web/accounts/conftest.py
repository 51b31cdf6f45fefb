"""Strangers at their browsers, and the mail server that they hear from."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client

from tests.mail_server import MailServer, mail_server
from tests.outbox import send_to

PASSWORD = "a long enough secret"


@pytest.fixture
def mails(tmp_path: Path, settings) -> Iterator[MailServer]:
    """A real mail server."""
    with mail_server(tmp_path / "mails") as server:
        yield send_to(server, settings)


@pytest.fixture
def from_address() -> Callable[..., Client]:
    """from_address(address) -> a browser that nobody used yet, at a network address."""
    return lambda address="192.0.2.1": Client(REMOTE_ADDR=address)


def register(client: Client, email: str, *, password: str = PASSWORD, at: str = "/account/signup/"):
    words = {"name": "Dora", "email": email, "password1": password, "password2": password}
    return client.post(at, words)


def sign_in(client: Client, email: str, password: str = PASSWORD):
    return client.post("/account/login/", {"login": email, "password": password})


def confirm_it_is_you(client: Client, password: str = "correct horse"):
    """Before whatever changes how one signs in."""
    return client.post("/account/reauthenticate/", {"password": password})


def is_in(client: Client) -> bool:
    return client.get("/team/").status_code == 200


def bare(response, email: str) -> str:
    """An answer without what differs by itself: tokens, the clock, and the address that was typed."""
    html = response.content.decode()
    tokens = r'name="csrfmiddlewaretoken" value="[^"]*"'
    clock = r'datetime="[^"]*"|\d\d:\d\d(:\d\d(\.\d+)?)?'
    return re.sub(rf"{tokens}|{clock}|(?i:{re.escape(email)})", "", html)
