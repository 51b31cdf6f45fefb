"""Elements of SVG as text, escaped in one place."""

from collections.abc import Iterable

from django.utils.html import conditional_escape, escape
from django.utils.safestring import SafeString, mark_safe

Content = str | SafeString
Value = str | float | None


def element(tag: str, *children: Content, **attributes: Value) -> SafeString:
    """An element: its children are escaped unless they are elements, and so are its attributes.

    `css` is its class, `text_anchor` its text-anchor. Numbers get two decimals at most; None and "" are left out.
    """
    written = "".join(
        f' {_attribute(key)}="{escape(number(value))}"' for key, value in attributes.items() if value not in (None, "")
    )
    inside = "".join(conditional_escape(child) for child in children)
    whole = f"<{tag}{written}>{inside}</{tag}>" if inside else f"<{tag}{written}/>"
    return mark_safe(whole)  # noqa: S308 (all of it was escaped in the lines above)


def lines(elements: Iterable[SafeString]) -> SafeString:
    """Elements, one a line."""
    return mark_safe("\n".join(elements))  # noqa: S308 (what elements are joined by is no markup)


def number(value: Value) -> str:
    """A coordinate: two decimals at most."""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(share: float) -> str:
    """A part of the width, as an SVG length."""
    return f"{number(100.0 * share)}%"


def at(x: str, y: float, *children: Content, css: str = "") -> SafeString:
    """Marks around a place: only a nested picture has its zero in per cent of the width."""
    return element("svg", *children, css=f"at {css}".strip(), x=x, y=y)


def _attribute(key: str) -> str:
    return "class" if key == "css" else key.replace("_", "-")
