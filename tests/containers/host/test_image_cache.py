"""Images that a host keeps: the least recently used go first, one in use never. On a real engine."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from containers.host.image_cache import DAY_SECONDS, ImageCache, ImageCacheLimits
from containers.sandbox.engine import Engine, EngineRefused
from containers.sandbox.images import load_image
from tests.containers.conftest import remove_images
from tests.containers.intake.build import Image
from tests.containers.sandbox.test_images import checked, unique_layer

pytestmark = pytest.mark.engine


class Disk:
    """An engine's disk whose free space a test sets."""

    free = 1 << 40

    def __init__(self) -> None:
        self.frees: Callable[[], int] = lambda: 0

    def __call__(self) -> int:
        return self.free + self.frees()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def new_cache(
    tmp_path: Path, engine: Engine, docker_client: docker.APIClient, instance: str, disk: Disk
) -> Iterator[Callable[..., ImageCache]]:
    def new(count: int = 50, days: int = 30, free_bytes: int = 1 << 30) -> ImageCache:
        return ImageCache(tmp_path / "images", engine, instance, ImageCacheLimits(count, days, free_bytes), disk)

    yield new
    remove_images(docker_client, instance)


@pytest.fixture
def load(engine: Engine, tmp_path: Path) -> Callable[..., str]:
    """Loads an image that nobody else has, as an attempt does that was done with it so many days ago."""

    def load(cache: ImageCache, *, days_ago: float = 0.0) -> str:
        image = checked(tmp_path, Image([unique_layer()]).saved())
        with cache.in_use(image.image_id):
            load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=cache.tag(image.image_id))
        then = time.time() - days_ago * DAY_SECONDS
        os.utime(tmp_path / "images" / "used" / image.image_id.removeprefix("sha256:"), (then, then))
        return image.image_id

    return load


def present(engine: Engine, *images: str) -> list[bool]:
    return [engine.has_image(image) for image in images]


def test_what_is_beyond_the_count_goes_the_least_recently_used_first(engine, new_cache, load) -> None:
    cache = new_cache(count=2)
    oldest, old, new = (load(cache, days_ago=days) for days in (3, 2, 1))
    with cache.in_use(oldest):
        pass  # used again: now the second is the oldest
    cache.evict()
    assert present(engine, oldest, old, new) == [True, False, True]


def test_what_nobody_used_for_so_many_days_goes(engine, new_cache, load) -> None:
    cache = new_cache(days=30)
    forgotten, used = load(cache, days_ago=31), load(cache, days_ago=29)
    cache.evict()
    assert present(engine, forgotten, used) == [False, True]


def test_images_go_one_by_one_until_there_is_room(engine, new_cache, load, disk) -> None:
    cache = new_cache(free_bytes=100)
    old, new = load(cache, days_ago=2), load(cache, days_ago=1)
    disk.free = 150
    cache.evict()
    assert present(engine, old, new) == [True, True]

    disk.frees = lambda: 50 * present(engine, old).count(False)
    cache.evict(room_bytes=100)
    assert present(engine, old, new) == [False, True]


def test_an_image_that_a_batch_holds_stays_whatever_the_limits_say(engine, new_cache, load, disk) -> None:
    cache = new_cache(count=1)
    held, other = load(cache, days_ago=90), load(cache)
    disk.free = 0
    with cache.in_use(held):
        os.utime(cache._used / held.removeprefix("sha256:"), (0, 0))
        cache.evict()
        cache.clear()
        assert present(engine, held, other) == [True, False]
    cache.clear()
    assert present(engine, held) == [False]


def test_an_image_of_a_container_that_an_earlier_worker_left_stays(
    engine, docker_client, new_cache, load, disk
) -> None:
    cache = new_cache()
    image = load(cache, days_ago=90)
    container = docker_client.create_container(image, command=["/nothing"])
    try:
        cache.evict()
        assert present(engine, image) == [True]
    finally:
        docker_client.remove_container(container["Id"])


@pytest.fixture
def load_untagged(engine: Engine, tmp_path: Path) -> Callable[[], str]:
    """Loads an image that has no tag: so one stays whose removal met a full disk."""

    def load() -> str:
        image = checked(tmp_path, Image([unique_layer()]).saved())
        with (tmp_path / "rebuilt.tar").open("rb") as archive:
            assert not [message for message in engine.load_image(archive) if "error" in message]
        assert engine.image_tags(image.image_id) == []
        return image.image_id

    return load


def test_an_image_whose_removal_got_no_further_than_its_tag_is_removed(engine, new_cache, load, load_untagged) -> None:
    cache = new_cache()
    kept, left = load(cache), load_untagged()
    (cache._used / left.removeprefix("sha256:")).touch()
    with cache.in_use(left):
        cache.evict()  # it is being loaded
        assert present(engine, kept, left) == [True, True]
    cache.evict()
    assert present(engine, kept, left) == [True, False]
    assert [path.name for path in cache._used.iterdir()] == [kept.removeprefix("sha256:")]


def test_an_untagged_image_of_somebody_else_stays(engine, docker_client, new_cache, load_untagged, disk) -> None:
    cache, others = new_cache(), load_untagged()
    disk.free = 0
    try:
        cache.evict()
        cache.clear()
        assert present(engine, others) == [True]
    finally:
        docker_client.remove_image(others)


def test_an_image_that_others_have_tagged_too_stays_theirs(engine, docker_client, new_cache, load, instance) -> None:
    cache = new_cache()
    image = load(cache)
    docker_client.tag(image, f"somebody-else-{instance}", "kept")
    try:
        cache.clear()
        cache.evict()
        assert engine.image_tags(image) == [f"somebody-else-{instance}:kept"]
    finally:
        docker_client.remove_image(f"somebody-else-{instance}:kept")


class FullDisk(Engine):
    """Has no room to note that one image is removed."""

    full_for = ""

    def remove_image(self, name: str) -> bool:
        if name.endswith(self.full_for):
            raise EngineRefused("write /var/lib/docker/image: no space left on device")
        return super().remove_image(name)


def test_one_that_cannot_be_removed_now_keeps_no_other_and_is_tried_again(docker_client, new_cache, load) -> None:
    cache = new_cache()
    stuck, other = load(cache, days_ago=2), load(cache, days_ago=1)
    engine = cache._engine = FullDisk(docker_client)
    engine.full_for = stuck[-60:]
    cache.clear()
    assert present(engine, stuck, other) == [True, False]
    engine.full_for = "nothing"
    cache.clear()
    assert present(engine, stuck) == [False]


def test_images_of_others_in_the_same_engine_are_not_looked_at(engine, new_cache, load, disk, python_image) -> None:
    cache = new_cache()
    disk.free = 0
    cache.clear()
    cache.evict()
    assert present(engine, python_image) == [True]
