"""The badge for other sites."""

from xml.etree import ElementTree

import pytest

from leaderboard.charts.badge import badge
from tests.leaderboard.charts.reading import pixels

SVG = "{http://www.w3.org/2000/svg}"


def parsed(label: str = "ReXGrounding", *words: str) -> ElementTree.Element:
    return ElementTree.fromstring(badge(label, words or ("rank 3 (2–5)", "Dice 0.287")).encode())


def test_it_is_an_image_of_its_own_twenty_pixels_high():
    image = parsed()
    assert (image.tag, image.get("height")) == (f"{SVG}svg", "20")
    assert image.get("aria-label") == image.findtext(f"{SVG}title") == "ReXGrounding: rank 3 (2–5) · Dice 0.287"


def test_it_needs_nothing_from_elsewhere():
    text = badge("ReXGrounding", ("rank 3",))
    assert "style" not in text
    assert "class" not in text
    assert text.count("http") == 1  # the namespace
    assert "url(" not in text


def test_longer_words_make_a_wider_badge_and_stay_inside():
    short, long = parsed("R", "rank 3"), parsed("R", "rank 3", "of a very long list")
    assert pixels(short, "width") < pixels(long, "width")
    for image in (short, long):
        for text in image.iter(f"{SVG}text"):
            assert pixels(text, "x") + pixels(text, "textLength") <= pixels(image, "width")


@pytest.mark.parametrize("words", ["<script>", 'a" onload="x', "a & b", "\ufffe\x00\u202e"])
def test_nobodys_words_become_markup(words):
    image = parsed(words, words)
    assert {one.tag for one in image.iter()} == {f"{SVG}{tag}" for tag in ("svg", "title", "rect", "path", "g", "text")}
    assert not [name for one in image.iter() for name in one.attrib if name.startswith("on")]


def test_a_badge_is_never_wider_than_a_page():
    assert pixels(parsed("W" * 500, "W" * 500), "width") < 1400
