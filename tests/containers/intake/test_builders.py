"""What other builders than Docker write beside the image, as seen in archives of theirs; and what stays refused."""

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.containers.intake.build import (
    OCI_INDEX,
    OCI_MANIFEST,
    Files,
    Image,
    digest,
    entry,
    index_json,
    layer_of,
    manifest_json,
    sha256,
    tar_of,
)
from tests.containers.intake.conftest import Check, Refusal

PLATFORM = {"architecture": "amd64", "os": "linux"}

#: Keys beside those that say what to run, by who writes them: at the top of the configuration, and in its `config`.
CONFIGURATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "buildpacks": (
        {"created": "1980-01-01T00:00:01Z", "annotations": {"io.buildpacks.base.distro.name": "ubuntu"}},
        {"Labels": {"io.buildpacks.lifecycle.metadata": "{}"}, "Annotations": {"io.buildpacks.stack.id": "x"}},
    ),
    "buildkit": ({"moby.buildkit.cache.v0": "eyJ9", "moby.buildkit.buildinfo.v1": "e30="}, {"ArgsEscaped": True}),
    "buildkit to come": ({"moby.buildkit.something.v2": {"a": [1]}}, {"MemorySwappiness": None}),
    "docker 29": ({"history": [], "rootfs.extra": 1}, {"StopTimeout": 3, "ExposedPorts": {}, "OnBuild": None}),
    "docker's own": ({"container": "c0", "container_config": {"Cmd": ["x"]}, "docker_version": "29.0"}, {"Image": ""}),
    "buildah": ({"created_by": "/bin/sh", "variant": ""}, {"Annotations": {"a": "b"}, "StopSignal": "15"}),
    "kaniko": ({"author": "kaniko", "kaniko.cache": True}, {"Shell": ["/bin/sh", "-c"]}),
    "ko": ({"author": "github.com/ko-build/ko"}, {"Labels": {"x": "y"}}),
    "bazel": ({"created": "0001-01-01T00:00:00Z", "bazel": {"target": "//:image"}}, {"StampInfo": []}),
    "nix": ({"architecture": "amd64", "storePaths": ["/nix/store/x"]}, {"Env": ["SSL_CERT_FILE=/etc/ssl/x"]}),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_builders_add_to_a_configuration_changes_nothing(check: Check, name: str) -> None:
    top, more = CONFIGURATIONS[name]
    config = Image().config | more
    one = check(Image(config=config, top=top).saved())
    plain = check(Image(config={key: config[key] for key in ("Entrypoint", "Env") if key in config}).saved())
    assert (one.image_id, one.blob) == (plain.image_id, plain.blob)
    assert one.warnings == plain.warnings


def oci(
    change_manifest: Callable[[dict[str, Any]], object] = lambda _: None,
    change_index: Callable[[dict[str, Any]], object] = lambda _: None,
) -> bytes:
    """An OCI layout whose manifest and index are changed."""
    files, descriptor, _ = Image().blobs()
    manifest = json.loads(files.pop(_blob(descriptor)))
    change_manifest(manifest)
    data = json.dumps(manifest).encode()
    index = json.loads(index_json(descriptor | {"digest": digest(data), "size": len(data)}))
    change_index(index)
    return tar_of(files | {f"blobs/sha256/{sha256(data)}": data, "index.json": json.dumps(index).encode()})


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")


@pytest.mark.parametrize(
    "upload",
    [
        oci(lambda manifest: manifest.update({"annotations": {"org.opencontainers.image.created": "x"}, "x-own": 1})),
        oci(lambda manifest: manifest["config"].update({"annotations": {"a": "b"}, "data": "e30=", "platforms": []})),
        oci(lambda manifest: manifest["layers"][0].update({"annotations": {"containerd.io/snapshot/stargz/toc": "x"}})),
        oci(lambda manifest: manifest["layers"][0].update({"urls": [], "reuse-id": 3})),
        oci(change_index=lambda index: index.update({"annotations": {"a": "b"}, "org.own": {}})),
        oci(change_index=lambda index: index["manifests"][0].update({"org.own": {}, "annotations": {"io.x": "y"}})),
        oci(change_index=lambda index: index["manifests"][0].update({"platform": PLATFORM | {"os.own": "x"}})),
        oci(
            change_index=lambda index: index["manifests"][0].update(
                {"artifactType": "application/vnd.oci.image.config.v1+json"}
            )
        ),
    ],
    ids=["manifest", "config", "estargz", "layer", "index", "descriptor", "platform", "type of the image itself"],
)
def test_what_builders_add_to_manifests_changes_nothing(check: Check, upload: bytes) -> None:
    assert check(upload) == check(Image().saved())


def test_what_builders_add_to_a_docker_manifest_changes_nothing(check: Check) -> None:
    files, links = Image().old_files()
    document = json.loads(files["manifest.json"])
    document[0] |= {"LayerSources": {}, "Annotations": {"a": "b"}, "nixStore": True}
    assert check(tar_of(files | {"manifest.json": json.dumps(document).encode()}, links)) == check(Image().saved())


def test_jib_names_its_configuration_without_a_digest(check: Check) -> None:
    image = Image()
    files = {"config.json": image.config_bytes, "a.tar.gz": image.layers[0]}
    files["manifest.json"] = manifest_json("config.json", ["a.tar.gz"], ["x:latest"])
    assert check(tar_of(files)) == check(image.saved())


def test_cosign_keeps_signatures_beside_the_image(check: Check) -> None:
    files, descriptor, _ = Image().blobs()
    signed, signature, _ = Image([layer_of(entry("signature"))]).blobs()
    kind = "dev.cosignproject.cosign/"
    index = index_json(
        descriptor | {"annotations": {"kind": f"{kind}image"}},
        signature | {"annotations": {"kind": f"{kind}sigs", "org.opencontainers.image.ref.name": "x"}},
    )
    assert check(tar_of(files | signed | {"index.json": index})) == check(Image().saved())


def test_of_the_platforms_of_an_image_the_stored_one_is_taken(check: Check) -> None:
    """Docker 29 lists all platforms and variants of an image and stores the blobs of one."""
    files, descriptor, _ = Image().blobs()
    absent = {"mediaType": OCI_MANIFEST, "digest": digest(b"elsewhere"), "size": 9}
    inner = index_json(
        absent | {"platform": PLATFORM},
        descriptor | {"platform": PLATFORM | {"variant": "v3"}},
        absent | {"digest": digest(b"arm"), "platform": PLATFORM | {"architecture": "arm64"}},
    )
    outer = index_json({"mediaType": OCI_INDEX, "digest": digest(inner), "size": len(inner)})
    upload = tar_of(files | {f"blobs/sha256/{sha256(inner)}": inner, "index.json": outer})
    assert check(upload) == check(Image().saved())


# --- What stays refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "upload",
    [
        oci(lambda manifest: manifest.update({"manifests": []})),
        oci(lambda manifest: manifest.update({"fsLayers": []})),
        oci(lambda manifest: manifest.update({"Manifests": []})),
        oci(change_index=lambda index: index.update({"layers": []})),
        oci(change_index=lambda index: index.update({"config": {}})),
        oci(change_index=lambda index: index.update({"CONFIG": {}})),
    ],
    ids=["index in manifest", "schema 1", "other letters", "layers in index", "config in index", "other letters again"],
)
def test_a_document_of_two_kinds_is_refused(refusal: Refusal, upload: bytes) -> None:
    refused = refusal(upload)
    assert refused.code == "unknown_key"
    assert "another kind of document" in str(refused)


@pytest.mark.parametrize(
    "upload",
    [
        oci(lambda manifest: manifest.update({"LAYERS": []})),
        oci(lambda manifest: manifest["layers"][0].update({"Digest": "x"})),
        oci(change_index=lambda index: index["manifests"][0].update({"di\u0067E\u017ft": "x"})),
        oci(change_index=lambda index: index.update({"manife\u017fts": []})),
        oci(change_index=lambda index: index["manifests"][0].update({"platform": PLATFORM | {"OS": "windows"}})),
        Image(top={"rootF\u017f": {}}).saved(),
        Image(config=Image().config | {"wor\u212aingdir": "/"}).saved(),
    ],
    ids=["manifest", "layer", "descriptor", "long s", "platform", "top", "kelvin sign"],
)
def test_a_known_key_in_other_letters_is_refused(refusal: Refusal, upload: bytes) -> None:
    """Go's decoder takes them for the known one: it folds case as Unicode does."""
    refused = refusal(upload)
    assert refused.code == "unknown_key"
    assert "meant?" in str(refused)


# --- A container's files ----------------------------------------------------------------------------------------------


def exported(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return layer_of(entry("bin/", tarfile.DIRTYPE), entry("etc/passwd", data=b"root"), *entries)


@pytest.mark.parametrize(
    "upload",
    [
        exported(),
        exported(entry("etc/mtab", tarfile.SYMTYPE, target="/proc/mounts")),
        exported(entry("dev/console", tarfile.CHRTYPE), entry("dev/pipe", tarfile.FIFOTYPE)),
        exported(entry("usr/bin/perl"), entry("usr/bin/perl5", tarfile.LNKTYPE, target="usr/bin/perl")),
        exported(entry("lib", tarfile.SYMTYPE, target="../../usr/lib"), entry("/usr/x")),
        exported(*(entry(f"usr/share/{number}") for number in range(5000))),
        exported(entry("usr/a", data=b"x" * 5000))[:4000],
        layer_of(entry(".dockerenv"), entry("proc/", tarfile.DIRTYPE), entry("program")),
        layer_of(entry("./usr/", tarfile.DIRTYPE), entry("./var/x")),
    ],
    ids=["plain", "link", "devices", "hard link", "odd names", "5,000 files", "cut", "from scratch", "with dots"],
)
def test_the_files_of_a_container_are_told_as_that(refusal: Refusal, upload: bytes) -> None:
    refused = refusal(upload)
    assert refused.code == "no_image"
    assert "docker export and podman export" in str(refused)
    assert "docker save" in str(refused)


def test_an_image_may_have_members_named_like_folders_of_a_system(check: Check) -> None:
    files: Files = Image().new_files() | {"etc/x": b"", "usr/y": b""}
    assert check(tar_of(files)) == check(Image().saved())


def test_an_odd_member_of_an_image_is_still_told_as_that(refusal: Refusal) -> None:
    files = Image().new_files() | {"etc/x": b"", "usr/y": b""}
    assert refusal(tar_of(files, {"var": "/etc/passwd"})).code == "unsafe_member"


@pytest.mark.engine
def test_what_docker_export_writes_is_told_as_that(refusal: Refusal, docker_client: Any, python_image: str) -> None:
    container = docker_client.create_container(python_image, ["x"])["Id"]
    try:
        upload = b"".join(docker_client.export(container))
    finally:
        docker_client.remove_container(container)
    with tarfile.open(fileobj=io.BytesIO(upload)) as archive:
        assert ".dockerenv" in archive.getnames()
    assert "docker export" in str(refusal(upload))
