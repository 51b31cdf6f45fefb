"""The algorithm of all images here: one static program, so that an image is a few kilobytes, and runs anywhere."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.containers.intake import build

PROGRAM = Path(__file__).with_name("algorithm")


def archive(*arguments: str) -> bytes:
    """An image, as `docker save` writes it, that runs the algorithm with these arguments."""
    layer = build.tar_of({"algorithm": PROGRAM.read_bytes()})
    return build.Image(layers=[layer], config={"Entrypoint": ["/algorithm", *arguments]}).saved()


def run(
    arguments: tuple[str, ...],
    entries: list[dict[str, Any]],
    volumes: Mapping[str, bytes],
    program: Path = PROGRAM,
) -> dict[str, bytes]:
    """What the algorithm writes, by case, without any container. `entries` are those of a cases.json."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "input", Path(folder) / "output"
        (given / "images").mkdir(parents=True)
        made.mkdir()
        (given / "cases.json").write_text(json.dumps(entries))
        for name, content in volumes.items():
            (given / "images" / name).write_bytes(content)
        subprocess.run([program, *arguments, given, made], check=True, timeout=60)
        return {path.name: path.read_bytes() for path in made.iterdir()}
