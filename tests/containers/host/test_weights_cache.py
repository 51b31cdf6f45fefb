"""Unpacked weights: one container a copy, the least recently used goes first, halves are never handed out."""

import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from containers.host.image_cache import ImageCacheLimits
from containers.host.weights_cache import WeightsCache, unpack
from containers.sandbox.staging import FIXED_MTIME
from tests.containers.intake.build import entry, folder, layer_of, link, second_name, written

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ARCHIVE = layer_of(
    folder("bin"),
    folder("model"),
    entry("bin/tool", data=b"#!/bin/sh\n", mode=0o555),
    entry("model/best.pt", data=b"weights", mode=0o444),
    second_name("model/last.pt", "model/best.pt"),
    link("latest", "model/last.pt"),
)


@pytest.fixture
def new(tmp_path: Path) -> Callable[..., WeightsCache]:
    def new(count: int = 9, days: int = 30, max_bytes: int = 100, free: int = 1 << 30, boot: str = "1") -> WeightsCache:
        (tmp_path / "boot_id").write_text(boot)
        limits = ImageCacheLimits(count, days, 1000)
        return WeightsCache(tmp_path / "cache", limits, max_bytes, lambda: free, tmp_path / "boot_id")

    return new


@pytest.fixture
def give(tmp_path: Path) -> Callable[..., None]:
    def give(cache: WeightsCache, digest: str, size: int = 10, content: str = "x") -> None:
        used = tmp_path / "used"
        used.mkdir()
        (used / "model.pt").write_text(content)
        cache.give_back(digest, size, used)
        assert not used.exists()
        time.sleep(0.01)  # a later use has a later time

    return give


def has(cache: WeightsCache, digest: str, tmp_path: Path) -> bool:
    return cache.take(digest, tmp_path / f"taken-{time.monotonic_ns()}")


def test_a_copy_serves_one_at_a_time(new, give, tmp_path) -> None:
    cache = new()
    assert not cache.take(A, tmp_path / "mine")
    give(cache, A)
    assert cache.take(A, tmp_path / "mine")
    assert (tmp_path / "mine" / "model.pt").read_text() == "x"
    assert not cache.take(A, tmp_path / "another")
    cache.give_back(A, 10, tmp_path / "mine")
    assert not cache.take(B, tmp_path / "another")
    assert cache.take(A, tmp_path / "another")


def test_what_is_not_whole_is_not_given_back(new, tmp_path) -> None:
    cache = new()
    cache.give_back(A, 10, tmp_path / "never unpacked")
    assert not has(cache, A, tmp_path)


@pytest.mark.parametrize("limits", [{"count": 1}, {"max_bytes": 15}], ids=["count", "bytes"])
def test_what_is_beyond_the_limits_goes_the_least_recently_used_first(new, give, tmp_path, limits) -> None:
    cache = new(**limits)
    give(cache, A)
    give(cache, B)
    assert not has(cache, A, tmp_path)
    assert has(cache, B, tmp_path)


def test_all_that_is_not_in_use_goes_where_there_is_no_room(new, give, tmp_path) -> None:
    cache = new(free=1100)
    give(cache, A)
    cache.evict(room_bytes=100)
    assert has(cache, A, tmp_path)
    give(cache, A)
    cache.take(A, tmp_path / "in use")
    give(cache, B)
    cache.evict(room_bytes=101)
    assert not has(cache, B, tmp_path)
    assert (tmp_path / "in use" / "model.pt").exists()


def test_what_nobody_used_for_so_many_days_goes(new, give, tmp_path) -> None:
    cache = new(days=1)
    give(cache, A)
    [used] = (tmp_path / "cache" / "used").iterdir()
    os.utime(used, (time.time() - 90_000,) * 2)
    give(cache, B)
    assert not has(cache, A, tmp_path)
    assert has(cache, B, tmp_path)


def test_a_new_worker_finds_them_and_finishes_a_removal(new, give, tmp_path) -> None:
    give(new(), A)
    left = tmp_path / "cache" / "gone" / "half"
    left.mkdir()
    assert has(new(), A, tmp_path)
    assert not left.exists()


def test_after_a_restart_of_the_machine_no_copy_is_trusted(new, give, tmp_path) -> None:
    give(new(), A)
    assert not has(new(boot="2"), A, tmp_path)


def test_what_is_unpacked(tmp_path) -> None:
    unpack(written(tmp_path, ARCHIVE), tmp_path / "model")
    found = sorted((tmp_path / "model").rglob("*"))
    assert [path.relative_to(tmp_path / "model").as_posix() for path in found] == [
        *("bin", "bin/tool", "latest", "model", "model/best.pt", "model/last.pt")
    ]
    assert {path.lstat().st_mtime for path in [tmp_path / "model", *found]} == {FIXED_MTIME}
    modes = [path.stat().st_mode & 0o7777 for path in found]
    assert modes == [0o755, 0o555, 0o444, 0o755, 0o444, 0o444]
    assert (tmp_path / "model/latest").read_bytes() == b"weights"
    assert (tmp_path / "model/model/last.pt").stat().st_nlink == 2


ODD = {
    "a path that leads out": layer_of(entry("../x")),
    "an absolute path": layer_of(entry("/x")),
    "a file below a link": layer_of(link("a", "/tmp"), entry("a/x")),
    "a hard link to a file of the host": layer_of(second_name("a", "../boot_id")),
    "a hard link by way of a link": layer_of(link("a", "/etc"), second_name("b", "a/passwd")),
    "a device": layer_of(entry("null", tarfile.CHRTYPE)),
    "a pipe": layer_of(entry("pipe", tarfile.FIFOTYPE)),
}


@pytest.mark.parametrize("archive", ODD.values(), ids=ODD.keys())
def test_what_the_server_would_never_send_is_not_unpacked(tmp_path, archive) -> None:
    with pytest.raises((ValueError, OSError)):
        unpack(written(tmp_path, archive), tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "x").exists()


def test_an_archive_that_is_cut_off_is_not_unpacked(tmp_path) -> None:
    archive = layer_of(entry("model.pt", data=bytes(20_000)))
    with pytest.raises((tarfile.TarError, OSError)):
        unpack(written(tmp_path, archive[: 5 * 512]), tmp_path / "model")
    assert not (tmp_path / "model").exists()
