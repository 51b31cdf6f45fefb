"""Files that appear completely or not at all, and whether that will be possible before there is anything to write."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from evaluation.errors import EvaluationError


def obstacle(path: Path) -> str | None:
    """What will keep `write` from succeeding, as far as that can be known, and what to do about it."""
    target = _target(path)
    if _is_special(target):
        return None if os.access(target, os.W_OK) else f"cannot write {path}"
    if target.is_dir():
        return f"{path} is a folder; name a file in it, such as {path / 'scores.json'}"
    if target.parent.is_dir():
        is_allowed = os.access(target.parent, os.W_OK | os.X_OK)
        return None if is_allowed else f"cannot write {path}: no permission to write in {target.parent}"
    if os.path.lexists(target.parent):
        return f"cannot write {path}: {target.parent} is a file, not a folder"
    return (
        f"there is no folder {target.parent} to write {path.name} in; make it first: mkdir -p {_quoted(target.parent)}"
    )


def beside(path: Path, suffix: str) -> Path | None:
    """A file for what belongs to another one that is not written yet; none for that of a device."""
    target = _target(path)
    return None if _is_special(target) else target.with_name(target.name + suffix)


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


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


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
