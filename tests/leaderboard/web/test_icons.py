"""The sprite: what pages ask for is in it, it takes its colours from the page, and it brings nothing else along."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static

from leaderboard.operations.health.judging import Check, Level
from leaderboard.progress.stages import KINDS
from leaderboard.templatetags import show

SVG = "{http://www.w3.org/2000/svg}"


def read(name: str) -> ElementTree.Element:
    return ElementTree.parse(str(finders.find(f"site/{name}"))).getroot()


def symbols() -> dict[str, ElementTree.Element]:
    return {symbol.attrib["id"]: symbol for symbol in read("icons.svg").iter(f"{SVG}symbol")}


def test_the_sprite_holds_exactly_the_icons_that_templates_may_ask_for():
    assert set(symbols()) == show.ICONS


def test_every_icon_that_a_template_names_exists():
    sources = [path.read_text() for path in Path(settings.BASE_DIR, "templates").rglob("*.html")]
    named = {name for source in sources for name in re.findall(r'{% icon "([^"]+)" %}', source)}
    assert named
    assert named <= show.ICONS


def test_every_kind_of_state_and_of_check_has_an_icon():
    assert set(KINDS.values()) <= show.ICONS
    assert {Check("name", "title", level, "says").kind for level in Level} <= show.ICONS


def test_an_icon_is_drawn_from_the_sprite_and_hidden_from_readers_of_text():
    assert show.icon("ok") == f'<svg aria-hidden="true"><use href="{static("site/icons.svg")}#ok"/></svg>'


def test_an_icon_that_does_not_exist_is_an_error_and_not_an_empty_place():
    with pytest.raises(LookupError, match="no icon 'okay'"):
        show.icon("okay")


def test_every_colour_of_an_icon_is_the_pages():
    for name, symbol in symbols().items():
        assert symbol.attrib["viewBox"], name
        for element in symbol.iter():
            assert "style" not in element.attrib, f"{name}: the policy would not let it through"
            for attribute in ("fill", "stroke"):
                value = element.attrib.get(attribute, "none")
                assert value == "none" or value.startswith("var(--"), f"{name}: {attribute}={value}"


def test_the_favicon_is_the_mark_of_the_pages():
    def shape(root: ElementTree.Element) -> list[str]:
        return [path.attrib["d"] for path in root.iter(f"{SVG}path")]

    assert shape(read("mark.svg")) == shape(symbols()["mark"])
