"""What holds of every kind of picture."""

import re
from collections import Counter
from xml.etree import ElementTree

import pytest
from django.template.loader import render_to_string

from tests.leaderboard.charts.samples import KINDS, NAMES, picture

MOST = {"sizes": 5, "significance": 50, "moves": 25}  # what more of could not be read
EVIL = "<script>alert('1')</script>&\"\u202e\x00"
HARMLESS = "<script>alert('1')</script>&\""

every_kind = pytest.mark.parametrize("kind", KINDS)


def elements(kind: str, *args, **kwargs) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(picture(kind, *args, **kwargs).drawing).iter())


def drawings(kind: str, *args, **kwargs) -> list[ElementTree.Element]:
    """Whole drawings: of a heat map there is one for each panel."""
    return [one for one in elements(kind, *args, **kwargs) if one.get("role") == "img"]


def text(one: ElementTree.Element) -> str:
    return " ".join(one.itertext())


@every_kind
def test_it_says_its_title_and_what_it_shows(kind):
    assert drawings(kind)
    for drawing in drawings(kind):
        said = {one.get("id"): text(one) for one in drawing if one.tag in ("title", "desc")}
        title, words = drawing.get("aria-labelledby", "").split()
        assert said[title].startswith("What it shows")
        assert len(said[words]) > 30
        assert re.search(r"\d", said[words])


@every_kind
@pytest.mark.parametrize("count", [0, 1, 500])
def test_it_draws_none_one_and_many(kind, count):
    count = min(count, MOST.get(kind, count))
    names = [f"Team {place}" for place in range(count)]
    made = picture(kind, names)
    drawn = text(ElementTree.fromstring(made.drawing))
    assert ("Nothing to show yet." in drawn) == (count == 0)
    assert all(name in drawn for name in names)
    cells = [cell for row in (made.table.heads, *made.table.rows) for cell in row]
    assert all(any(name in cell for cell in cells) for name in names)


@every_kind
def test_nobodys_name_becomes_markup(kind):
    made = picture(kind, [EVIL, *NAMES])
    html = render_to_string("parts/picture.html", {"picture": made})
    for place in (made.drawing, made.key, html):
        assert "<script" not in place
        assert not re.search("[\u202e\x00]", place)
    assert any(HARMLESS in cell for row in (made.table.heads, *made.table.rows) for cell in row)


@every_kind
def test_a_long_name_is_shortened_in_the_drawing_and_whole_in_the_table(kind):
    long = f"A team with {'a very ' * 12}long name"
    made = picture(kind, [long, *NAMES])
    shown = [text(one) for one in ElementTree.fromstring(made.drawing).iter("text") if "A team" in text(one)]
    assert shown
    assert all("…" in one for one in shown)
    assert any(long in cell for row in (made.table.heads, *made.table.rows) for cell in row)


@every_kind
def test_nothing_in_it_is_against_the_policy_of_pages(kind):
    for one in ElementTree.fromstring(f"<all>{picture(kind).drawing}{picture(kind).key}</all>").iter():
        assert one.tag not in ("script", "style", "foreignObject", "image", "a")
        assert not [name for name in one.attrib if name == "style" or name.startswith("on")]


@every_kind
def test_two_on_one_page_share_no_id_and_refer_to_their_own(kind):
    both = [*elements(kind, name="first"), *elements(kind, name="second")]
    ids = Counter(one.get("id") for one in both if one.get("id"))
    assert set(ids.values()) == {1}
    referred = {found for one in both for value in one.attrib.values() for found in re.findall(r"#([\w-]+)", value)}
    assert referred <= set(ids)


@every_kind
def test_the_same_data_give_the_same_bytes(kind):
    assert picture(kind) == picture(kind)


@every_kind
def test_whatever_has_a_place_lies_within_the_width(kind):
    """A place in pixels is one inside a mark, or beside an axis."""
    for one in elements(kind):
        for name in ("x", "x1", "x2", "cx"):
            value = one.get(name, "")
            if value.endswith("%"):
                assert 0 <= float(value[:-1]) <= 100


@every_kind
def test_the_numbers_stand_in_a_table_with_a_caption_and_scoped_heads(kind):
    made = picture(kind)
    shown = ElementTree.fromstring(render_to_string("parts/picture.html", {"picture": made}))
    (caption,) = shown.iterfind(".//table/caption")
    assert text(caption).strip() == made.table.caption
    assert made.table.caption.startswith("What it shows")
    assert [text(one) for one in shown.iterfind(".//thead//th[@scope='col']")] == list(made.table.heads)
    rows = [[text(one) for one in row] for row in shown.iterfind(".//tbody/tr")]
    assert rows == [list(row) for row in made.table.rows]
    assert len(shown.findall(".//tbody//th[@scope='row']")) == len(rows)
