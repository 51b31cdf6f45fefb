"""Which files of an archive are the image: its configuration and its layers, in order.

Three forms are in use, and all are read:

* docker-archive (`docker save` before 25, skopeo, kaniko): manifest.json names `<hex>.json` and
  `<id>/layer.tar`;
* the same with an OCI layout beside it (`docker save` since 25): manifest.json names `blobs/sha256/<hex>`;
* OCI layout alone (buildx `type=oci`, podman `oci-archive`): index.json leads to a manifest, perhaps through
  another index with further platforms and attestations (which are no images).

Where manifest.json and index.json are both there they must mean the same image: engines differ in which they
read.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from containers.intake import tar
from containers.intake.errors import SAVE_AGAIN, ImageRejected, quoted
from containers.intake.strict_json import known_keys
from containers.intake.upload_archive import IMAGE_FILES, UploadArchive

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
# Jib names it config.json, everybody else by its digest.
_CONFIG_NAME: Final = re.compile(r"(?:blobs/sha256/|sha256:)?([0-9a-f]{64})(?:\.json)?")
_ARCHIVE_NAME: Final = re.compile(r"\.(tar|tgz|txz|tar\.[a-z0-9]{1,4})$")
_BLOB_NAME: Final = re.compile(r"blobs/sha256/([0-9a-f]{64})")

_MANIFEST_TYPES: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_INDEX_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_DOCKER_MANIFEST_KEYS: Final = ("Config", "RepoTags", "Layers", "Parent", "LayerSources")
_INDEX_KEYS: Final = ("schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations")
_MANIFEST_KEYS: Final = (
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "subject",
    "annotations",
)
# A document that is a manifest to one reader and an index to another (CVE-2021-41190) is neither here.
_NOT_IN_AN_INDEX: Final = ("config", "layers", "fsLayers", "history", "signatures")
_NOT_IN_A_MANIFEST: Final = ("manifests", "fsLayers", "history", "signatures")
_IMAGE_CONFIG_TYPES: Final = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
#: How `cosign save` marks what lies beside the image: signatures, attestations, SBOMs.
_COSIGN: Final = "dev.cosignproject.cosign/"
_COSIGN_IMAGES: Final = (f"{_COSIGN}image", f"{_COSIGN}imageIndex")
_DESCRIPTOR_KEYS: Final = (
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "data",
    "artifactType",
    "platform",
)
_PLATFORM_KEYS: Final = ("architecture", "os", "os.version", "os.features", "variant", "features")
#: What images have to be for.
OUR_PLATFORM: Final = ("linux", "amd64")
_AMD64: Final = ("x86_64", "x86-64")
_PLATFORM_NAME: Final = re.compile(r"[\w-]{1,20}", re.ASCII)
_MAX_DESCRIPTORS: Final = 64
_MAX_INDEX_DEPTH: Final = 3


@dataclass(frozen=True)
class StoredLayer:
    """Where a layer lies in the archive; `digest` is the one stated for its bytes as stored, where one is."""

    member: tar.Member
    digest: str | None


@dataclass(frozen=True)
class ImageParts:
    """An image as the archive stores it."""

    config: bytes  # verified against the digest it is referred to by, where it is
    layers: list[StoredLayer]


def find_image(archive: UploadArchive) -> ImageParts:
    """The one image that the archive holds."""
    has_index = archive.find("index.json") is not None
    manifest = archive.find("manifest.json")
    if manifest is not None:
        parts = _from_docker_manifest(archive, manifest)
        if has_index:
            _refuse_another_image(archive, parts)
        return parts
    if has_index:
        return _from_oci_manifest(archive, _choose(_image_descriptors(archive)))
    raise ImageRejected("no_image", _what_instead(list(archive.names())))


def _what_instead(names: list[str]) -> str:
    """What an archive without an image at its top holds, and what to do."""
    folders = [folder for name in names for folder, _, file in [name.rpartition("/")] if file in IMAGE_FILES]
    if folders:
        return (
            f"The archive holds an image in the folder {quoted(folders[0])} and not at its top. Pack the content of "
            "that folder alone (tar -C FOLDER -cf image.tar .), or upload the file that docker save writes."
        )
    archives = [name for name in names if _ARCHIVE_NAME.search(name) and not name.endswith("/layer.tar")]
    if archives:
        return (
            f"The archive holds another archive, {quoted(archives[0])}, and no image. If that is what docker save "
            "wrote, upload it as it is."
        )
    if any(name.rpartition("/")[2] == "Dockerfile" for name in names):
        return (
            "The archive holds a Dockerfile and what an image is built from. Build the image (docker build -t NAME .) "
            "and upload the file that docker save -o image.tar NAME writes."
        )
    return (
        "The archive holds no image (neither manifest.json nor index.json). Make it with docker save; "
        "docker export writes a container's files without its configuration."
    )


def _from_docker_manifest(archive: UploadArchive, member: tar.Member) -> ImageParts:
    what = "manifest.json"
    document = archive.parse(archive.read_document(member, what=what), what=what)
    if not isinstance(document, list) or not document:
        raise ImageRejected("no_image", f"manifest.json names no image. {SAVE_AGAIN}")
    if len(document) > 1:
        raise _several_images()
    entry = known_keys(document[0], _DOCKER_MANIFEST_KEYS, what=what)
    config_name = _text(entry.get("Config"), what)
    match = _CONFIG_NAME.fullmatch(config_name)
    config = _verified_document(archive, config_name, match[1] if match else None, "The image configuration")
    layers = []
    for name in _list(entry.get("Layers"), what):
        blob = _BLOB_NAME.fullmatch(_text(name, what))
        layers.append(_stored_layer(archive, name, f"sha256:{blob[1]}" if blob else None))
    return ImageParts(config, layers)


def _refuse_another_image(archive: UploadArchive, parts: ImageParts) -> None:
    chosen = _choose(_image_descriptors(archive))
    if archive.find(_blob_name(chosen)) is None:
        return  # engines list every platform of an image and store the blobs of one
    if _from_oci_manifest(archive, chosen).config != parts.config:
        raise ImageRejected(
            "ambiguous",
            f"manifest.json and index.json of the archive describe different images. {SAVE_AGAIN}",
        )


def _from_oci_manifest(archive: UploadArchive, descriptor: dict[str, Any]) -> ImageParts:
    what = "The image manifest"
    manifest = known_keys(
        _blob_document(archive, descriptor, what), _MANIFEST_KEYS, what=what, never=_NOT_IN_A_MANIFEST
    )
    config_descriptor = _descriptor(manifest.get("config"), what)
    config = _blob(archive, config_descriptor, "The image configuration")
    layers = []
    for value in _list(manifest.get("layers"), what):
        layer = _descriptor(value, what)
        stored = _stored_layer(archive, _blob_name(layer), layer["digest"])
        if stored.member.size != layer["size"]:
            raise ImageRejected("wrong_digest", f"A layer has another size than its manifest states. {SAVE_AGAIN}")
        layers.append(stored)
    return ImageParts(config, layers)


def _image_descriptors(archive: UploadArchive) -> list[dict[str, Any]]:
    """The image manifests that index.json leads to, each once; no attestation, signature or other artifact."""
    member = archive.find("index.json")
    assert member is not None, "asked for only where there is one"
    index = archive.parse(archive.read_document(member, what="index.json"), what="index.json")
    found: dict[str, dict[str, Any]] = {}
    seen = 0
    waiting = [(index, 1)]
    while waiting:
        document, depth = waiting.pop()
        document = known_keys(document, _INDEX_KEYS, what="The index", never=_NOT_IN_AN_INDEX)
        for descriptor in (_descriptor(value, "The index") for value in _list(document.get("manifests"), "The index")):
            seen += 1
            if seen > _MAX_DESCRIPTORS or depth > _MAX_INDEX_DEPTH:
                raise _several_images()
            if descriptor["mediaType"] in _INDEX_TYPES:
                if archive.find(_blob_name(descriptor)) is not None:
                    waiting.append((_blob_document(archive, descriptor, "The index"), depth + 1))
            elif descriptor["mediaType"] in _MANIFEST_TYPES and not _is_attestation(descriptor):
                found.setdefault(descriptor["digest"], descriptor)
    stored = [descriptor for descriptor in found.values() if archive.find(_blob_name(descriptor)) is not None]
    return stored or list(found.values())  # engines list every platform of an image and store the blobs of one


def _choose(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    """The one image among them; of an image for several platforms, the one for linux/amd64."""
    if not descriptors:
        raise ImageRejected("no_image", f"The index of the archive names no image. {SAVE_AGAIN}")
    if len(descriptors) == 1:
        return descriptors[0]
    platforms = [_platform(descriptor) for descriptor in descriptors]
    ours = "/".join(OUR_PLATFORM)
    fitting = [one for one, platform in zip(descriptors, platforms, strict=True) if platform == ours]
    variants = {_variant(descriptor): descriptor for descriptor in fitting}
    if fitting and len(variants) == len(fitting):
        return variants[min(variants)]  # the plainest, which runs everywhere
    if fitting or len(set(platforms)) < len(platforms):
        raise _several_images()
    raise wrong_platform(", ".join(platforms))


def wrong_platform(platform: str) -> ImageRejected:
    """The refusal of an image for another platform."""
    return ImageRejected(
        "wrong_platform",
        f"This image is built for {platform}. Build it with docker build --platform linux/amd64 and upload it again.",
    )


def _several_images() -> ImageRejected:
    return ImageRejected(
        "several_images",
        "The archive holds several images. Name exactly one image in docker save and upload that.",
    )


def _descriptor(value: Any, what: str) -> dict[str, Any]:
    descriptor = known_keys(value, _DESCRIPTOR_KEYS, what=what)
    size = descriptor.get("size")
    if not _DIGEST.fullmatch(_text(descriptor.get("digest"), what)) or not isinstance(size, int) or size < 0:
        raise ImageRejected("wrong_digest", f"{what} refers to a file by something else than sha256. {SAVE_AGAIN}")
    descriptor.setdefault("mediaType", "")
    return descriptor


def _platform(descriptor: dict[str, Any]) -> str:
    platform = known_keys(descriptor.get("platform") or {}, _PLATFORM_KEYS, what="The index")
    return "/".join(platform_names(platform, unknown="unknown"))


def platform_names(platform: dict[str, Any], *, unknown: str) -> tuple[str, str]:
    """Operating system and architecture as engines take them: in any letters, amd64 by its other names, too."""
    system, architecture = (
        name.lower() if isinstance(name, str) and _PLATFORM_NAME.fullmatch(name) else unknown
        for name in (platform.get("os"), platform.get("architecture"))
    )
    return system, "amd64" if architecture in _AMD64 else architecture


def _variant(descriptor: dict[str, Any]) -> str:
    return str((descriptor.get("platform") or {}).get("variant") or "")


def _is_attestation(descriptor: dict[str, Any]) -> bool:
    annotations = descriptor.get("annotations")
    annotations = annotations if isinstance(annotations, dict) else {}
    kind = str(annotations.get("kind", ""))
    return (
        "vnd.docker.reference.type" in annotations
        or (kind.startswith(_COSIGN) and kind not in _COSIGN_IMAGES)
        or descriptor.get("artifactType", _IMAGE_CONFIG_TYPES[0]) not in _IMAGE_CONFIG_TYPES
        or (bool(descriptor.get("platform")) and _is_unknown(descriptor))
    )


def _is_unknown(descriptor: dict[str, Any]) -> bool:
    return _platform(descriptor) == "unknown/unknown"


def _blob_name(descriptor: dict[str, Any]) -> str:
    digest: str = descriptor["digest"]
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def _blob_document(archive: UploadArchive, descriptor: dict[str, Any], what: str) -> Any:
    return archive.parse(_blob(archive, descriptor, what), what=what)


def _blob(archive: UploadArchive, descriptor: dict[str, Any], what: str) -> bytes:
    return _verified_document(archive, _blob_name(descriptor), descriptor["digest"].removeprefix("sha256:"), what)


def _verified_document(archive: UploadArchive, name: str, sha256: str | None, what: str) -> bytes:
    member = archive.find(name)
    if member is None:
        raise ImageRejected("missing_part", f"{what} is missing from the archive. {SAVE_AGAIN}")
    data = archive.read_document(member, what=what)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ImageRejected("wrong_digest", f"{what} does not match its digest. {SAVE_AGAIN}")
    return data


def _stored_layer(archive: UploadArchive, name: str, digest: str | None) -> StoredLayer:
    member = archive.find(name)
    if member is None:
        raise ImageRejected("missing_part", f"The layer {quoted(name)} is missing from the archive. {SAVE_AGAIN}")
    return StoredLayer(member, digest)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ImageRejected("bad_json", f"{what} lacks a text where one must stand. {SAVE_AGAIN}")
    return value


def _list(value: Any, what: str) -> Iterator[Any]:
    if not isinstance(value, list):
        raise ImageRejected("bad_json", f"{what} lacks a list where one must stand. {SAVE_AGAIN}")
    return iter(value)
