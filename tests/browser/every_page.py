"""Every page of the site as somebody gets it, kept, so that a browser can look at it as often as it likes.

Pages come from the one list of addresses (tests/bench/addresses.py), and from `SCENES` where a page is shown only after
something happened. They are asked once, in a transaction that is undone, and then served as they were.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.test import TestCase

from tests.bench import addresses, population
from tests.bench.addresses import ADDRESSES
from tests.bench.measuring import Site
from tests.bench.plan import Size
from tests.browser.scenes import SCENES, Stage

IN_BRACES = re.compile(r"\{(\w+)\}")
FRAGMENTS = "/panel/"  # parts of pages, which they ask for by themselves
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Kept:
    """A page as it was answered, the policy under which it runs, and the templates that it was made of."""

    html: bytes
    policy: str
    templates: frozenset[str]

    @property
    def is_message(self) -> bool:
        """Whether it is an email as its readers get it, in a frame of a page."""
        return SANDBOX in self.policy


def every_page() -> dict[str, Kept]:
    """Every page by the name of its address or scene. What asking them changes is undone."""
    with transaction.atomic():
        population.fill(Size(**dict.fromkeys(("teams", "runs", "cases", "phases", "members", "hosts"), 3), kinds=2))
        watched = addresses.watched()
        site = Site()
        for one in ADDRESSES:
            site.client(watched.get(one.who))  # signs in, which is not to be undone
        answers = {one.name: _undone(lambda one=one: _ask(one, watched, site)) for one in ADDRESSES}
        answers |= {name: _undone(lambda scene=scene: scene(Stage(watched))) for name, scene in SCENES.items()}
        transaction.set_rollback(True)
    return {name: kept for name, kept in answers.items() if kept is not None}


def _ask(address: addresses.Address, watched: Mapping[str, Any], site: Site) -> Any:
    if FRAGMENTS in address.path:
        return None
    sent = address.request(watched)
    client = site.client(sent.pop("who"))
    if address.state:
        [name] = IN_BRACES.findall(address.path)
        addresses.put_into(watched[name], address.state)
    return client.generic(**sent)


def _undone(ask: Any) -> Kept | None:
    with transaction.atomic():
        with TestCase.captureOnCommitCallbacks(execute=True):
            answer = ask()
        transaction.set_rollback(True)
    if answer is None or answer.streaming or not answer.content:
        return None
    if not answer.get("Content-Type", "").startswith("text/html"):
        return None
    templates = frozenset(one.name for one in answer.templates if one.name)
    return Kept(answer.content, answer.get("Content-Security-Policy", ""), templates)


def _open(policy: str) -> str:
    """A policy under which axe runs: in a sandbox no script does."""
    return "; ".join(part for part in policy.split("; ") if not part.startswith(SANDBOX))


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: it would be a line for each file."""


@contextmanager
def served(pages: Mapping[str, Kept]) -> Iterator[dict[str, str]]:
    """Serve pages, and the site's files; gives their addresses by their names."""
    site = get_wsgi_application()
    paths = {f"/{number}": name for number, name in enumerate(pages)}

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path in paths:
            page = pages[paths[path]]
            policy = ("Content-Security-Policy", _open(page.policy))
            start("200 OK", [("Content-Type", "text/html; charset=utf-8"), policy])
            return [page.html]
        if path.startswith("/static/"):
            return site(environ, start)
        start("204 No Content", [])  # what pages ask for by themselves
        return []

    server = ThreadedWSGIServer(("localhost", 0), _Silent)
    server.set_app(answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {name: f"http://localhost:{server.server_port}{path}" for path, name in paths.items()}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
