"""A generated set that is large enough for statistics."""

import pytest

from leaderboard.demo.synthesis import generate
from tests.leaderboard.challenge.casesets.conftest import CaseSet

SPACING = (4.2, 4.2, 7.2)


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> CaseSet:
    root = tmp_path_factory.mktemp("generated")
    generate(root, cases=60, shape=(80, 80, 40), spacing_mm=SPACING, seed=11)
    return CaseSet(root)
