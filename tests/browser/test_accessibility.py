"""Every page of the site is looked at by axe, and for what axe does not see, in both themes and from 320 to 1920 px.

What a page is built of is read once; how it looks, light and dark, but for parts that were seen in the same place: on
another page, or at 320 px of those that are there at 1280 px, too. Above that the layout changes no more.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import pytest
from django.db import connection
from playwright.sync_api import Browser, Page

from tests.browser import axe
from tests.browser.every_page import Kept, every_page, served

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Theme = Literal["light", "dark"]
WIDTHS = (320, 1280)
# Where things are, and how large, is the same in both.
THEMES: dict[Theme, tuple[str, ...]] = {"light": axe.BY_LOOKS, "dark": axe.BY_COLOUR}
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
def pages(django_db_setup, django_db_blocker, module_store) -> dict[str, Kept]:
    """Every page, as it was answered."""
    with django_db_blocker.unblock():
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


def look(page: Page, address: str, looks: axe.Looks, tags: Sequence[str]) -> Iterator[str]:
    """What is wrong with a page: with what it is built of, and with how its new parts look."""
    page.goto(address)
    yield from (*axe.found(page, tags=tags, but=axe.BY_LOOKS), *axe.references_to_nothing(page))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        if page.evaluate(IS_WIDER):
            yield f"{width} px: scrolls sideways"
        for theme, rules in THEMES.items() if looks.mark_new(page) else ():
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            yield from (f"{width} px, {theme}: {problem}" for problem in looks.found(page, rules))
    page.set_viewport_size({"width": 1920, "height": HEIGHT})
    if page.evaluate(IS_WIDER):
        yield "1920 px: scrolls sideways"


@pytest.mark.timeout(900)
def test_axe_finds_nothing_on_any_page(pages, browser: Browser):
    problems: dict[str, list[str]] = {}
    looks = axe.Looks()
    looked = different(own(pages))
    with served(looked) as addresses, browser.new_context() as context:
        axe.bring_to_all(context)
        page = context.new_page()
        for name, address in addresses.items():
            tags = axe.STANDARDS if looked[name].is_message else axe.ALL  # an email has no landmarks
            if found := list(look(page, address, looks, tags)):
                problems[name] = found
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
    looks = axe.Looks()
    with served(looked) as addresses, browser.new_context() as context:
        axe.bring_to_all(context)
        page = context.new_page()
        page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
        for name, address in addresses.items():
            page.goto(address)
            said = axe.found(page, tags=axe.STANDARDS, but=axe.BY_LOOKS)
            if looks.mark_new(page):
                said += looks.found(page)
            if said or page.evaluate(IS_WIDER):
                problems[name] = said or ["scrolls sideways"]
    assert problems == {}
