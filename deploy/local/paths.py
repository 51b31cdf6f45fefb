"""The state folder: everything that one clone's stack keeps, outside the clone.

It is traversable (0711) but not listable by others: PostgreSQL refuses to run as root, so its own user has to
reach the data through folders that may lie beside, but never inside, a 0700 home.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import LocalError

PRIVATE = ("cache", "host", "logs", "run", "static", "store")


@dataclass(frozen=True)
class State:
    """The folder `root`, named after its clone's path; `clone` is the work tree it belongs to."""

    clone: Path
    root: Path

    @property
    def instance(self) -> str:
        """The clone's short name, carried by its containers so that clean-up touches only its own."""
        return self.root.name

    @property
    def logs(self) -> Path:
        """What the parts print, a file each."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Sockets, locks and the supervisor's record."""
        return self.root / "run"

    @property
    def engine(self) -> Path:
        """What the clone's own container engine keeps and mounts."""
        return self.root / "engine"

    @property
    def store(self) -> Path:
        """The server's files (images, volumes, reference masks, outputs)."""
        return self.root / "store"

    @property
    def static(self) -> Path:
        """What `manage.py collectstatic` writes: stylesheets, scripts and pictures under hashed names."""
        return self.root / "static"

    def prepare(self) -> None:
        """Create the folders, and make sure that they are this clone's and nobody else's."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711)
            for name in PRIVATE:
                (self.root / name).mkdir(exist_ok=True)
                (self.root / name).chmod(0o700)
            self._claim()
        except PermissionError as error:
            raise LocalError(f"{error.filename} belongs to another user: remove it, or set REX_STATE_HOME.") from error

    def _claim(self) -> None:
        owner = self.root / "clone"
        if not owner.exists():  # two first starts at once write the same, and neither reads half of it
            write_private(owner, f"{self.clone}\n")
        elif (found := owner.read_text().strip()) != str(self.clone):
            raise LocalError(f"{self.root} belongs to the clone {found}: set REX_STATE_HOME to another folder.")


def current_state() -> State:
    """The state folder that the script `dev` chose for this clone."""
    root = os.environ.get("REX_DEV_STATE")
    if not root:
        raise LocalError("REX_DEV_STATE is not set: start this through ./dev.")
    state = State(clone=Path(__file__).resolve().parents[2], root=Path(root))
    state.prepare()
    return state


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that `write_private` wrote; empty when there is none."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object for `read_json`, whole or not at all, for this user alone."""
    write_private(path, json.dumps(content, indent=1) + "\n")
