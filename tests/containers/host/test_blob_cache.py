"""The bounded cache: whole files only, links as pins, the least recently used goes first."""

import hashlib
import time
from pathlib import Path

import pytest

from containers.host.blob_cache import BlobCache, CacheFull, DigestMismatch
from containers.sandbox.staging import FIXED_MTIME


class Source:
    """Downloads that are counted."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.downloads: list[str] = []

    def add(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.contents[digest] = content
        return digest

    def download(self, digest: str, size: int, target: Path) -> None:
        self.downloads.append(digest)
        target.write_bytes(self.contents[digest])


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "cache", 100)


def get(cache: BlobCache, source: Source, digest: str, target: Path) -> Path:
    cache.link(digest, len(source.contents[digest]), target, source.download)
    return target


def test_a_file_is_downloaded_once_and_linked(cache: BlobCache, source: Source, tmp_path: Path) -> None:
    digest = source.add(b"content")
    first = get(cache, source, digest, tmp_path / "1")
    second = get(cache, source, digest, tmp_path / "2")
    assert second.read_bytes() == b"content"
    assert source.downloads == [digest]
    assert first.samefile(second)


def test_a_file_is_read_only_and_tells_no_time(cache: BlobCache, source: Source, tmp_path: Path) -> None:
    status = get(cache, source, source.add(b"content"), tmp_path / "1").stat()
    assert status.st_mode & 0o777 == 0o444
    assert status.st_mtime == FIXED_MTIME


def test_a_damaged_download_is_repeated_and_never_handed_out(cache: BlobCache, source: Source, tmp_path: Path) -> None:
    digest = source.add(b"content")
    source.contents[digest] = b"damaged"
    with pytest.raises(DigestMismatch):
        get(cache, source, digest, tmp_path / "1")
    assert len(source.downloads) == 3
    assert not (tmp_path / "1").exists()


def test_the_least_recently_used_makes_room(cache: BlobCache, source: Source, tmp_path: Path) -> None:
    old, used, new = (source.add(letter * 40) for letter in (b"a", b"b", b"c"))
    for digest in (old, used):
        get(cache, source, digest, tmp_path / "1").unlink()
        time.sleep(0.02)
    get(cache, source, old, tmp_path / "1").unlink()  # now `used` is the older one
    get(cache, source, new, tmp_path / "1").unlink()
    source.downloads.clear()
    get(cache, source, old, tmp_path / "1")
    assert source.downloads == []
    get(cache, source, used, tmp_path / "2")
    assert source.downloads == [used]


def test_what_is_in_use_stays_and_a_full_cache_says_so(cache: BlobCache, source: Source, tmp_path: Path) -> None:
    for i, letter in enumerate((b"a", b"b")):
        get(cache, source, source.add(letter * 40), tmp_path / str(i))
    with pytest.raises(CacheFull):
        get(cache, source, source.add(b"c" * 40), tmp_path / "2")
    (tmp_path / "0").unlink()
    get(cache, source, source.add(b"c" * 40), tmp_path / "2")


def test_what_is_larger_than_the_cache_is_refused_before_it_is_downloaded(
    cache: BlobCache, source: Source, tmp_path: Path
) -> None:
    other = source.add(b"a" * 40)
    get(cache, source, other, tmp_path / "1").unlink()
    source.downloads.clear()
    with pytest.raises(CacheFull):
        get(cache, source, source.add(b"c" * 101), tmp_path / "1")
    get(cache, source, other, tmp_path / "1")
    assert source.downloads == [], "nor does anything else make room for it"


def test_a_disk_that_gets_full_takes_what_nobody_uses(cache: BlobCache, source: Source, tmp_path: Path) -> None:
    used = get(cache, source, source.add(b"a" * 10), tmp_path / "1")
    get(cache, source, source.add(b"b" * 10), tmp_path / "2").unlink()
    cache.evict(0)
    assert len(list((tmp_path / "cache" / "blobs").iterdir())) == 2
    cache.evict(1 << 60)
    assert [blob.samefile(used) for blob in (tmp_path / "cache" / "blobs").iterdir()] == [True]


def test_a_download_that_nobody_goes_on_with_makes_room_and_others_files_stay(
    cache: BlobCache, source: Source, tmp_path: Path
) -> None:
    kept = source.add(b"a" * 40)
    get(cache, source, kept, tmp_path / "1").unlink()
    broken_off = tmp_path / "cache" / "partial" / ("0" * 64)
    broken_off.write_bytes(b"b" * 30)
    get(cache, source, source.add(b"c" * 20), tmp_path / "1")
    assert broken_off.exists()  # there is room for all
    get(cache, source, source.add(b"d" * 20), tmp_path / "2")
    assert not broken_off.exists()
    fetched = len(source.downloads)
    get(cache, source, kept, tmp_path / "3")
    assert len(source.downloads) == fetched


def test_a_discarded_file_is_gone_but_its_links_stay(cache: BlobCache, source: Source, tmp_path: Path) -> None:
    digest = source.add(b"content")
    link = get(cache, source, digest, tmp_path / "1")
    cache.discard(digest)
    assert link.read_bytes() == b"content"
    get(cache, source, digest, tmp_path / "2")
    assert len(source.downloads) == 2
