"""The algorithm images that a host keeps in its engine: the least recently used go when there is no room for them.

    used/<hex of the id>     empty; its time is the last use of the image

An image is the host's by its tag, "rexgrounding-<instance>/image:<hex>"; nothing else in the engine is looked at. What
an attempt holds (`in_use`) stays, whatever the limits say, and so does, by the engine's own refusal, what a container
needs that an earlier worker left.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from containers.sandbox.images import remove_image, tagged

log = logging.getLogger(__name__)
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class ShelfLimits:
    """How many images are kept, for how many days without use, and how much of the disk stays free (bytes)."""

    count: int
    days: int
    free_bytes: int


class ImageShelf:
    """Safe for threads, not for processes. `free_bytes` measures the free space of the engine's disk."""

    def __init__(
        self,
        folder: Path,
        client: docker.DockerClient,
        instance: str,
        limits: ShelfLimits,
        free_bytes: Callable[[], int],
    ) -> None:
        self._used = folder / "used"
        self._used.mkdir(parents=True, exist_ok=True)
        self._client = client
        self._repository = f"rexgrounding-{instance}/image"
        self._limits = limits
        self._free_bytes = free_bytes
        self._guard = threading.Lock()
        self._holders: Counter[str] = Counter()

    def tag(self, image_id: str) -> str:
        """Under which tag the host keeps the image of this id ("sha256:<hex>")."""
        return f"{self._repository}:{image_id.removeprefix('sha256:')}"

    @contextmanager
    def in_use(self, image_id: str) -> Iterator[None]:
        """Keep the image while an attempt needs it, whether it is there already or not."""
        name = image_id.removeprefix("sha256:")
        with self._guard:
            self._holders[name] += 1
        (self._used / name).touch()
        try:
            yield
        finally:
            (self._used / name).touch()
            with self._guard:
                self._holders[name] -= 1

    def tidy(self, room_bytes: int = 0) -> None:
        """Remove what is beyond the limits, or more, until there is room for `room_bytes` besides the reserve.

        Raises EngineFault if the engine does not answer.
        """
        images = sorted(tagged(self._client, self._repository), key=self._last_use)
        for place, name in enumerate(images):
            too_many = len(images) - place > self._limits.count
            too_old = time.time() - self._last_use(name) > self._limits.days * DAY_SECONDS
            if too_many or too_old or self._free_bytes() < self._limits.free_bytes + room_bytes:
                self._remove(name)

    def clear(self) -> None:
        """Remove every image that nobody holds. Raises EngineFault if the engine does not answer."""
        for name in tagged(self._client, self._repository):
            self._remove(name)

    def _remove(self, name: str) -> None:
        with self._guard:
            if self._holders[name]:
                return
            if remove_image(self._client, f"{self._repository}:{name}"):
                (self._used / name).unlink(missing_ok=True)
                log.info("Image %s: removed, it can be fetched again.", name[:12])

    def _last_use(self, name: str) -> float:
        try:
            return (self._used / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0
