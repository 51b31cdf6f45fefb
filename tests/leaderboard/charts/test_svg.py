"""Elements as text."""

from leaderboard.charts.svg import element, number, percent


def test_what_is_inside_an_element_is_escaped_once():
    inner = element("tspan", "a < b", css='x" y')
    assert inner == '<tspan class="x&quot; y">a &lt; b</tspan>'
    assert element("text", inner, "&") == f"<text>{inner}&amp;</text>"


def test_what_is_empty_or_none_is_no_attribute():
    assert element("rect", css="", fill=None, x=0, text_anchor="end") == '<rect x="0" text-anchor="end"/>'


def test_a_coordinate_has_two_decimals_at_most():
    assert [number(one) for one in (1.0, 0.126, -0.001, 3)] == ["1", "0.13", "0", "3"]
    assert percent(1 / 3) == "33.33%"
