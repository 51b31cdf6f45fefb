"""The holder: our own container beside an algorithm's, which holds its output volume and says which files appeared.

Its image is one static program of under 1 KB (holder.c), packed here, byte for byte the same everywhere. It needs no
registry and no build on the host: a docker-archive with a single layer of a single file is put together in memory and
loaded. The image is found again by the digest of its configuration; the tag only keeps it from being pruned.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Final

from containers.sandbox.engine import Engine, EngineRefused

PROGRAM: Final = Path(__file__).parent / "holder"


def archive(repository: str) -> tuple[str, bytes]:
    """The image's tag, which contains its digest, and its docker-archive, which sets that tag when loaded."""
    layer = _tar({"holder": (PROGRAM.read_bytes(), 0o555)})
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    )
    digest = hashlib.sha256(config).hexdigest()
    tag = f"{repository}:{digest}"
    manifest = _json([{"Config": f"{digest}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}])
    files = {f"{digest}.json": config, "layer.tar": layer, "manifest.json": manifest}
    return tag, _tar({name: (content, 0o444) for name, content in files.items()})


def ensure_image(engine: Engine, instance: str) -> str:
    """Make sure that the engine has the holder's image, and return the id to run it by.

    Raises EngineError.
    """
    tag, content = archive(f"rexgrounding-{instance}/holder")
    found = engine.image_id(tag)
    if found is None:
        for _ in engine.load_image(content):
            pass
        found = engine.image_id(tag)
    if found is None:
        raise EngineRefused(f"The engine did not load {tag}.")
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
