"""Reading what record.py wrote: one folder for each recorded commit."""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")


@dataclass(frozen=True)
class Recording:
    """What a server of an earlier commit left in the middle of its work."""

    folder: Path

    @property
    def name(self) -> str:
        """The commit."""
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What record.py says of it."""
        found: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return found

    @property
    def roles(self) -> dict[str, int]:
        """The submissions' numbers, by what they are there for."""
        roles: dict[str, int] = self.manifest["roles"]
        return roles

    @property
    def recorded_at(self) -> datetime:
        """The instant of the dump, by its database."""
        return datetime.fromisoformat(self.manifest["recorded_at"])

    @cached_property
    def submissions(self) -> dict[str, dict[str, Any]]:
        """Everything about each submission, by its role, as the commit's own command told it."""
        found: dict[str, dict[str, Any]] = json.loads(self._unpacked("submissions.json.gz"))
        return found

    @property
    def dump(self) -> str:
        """The database, as statements."""
        return self._unpacked("database.sql.gz").decode()

    def unpack_files(self, folder: Path) -> None:
        """Lay out store/, hosts/ and messages.json."""
        _extract(self._unpacked("files.tar.gz"), folder)
        for name in ("incoming", "uploads"):
            (folder / "store" / name).mkdir(exist_ok=True)

    def unpack_host(self, folder: Path) -> Path:
        """Lay out the package `containers` of the commit; the folder to run it in."""
        _extract(self._unpacked("host.tar.gz"), folder)
        return folder

    def _unpacked(self, name: str) -> bytes:
        return gzip.decompress((self.folder / name).read_bytes())


def recordings() -> list[Recording]:
    """Every recording that is there."""
    return [Recording(path.parent) for path in sorted(RECORDED.glob("*/manifest.json"))]


def moved(value: Any, by: timedelta) -> Any:
    """A JSON value with each instant in it moved, as `Database.move_to_now` moves those of the rows."""
    if isinstance(value, dict):
        return {key: moved(one, by) for key, one in value.items()}
    if isinstance(value, list):
        return [moved(one, by) for one in value]
    if isinstance(value, str) and value[4:5] == "-" and value.endswith("+00:00"):
        return (datetime.fromisoformat(value) + by).isoformat()
    return value


def _extract(archive: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder)  # our own; Python 3.11.2, which Debian 12 has, knows no filters
