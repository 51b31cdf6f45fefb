"""A generated set, to be damaged by the import tests."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaderboard.demo.synthesis import generate
from tests.leaderboard.challenge.casesets.reading import read_array


@dataclass
class CaseSet:
    root: Path

    @property
    def dataset(self) -> Path:
        return self.root / "dataset.json"

    @property
    def entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = json.loads(self.dataset.read_text())["test"]
        return entries

    def change(self, entries: list[dict[str, Any]]) -> None:
        self.dataset.write_text(json.dumps({"test": entries}))

    def mask(self, name: str) -> np.ndarray:
        """(F, H, W, D)"""
        return read_array(self.root / "masks" / name)

    def volume(self, name: str) -> np.ndarray:
        """(H, W, D)"""
        return read_array(self.root / "images" / name)

    def findings(self) -> list[tuple[dict[str, Any], str, str, np.ndarray]]:
        """(entry, key, text in lower case, the finding's channel (H, W, D)) of every finding."""
        found = []
        for entry in self.entries:
            mask = self.mask(entry["name"])
            found += [(entry, key, text.lower(), mask[int(key)]) for key, text in entry["findings"].items()]
        return found


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    generate(root, cases=3, shape=(56, 52, 30), spacing_mm=(6.0, 6.4, 9.0), seed=2)
    return root


@pytest.fixture
def tiny(_tiny: Path, tmp_path: Path) -> CaseSet:
    shutil.copytree(_tiny, tmp_path / "set")
    return CaseSet(tmp_path / "set")
