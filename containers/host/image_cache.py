"""The algorithm images that a host keeps in its engine: the least recently used go when there is no room for them.

    used/<hex of the id>     empty; its time is the last use of the image

An image is the host's by its tag, "rexgrounding-<instance>/image:<hex>"; nothing else in the engine is looked at. What
an attempt uses (`in_use`) stays, whatever the limits say, and so does, by the engine's own refusal, what a container
needs that an earlier worker left.

An engine takes the tag away before it deletes the image, and on a full disk it gets no further. Such an image is known
by its file in `used`, which stays until the image is gone, and is removed as soon as that succeeds.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from containers.sandbox.engine import Engine, EngineRefused, NotInEngine

log = logging.getLogger(__name__)
DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True)
class ImageCacheLimits:
    """How many images are kept, for how many days without use, and how much of the disk stays free (bytes)."""

    count: int
    days: int
    free_bytes: int


class ImageCache:
    """The images of one worker's `instance`; when each was used last is kept in `folder`.

    `free_bytes` measures the free space of the engine's disk. Safe for threads, not for processes.
    """

    def __init__(
        self, folder: Path, engine: Engine, instance: str, limits: ImageCacheLimits, free_bytes: Callable[[], int]
    ) -> None:
        self._used = folder / "used"
        self._used.mkdir(parents=True, exist_ok=True)
        self._engine = engine
        self._repository = f"rexgrounding-{instance}/image"
        self._limits = limits
        self._free_bytes = free_bytes
        self._lock = threading.Lock()
        self._users: Counter[str] = Counter()

    def tag(self, image_id: str) -> str:
        """Under which tag the host keeps the image of this id ("sha256:<hex>")."""
        return f"{self._repository}:{image_id.removeprefix('sha256:')}"

    @contextmanager
    def in_use(self, image_id: str) -> Iterator[None]:
        """Keep the image while an attempt needs it, whether it is there already or not."""
        name = image_id.removeprefix("sha256:")
        with self._lock:
            self._users[name] += 1
        (self._used / name).touch()
        try:
            yield
        finally:
            (self._used / name).touch()
            with self._lock:
                self._users[name] -= 1

    def evict(self, room_bytes: int = 0) -> None:
        """Remove what is beyond the limits, or more, until there is room for `room_bytes` besides the reserve.

        Raises EngineError.
        """
        self._remove_untagged()
        images = sorted(self._names(), key=self._last_use)
        for place, name in enumerate(images):
            too_many = len(images) - place > self._limits.count
            too_old = time.time() - self._last_use(name) > self._limits.days * DAY_SECONDS
            if too_many or too_old or self._free_bytes() < self._limits.free_bytes + room_bytes:
                self._remove(name)

    def clear(self) -> None:
        """Remove every image that no attempt uses. Raises EngineError."""
        self._remove_untagged()
        for name in self._names():
            self._remove(name)

    def _names(self) -> list[str]:
        return [tag.removeprefix(f"{self._repository}:") for tag in self._engine.tags_in(self._repository)]

    def _remove_untagged(self) -> None:
        """Remove the images of which an earlier removal got no further than their tag."""
        tagged = set(self._names())
        for path in list(self._used.iterdir()):
            if path.name not in tagged:
                self._remove_if_nobodys(path.name)

    def _remove_if_nobodys(self, name: str) -> None:
        with self._lock:
            if self._users[name]:
                return  # it is being loaded, and has no tag yet
            try:
                if not self._engine.image_tags(f"sha256:{name}"):  # else it is somebody else's as well
                    self._remove_locked(f"sha256:{name}", name)
            except NotInEngine:
                (self._used / name).unlink(missing_ok=True)

    def _remove(self, name: str) -> None:
        with self._lock:
            if not self._users[name]:
                self._remove_locked(f"{self._repository}:{name}", name)

    def _remove_locked(self, reference: str, name: str) -> None:
        """Remove one image; one that the engine cannot remove now does not keep the others."""
        try:
            if self._engine.remove_image(reference):
                (self._used / name).unlink(missing_ok=True)
                log.info("Image %s: removed, it can be fetched again.", name[:12])
        except EngineRefused as error:
            log.warning("Image %s could not be removed, will be done later: %s", name[:12], error)

    def _last_use(self, name: str) -> float:
        try:
            return (self._used / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0
