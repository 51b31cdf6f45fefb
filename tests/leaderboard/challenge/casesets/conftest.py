"""A generated set, `tiny`, that the import tests copy and damage."""

import shutil
from pathlib import Path

import pytest

from leaderboard.demo.synthesis import generate
from tests.leaderboard.challenge.casesets.reading import CaseSet


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    generate(root, cases=3, shape=(56, 52, 30), spacing_mm=(6.0, 6.4, 9.0), seed=2)
    return root


@pytest.fixture
def tiny(_tiny: Path, tmp_path: Path) -> CaseSet:
    shutil.copytree(_tiny, tmp_path / "set")
    return CaseSet(tmp_path / "set")
