"""The demo's cases as a container sees them, and ways to run the example's scripts outside of a container."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from containers.example.base import TEMPLATE
from leaderboard.demo.cases import generate_demo


@dataclass
class Demo:
    """A case set below `root`."""

    root: Path

    @property
    def entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = json.loads((self.root / "dataset.json").read_text())["test"]
        return entries

    def give(self, entries: list[dict[str, Any]], folder: Path) -> Path:
        """An /input with what a container gets of these entries, and an empty /output beside it."""
        (folder / "input").mkdir(parents=True)
        (folder / "output").mkdir()
        (folder / "output").chmod(0o777)
        cases = [{key: entry[key] for key in ("name", "findings", "shape")} for entry in entries]
        (folder / "input" / "cases.json").write_text(json.dumps(cases))
        (folder / "input" / "images").symlink_to(self.root / "images")
        return folder


@pytest.fixture(scope="session")
def demo_set(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    root = tmp_path_factory.mktemp("demo")
    generate_demo(root)
    return Demo(root)


@pytest.fixture(scope="session")
def template() -> ModuleType:
    spec = importlib.util.spec_from_file_location("segment_template", TEMPLATE / "segment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(variant: str, folder: Path) -> "subprocess.Popen[str]":
    """Run a variant's script as its image would, on folder/input and folder/output."""
    script = "segment" if variant == "words" else variant.replace("-", "_")
    code = (
        "import sys, pathlib\n"
        f"sys.path[:0] = [{str(TEMPLATE)!r}, {str(TEMPLATE / 'variants' / variant)!r}]\n"
        "import segment\n"
        f"segment.INPUT, segment.OUTPUT = (pathlib.Path({str(folder)!r}) / name for name in ('input', 'output'))\n"
        f"segment.MODEL = pathlib.Path({str(TEMPLATE / 'variants' / variant / 'model')!r})\n"
        + ("segment.main()" if script == "segment" else f"import {script}")
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
