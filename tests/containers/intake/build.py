"""Archives as tools write them, and as attackers would, composed in pure Python from tiny parts."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Files = dict[str, bytes]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(data: bytes) -> str:
    return "sha256:" + sha256(data)


def tar_of(files: Files, links: dict[str, str] | None = None, mode: int = 0o755) -> bytes:
    """A tar file: names ending in "/" are folders, `links` symbolic ones."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode = mode
            member.size = len(data)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def header(
    name: bytes, size: int, flag: bytes = b"0", *, size_field: bytes | None = None, group_field: bytes = b"0000000\0"
) -> bytes:
    """One tar header block, with any type and size, and a right checksum."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[116:124] = group_field
    block[124:136] = size_field or b"%011o\0" % size
    block[156:157] = flag
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(**records: str) -> bytes:
    """A pax extended header with these records, as a header block and its data."""
    body = b""
    for key, value in records.items():
        record = f" {key}={value}\n".encode()
        length = len(record) + 1
        while len(str(length)) + len(record) != length:
            length += 1
        body += str(length).encode() + record
    return header(b"PaxHeaders/x", len(body), b"x") + padded(body)


END = bytes(1024)

#: A program of which nobody can tell from an image whether it will be there.
SOME_PROGRAM = "/proc/self/exe"


@dataclass
class Image:
    """An image to be saved. The defaults are the least that is accepted; `config` and `top` overwrite."""

    layers: list[bytes] = field(default_factory=lambda: [tar_of({"program": b"#!/proc/self/exe first"})])
    config: dict[str, Any] = field(default_factory=lambda: {"Entrypoint": [SOME_PROGRAM]})
    top: dict[str, Any] = field(default_factory=dict)
    raw_config: bytes | None = None

    @property
    def config_bytes(self) -> bytes:
        if self.raw_config is not None:
            return self.raw_config
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in self.layers]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "COPY . /"} for _ in self.layers],
        }
        return json.dumps(document | self.top).encode()

    def old_files(self, tags: Iterable[str] = ("team/algorithm:latest",)) -> tuple[Files, dict[str, str]]:
        """What `docker save` before 25 writes: a folder for each layer, repeated layers as links."""
        files: Files = {}
        links: dict[str, str] = {}
        places: dict[bytes, str] = {}
        names = []
        for number, layer in enumerate(self.layers):
            name = sha256(b"%d" % number)
            names.append(f"{name}/layer.tar")
            files[f"{name}/"] = b""
            files[f"{name}/VERSION"] = b"1.0"
            files[f"{name}/json"] = b"{}"
            if layer in places:
                links[names[-1]] = f"../{places[layer]}/layer.tar"
            else:
                files[names[-1]] = layer
                places[layer] = name
        config_name = sha256(self.config_bytes) + ".json"
        files[config_name] = self.config_bytes
        files["manifest.json"] = manifest_json(config_name, names, tags)
        files["repositories"] = b"{}"
        return files, links

    def blobs(self, store: Callable[[bytes], bytes] = bytes) -> tuple[Files, dict[str, Any], list[str]]:
        """OCI blobs with the descriptor of the manifest and the names of the layers; `store` compresses a
        layer.
        """
        files: Files = {}

        def add(data: bytes, media_type: str) -> dict[str, Any]:
            files[f"blobs/sha256/{sha256(data)}"] = data
            return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

        config = add(self.config_bytes, OCI_CONFIG)
        layers = [add(store(layer), OCI_LAYER) for layer in self.layers]
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
        descriptor = add(json.dumps(manifest).encode(), OCI_MANIFEST)
        return files, descriptor, ["blobs/sha256/" + layer["digest"][7:] for layer in layers]

    def new_files(self) -> Files:
        """What `docker save` since 25 writes: an OCI layout and manifest.json."""
        files, descriptor, layers = self.blobs()
        return files | {
            "index.json": index_json(descriptor),
            "manifest.json": manifest_json(f"blobs/sha256/{sha256(self.config_bytes)}", layers),
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        }

    def oci_files(self, store: Callable[[bytes], bytes] = gzip.compress) -> Files:
        """What buildx `type=oci` writes: an index in the index, an attestation beside the image."""
        files, descriptor, _ = self.blobs(store)
        attestation = json.dumps({"schemaVersion": 2, "layers": []}).encode()
        inner = index_json(
            descriptor | {"platform": {"architecture": "amd64", "os": "linux"}},
            {
                "mediaType": OCI_MANIFEST,
                "digest": digest(attestation),
                "size": len(attestation),
                "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
                "platform": {"architecture": "unknown", "os": "unknown"},
            },
        )
        outer = {"mediaType": OCI_INDEX, "digest": digest(inner), "size": len(inner)}
        return files | {
            f"blobs/sha256/{sha256(attestation)}": attestation,
            f"blobs/sha256/{sha256(inner)}": inner,
            "index.json": index_json(outer),
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        }

    def saved(self) -> bytes:
        """The image as `docker save` before 25 writes it, the commonest form."""
        return tar_of(*self.old_files())


def manifest_json(config_name: str, layers: list[str], tags: Iterable[str] = (), **more: Any) -> bytes:
    return json.dumps([{"Config": config_name, "RepoTags": list(tags), "Layers": layers} | more]).encode()


def index_json(*descriptors: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}).encode()


def written(folder: Path, data: bytes) -> Path:
    path = folder / "upload.tar"
    path.write_bytes(data)
    return path


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", data: bytes = b"", **fields: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """One entry of a layer; `fields` are those of a TarInfo (`pax_headers` for what only pax can say)."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, len(data)
    for key, value in fields.items():
        setattr(member, key, value)
    return member, data


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.DIRTYPE)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.SYMTYPE, target=target)


def second_name(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.LNKTYPE, target=target)


def layer_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A layer with exactly these entries in this order, honest or not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in entries:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
