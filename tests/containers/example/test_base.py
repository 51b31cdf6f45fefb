"""Builds and runs the example on the real engine, without a registry."""

import json
import os
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.example import base
from tests.containers.example.conftest import Demo

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def base_tag(client: Any) -> str:
    return base.build_base(client)


@pytest.fixture
def tag(client: Any) -> Iterator[str]:
    name = f"rexgrounding-example-test:{uuid.uuid4().hex}"
    yield name
    client.images.remove(name, force=True)


def test_the_base_is_built_once(client: Any, base_tag: str) -> None:
    before = client.images.get(base_tag).id
    assert base.build_base(client) == base_tag
    assert client.images.get(base_tag).id == before


@pytest.mark.parametrize("variant", base.VARIANTS)
def test_every_variant_builds_without_a_network(client: Any, base_tag: str, tag: str, variant: str) -> None:
    image = client.images.get(base.build_image(client, variant, base_tag, tag))
    script = "segment" if variant == "words" else variant.replace("-", "_")
    assert image.attrs["Config"]["Entrypoint"] == ["python3", f"/app/{script}.py"]
    assert base.method_of(variant).strip()


def test_the_built_image_runs_as_the_readme_says(
    client: Any, base_tag: str, tag: str, demo_set: Demo, tmp_path: Path
) -> None:
    base.build_image(client, "words", base_tag, tag)
    entries = demo_set.entries[:1]
    folder = demo_set.give(entries, tmp_path / "run")
    (folder / "input" / "images").unlink()  # a link would point out of the mount
    (folder / "input" / "images").mkdir()
    os.link(demo_set.root / "images" / entries[0]["name"], folder / "input" / "images" / entries[0]["name"])
    for path in (tmp_path, folder):
        path.chmod(0o755)
    log = client.containers.run(
        tag,
        remove=True,
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": "exec"},
        user="65000:65000",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit="2g",
        volumes={
            str(folder / "input"): {"bind": "/input", "mode": "ro"},
            str(folder / "output"): {"bind": "/output", "mode": "rw"},
        },
    )
    assert log.decode() == f"done {entries[0]['name']}\n"
    assert (folder / "output" / entries[0]["name"]).stat().st_size > 100


def test_a_saved_image_is_a_docker_archive(client: Any, base_tag: str, tag: str, tmp_path: Path) -> None:
    image_id = base.build_image(client, "threshold", base_tag, tag)
    base.save_image(client, tag, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        (manifest,) = json.load(member)
    assert manifest["RepoTags"] == [tag]
    assert image_id.removeprefix("sha256:") in manifest["Config"]
