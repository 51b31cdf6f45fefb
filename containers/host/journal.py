"""What this host has taken on, one small file per batch, written before it is done.

A worker that is killed at any moment finds here what to go on with: a key without an order is a claim that
may have been granted (asking again with the same key tells), an order without a report is a container that
may be running, and a report is a result that may not have been acknowledged yet.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JournalEntry:
    """One batch: the key of the claim, the slot, and, when there is one, the order and the report as JSON objects."""

    batch: str
    key: str
    slot: str
    order: dict[str, Any] | None = None
    report: dict[str, Any] | None = None


class Journal:
    """The entries in a folder.

    A file is replaced by renaming, so that there is always the old or the new one.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        for unfinished in folder.glob("*.new"):
            unfinished.unlink()

    def write(self, entry: JournalEntry) -> JournalEntry:
        """Store an entry, in place of the batch's earlier one. Raises OSError, and then the earlier one stays."""
        temporary = self._path(entry.batch).with_suffix(".new")
        try:
            temporary.write_text(json.dumps(asdict(entry)), encoding="utf-8")
            temporary.replace(self._path(entry.batch))
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        return entry

    def remove(self, batch: str) -> None:
        """Forget a batch."""
        self._path(batch).unlink(missing_ok=True)

    def entries(self) -> Iterator[JournalEntry]:
        """All entries.

        One that a power failure left unreadable is dropped: the server's lease brings it back.
        """
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield JournalEntry(**json.loads(path.read_text(encoding="utf-8")))
            except FileNotFoundError:
                continue
            except (ValueError, TypeError):
                log.warning("Dropping the unreadable journal entry %s.", path.name)
                path.unlink(missing_ok=True)

    def _path(self, batch: str) -> Path:
        return self._folder / f"{batch}.json"
