"""What a team installs: the scoring alone, and a command that no folder of theirs is in the way of."""

import ensurepip
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evaluation.metrics.cases import VERSION
from evaluation.rexg import COMMANDS
from tests.evaluation import builders

ROOT = Path(__file__).parents[2]
HERE = sysconfig.get_path("purelib")  # where the packages are that scoring needs
PACKAGES = ("evaluation", "leaderboard", "containers", "deploy", "tests")
KERNEL = "rexg_kernel.abi3.so"
TRAP = "raise SystemExit('a file of the working directory was run')"


def built(folder: Path, **environment: str) -> Path:
    """The wheel of a copy of this clone."""
    source = folder / "clone"
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("*.pyc", "__pycache__", "static", "corpus")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    program = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=source,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def rexg(wheel, tmp_path_factory):
    """The command in a new environment, in which pip has installed the wheel; the packages it needs are those here."""
    environment = tmp_path_factory.mktemp("team") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, capture_output=True)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text(f"{HERE}\n")
    places = Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels")  # Python's own, Debian's
    pip = next(path / "pip" for place in places for path in place.glob("pip-*.whl"))
    install = [environment / "bin" / "python", pip, "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    return environment / "bin" / "rexg"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A working directory whose files are called like modules that scoring imports."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in ("evaluation", "numpy", "json"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(TRAP)
        (folder / f"{name}.py").write_text(TRAP)
    (folder / "evaluation" / "__main__.py").write_text(TRAP)
    for name in ("gt", "pred"):
        (folder / name).mkdir()
        mask = np.zeros((1, 8, 8, 8), np.uint8)
        mask[0, 2:6, 2:6, 2:6] = 1
        builders.mask_file(folder / name / "case_0001.nii.gz", mask)
    (folder / "dataset.json").write_text(json.dumps({"val": [{"name": "case_0001.nii.gz", "findings": {"0": "x"}}]}))
    return folder


def run(command, *arguments, cwd):
    return subprocess.run([command, *arguments], cwd=cwd, env={}, capture_output=True, text=True, check=False)


def test_the_wheel_holds_the_scoring_and_nothing_of_the_server(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [archive.read(name).decode() for name in names if name.endswith("METADATA")]
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"evaluation", KERNEL}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "evaluation").rglob("*.py")}
    assert {*modules, "evaluation/py.typed", "evaluation/kernel/kernel.c"} <= set(names)
    needed = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", metadata, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert needed == [re.split("[>=]", one)[0] for one in project["dependencies"]]


def test_the_compiled_kernel_comes_with_it_and_serves_every_python_from_3_11_on(wheel, rexg, hostile):
    assert "-cp311-abi3-" in wheel.name
    told = run(rexg, "score", "--version", cwd=hostile)
    assert told.stdout == f"evaluation version {VERSION}, compiled kernel\n"


def test_without_a_compiler_it_comes_without_a_kernel(tmp_path):
    with zipfile.ZipFile(built(tmp_path, CC="/bin/false")) as archive:
        names = archive.namelist()
    assert "evaluation/kernel/kernel.c" in names
    assert KERNEL not in names


def test_it_scores_where_a_folder_is_called_evaluation(rexg, hostile, tmp_path):
    done = run(
        *(rexg, "score", "--gt_dir=gt", "--pred_dir=pred", "--dataset_json=dataset.json"),
        *(f"--output_json={tmp_path / 'scores.json'}", "--num_workers=1"),
        cwd=hostile,
    )
    assert (done.returncode, TRAP in done.stderr) == (0, False), done.stderr
    assert json.loads((tmp_path / "scores.json").read_text())["summary"]["dice"] == 1.0


def test_its_commands_are_listed_and_explained(rexg, hostile):
    told = run(rexg, "--help", cwd=hostile)
    assert told.returncode == 0, told.stderr
    for name, command in COMMANDS.items():
        assert f"  {name}  {command.what}\n" in told.stdout
    explained = run(rexg, "score", "--help", cwd=hostile)
    assert explained.returncode == 0, explained.stderr
    assert explained.stdout.startswith("usage: rexg score [-h] --gt_dir DIR")
    assert "python -m" not in explained.stdout


def test_what_is_no_command_is_said(rexg, hostile):
    for arguments, words in (
        ([], "the following arguments are required: COMMAND"),
        (["scor"], "invalid choice: 'scor'"),
    ):
        told = run(rexg, *arguments, cwd=hostile)
        assert (told.returncode, told.stdout) == (2, "")
        assert words in told.stderr
    assert run(rexg, "--version", cwd=hostile).stdout == f"evaluation version {VERSION}\n"


def test_the_package_is_called_by_its_name_as_ever(capsys):
    module = [sys.executable, "-m", "evaluation", "--help"]
    told = subprocess.run(module, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.startswith("usage: python -m evaluation [-h] --gt_dir DIR")
    assert "rexg" not in told
