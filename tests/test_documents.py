"""The documents speak of what is there."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from leaderboard.progress import estimate_errors

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:leaderboard|containers|evaluation|deploy|tests|docs|templates)/[\w./-]*)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_every_path_of_a_document_leads_somewhere(document: Path) -> None:
    text = document.read_text()
    links = [target for target in LINK.findall(text) if "://" not in target]
    for target in links:
        assert (document.parent / target).exists(), target
    if document.name != "CHANGELOG.md":  # tells of what was
        for target in PATH.findall(text):
            assert (ROOT / target).exists(), target


def test_every_decision_is_in_their_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^\d+\. \[.+\]\((.+)\)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


def test_every_package_has_its_line_in_the_architecture() -> None:
    words = (ROOT / "docs" / "architecture.md").read_text()
    parts = ("leaderboard", "containers", "evaluation")
    packages = {path.parent for name in parts for path in ROOT.glob(f"{name}/*/__init__.py")}
    unnamed = {"management", "migrations", "templatetags"}  # Django's own
    for package in packages:
        assert package.name in unnamed or f"`{package.relative_to(ROOT)}/`" in words, package


def test_the_measured_error_of_estimates_is_the_one_that_pages_state() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().partition("### How far off estimates are")[2]
    rows = re.findall(r"^\| (\w+, \w+ cases) \| (\d+) % \| (\d+) % \| (\d+) % \|$", table, re.MULTILINE)
    assert {name: tuple(map(int, numbers)) for name, *numbers in rows} == estimate_errors.ALL


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    glossary = (ROOT / "docs" / "architecture.md").read_text().partition("## Glossary")[2]
    words = re.findall(r"^\| ([^|]+?) \|", glossary, re.MULTILINE)[1:]
    words = [word for word in words if not word.startswith("---")]
    assert len(words) > 20
    assert words == sorted(set(words))


def test_the_licence_is_apaches_whole_and_unchanged() -> None:
    text = (ROOT / "LICENSE").read_bytes()
    assert hashlib.sha256(text).hexdigest() == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


def test_hooks_before_a_commit_run_checks_that_exist_and_fetch_nothing() -> None:
    from deploy.local.linting import checks

    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in configured] == ["local"]
    for hook in configured[0]["hooks"]:
        program, command, *names = hook["entry"].split()
        assert (program, command, hook["language"]) == ("./dev", "lint", "system")
        assert set(names) <= set(checks(ROOT, ROOT))
