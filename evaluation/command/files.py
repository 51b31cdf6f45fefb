"""Files that appear completely or not at all, and whether that will be possible before there is anything to write."""

from __future__ import annotations

import os
from pathlib import Path

from evaluation.errors import EvaluationError


def is_writable(path: Path) -> bool:
    """Whether `write` can be expected to succeed."""
    target = _target(path)
    if _is_special(target):
        return os.access(target, os.W_OK)
    return not target.is_dir() and target.parent.is_dir() and os.access(target.parent, os.W_OK | os.X_OK)


def write(path: Path, text: str) -> None:
    """Write completely or not at all."""
    target = _target(path)
    try:
        if _is_special(target):
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror or error}") from None


def _target(path: Path) -> Path:
    """What a link leads to: it is written through, not replaced."""
    return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Something like /dev/null, which is written to as it is, not replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _replace(target: Path, text: str) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
