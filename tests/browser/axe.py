"""What axe finds on a page: the rules of WCAG 2.2 AA, and what it calls best practice."""

from collections.abc import Sequence
from typing import cast

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
ALSO = ("best-practice",)
# What may be otherwise at another width, or in another theme; the other rules read what a page is built of.
BY_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
RUN = """([type, values, without]) => axe.run({include: document, exclude: without}, {
    preload: false, resultTypes: ["violations"], runOnly: {type, values},
}).then(result => result.violations.flatMap(
    one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`)))"""
# axe is not sure of these, but they are wrong.
NOWHERE = """["aria-describedby", "aria-labelledby", "aria-controls", "for"].flatMap(name =>
    [...document.querySelectorAll(`[${name}]`)].flatMap(one => one.getAttribute(name).split(/\\s+/)
        .filter(id => id && !document.getElementById(id)).map(id => `${name}: nothing is called ${id}`)))"""
SETTLE = "document.getAnimations().forEach(one => one.cancel())"


def bring(page: Page) -> None:
    """Load axe into a page. The site's policy does not hold for what is evaluated."""
    page.evaluate(AXE_SCRIPT)


def found(
    page: Page,
    *,
    without: Sequence[str] = (),
    tags: Sequence[str] = (*STANDARDS, *ALSO),
    references: bool = True,
    rules: Sequence[str] = (),
) -> list[str]:
    """What axe finds on a page as it is now, but for parts of it: rule, element, and what is wrong with it.

    With `references` also attributes that name an element which is not there; with `rules` by these alone.
    """
    page.evaluate(SETTLE)  # colours on their way to a theme's are nobody's
    said = page.evaluate(RUN, ["rule" if rules else "tag", list(rules or tags), list(without)])
    return cast(list[str], said + page.evaluate(NOWHERE) if references and not rules else said)
