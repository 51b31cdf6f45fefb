"""skopeo, podman and buildah write an image of a real engine in all their forms; each becomes the same rebuilt image.

What is rebuilt is loaded by that engine, which has to call it as the check did.
"""

import json
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.intake import CheckedImage, ImageRejected, check_archive
from containers.sandbox.engine import Engine
from containers.sandbox.images import load_image
from tests.containers.intake.build import entry, folder, layer_of
from tests.containers.intake.test_modes import Opened

TOOLS = ("skopeo", "podman", "buildah")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed"),
    pytest.mark.xdist_group("image-tools"),
]
REPOSITORY = "rexgrounding-tests/tools"
NAME = "localhost/algorithm:1"
OCI_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

PASSWD = b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
FILES = layer_of(
    folder("etc"),
    entry("etc/passwd", data=PASSWD, mode=0o644),
    entry("etc/shadow", data=b"root:*::::::\n", mode=0o600),
    entry("home/user", b"5", mode=0o700, uid=1000, gid=1000),
    entry("home/user/run.sh", data=b"#!/bin/program\n", mode=0o700, uid=1000, gid=1000),
    entry("home/user/weights", data=bytes(range(256)) * 999, mode=0o600, uid=1000, gid=1000),
    entry("bin/program", data=b"\x7fELF", mode=0o755),
)
CHANGES = ['ENTRYPOINT ["/home/user/run.sh"]', "USER user", "WORKDIR /home/user", "LABEL by=test"]


class Workshop:
    """The tools, each with its own storage in `folder`, and one image as `docker save` wrote it."""

    def __init__(self, folder: Path, saved: Path) -> None:
        self.folder, self.saved = folder, saved
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.policy = str(folder / "policy.json")
        self._storage = ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]

    def skopeo(self, *arguments: str) -> None:
        self._run("skopeo", "--policy", self.policy, "copy", "-q", *arguments)

    def podman(self, *arguments: str) -> str:
        return self._run("podman", *self._storage, *arguments)

    def buildah(self, command: str, *arguments: str) -> str:
        return self._run("buildah", *self._storage, command, *arguments)

    def path(self, name: str) -> Path:
        return self.folder / name

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def workshop(docker_client: docker.APIClient) -> Iterator[Workshop]:
    place = Path(tempfile.mkdtemp(prefix="tools-"))  # podman takes no folder with a path of more than 50 characters
    tag = uuid.uuid4().hex[:12]
    docker_client.import_image_from_data(FILES, repository=REPOSITORY, tag=tag, changes=CHANGES)
    try:
        with (place / "saved.tar").open("wb") as saved:
            for chunk in docker_client.get_image(f"{REPOSITORY}:{tag}"):
                saved.write(chunk)
    finally:
        docker_client.remove_image(f"{REPOSITORY}:{tag}")
    workshop = Workshop(place, place / "saved.tar")
    workshop.podman("load", "--signature-policy", workshop.policy, "-i", str(workshop.saved))
    image = workshop.podman("images", "-q", "--no-trunc")
    workshop.podman("tag", image, NAME)
    yield workshop
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def check(tmp_path: Path) -> Callable[[Path], CheckedImage]:
    return lambda upload: check_archive(upload, tmp_path / "rebuilt.tar")


def layer_types(archive: Path) -> set[str]:
    """The types of the layers that an OCI layout states."""
    with tarfile.open(archive) as tar:

        def document(name: str) -> dict[str, Any]:
            return json.loads(tar.extractfile(name).read())  # type: ignore[union-attr]

        manifest = document("index.json")["manifests"][0]["digest"].replace(":", "/")
        return {layer["mediaType"] for layer in document(f"blobs/{manifest}")["layers"]}


FORMS: dict[str, Callable[[Workshop], object]] = {
    "skopeo, docker-archive": lambda shop: shop.skopeo(f"docker-archive:{shop.saved}", "docker-archive:upload.tar:x:1"),
    "skopeo, oci-archive": lambda shop: shop.skopeo(f"docker-archive:{shop.saved}", "oci-archive:upload.tar:x"),
    "skopeo, oci-archive in zstd": lambda shop: shop.skopeo(
        "--dest-compress-format=zstd", f"docker-archive:{shop.saved}", "oci-archive:upload.tar:x"
    ),
    "podman, docker-archive": lambda shop: (
        shop.podman("save", "--format=docker-archive", "-o", "upload.tar", NAME) and None
    ),
    "podman, oci-archive": lambda shop: shop.podman("save", "--format=oci-archive", "-o", "upload.tar", NAME),
    "buildah, docker-archive": lambda shop: (
        shop.buildah("push", "--signature-policy", shop.policy, NAME, "docker-archive:upload.tar:x:1") and None
    ),
    "buildah, oci-archive": lambda shop: (
        shop.buildah("push", "--signature-policy", shop.policy, "--format=oci", NAME, "oci-archive:upload.tar:x")
        and None
    ),
}


@pytest.fixture(params=FORMS)
def upload(workshop: Workshop, request: pytest.FixtureRequest) -> Iterator[Path]:
    FORMS[request.param](workshop)
    path = workshop.path("upload.tar")
    if "zstd" in request.param:
        assert layer_types(path) == {OCI_ZSTD}
    yield path
    path.unlink()


def test_each_form_becomes_the_same_image(
    workshop: Workshop, upload: Path, check: Callable[[Path], CheckedImage]
) -> None:
    ours, theirs = check(workshop.saved), check(upload)
    assert (theirs.image_id, theirs.blob, theirs.warnings) == (ours.image_id, ours.blob, ours.warnings)
    assert theirs.original_diff_ids == ours.original_diff_ids


@pytest.mark.parametrize("tool", ["gzip", "xz", "zstd"])
def test_each_form_may_be_compressed_as_a_whole(
    workshop: Workshop, check: Callable[[Path], CheckedImage], tool: str
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} not installed")
    packed = workshop.path("packed")
    with packed.open("wb") as target:
        subprocess.run([tool, "-c", str(workshop.saved)], stdout=target, check=True)
    assert check(packed) == check(workshop.saved)


def test_what_buildah_changes_and_annotates_is_an_image_too(
    workshop: Workshop, check: Callable[[Path], CheckedImage]
) -> None:
    container = workshop.buildah("from", "--signature-policy", workshop.policy, "--pull-never", NAME)
    workshop.buildah("config", "--annotation", "org.example=x", "--env", "HF_HOME=/home/user/hf", container)
    target = workshop.path("committed.tar")
    workshop.buildah("commit", "-q", "--signature-policy", workshop.policy, container, f"oci-archive:{target}")
    image = check(target)
    assert image.config["env"] == ["HF_HOME"]
    assert image.config["home"] == "/home/user"


def test_the_engine_loads_what_was_rebuilt_and_calls_it_as_the_check_did(
    workshop: Workshop, engine: Engine, check: Callable[[Path], CheckedImage], tmp_path: Path, instance: str
) -> None:
    image = check(workshop.saved)
    tag = f"rexgrounding-{instance}/algorithm:1"
    load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=tag)
    assert engine.remove_image(tag)
    modes = Opened(image, tmp_path / "rebuilt.tar").modes()
    assert modes["home/user"] == 0o705
    assert modes["home/user/run.sh"] == 0o705
    assert modes["home/user/weights"] == 0o604
    assert modes["etc/shadow"] == 0o600
    assert image.original_image_id != image.image_id
    assert any("'/home/user' (2 files, 256 kB)" in warning for warning in image.warnings)


def test_the_original_id_is_the_one_that_podman_shows(
    workshop: Workshop, check: Callable[[Path], CheckedImage]
) -> None:
    assert check(workshop.saved).original_image_id == workshop.podman("images", "-q", "--no-trunc", NAME)


def test_what_podman_export_writes_is_told_as_that(workshop: Workshop, check: Callable[[Path], CheckedImage]) -> None:
    container = workshop.podman("create", "--signature-policy", workshop.policy, "--pull=never", NAME)
    workshop.podman("export", "-o", "export.tar", container)
    with pytest.raises(ImageRejected, match="podman export"):
        check(workshop.path("export.tar"))
