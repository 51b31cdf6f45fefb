"""Static files are collected once, and again when something of them has changed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local import LocalError
from deploy.local.paths import State
from deploy.local.static import SOURCES, collect_static

MANAGE = """
import os, pathlib, sys
assert sys.argv[1:] == ["collectstatic", "--no-input"]
root = pathlib.Path(os.environ["STATIC_ROOT"])
(root / "collected").write_text(str(len(list(root.iterdir())) + 1))
"""


@dataclass
class Clone:
    """A clone with one stylesheet, whose manage.py counts what is asked of it."""

    state: State
    told: list[str] = field(default_factory=list)

    def collect(self) -> list[str]:
        """What is said meanwhile."""
        self.told.clear()
        collect_static(self.state, {**os.environ, "STATIC_ROOT": str(self.state.static)}, self.told.append)
        return self.told


@pytest.fixture
def clone(state: State) -> Clone:
    for name in SOURCES:
        path = state.clone / name
        (path if not path.suffix else path.parent).mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text("")
    (state.clone / "leaderboard" / "static" / "base.css").write_text("body {}")
    (state.clone / "manage.py").write_text(MANAGE)
    return Clone(state)


def test_they_are_collected_once(clone: Clone) -> None:
    assert clone.collect() == ["Collecting static files ..."]
    assert (clone.state.static / "collected").exists()
    assert clone.collect() == []


@pytest.mark.parametrize("changed", ["leaderboard/static/base.css", "leaderboard/static/new.js", *SOURCES[1:]])
def test_they_are_collected_again_when_something_changed(clone: Clone, changed: str) -> None:
    clone.collect()
    (clone.state.clone / changed).write_text("changed")
    assert clone.collect() == ["Collecting static files ..."]


def test_a_folder_that_was_removed_is_filled_again(clone: Clone) -> None:
    clone.collect()
    (clone.state.static / "collected").unlink()
    clone.state.static.rmdir()
    clone.state.prepare()
    assert clone.collect() == ["Collecting static files ..."]


def test_what_could_not_be_collected_stops_the_start_and_is_tried_again(clone: Clone) -> None:
    manage: Path = clone.state.clone / "manage.py"
    manage.write_text("raise SystemExit(1)")
    for _ in range(2):
        with pytest.raises(LocalError, match=r"collectstatic failed: see .*static\.log"):
            clone.collect()
