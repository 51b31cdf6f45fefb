"""The archive that is written anew: the layers, the configuration that lists them, and no tag."""

import hashlib
import json
import tarfile
from collections.abc import Callable
from typing import IO, Final

from containers.intake.layers import CopiedLayer
from containers.intake.tar import BLOCK_BYTES

_END: Final = bytes(2 * BLOCK_BYTES)


class RebuiltArchive:
    """A docker-archive in the making. diff_ids: the layers so far; sizes: the bytes of each content, stored once.

    target: a file, of which nothing is kept.
    """

    def __init__(self, target: IO[bytes]) -> None:
        self.diff_ids: list[str] = []
        self.sizes: dict[str, int] = {}
        self._target = target
        target.seek(0)
        target.truncate()

    def add(self, layer: CopiedLayer) -> None:
        """List one more layer, whose content was written."""
        self.diff_ids.append(layer.diff_id)

    def write(self, copy: Callable[[IO[bytes]], CopiedLayer]) -> CopiedLayer:
        """Write what `copy` writes as a member, unless its content is there already.

        The header is filled in afterwards, when digest and inflated size are known.
        """
        target = self._target
        start = target.tell()
        target.write(bytes(BLOCK_BYTES))
        copied = copy(target)
        if copied.diff_id in self.sizes:
            target.seek(start)
            target.truncate()
            return copied
        self.sizes[copied.diff_id] = copied.size
        target.write(bytes(-copied.size % BLOCK_BYTES))
        end = target.tell()
        target.seek(start)
        target.write(_header(_layer_name(copied.diff_id), copied.size))
        target.seek(end)
        return copied

    def finish(self, config: bytes) -> str:
        """Write the configuration and the end. Returns the image's id."""
        image_id = "sha256:" + hashlib.sha256(config).hexdigest()
        config_name = image_id.removeprefix("sha256:") + ".json"
        layers = [_layer_name(diff_id) for diff_id in self.diff_ids]
        # No RepoTags: an engine would move the tags named here away from the images that have them.
        manifest = json.dumps([{"Config": config_name, "RepoTags": None, "Layers": layers}]).encode()
        for name, data in ((config_name, config), ("manifest.json", manifest)):
            self._target.write(_header(name, len(data)) + data + bytes(-len(data) % BLOCK_BYTES))
        self._target.write(_END)
        return image_id


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)  # one block: sizes of 8 GiB and more in base 256


def _layer_name(diff_id: str) -> str:
    return diff_id.removeprefix("sha256:") + ".tar"
