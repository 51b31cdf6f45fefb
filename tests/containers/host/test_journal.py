"""What the host has taken on, on a disk that may lie after a power failure, and its slots."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from containers.host.journal import Journal, JournalEntry
from containers.host.slots import SlotPool
from containers.sandbox.spec import Slot

ENTRY = JournalEntry(batch="0b9f1d1e-6f0a-4b5c-8d7e-0123456789ab", key="key", slot="cpu0")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def test_the_latest_entry_of_a_batch_is_the_one(journal: Journal) -> None:
    journal.write(ENTRY)
    later = journal.write(replace(ENTRY, order={"fence": 1}))
    assert list(journal.entries()) == [later]
    journal.remove(ENTRY.batch)
    assert list(journal.entries()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"batch": "x"}', "\x00"])
def test_an_unreadable_entry_is_dropped(journal: Journal, tmp_path: Path, content: str) -> None:
    (tmp_path / "journal" / "broken.json").write_text(content)
    journal.write(ENTRY)
    assert list(journal.entries()) == [ENTRY]
    assert len(list((tmp_path / "journal").iterdir())) == 1


def test_a_half_written_entry_does_not_count(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "journal" / "half.new").write_text("{")
    assert list(journal.entries()) == []


def test_what_a_killed_worker_was_writing_is_removed(journal: Journal, tmp_path: Path) -> None:
    journal.write(ENTRY)
    (tmp_path / "journal" / "half.new").write_text("{")
    assert list(Journal(tmp_path / "journal").entries()) == [ENTRY]
    assert len(list((tmp_path / "journal").iterdir())) == 1


def test_a_slot_is_held_by_one_at_a_time() -> None:
    pool, slot = SlotPool([Slot("cpu0", 60601)]), Slot("cpu0", 60601)
    assert pool.take("cpu0") == slot
    assert pool.take("cpu0") is None
    threading.Timer(0.1, pool.release, [slot]).start()
    assert pool.acquire(lambda: False) == slot


def test_who_waits_for_a_slot_returns_when_the_worker_closes() -> None:
    pool, closing = SlotPool([]), threading.Event()

    def close() -> None:
        closing.set()
        pool.wake()

    threading.Timer(0.1, close).start()
    assert pool.acquire(closing.is_set) is None
