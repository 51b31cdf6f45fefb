"""A person who has the keys alone: no mouse, and no focus that the keys did not bring."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

MOST_STOPS = 90  # of the Tab key on one page
HAS_FOCUS = "it => it === document.activeElement"
# What is at its middle is it, or belongs to it: no bar lies over it, and it is on the screen.
IS_SEEN = """it => {
  const box = it.getBoundingClientRect();
  const shown = document.elementFromPoint(box.left + box.width / 2, box.top + Math.min(box.height / 2, 20));
  return Boolean(shown) && (it.contains(shown) || shown.contains(it) || [...(it.labels ?? [])].includes(shown));
}"""


class Keyboard:
    """The keys of one page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._file: Path | None = None
        page.on("filechooser", lambda window: window.set_files(self._file or []))

    def to(self, target: Locator) -> None:
        """Go there by Tab from where the focus is; what has the focus is seen."""
        found = target.element_handle()
        assert found
        for _ in range(MOST_STOPS):
            if found.evaluate(HAS_FOCUS):
                assert found.evaluate(IS_SEEN), f"{target} has the focus, and is not seen"
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {target} on {self.page.url}")

    def press(self, name: str | Locator, key: str = "Enter") -> None:
        """Press a button or a link."""
        self.to(self.named(name) if isinstance(name, str) else name)
        self.page.keyboard.press(key)

    def named(self, name: str) -> Locator:
        """The button or link of the page's main part that is called so."""
        main = self.page.get_by_role("main")
        return main.get_by_role("button", name=name).or_(main.get_by_role("link", name=name)).first

    def open(self, words: str) -> None:
        """Unfold what these words begin."""
        self.press(self.page.locator("summary", has_text=words).first)

    def write(self, label: str, text: str) -> None:
        """Write into a field in place of what it holds."""
        self.to(self.page.get_by_label(label, exact=True))
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.type(text)

    def tick(self, label: str) -> None:
        """Change a box."""
        self.press(self.page.get_by_label(label), "Space")

    def choose(self, label: str) -> None:
        """Choose one of several buttons, by the arrows from the one that Tab reaches."""
        wanted = self.page.get_by_label(label, exact=True)
        group = self.page.locator(f'input[type=radio][name="{wanted.get_attribute("name")}"]')
        for _ in range(MOST_STOPS):
            self.page.keyboard.press("Tab")
            if group.evaluate_all("all => all.includes(document.activeElement)"):
                break
        for _ in range(group.count()):
            if wanted.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Space")
        expect(wanted).to_be_checked()

    def hand_in(self, label: str, file: Path) -> None:
        """Choose a file, in the window that the browser opens."""
        self._file, field = file, self.page.get_by_label(label)
        self.press(field)
        expect(field).to_have_value(re.compile(re.escape(file.name)))

    def select(self, field: Locator, option: str) -> None:
        """Choose from a list by its first letters."""
        self.to(field)
        self.page.keyboard.type(option)
        expect(field.locator("option:checked")).to_have_text(re.compile(re.escape(option)))

    def reads(self, heading: str) -> None:
        """Wait for the page of this heading."""
        expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible()
