import ast
from pathlib import Path

import leaderboard.challenge.casesets

ROOT = Path(leaderboard.challenge.casesets.__file__).parent


def test_case_sets_know_nothing_of_the_server() -> None:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in names:
                assert name.startswith("leaderboard.challenge.casesets") or not name.startswith(
                    ("leaderboard", "django")
                ), path
