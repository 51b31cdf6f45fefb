"""Marks around the middle of a dot: a shape for each of what is compared, since colour alone never tells them apart."""

from django.utils.safestring import SafeString, mark_safe

from leaderboard.charts.svg import element

DIAMOND = "M0 -5.5l5.5 5.5-5.5 5.5-5.5-5.5z"
COMPARED = (
    element("circle", css="a", r="4.5"),
    element("path", css="b", d="M-4.5 -4.5h9v9h-9z"),
    element("path", css="c", d=DIAMOND),
    element("path", css="d", d="M0 -5.5l5.5 9.5h-11z"),
    element("path", css="e", d="M0 5.5l5.5 -9.5h-11z"),
    element("path", css="f", d="M-1.5 -5.5h3v4h4v3h-4v4h-3v-4h-4v-3h4z"),
)
LETTERS = "abcdef"  # the class of each, for what belongs to it


def shape(place: int) -> SafeString:
    """The shape of what is compared at this place, as a small picture to stand in a text."""
    return mark_safe(f'<svg class="shp" viewBox="-8 -8 16 16" aria-hidden="true">{COMPARED[place]}</svg>')  # noqa: S308


def key(*items: tuple[SafeString, str]) -> SafeString:
    """What marks mean: a list for below a picture, of a mark around its middle and its words each."""
    return element(
        "ul",
        *(
            element("li", element("svg", mark, css="shp", viewBox="-8 -8 16 16", aria_hidden="true"), words)
            for mark, words in items
        ),
        css="pic-key",
    )
