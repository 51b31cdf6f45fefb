"""What axe finds on a page: the rules of WCAG 2.2 AA, and what it calls best practice."""

import json
from collections.abc import Sequence
from typing import cast

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page

STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
ALL = (*STANDARDS, "best-practice")
# What may be otherwise at another width, or in another theme; the other rules read what a page is built of.
BY_COLOUR = ("color-contrast", "link-in-text-block")
BY_LOOKS = (*BY_COLOUR, "scrollable-region-focusable", "target-size")
# Colours on their way to a theme's are nobody's.
RUN = """([within, options]) => {
  document.getAnimations().forEach(one => one.cancel());
  return axe.run(within, {
    ...options, preload: false, selectors: false, elementRef: true, resultTypes: ["violations"]}).then(
    result => result.violations.flatMap(one => one.nodes.map(
        node => `${one.id}: ${(node.element?.outerHTML ?? "in a frame").slice(0, 200)} ${node.failureSummary}`)));
}"""
# axe is not sure of these, but they are wrong.
NOWHERE = """["aria-describedby", "aria-labelledby", "aria-controls", "for"].flatMap(name =>
    [...document.querySelectorAll(`[${name}]`)].flatMap(one => one.getAttribute(name).split(/\\s+/)
        .filter(id => id && !document.getElementById(id)).map(id => `${name}: nothing is called ${id}`)))"""
# axe reads the same few colours again for every element behind every other one: a third of its time for contrasts.
READ_COLOURS_ONCE = """(() => {
  const colour = axe.commons.color.Color.prototype, read = colour.parseString, known = new Map();
  colour.parseString = function (text) {
    if (known.has(text)) return Object.assign(this, known.get(text));
    const {r, g, b, alpha} = read.call(this, text);
    known.set(text, {r, g, b, alpha});
    return this;
  };
})()"""
# Of every element that a rule looks at, axe would write down the source, and its way there: ours is of what is wrong.
WITHOUT_SOURCES = "axe.configure({noHtml: true})"
# All elements in their order: the number of the one around it (or -1), what styles depend on, and what colours it has.
# As one text: of what is not, each value is looked at on its way here.
PARTS = """() => {
  const kept = /^(class|type|role|scope|hidden|disabled|open|aria-(?!label|describedby|controls).*|data-(?!look$).*)$/;
  const said = ({name, value}) => name.startsWith("data-") ? name : `${name}=${value}`;
  const colours = ({color, backgroundColor, backgroundImage}) => [color, backgroundColor, backgroundImage];
  const all = [...document.querySelectorAll("*")], numbers = new Map(all.map((one, number) => [one, number]));
  return JSON.stringify(all.map(one => [numbers.get(one.parentElement) ?? -1, [
    one.tagName, one.checkVisibility(), one.checked, ...colours(getComputedStyle(one)),
    ...[...one.attributes].filter(one => kept.test(one.name)).map(said).sort()].join(" ")]));
}"""
MARK = """marks => {
  const all = document.querySelectorAll("*");
  all.forEach(one => one.removeAttribute("data-look"));
  Object.entries(marks).forEach(([mark, numbers]) => numbers.forEach(number => all[number].dataset.look = mark));
}"""


def bring(page: Page) -> None:
    """Load axe into a page. The site's policy does not hold for what is evaluated."""
    page.evaluate(f"{AXE_SCRIPT}\n{WITHOUT_SOURCES}")


def bring_to_all(context: BrowserContext) -> None:
    """Have every page come with axe: the browser keeps it, where it would be sent half a megabyte for each."""
    context.add_init_script(f"{AXE_SCRIPT}\n{READ_COLOURS_ONCE}\n{WITHOUT_SOURCES}")


def found(page: Page, *, tags: Sequence[str] = ALL, but: Sequence[str] = ()) -> list[str]:
    """What axe finds on a page as it is now, `but` by these rules: rule, element, and what is wrong with it."""
    left_out = {rule: {"enabled": False} for rule in but}
    return cast(list[str], page.evaluate(RUN, ["html", {"runOnly": list(tags), "rules": left_out}]))


def references_to_nothing(page: Page) -> list[str]:
    """Attributes that name an element which is not there."""
    return cast(list[str], page.evaluate(NOWHERE))


class Looks:
    """Looks at what pages show, and only once at what was shown before: elements of one kind inside the same ones."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[int, str], int] = {}

    def mark_new(self, page: Page) -> bool:
        """Mark the outermost parts of a page that were on none before, and in them what is. Whether there are any."""
        is_new, around = self._new(json.loads(page.evaluate(PARTS)))
        begins = [number for number, one in enumerate(around) if is_new[number] != (one >= 0 and is_new[one])]
        new, known = ([number for number in begins if is_new[number] == wanted] for wanted in (True, False))
        if new:
            page.evaluate(MARK, {"new": new, "known": known})
        return bool(new)

    def _new(self, parts: Sequence[tuple[int, str]]) -> tuple[list[bool], list[int]]:
        """Of each element whether it is the first of its kind, and the number of the one around it."""
        kinds: list[int] = []
        is_new = []
        for around, part in parts:
            known = len(self._kinds)
            kinds.append(self._kinds.setdefault((kinds[around] if around >= 0 else -1, part), known))
            is_new.append(len(self._kinds) > known)
        return is_new, [around for around, _ in parts]

    def found(self, page: Page, rules: Sequence[str] = BY_LOOKS) -> list[str]:
        """What is wrong with how the marked parts look now."""
        options = {"runOnly": {"type": "rule", "values": list(rules)}}
        # Of the marks around an element the innermost counts.
        within = {"include": [["[data-look=new]"]], "exclude": [["[data-look=known]"]]}
        return cast(list[str], page.evaluate(RUN, [within, options]))
