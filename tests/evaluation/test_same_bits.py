"""The same files give the same bytes, whichever Python scores them."""

import ast
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from evaluation import score_case
from tests.evaluation import builders, uneven

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "evaluation"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
NAMED = "REX_PYTHONS"  # further Pythons, as in PATH: how a developer names those of a virtual environment
NEEDED = "import cc3d, isal, numpy, scipy, sys; print('%d.%d' % sys.version_info[:2])"
# Summands that are whole numbers, whatever the types of what they are made from.
COUNTING_CALLS = {"bool", "int", "len", "islower", "isupper"}
# Whole numbers that cannot be told from the line alone, and what they are.
WHOLE = {
    "sum((finding['hit'] for case in results for finding in case['findings']))": "yes or no",
    "sum((finding[name] for finding in findings))": "counts",
    "sum((finding['hit'] for finding in _findings(assessments)))": "yes or no",
    "sum((finding[name] for finding in case['findings']))": "counts",
    "sum((_is_raw_hit(finding) for finding in findings))": "yes or no",
    "sum(map(_is_raw_hit, findings))": "yes or no",
}


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    """The calls of a built-in function, by its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def counts(call: ast.Call) -> bool:
    """Whether a call of `sum` can only add up whole numbers: comparisons, or what certain functions give."""
    [summands, *_] = call.args
    if not isinstance(summands, ast.GeneratorExp | ast.ListComp):
        return False
    element = summands.elt
    if isinstance(element, ast.Call):
        called = element.func.id if isinstance(element.func, ast.Name) else getattr(element.func, "attr", "")
        return called in COUNTING_CALLS
    return isinstance(element, ast.Compare) or (isinstance(element, ast.UnaryOp) and isinstance(element.op, ast.Not))


@pytest.mark.parametrize("source", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_fractions_are_never_added_up_by_sum(source):
    """It rounds after each summand up to Python 3.11, and not from 3.12 on: `math.fsum` is the same everywhere."""
    said = [ast.unparse(call) for call in calls(ast.parse(source.read_text()), "sum") if not counts(call)]
    assert [line for line in said if line not in WHOLE] == []


@pytest.mark.parametrize(
    ("line", "is_counting"),
    [
        ("sum(dice for dice in dices)", False),
        ("sum(finding['dice'] for finding in findings) / len(findings)", False),
        ("sum(dices)", False),
        ("sum(dice >= 0.1 for dice in dices)", True),
        ("sum(not dice for dice in dices)", True),
        ("sum([len(part) for part in parts])", True),
    ],
)
def test_what_counts_is_told_from_what_adds_up_fractions(line, is_counting):
    [call] = calls(ast.parse(line), "sum")
    assert counts(call) is is_counting


@pytest.fixture(scope="module")
def challenge(tmp_path_factory):
    return uneven.challenge(tmp_path_factory.mktemp("uneven"), cases=40)


def scored_by(python: str, challenge: list[str], folder: Path) -> dict[str, bytes]:
    """What the command line writes, in both forms and as a table for a spreadsheet."""
    written: dict[str, bytes] = {}
    for form in ("native", "rexrank"):
        files = {form: folder / "results.json", f"{form} CSV": folder / "results.csv"}
        outputs = [f"--output_json={files[form]}", f"--output_csv={files[f'{form} CSV']}", f"--format={form}"]
        subprocess.run(
            [python, "-m", "evaluation", *challenge, *outputs, "--num_workers=1", "--quiet"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        written |= {what: path.read_bytes() for what, path in files.items()}
    return written


@cache
def pythons() -> dict[str, str]:
    """By version, the Pythons that are present with the packages that scoring needs."""
    candidates = [*os.environ.get(NAMED, "").split(os.pathsep), *(f"python{version}" for version in VERSIONS)]
    found: dict[str, str] = {}
    for candidate in filter(None, candidates):
        try:
            told = subprocess.run([candidate, "-c", NEEDED], cwd="/", capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        found.setdefault(told.stdout.strip(), candidate)
    return found


@pytest.fixture(scope="module")
def written_here(challenge, tmp_path_factory):
    return scored_by(sys.executable, challenge, tmp_path_factory.mktemp("here"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_writes_the_same_bytes(version, challenge, request, tmp_path):
    if version == THIS:
        pytest.skip("with this one the others are compared")
    python = pythons().get(version)
    if python is None:
        pytest.skip(f"there is no Python {version} with the packages here: name one in {NAMED}")
    assert scored_by(python, challenge, tmp_path) == request.getfixturevalue("written_here")


def test_the_dice_of_a_case_is_the_exact_sum_rounded_once(tmp_path):
    rng = random.Random(1)
    differed = 0
    for number in range(30):
        reference = np.zeros((9, 8, 8, 8), np.uint8)
        prediction = np.zeros_like(reference)
        for channel in range(9):
            reference[channel].flat[: rng.randrange(20, 400)] = 1
            prediction[channel].flat[: rng.randrange(20, 400)] = 1
        masks = (
            builders.mask_file(tmp_path / f"{number}_{name}.nii", mask)
            for name, mask in (("reference", reference), ("prediction", prediction))
        )
        result = score_case(builders.a_case(reference.shape), *masks)
        dices = [finding["dice"] for finding in result["findings"]]
        assert result["dice"] == math.fsum(dices) / 9
        differed += result["dice"] != _added_in_turn(dices) / 9
    assert differed > 0  # or these numbers could not tell


def _added_in_turn(numbers: list[float]) -> float:
    """What `sum` gave up to Python 3.11."""
    total = 0.0
    for number in numbers:
        total += number
    return total
