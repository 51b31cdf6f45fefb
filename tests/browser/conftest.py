"""A real Chromium, driven against the real server. REX_CHROMIUM names another browser than /usr/bin/chromium."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from django.conf import settings as configured
from django.test import Client
from playwright.sync_api import Browser, Page, ViewportSize
from pytest_django.live_server_helper import LiveServer

from leaderboard.models import User
from tests.mail_server import mail_server
from tests.outbox import Outbox, send_to

# Playwright's synchronous API keeps an event loop in this thread; Django would refuse to reach its database from there.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """The browser of the machine: nothing is downloaded."""
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    # Processes that keep pages of strangers apart, or wait for the next one, cost a seventh; we open none but our own.
    arguments += ["--in-process-gpu", "--disable-site-isolation-trials", "--renderer-process-limit=1"]
    return {"executable_path": os.environ.get("REX_CHROMIUM", "/usr/bin/chromium"), "args": arguments}


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """The server with its own middleware for static files, as in production: Django's handler knows no hashed names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.contrib.staticfiles.handlers.StaticFilesHandler", lambda application: application)
        server = LiveServer("localhost")
    yield server
    server.stop()


@dataclass
class Visitor:
    """A person at a browser of their own, with everything that went wrong in it."""

    page: Page
    home: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def go(self, address: str) -> Page:
        """Open an address of the site."""
        self.page.goto(self.home + address)
        return self.page

    def is_as_wide_as_the_screen(self) -> bool:
        """Whether nothing scrolls sideways."""
        width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        return bool(self.page.evaluate(width))


@pytest.fixture
def visit(browser: Browser, live_server) -> Iterator[Callable[..., Visitor]]:
    """visit(person, viewport) -> Visitor. Fails at the end if a page complained or asked another host for anything."""
    visitors: list[Visitor] = []

    def begin(
        person: User | None = None, viewport: ViewportSize | None = None, home: str = live_server.url, **options
    ) -> Visitor:
        context = browser.new_context(viewport=viewport or WIDE, timezone_id="America/Los_Angeles", **options)
        if person:
            client = Client()
            client.force_login(person)
            session = client.cookies[configured.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": configured.SESSION_COOKIE_NAME, "value": session, "url": home}])
        visitor = Visitor(context.new_page(), home)
        visitor.page.on("console", lambda message: visitor.complaints.append(message.text))
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitor.page.on("request", lambda request: visitor.hosts.add(urlsplit(request.url).netloc))
        visitors.append(visitor)
        return visitor

    yield begin
    for visitor in visitors:
        visitor.page.context.close()
        assert visitor.complaints == []
        assert visitor.hosts == {urlsplit(visitor.home).netloc}


@pytest.fixture
def mails(tmp_path, settings) -> Iterator[Outbox]:
    """A real mail server."""
    with mail_server(tmp_path / "mails") as server:
        yield send_to(server, settings)
