"""Every message is text, and the same in the looks of the site: nothing is loaded, no stranger's word is a link."""

from html.parser import HTMLParser

import pytest
from django.conf import settings

from leaderboard.core import mail_message
from leaderboard.models import OutgoingMail
from tests.leaderboard.web.scene import HOSTILE, Page

OURS = f"{settings.SITE_URL}/account/confirm-email/abc-1:2/?next=/team/&x=1"
THEIRS = "https://evil.example/account"


def page_of(body: str, **fields: object) -> Page:
    mail = OutgoingMail(subject="ReXGrounding Challenge: A subject", body=body, to="d@example.org", **fields)
    return Page(mail_message.html_of(mail))


def links(page: Page) -> list[str | None]:
    return [link["href"] for link in page.all("a")]


def test_it_says_what_the_text_says_and_loads_nothing():
    page = page_of(f"First line\nsecond line.\n\nOpen it: {OURS}\n\nOr {OURS}.\n\n--\nSmall print")
    assert page.text.startswith("A subject ")
    for words in ("ReXGrounding Challenge", "First line second line.", "Open it", "Small print"):
        assert words in page.text
    assert links(page) == [OURS, OURS]
    names = {name for name, _ in page.elements}
    assert not names & {"img", "link", "script", "iframe", "form", "input"}
    assert not [value for _, found in page.elements for value in found.values() if value and "url(" in value]


@pytest.mark.parametrize(
    "body",
    [
        f"Team {THEIRS} has failed.",
        f"Sign in: {THEIRS}",
        THEIRS,
        f"{settings.SITE_URL}.evil.example/x",
        "Sign in: https://evil.example\\@127.0.0.1/x",
        "https://127.0.0.1:80@evil.example/x",
        "Sign in: http://[::1/x",
    ],
)
def test_no_address_but_our_own_becomes_a_link(body):
    assert links(page_of(body)) == []


def test_organisers_may_link_elsewhere():
    assert links(page_of(f"The workshop: {THEIRS}\n\nSee {THEIRS}.", kind="announcements")) == [THEIRS, THEIRS]


def test_what_somebody_wrote_stays_text():
    page = page_of(f'{HOSTILE} {settings.SITE_URL}/"onmouseover="x')
    assert not page.all("script")
    assert not [found for _, found in page.elements if "onmouseover" in found]
    assert "<script>" in page.text


def test_every_part_is_closed():
    class Balanced(HTMLParser):
        """Counts what is open."""

        open = 0

        def handle_starttag(self, tag, attrs):
            self.open += tag not in {"meta", "br"}

        def handle_endtag(self, tag):
            self.open -= 1

    parser = Balanced()
    parser.feed(mail_message.html_of(OutgoingMail(subject="A", body=f"B\n\nC: {OURS}\n\n-- \nD", to="d@example.org")))
    assert parser.open == 0
