"""What honest tools write is accepted, and rebuilt into one normal form."""

import gzip
import hashlib
import io
import json
import pickle
import random
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from containers.intake import CheckedImage, ImageRejected, check_archive
from tests.containers.intake.build import (
    OCI_MANIFEST,
    SOME_PROGRAM,
    Image,
    digest,
    header,
    index_json,
    padded,
    sha256,
    tar_of,
)
from tests.containers.intake.conftest import Check

TWO_LAYERS = [tar_of({"program": b"first"}), tar_of({"weights": b"second" * 999})]


def config_of(image: CheckedImage, rebuilt: Path) -> dict[str, Any]:
    with tarfile.open(rebuilt) as archive:
        member = archive.extractfile(image.image_id[7:] + ".json")
        assert member is not None
        config: dict[str, Any] = json.loads(member.read())
    return config


@pytest.mark.parametrize(
    "upload",
    [
        tar_of(*Image(TWO_LAYERS).old_files()),
        tar_of(Image(TWO_LAYERS).new_files()),
        tar_of(Image(TWO_LAYERS).oci_files()),
        tar_of(Image(TWO_LAYERS).oci_files(store=bytes)),
        gzip.compress(tar_of(*Image(TWO_LAYERS).old_files())),
        gzip.compress(tar_of(Image(TWO_LAYERS).new_files())),
        tar_of(dict(reversed(Image(TWO_LAYERS).new_files().items()))),
    ],
    ids=["old save", "new save", "buildx oci", "oci of plain layers", "old save, gzip", "new save, gzip", "any order"],
)
def test_every_form_of_an_image_gives_the_same_archive(check: Check, upload: bytes) -> None:
    expected = check(Image(TWO_LAYERS).saved())
    assert check(upload) == expected


def test_the_rebuilt_archive_holds_the_layers_the_configuration_and_no_tag(check: Check, tmp_path: Path) -> None:
    image = check(Image(TWO_LAYERS).saved())
    with tarfile.open(tmp_path / "rebuilt.tar") as archive:
        names = archive.getnames()
        contents = {name: archive.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    layer_names = [sha256(layer) + ".tar" for layer in TWO_LAYERS]
    assert names == [*layer_names, image.image_id[7:] + ".json", "manifest.json"]
    assert [contents[name] for name in layer_names] == TWO_LAYERS
    assert json.loads(contents["manifest.json"]) == [
        {"Config": image.image_id[7:] + ".json", "RepoTags": None, "Layers": layer_names}
    ]


def test_it_describes_the_rebuilt_archive(check: Check, tmp_path: Path) -> None:
    image = check(Image(TWO_LAYERS).saved())
    rebuilt = (tmp_path / "rebuilt.tar").read_bytes()
    assert (image.blob, image.size) == ("sha256:" + hashlib.sha256(rebuilt).hexdigest(), len(rebuilt))
    assert image.layers == 2
    assert image.uncompressed_bytes == sum(map(len, TWO_LAYERS))


def test_what_acts_on_the_host_is_stripped_from_the_configuration(check: Check, tmp_path: Path) -> None:
    image = check(
        Image(
            config={
                "Entrypoint": ["/program"],
                "Cmd": ["--fast"],
                "Env": ["PATH=/bin"],
                "User": "algorithm",
                "WorkingDir": "/opt",
                "Volumes": {"/weights": {}},
                "Healthcheck": {"Test": ["CMD", "true"]},
                "ExposedPorts": {"80/tcp": {}},
                "OnBuild": ["RUN true"],
                "StopSignal": "SIGKILL",
                "Shell": ["/bin/sh"],
                "ArgsEscaped": True,
                "Labels": {"ofelia.enabled": "true"},
            }
        ).saved()
    )
    config = config_of(image, tmp_path / "rebuilt.tar")
    assert config["config"] == {
        "Entrypoint": ["/program"],
        "Cmd": ["--fast"],
        "Env": ["PATH=/bin", "HOME=/"],
        "User": "algorithm",
        "WorkingDir": "/opt",
    }
    assert "history" not in config
    assert image.config["labels"] == {"ofelia.enabled": "true"}


def test_an_image_that_only_its_history_tells_apart_is_the_same_image(check: Check) -> None:
    later = Image(top={"created": "2026-05-05T00:00:00Z", "history": [{"comment": "later"}], "author": "Bob"})
    one, other = check(later.saved()), check(Image(top={"history": [{"comment": "later"}]}).saved())
    assert (one.image_id, one.blob) == (other.image_id, other.blob)
    assert one.original_image_id == digest(later.config_bytes) != other.original_image_id


def test_a_layer_that_occurs_twice_is_stored_once(check: Check, tmp_path: Path) -> None:
    image = check(Image([TWO_LAYERS[0], TWO_LAYERS[1], TWO_LAYERS[0]]).saved())
    assert image.layers == 3
    with tarfile.open(tmp_path / "rebuilt.tar") as archive:
        assert len(archive.getnames()) == 4


def test_a_cmd_alone_is_accepted_with_a_warning(check: Check) -> None:
    image = check(Image(config={"Cmd": ["python", "run.py"]}).saved())
    assert image.config["cmd"] == ["python", "run.py"]
    assert any("no ENTRYPOINT" in warning for warning in image.warnings)


def test_variables_that_the_sandbox_sets_are_listed(check: Check) -> None:
    env = ["PATH=/bin", "LD_PRELOAD=/evil.so", "NVIDIA_VISIBLE_DEVICES=all"]
    image = check(Image(config={"Entrypoint": [SOME_PROGRAM], "Env": env}).saved())
    assert image.config["env_overridden"] == ["LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES"]
    assert any("LD_PRELOAD" in warning for warning in image.warnings)


def test_the_variables_of_every_cuda_base_image_are_no_warning(check: Check) -> None:
    env = ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]
    assert check(Image(config={"Entrypoint": [SOME_PROGRAM], "Env": env}).saved()).warnings == []


def test_values_of_variables_are_not_in_the_summary(check: Check) -> None:
    image = check(Image(config={"Entrypoint": [SOME_PROGRAM], "Env": ["TOKEN=hunter2"]}).saved())
    assert "hunter2" not in json.dumps(image.config)


def test_of_an_image_for_two_platforms_it_takes_the_one_for_amd64(check: Check) -> None:
    ours, theirs = Image(), Image(top={"architecture": "arm64"})
    (our_files, our_descriptor, _), (their_files, their_descriptor, _) = ours.blobs(), theirs.blobs()
    index = index_json(
        their_descriptor | {"platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}},
        our_descriptor | {"platform": {"architecture": "amd64", "os": "linux"}},
    )
    assert check(tar_of(our_files | their_files | {"index.json": index})) == check(ours.saved())


def test_platforms_that_were_not_stored_do_not_matter_beside_a_manifest(check: Check) -> None:
    image = Image()
    _, descriptor, _ = image.blobs()
    elsewhere = {"mediaType": OCI_MANIFEST, "digest": digest(b"elsewhere"), "size": 9}
    index = index_json(
        descriptor | {"platform": {"architecture": "amd64", "os": "linux"}},
        elsewhere | {"platform": {"architecture": "arm64", "os": "linux"}},
    )
    assert check(tar_of(image.new_files() | {"index.json": index})) == check(image.saved())


def test_a_layer_of_several_compressed_parts_is_read_whole(check: Check) -> None:
    def in_pieces(layer: bytes) -> bytes:
        return b"".join(gzip.compress(layer[start : start + 700]) for start in range(0, len(layer), 700))

    assert check(tar_of(Image(TWO_LAYERS).oci_files(store=in_pieces))) == check(Image(TWO_LAYERS).saved())


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    source = tmp_path / "upload.tar.gz"
    source.write_bytes(gzip.compress(Image([tar_of({"weights": bytes(5 << 20)})]).saved()))
    check_archive(source, tmp_path / "rebuilt.tar", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 5


def test_work_that_progress_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def cancel(_: float) -> None:
        raise InterruptedError

    source = tmp_path / "upload.tar"
    source.write_bytes(Image().saved())
    with pytest.raises(InterruptedError):
        check_archive(source, tmp_path / "rebuilt.tar", progress=cancel)
    assert list(tmp_path.iterdir()) == [source]


def test_memory_stays_small_for_a_large_layer(tmp_path: Path) -> None:
    size = 200 << 20
    source = tmp_path / "upload.tar"
    layer = hashlib.sha256(header(b"weights", size))
    for _ in range(200):
        layer.update(bytes(1 << 20))
    top = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.hexdigest()}"]}}
    config = Image(top=top).config_bytes
    manifest = json.dumps([{"Config": sha256(config) + ".json", "RepoTags": None, "Layers": ["layer.tar"]}]).encode()
    with source.open("wb") as file:
        for name, data in ((sha256(config).encode() + b".json", config), (b"manifest.json", manifest)):
            file.write(header(name, len(data)) + padded(data))
        file.write(header(b"layer.tar", size + 512) + header(b"weights", size))
        file.truncate(file.tell() + size + 1024)
    tracemalloc.start()
    check_archive(source, tmp_path / "rebuilt.tar")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_a_rejection_survives_a_process_pool() -> None:
    copy = pickle.loads(pickle.dumps(ImageRejected("damaged", "What to do.")))
    assert (copy.code, str(copy)) == ("damaged", "What to do.")


def test_names_longer_than_a_header_holds_are_read(check: Check) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a/" * 200 + "weights")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    assert check(Image([buffer.getvalue(), tar_of({"b/" * 200 + "w": b"abc"})]).saved()).layers == 2


def test_a_damaged_archive_is_refused_or_gives_the_same_image(check: Check) -> None:
    """Any damage ends in a refusal, never in another exception, and never in another image."""
    generator = random.Random(4)
    originals = [
        tar_of(*Image(TWO_LAYERS).old_files()),
        tar_of(Image(TWO_LAYERS).oci_files()),
        gzip.compress(tar_of(Image(TWO_LAYERS).new_files())),
    ]
    expected = check(originals[0])
    refused = 0
    for _ in range(300):
        data = bytearray(generator.choice(originals))
        for _ in range(generator.choice([1, 1, 20])):
            data[generator.randrange(len(data))] = generator.randrange(256)
        del data[generator.choice([len(data), generator.randrange(len(data))]) :]
        try:
            assert check(bytes(data)) == expected
        except ImageRejected:
            refused += 1
    assert 150 < refused < 300
