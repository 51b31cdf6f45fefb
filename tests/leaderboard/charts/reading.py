"""Reads a drawing, as a test looks at it."""

from xml.etree import ElementTree


def elements(drawing: str, css: str = "", tag: str = "") -> list[ElementTree.Element]:
    """Elements of this class and tag, in the order of the drawing."""
    return [
        one
        for one in ElementTree.fromstring(f"<all>{drawing}</all>").iter()
        if css in [*one.get("class", "").split(), ""] and one.tag in (tag or one.tag,)
    ]


def texts(drawing: str, css: str) -> list[str]:
    """What texts of this class say."""
    return ["".join(one.itertext()) for one in elements(drawing, css, "text")]


def said(drawing: str) -> str:
    """What readers of text hear of the first drawing."""
    return next(iter(elements(drawing, tag="desc"))).text or ""


def value(one: ElementTree.Element, name: str) -> str:
    """An attribute that has to be there."""
    found = one.get(name)
    assert found is not None, name
    return found


def share(one: ElementTree.Element, name: str) -> float:
    """An SVG length in per cent."""
    found = value(one, name)
    assert found.endswith("%")
    return float(found[:-1])


def pixels(one: ElementTree.Element, name: str) -> float:
    """An SVG length in pixels."""
    return float(value(one, name))
