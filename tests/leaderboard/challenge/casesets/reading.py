"""Arrays as an independent reader sees them: nibabel keeps the order of axes of the file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np


def read_array(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)  # type: ignore[attr-defined]


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
