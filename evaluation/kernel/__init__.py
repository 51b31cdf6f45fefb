"""The compiled loops of the scoring: `compiled`, where a build of kernel.c is installed.

They are a faster way to the same numbers, and optional: each caller does the same with NumPy, SciPy and cc3d without
them, in three to nine times the processor time (`./dev bench scoring` shows both). The kernel is one file of C
without dependencies, for Python's limited API, so one build serves every Python from 3.11 on: `build` makes it, and so
do `./dev`, the images of deploy/Dockerfile and `pip install`, where there is a compiler. It is a module of its own,
`rexg_kernel`, so that it may lie wherever Python finds modules; a build of another kernel.c than this one is not used.

May import nothing.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).with_name("kernel.c")
MODULE = "rexg_kernel"


def source_digest() -> str:
    """What a build is known by: the digest of the C that it was made of."""
    return sha256(SOURCE.read_bytes()).hexdigest()


def _load() -> tuple[ModuleType | None, str]:
    """The compiled module, or None and why there is none."""
    try:
        module = import_module(MODULE)
    except ImportError:
        return None, "NumPy (the compiled kernel is not installed)"
    if source_digest() != getattr(module, "SOURCE", None):  # which any other module or folder of this name has not
        return None, "NumPy (the compiled kernel that is installed was made of another source)"
    return module, "compiled kernel"


compiled, description = _load()
