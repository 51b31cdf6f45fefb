"""Archives as nobody should write them and somebody does: each is taken as Docker takes it, or told what to do.

One line each, as in test_hostile_archives: how it is made, the code of its refusal (None: an image like any other), and
words that its sentence holds.
"""

import gzip
import json
import lzma
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.containers.intake.build import (
    END,
    OCI_MANIFEST,
    Image,
    digest,
    entry,
    folder,
    header,
    index_json,
    layer_of,
    link,
    padded,
    pax,
    second_name,
    sha256,
    tar_of,
)
from tests.containers.intake.test_hostile_archives import answer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BASE = layer_of(
    entry("bin/sh", mode=0o755, data=b"\x7fELF"),
    entry("run", mode=0o755, data=b"#!/bin/sh\n"),
    entry("etc/passwd", data=b"root:x:0:0::/root:\nuser:x:5:5::/home/user:/bin/sh\r\n"),
)
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0"
SETTINGS = {"Entrypoint": ["/run"]}
PLAIN = Image([BASE], config=SETTINGS)
PLATFORM = {"os": "linux", "architecture": "amd64"}


def layers(*more: bytes, **config: Any) -> bytes:
    return Image([BASE, *more], config=SETTINGS | config).saved()


def one_layer(*parts: bytes) -> bytes:
    return layers(b"".join(parts))


def top(**fields: Any) -> bytes:
    return Image([BASE], config=SETTINGS, top=fields).saved()


def program(data: bytes) -> bytes:
    return layers(layer_of(entry("p", mode=0o755, data=data)), Entrypoint=["/p"])


def oci(
    change: Callable[[dict[str, Any], dict[str, Any]], object] = lambda _manifest, _descriptor: None,
    image: Image = PLAIN,
    store: Callable[[bytes], bytes] = gzip.compress,
) -> bytes:
    """An OCI layout whose manifest and descriptor are changed."""
    files, descriptor, _ = image.blobs(store)
    manifest = json.loads(files.pop("blobs/sha256/" + descriptor["digest"][7:]))
    change(manifest, descriptor)
    data = json.dumps(manifest).encode()
    index = index_json(descriptor | {"digest": digest(data), "size": len(data)})
    return tar_of(files | {f"blobs/sha256/{sha256(data)}": data, "index.json": index})


def of_variants(*variants: str) -> bytes:
    """An image for several variants of one platform."""
    files: dict[str, bytes] = {}
    descriptors = []
    for variant in variants:
        more, descriptor, _ = Image([BASE], config=SETTINGS | {"Cmd": [variant]}).blobs()
        files |= more
        descriptors.append(descriptor | {"platform": PLATFORM | ({"variant": variant} if variant else {})})
    return tar_of(files | {"index.json": index_json(*descriptors)})


def helm_chart() -> bytes:
    manifest = {"schemaVersion": 2, "config": {"digest": digest(b"{}"), "size": 2}, "layers": []}
    data = json.dumps(manifest).encode()
    index = index_json({"mediaType": OCI_MANIFEST, "digest": digest(data), "size": len(data)})
    return tar_of({f"blobs/sha256/{sha256(part)}": part for part in (b"{}", data)} | {"index.json": index})


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def estargz(layer: bytes) -> bytes:
    return b"".join(map(gzip.compress, pieces(layer, 700)))


def zstd_chunked(layer: bytes) -> bytes:
    footer = b"".join(
        b"\x50\x2a\x4d\x18" + struct.pack("<I", len(text)) + text for text in (b"table of contents", bytes(64))
    )
    return b"".join(map(zstd.compress, pieces(layer, 900))) + footer


def bgzf(data: bytes) -> bytes:
    """As `bgzip` writes it: a member for every 60 kB, each with a field of its own, and an empty one at the end."""
    blocks = b""
    for piece in (*pieces(data, 60_000), b""):
        deflate = zlib.compressobj(wbits=-15)
        body = deflate.compress(piece) + deflate.flush()
        blocks += b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\0BC" + struct.pack("<HH", 2, len(body) + 25)
        blocks += body + struct.pack("<II", zlib.crc32(piece), len(piece))
    return blocks


def before_posix(name: bytes) -> bytes:
    block = bytearray(header(name, 0))
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def below(name: str, files: dict[str, bytes]) -> bytes:
    return tar_of({f"{name}/{path}": data for path, data in files.items()})


ARCHIVES: dict[str, tuple[bytes, str | None, str]] = {
    # layers
    "a home deleted and made anew": (
        layers(layer_of(entry("home/user/x")), layer_of(entry("home/.wh.user")), layer_of(entry("home/user/y"))),
        None,
        "",
    ),
    "a home that hides a lower one": (
        layers(layer_of(entry("home/user/x")), layer_of(entry("home/user/.wh..wh..opq"), entry("home/user/z"))),
        None,
        "",
    ),
    "a home deleted for good": (layers(layer_of(entry("home/user/x")), layer_of(entry(".wh.home"))), None, ""),
    "a home that is a file": (layers(layer_of(entry("home")), User="user"), None, ""),
    "a home in circles": (layers(layer_of(link("home", "h"), link("h", "home")), User="user"), None, ""),
    "a folder over a file": (layers(layer_of(entry("a")), layer_of(folder("a"), entry("a/b"))), None, ""),
    "a file over a folder": (layers(layer_of(entry("a/b")), layer_of(entry("a"))), None, ""),
    "a program that a later layer deletes": (
        layers(layer_of(entry(".wh.run"))),
        "unusable_entrypoint",
        "Correct ENTRYPOINT or CMD, or COPY it",
    ),
    "a hard link into another layer": (
        layers(layer_of(entry("a")), layer_of(second_name("b", "a"))),
        "not_unpackable",
        "no file of the same layer. Build the image with docker build",
    ),
    "no layer but an empty one": (Image([bytes(1024)], config=SETTINGS).saved(), "unusable_entrypoint", "COPY it"),
    "empty layers": (layers(bytes(1024), b"", bytes(512), bytes(10240)), None, ""),
    "empty compressed layers": (oci(image=Image([BASE, bytes(1024), bytes(1024)], config=SETTINGS)), None, ""),
    "estargz": (oci(store=estargz), None, ""),
    "zstd:chunked": (oci(store=zstd_chunked), None, ""),
    "a file whose name looks compressed": (layers(layer_of(entry("]")), layer_of(entry("LZIP"))), None, ""),
    # headers
    "sparse files by pax": (
        one_layer(pax(**{"GNU.sparse.major": "1", "GNU.sparse.name": "s"}), header(b"s", 512), bytes(512), END),
        "sparse_file",
        "not from a tar file made with --sparse",
    ),
    "records that say nothing": (
        one_layer(pax(path="", size="", uid="", mtime="", linkpath=""), header(b"f", 3), padded(b"abc"), END),
        None,
        "",
    ),
    "records of macOS": (
        one_layer(pax(**{"LIBARCHIVE.xattr.com.apple.quarantine": "MDA4"}), header(b"f", 0), END),
        None,
        "",
    ),
    "another character set": (one_layer(pax(hdrcharset="BINARY", path="x\xe9"), header(b"f", 0), END), None, ""),
    "times with fractions": (one_layer(pax(mtime="1700000000.1234567", atime="-5.5"), header(b"f", 0), END), None, ""),
    "one record after another": (one_layer(pax(path="a"), pax(path="b"), header(b"f", 0), END), None, ""),
    "headers of before POSIX": (one_layer(before_posix(b"f"), END), None, ""),
    "a label": (one_layer(header(b"label", 0, b"V"), END), "damaged", "unknown kind"),
    # settings
    "an entrypoint that is a text": (layers(Entrypoint="/run"), "bad_config", "Build the image with docker build"),
    "a command that is a text": (layers(Cmd="--fast"), "bad_config", "not a list of texts"),
    "variables as an object": (layers(Env={"A": "b"}), "bad_config", "not a list of texts"),
    "a variable twice": (layers(Env=["A=1", "A=2"]), None, ""),
    "1,000 variables": (layers(Env=[f"V{i}=" for i in range(1000)]), None, ""),
    "more variables than engines can take": (layers(Env=[f"V{i}=" for i in range(1001)]), "bad_config", "at most 1000"),
    "a variable without a value": (layers(Env=["PATH"]), "bad_config", "not NAME=value. Correct it in the Dockerfile"),
    "a user that passwd does not know": (layers(User="ghost:staff"), None, ""),
    "a user that is a number": (layers(User=1000), "bad_config", "User in the image configuration is not a text"),
    "a relative working folder": (layers(WorkingDir="app"), "bad_config", "not an absolute path. Correct it"),
    "a working folder of Windows": (layers(WorkingDir="C:\\app"), "bad_config", "not an absolute path"),
    "a working folder that is a file": (layers(WorkingDir="/run"), None, ""),
    "what has no effect": (
        layers(
            Healthcheck={"Test": ["NONE"]}, StopSignal="SIGFOO", OnBuild=["RUN x"], Shell=[], Volumes={"/output": {}}
        ),
        None,
        "",
    ),
    "no history": (top(history=None), None, ""),
    "more history than layers": (top(history=[{"empty_layer": True}] * 9), None, ""),
    # platforms
    "amd64 by another name": (top(architecture="x86_64", os="Linux"), None, ""),
    "amd64 in capitals": (top(architecture="AMD64", variant="v2"), None, ""),
    "amd64 by another name in an index": (
        oci(lambda _, descriptor: descriptor.update({"platform": {"os": "linux", "architecture": "x86-64"}})),
        None,
        "",
    ),
    "i386": (top(architecture="386"), "wrong_platform", "built for 386. Build it with docker build --platform"),
    "no platform": (top(architecture="", os=None), "wrong_platform", "--platform linux/amd64"),
    "variants of amd64": (of_variants("v3", "", "v2"), None, ""),
    "one image listed twice": (of_variants("v3", "v3"), None, ""),
    # manifests
    "an artifact's type": (oci(lambda manifest, _: manifest.update({"artifactType": "application/vnd.x"})), None, ""),
    "a layer that may not be passed on": (
        oci(lambda manifest, _: manifest["layers"][0].update({"mediaType": "x/foreign", "urls": ["https://x"]})),
        None,
        "",
    ),
    "a layer that is elsewhere": (
        tar_of({name: data for name, data in PLAIN.oci_files().items() if not data.startswith(b"\x1f\x8b")}),
        "missing_part",
        "is missing from the archive",
    ),
    "a manifest of no type": (oci(lambda _, descriptor: descriptor.pop("mediaType")), "no_image", "docker save"),
    "a Helm chart": (helm_chart(), "wrong_platform", "docker build"),
    # files
    "lz4": (b"\x04\x22\x4d\x18" + bytes(600), "compression", "lz4, which is not supported"),
    "lzma": (lzma.compress(PLAIN.saved(), format=lzma.FORMAT_ALONE), "compression", "gzip, xz or zstd"),
    "lzip": (b"LZIP\x01" + bytes(600), "compression", "lzip"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(600), "compression", "rar"),
    "bgzip": (bgzf(PLAIN.saved()), None, ""),
    "zeros behind gzip": (gzip.compress(PLAIN.saved()) + bytes(512), "damaged", "docker save"),
    "a script that is an image": (
        b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + bytes(600),
        "not_an_archive",
        "Apptainer",
    ),
    "squashfs": (b"hsqs" + bytes(600), "not_an_archive", "Build one from a Dockerfile"),
    "an archive in an archive": (tar_of({"image.tar": PLAIN.saved()}), "no_image", "'image.tar', and no image"),
    "an archive in a folder in an archive": (
        gzip.compress(tar_of({"team/image.tar.gz": gzip.compress(PLAIN.saved())})),
        "no_image",
        "'team/image.tar.gz'",
    ),
    "an OCI layout in a folder": (below("out", PLAIN.oci_files()), "no_image", "in the folder 'out'"),
    "a saved image in a folder": (below("a/b", PLAIN.new_files()), "no_image", "in the folder 'a/b'"),
    "what an image is built from": (
        tar_of({"x/Dockerfile": b"", "x/run.py": b""}),
        "no_image",
        "docker build -t NAME .",
    ),
    "an image of the first engines": (tar_of({"repositories": b"{}", "a/layer.tar": BASE}), "no_image", "docker save"),
    "names with a dot before": (below(".", PLAIN.new_files()), None, ""),
    "files of macOS beside": (
        tar_of(PLAIN.new_files() | {f"._{name}": data for name, data in PLAIN.new_files().items()}),
        None,
        "",
    ),
    # programs
    "for ARM": (program(ELF + b"\xb7\0" + bytes(44)), "unusable_entrypoint", "for ARM (aarch64), not for amd64"),
    "for S/390": (program(b"\x7fELF\x02\x02" + bytes(12) + b"\0\x16"), "unusable_entrypoint", "for S/390"),
    "for amd64": (program(ELF + b"\x3e\0" + bytes(44)), None, ""),
    "for Windows": (program(b"MZ\x90" + bytes(400)), "unusable_entrypoint", "a program for Windows"),
    "a byte order mark": (program(b"\xef\xbb\xbf#!/bin/sh\n"), "unusable_entrypoint", "byte order mark"),
    "no first line": (program(b"print(1)\n"), "unusable_entrypoint", "name its interpreter in ENTRYPOINT"),
    "nothing": (program(b""), "unusable_entrypoint", "neither a program nor a script"),
    "a line of a shell": (layers(Entrypoint=["/run --fast"]), "unusable_entrypoint", 'ENTRYPOINT ["python", "run.py"]'),
    "a variable of a shell": (layers(Entrypoint=["$HOME/run"]), "unusable_entrypoint", "replaced by a shell alone"),
}


@pytest.mark.parametrize(("data", "code", "words"), ARCHIVES.values(), ids=ARCHIVES.keys())
def test_an_odd_archive_is_taken_or_told_what_to_do(tmp_path: Path, data: bytes, code: str | None, words: str) -> None:
    refused = answer(tmp_path, data)
    assert (refused and refused.code) == code, refused and refused.message
    assert refused is None or words in refused.message
