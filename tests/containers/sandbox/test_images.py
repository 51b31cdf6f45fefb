"""Real archives of a real engine: saved, checked, rebuilt, loaded, run."""

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.intake import CheckedImage, ImageRejected, check_archive
from containers.protocol.faults import HostFault
from containers.sandbox.engine import Engine
from containers.sandbox.images import load_image
from tests.containers.intake.build import SOME_PROGRAM, Image, entry, layer_of, manifest_json, sha256, tar_of

pytestmark = pytest.mark.engine

REPOSITORY = f"rexgrounding-test-{uuid.uuid4().hex[:12]}"

PROGRAM = r"""
#include <stdio.h>
int main(void) { puts("it runs"); return 0; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A static program, the whole content of an image that runs."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(["cc", "-static", "-Os", "-s", "-o", "program", "program.c"], cwd=folder, check=True)
    return (folder / "program").read_bytes()


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    """The engine, on which no tag of ours may be left. (Others use it too: what is not ours is not looked
    at.)
    """
    client = docker.from_env(timeout=120)
    yield client
    left = [name for image in client.api.images() for name in image["RepoTags"] or [] if REPOSITORY in name]
    for name in left:
        client.api.remove_image(name, force=True)
    client.close()
    assert left == []


@pytest.fixture
def engine(client: docker.DockerClient) -> Engine:
    return Engine(client.api)


def checked(folder: Path, data: bytes) -> CheckedImage:
    (folder / "upload.tar").write_bytes(data)
    return check_archive(folder / "upload.tar", folder / "rebuilt.tar")


def run(client: docker.DockerClient, image_id: str) -> str:
    output: bytes = client.containers.run(image_id, network_mode="none", remove=True)
    return output.decode()


def unique_layer(**more: bytes) -> bytes:
    """A layer that no other test or user of the engine has."""
    return tar_of({"unique": uuid.uuid4().bytes} | more)


def test_an_image_that_the_engine_saved_runs_after_the_check(
    engine: Engine, client: docker.DockerClient, program: bytes, tmp_path: Path
) -> None:
    imported = f"{REPOSITORY}/imported:latest"
    client.api.import_image_from_data(
        tar_of({"program": program, "unique": uuid.uuid4().bytes}),
        repository=f"{REPOSITORY}/imported",
        tag="latest",
        changes=['ENTRYPOINT ["/program"]', "VOLUME /data", "HEALTHCHECK CMD true"],
    )
    saved = b"".join(client.images.get(imported).save(named=True))
    assert engine.remove_image(imported)
    image = checked(tmp_path, saved)
    assert not engine.has_image(image.image_id)
    tag = f"{REPOSITORY}/algorithm:1"
    load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=tag)
    loaded = client.images.get(tag)
    assert loaded.id == image.image_id
    assert not loaded.attrs["Config"].get("Volumes")
    assert not loaded.attrs["Config"].get("Healthcheck")
    assert run(client, image.image_id) == "it runs\n"
    assert engine.remove_image(tag)
    assert not engine.has_image(image.image_id)


@pytest.mark.parametrize("form", ["old", "new", "oci"])
def test_the_engine_computes_the_id_that_the_check_promised(
    engine: Engine, client: docker.DockerClient, program: bytes, tmp_path: Path, form: str
) -> None:
    repeated = unique_layer()
    config = {"Entrypoint": ["/program"], "Env": ["NAME=L\u00fcbeck <&> \u2028"]}
    image = Image([repeated, tar_of({"program": program}), repeated], config)
    files: dict[str, Any] = {
        "old": lambda: tar_of(*image.old_files()),
        "new": lambda: tar_of(image.new_files()),
        "oci": lambda: tar_of(image.oci_files()),
    }
    result = checked(tmp_path, files[form]())
    load_image(engine, tmp_path / "rebuilt.tar", expected_id=result.image_id, tag=f"{REPOSITORY}/a:1")
    assert run(client, result.image_id) == "it runs\n"
    assert engine.remove_image(f"{REPOSITORY}/a:1")


def test_loading_moves_no_tag_of_another_team(engine: Engine, client: docker.DockerClient, tmp_path: Path) -> None:
    rival = checked(tmp_path, Image([unique_layer()]).saved())
    rival_tag = f"{REPOSITORY}/rival:1"
    load_image(engine, tmp_path / "rebuilt.tar", expected_id=rival.image_id, tag=rival_tag)
    attack = Image([unique_layer()])
    image = checked(tmp_path, tar_of(*attack.old_files(tags=[rival_tag])))
    load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=f"{REPOSITORY}/attacker:1")
    assert client.images.get(rival_tag).id == rival.image_id
    assert engine.remove_image(rival_tag)
    assert engine.remove_image(f"{REPOSITORY}/attacker:1")


def test_an_archive_with_tags_never_reaches_the_engine(engine: Engine, tmp_path: Path) -> None:
    image = Image([unique_layer()])
    upload = tmp_path / "upload.tar"
    upload.write_bytes(tar_of(*image.old_files(tags=[f"{REPOSITORY}/moved:1"])))
    config_id = "sha256:" + sha256(image.config_bytes)
    with pytest.raises(HostFault, match="not the archive that was checked"):
        load_image(engine, upload, expected_id=config_id, tag=f"{REPOSITORY}/a:1")
    assert not engine.has_image(config_id)


def test_a_layer_that_only_the_engine_has_is_not_borrowed(engine: Engine, tmp_path: Path) -> None:
    secret = unique_layer(weights=b"a rival's weights")
    rival = checked(tmp_path, Image([secret]).saved())
    load_image(engine, tmp_path / "rebuilt.tar", expected_id=rival.image_id, tag=f"{REPOSITORY}/rival:1")
    theft = Image([secret], config={"Entrypoint": [SOME_PROGRAM]})
    name = sha256(theft.config_bytes) + ".json"
    try:
        with pytest.raises(ImageRejected, match="missing from the archive"):
            checked(
                tmp_path,
                tar_of({name: theft.config_bytes, "manifest.json": manifest_json(name, ["x/layer.tar"])}),
            )
    finally:
        assert engine.remove_image(f"{REPOSITORY}/rival:1")


def test_two_teams_with_the_same_image_do_not_affect_each_other(
    engine: Engine, client: docker.DockerClient, program: bytes, tmp_path: Path
) -> None:
    layers = [tar_of({"program": program}), unique_layer()]
    image = checked(tmp_path, Image(layers, config={"Entrypoint": ["/program"]}).saved())
    for team in ("alice", "bob"):
        load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=f"{REPOSITORY}/{team}:1")
    assert engine.remove_image(f"{REPOSITORY}/alice:1")
    assert run(client, image.image_id) == "it runs\n"
    assert engine.remove_image(f"{REPOSITORY}/bob:1")
    assert not engine.has_image(image.image_id)


def only_the_kernel_knows(name: str) -> bytes:
    """A layer that our own walk through it takes for good: what a capability has to look like is the kernel's."""
    return layer_of(entry(name, data=uuid.uuid4().bytes, pax_headers={"SCHILY.xattr.security.capability": "bad"}))


def test_a_layer_that_cannot_be_unpacked_is_the_teams_fault_and_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    image = checked(tmp_path, Image([unique_layer(), only_the_kernel_knows("file")]).saved())
    with pytest.raises(ImageRejected, match="cannot unpack") as caught:
        load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=f"{REPOSITORY}/a:1")
    assert caught.value.code == "not_unpackable"
    assert not engine.has_image(image.image_id)


def test_a_name_made_to_look_like_our_fault_does_not_help(engine: Engine, tmp_path: Path) -> None:
    image = checked(tmp_path, Image([only_the_kernel_knows("no space left on device")]).saved())
    with pytest.raises(ImageRejected):
        load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=f"{REPOSITORY}/a:1")


def test_another_image_than_expected_is_refused(engine: Engine, tmp_path: Path) -> None:
    image = checked(tmp_path, Image([unique_layer()]).saved())
    with pytest.raises(HostFault) as caught:
        load_image(engine, tmp_path / "rebuilt.tar", expected_id="sha256:" + "0" * 64, tag=f"{REPOSITORY}/a:1")
    assert caught.value.code == "image_unavailable"
    assert not engine.has_image(image.image_id)


def test_a_tag_that_the_engine_refuses_leaves_no_image(engine: Engine, tmp_path: Path) -> None:
    image = checked(tmp_path, Image([unique_layer()]).saved())
    with pytest.raises(HostFault):
        load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag="NOT A NAME:1")
    assert not engine.has_image(image.image_id)


def test_an_image_in_use_stays(engine: Engine, client: docker.DockerClient, program: bytes, tmp_path: Path) -> None:
    layers = [tar_of({"program": program}), unique_layer()]
    image = checked(tmp_path, Image(layers, config={"Entrypoint": ["/program"]}).saved())
    tag = f"{REPOSITORY}/a:1"
    load_image(engine, tmp_path / "rebuilt.tar", expected_id=image.image_id, tag=tag)
    container = client.containers.create(image.image_id, network_mode="none")
    try:
        assert not engine.remove_image(tag)
        assert engine.has_image(image.image_id)
    finally:
        container.remove()
    assert engine.remove_image(tag)


def test_removing_what_is_not_there_is_done_already(engine: Engine) -> None:
    assert engine.remove_image(f"{REPOSITORY}/never:1")


def test_an_engine_that_is_away_is_our_fault(tmp_path: Path) -> None:
    away = docker.APIClient(base_url=f"unix://{tmp_path}/nobody.sock", version="1.41")
    with pytest.raises(HostFault) as caught:
        Engine(away, retry_seconds=0).has_image("sha256:" + "0" * 64)
    assert caught.value.code == "engine_unavailable"
    away.close()


def test_a_missing_archive_is_our_fault(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(HostFault) as caught:
        load_image(engine, tmp_path / "gone.tar", expected_id="sha256:" + "0" * 64, tag=f"{REPOSITORY}/a:1")
    assert caught.value.code == "image_unavailable"


def test_the_rebuilt_archive_is_a_tar_file_for_others_too(tmp_path: Path) -> None:
    checked(tmp_path, Image().saved())
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "rebuilt.tar").read_bytes())) as archive:
        assert {member.mtime for member in archive.getmembers()} == {0}
