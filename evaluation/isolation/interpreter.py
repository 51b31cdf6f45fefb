"""How a further Python of ours is started: deaf to where that happens, with our own paths for imports."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

# Threads of a maths library would only compete with the other children, each reserves memory of its own, and a process
# that has them must not fork.
ONE_THREAD: Mapping[str, str] = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PROLOGUE = "import json, sys; sys.path[:] = json.loads(sys.argv[1])"


def command(program: str, *arguments: str) -> list[str]:
    """A command that runs Python code, to which the arguments are `sys.argv[2:]`.

    Its Python is this one, deaf to the environment and to where it is started; it finds, but does not write, compiled
    code.
    """
    here = str(Path(__file__).resolve().parents[2])
    paths = json.dumps([here, *(str(Path(path).absolute()) for path in sys.path if path != here)])
    prefix = ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
    return [sys.executable, "-I", "-B", *prefix, "-c", f"{_PROLOGUE}\n{program}", paths, *arguments]
