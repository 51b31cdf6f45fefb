"""Pinned requirements: one file per role, the same versions in all of them, with hashes."""

from __future__ import annotations

import os
import subprocess
import tomllib

from deploy.local import LocalError
from deploy.local.paths import State

LOWEST_PYTHON = "3.11"
BOOT = ["uv"]  # what the script `dev` needs before there is anything else


def pin(state: State, *, upgrade: bool) -> None:
    """Write deploy/requirements/*.txt from pyproject.toml; versions stay as they are unless `upgrade`."""
    worker = tomllib.loads((state.clone / "pyproject.toml").read_text())["project"]["optional-dependencies"]["worker"]
    # The widest set is resolved first and binds the others.
    _compile(state, "dev", ["pyproject.toml", "--extra", "dev"], upgrade=upgrade)
    _compile(state, "server", ["pyproject.toml", "--extra", "server"], agree=True)
    _compile(state, "evaluation", ["pyproject.toml"], agree=True)
    _compile(state, "worker", worker, agree=True)  # a GPU host scores nothing, so nothing of `evaluation`
    _compile(state, "boot", BOOT, upgrade=upgrade)


def _compile(state: State, role: str, wanted: list[str], *, agree: bool = False, upgrade: bool = False) -> None:
    folder = state.clone / "deploy" / "requirements"
    from_project = wanted[0] == "pyproject.toml"
    command = [
        str(state.root / "boot" / "bin" / "uv"),
        "pip",
        "compile",
        *(wanted if from_project else ["-"]),
    ]
    command += ["--universal", "--python-version", LOWEST_PYTHON, "--generate-hashes", "--no-emit-index-url"]
    command += ["--no-annotate", "--custom-compile-command", "./dev lock", "--quiet"]
    command += ["-o", str(folder / f"{role}.txt")]
    command += ["--constraints", str(folder / "dev.txt")] if agree else []
    command += ["--upgrade"] if upgrade or agree else []
    done = subprocess.run(
        command,
        cwd=state.clone,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
        input=None if from_project else "\n".join(wanted),
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(f"uv found no versions that fit the needs of {role}: its reasons are above.")
