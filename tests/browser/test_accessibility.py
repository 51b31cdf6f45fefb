"""Every page of the site is looked at by axe, and for what axe does not see, in both themes and from 320 to 1920 px.

Each page is seen at 320 and 1280 px, light and dark. Which theme goes with which width alternates from page to page, as
their parts are the same, and a page without a part that is new in its second view is not shown in that one.
REX_EVERY_VIEW=1 shows each in every combination. Above 1280 px the layout changes no more.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from django.db import connection
from django.test import override_settings
from playwright.sync_api import Browser, Page

from leaderboard.core import blobs
from tests.browser import axe
from tests.browser.every_page import Kept, every_page, served

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Theme = Literal["light", "dark"]
WIDTHS = (320, 1280)
THEMES: tuple[Theme, Theme] = ("light", "dark")
FRAME = (".site-head", ".phase-line", ".site-foot")  # looked at once, where they are alike
EVERY_VIEW = bool(os.environ.get("REX_EVERY_VIEW"))
HEIGHT = 240  # what lies below counts as much, and is not painted
IS_WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
IS_PAGE = re.compile(r'{% extends "(?!admin/)')
ELSEWHERE = {
    "allauth/layouts/base.html": "pages of allauth that we have none of our own for",
    "socialaccount/signup.html": "nobody gets there: who is not known by an ORCID iD is sent to register",
    **dict.fromkeys(
        ("mfa/webauthn/authenticator_confirm_delete.html", "mfa/webauthn/edit_form.html"),
        "shown with a key only: test_passkeys asks axe there",
    ),
    "mfa/webauthn/reauthenticate.html": "shown with a key only: test_passkeys asks axe there",
}


@pytest.fixture(scope="module")
def pages(django_db_setup, django_db_blocker, tmp_path_factory) -> dict[str, Kept]:
    """Every page, as it was answered."""
    store = tmp_path_factory.mktemp("store")
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    kept: dict[str, Any] = {"STORE_DIR": store, "FILE_UPLOAD_TEMP_DIR": store / "incoming", "PASSWORD_HASHERS": hashers}
    with django_db_blocker.unblock(), override_settings(**kept):
        blobs.prepare()
        found = every_page()
        connection.close()
        # The browser's event loop has connections of its own; those of before it would stay taken to the end.
        connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has it
    return found


def own(pages: Mapping[str, Kept]) -> dict[str, Kept]:
    """Those of teams and organisers: not Django's administration."""
    return {name: page for name, page in pages.items() if " /admin/" not in name}


class Outline(HTMLParser):
    """What a page is built of, without its words and addresses: pages that are alike in it are one to axe."""

    KEPT = frozenset({"class", "role", "type", "scope", "lang", "tabindex", "aria-hidden", "aria-current", "aria-live"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[tuple[str, frozenset[tuple[str, str | None]]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append((tag, frozenset((name, value if name in self.KEPT else None) for name, value in attrs)))


def different(pages: Mapping[str, Kept]) -> dict[str, Kept]:
    """One of all pages that are built alike."""
    firsts: dict[object, str] = {}
    for name, page in pages.items():
        firsts.setdefault(tuple(Outline(page.html.decode()).parts), name)
    return {name: pages[name] for name in firsts.values()}


def views(number: int) -> list[tuple[int, Theme]]:
    """The widths and themes in which the page with this number is seen."""
    if EVERY_VIEW:
        return [(width, theme) for width in (*WIDTHS, 1920) for theme in THEMES]
    return [(width, THEMES[(number + place) % 2]) for place, width in enumerate(WIDTHS)]


def frame_of(page: Kept) -> object:
    """What a page's head and foot are built of."""
    head, _, rest = page.html.decode().partition("<main")
    return tuple(Outline(head + rest.partition("</main>")[2]).parts)


class Seen:
    """Which parts were seen in which view, so that a page is shown once more only for what is new there."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, Theme], set[object]] = {}

    def adds(self, view: tuple[int, Theme], html: str) -> bool:
        """Whether a page has parts (each with the one before it) that were not seen in this view; they are then."""
        parts = Outline(html).parts
        known = self._parts.setdefault(view, set())
        before = len(known)
        known.update(pairwise(parts))
        return len(known) > before


def look(page: Page, views: Sequence[tuple[int, Theme]], address: str, without: Sequence[str]) -> Iterator[str]:
    """What is wrong with a page, but for some of its parts; by all rules in the first view, by looks in the others."""
    page.goto(address)
    axe.bring(page)
    for place, (width, theme) in enumerate(views):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": HEIGHT})
        yield from (
            f"{width} px, {theme}: {problem}"
            for problem in axe.found(page, without=without, rules=axe.BY_LOOKS if place else ())
        )
    for width in (*WIDTHS, 1920):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        if page.evaluate(IS_WIDER):
            yield f"{width} px: scrolls sideways"


@pytest.mark.timeout(900)
def test_axe_finds_nothing_on_any_page(pages, browser: Browser):
    problems: dict[str, list[str]] = {}
    looked = different(own(pages))
    with served(looked) as addresses, browser.new_context() as context:
        page = context.new_page()
        frames: set[object] = set()
        seen = Seen()
        for number, (name, address) in enumerate(addresses.items()):
            frame, html = frame_of(looked[name]), looked[name].html.decode()
            first, *others = views(number)
            new = [view for view in others if EVERY_VIEW or seen.adds(view, html)]
            if found := list(look(page, [first, *new], address, FRAME if frame in frames else ())):
                problems[name] = found
            frames.add(frame)
    assert problems == {}


def test_every_template_of_a_page_is_looked_at(pages, browser_name):  # as the others, or pages were asked again
    shown = {template for page in pages.values() for template in page.templates}
    known = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html") if IS_PAGE.search(path.read_text())}
    assert known - shown == set(ELSEWHERE)


def test_axe_finds_nothing_in_the_administration(pages, browser: Browser):
    """Its lists and its forms; its looks are Django's, and so is what is best practice there."""
    problems: dict[str, list[str]] = {}
    ours = re.compile(r"/admin/(\w+/\w+/([^/]+/change/)?)? ")
    looked = different({name: page for name, page in pages.items() if ours.search(name)})
    assert len(looked) > 20
    with served(looked) as addresses, browser.new_context() as context:
        page = context.new_page()
        page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
        for name, address in addresses.items():
            page.goto(address)
            axe.bring(page)
            said = axe.found(page, tags=axe.STANDARDS, references=False)
            if said or page.evaluate(IS_WIDER):
                problems[name] = said or ["scrolls sideways"]
    assert problems == {}
