"""Hostile uploads, one line each: how it is made, the code of its refusal, and words that its sentence holds.

A code of None means that the upload is an image like any other. Whatever an upload is, the answer is one sentence in
plain characters, and nothing is left beside the upload; that is checked for every line, and for thousands of random
mutations.
"""

import gzip
import io
import json
import random
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from containers.intake import ArchiveLimits, ImageRejected, check_archive
from tests.containers.intake.build import (
    END,
    OCI_INDEX,
    OCI_MANIFEST,
    SOME_PROGRAM,
    Files,
    Image,
    digest,
    entry,
    header,
    index_json,
    layer_of,
    manifest_json,
    padded,
    pax,
    sha256,
    tar_of,
)

LIMITS = ArchiveLimits(inflated_bytes=64 << 20)


def old(change: Callable[[Files], object], image: Image | None = None) -> bytes:
    """An image as an old engine saves it, with its files changed."""
    files, links = (image or Image()).old_files()
    change(files)
    return tar_of(files, links)


def new(change: Callable[[Files], object], image: Image | None = None) -> bytes:
    """An image as a new engine saves it, with its files changed."""
    files = (image or Image()).new_files()
    change(files)
    return tar_of(files)


def manifest_text(text: bytes) -> bytes:
    return old(lambda files: files.update({"manifest.json": text}))


def configured(**config: Any) -> bytes:
    return Image(config={"Entrypoint": [SOME_PROGRAM]} | config).saved()


def raw(replace: bytes, by: bytes) -> bytes:
    return Image(raw_config=Image().config_bytes.replace(replace, by)).saved()


def of_layer(layer: bytes) -> bytes:
    return Image([layer]).saved()


def two_platforms(second: str) -> bytes:
    first_files, first, _ = Image().blobs()
    other_files, other, _ = Image(config={"Cmd": ["x"]}).blobs()
    index = index_json(
        first | {"platform": {"os": "linux", "architecture": "amd64"}},
        other | {"platform": {"os": "linux", "architecture": second}},
    )
    return tar_of(first_files | other_files | {"index.json": index})


def zeros_in_gzip(mebibytes: int) -> bytes:
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb", compresslevel=9) as file:
        file.write(header(b"manifest.json", mebibytes << 20))
        for _ in range(mebibytes):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def gnu_long(kind: bytes, text: bytes) -> bytes:
    return header(b"././@LongLink", len(text), kind) + padded(text)


PLAIN = Image().saved()
BODY = PLAIN.rstrip(b"\0")
BODY += bytes(-len(BODY) % 512)
ORDINARY = layer_of(entry("program", data=b"x"))
FILE = header(b"a", 0)

ARCHIVES: dict[str, tuple[bytes, str | None, str]] = {
    # the file
    "one byte": (b"\0", "not_an_archive", "docker save"),
    "zeros": (bytes(10240), "not_an_archive", "docker save"),
    "a lone gzip header": (b"\x1f\x8b\x08\0", "truncated", "complete file"),
    "an HTML page": (b"<html>" * 400, "not_an_archive", "docker save"),
    "an end without an image": (END, "not_an_archive", ""),
    "two images one after the other": (PLAIN + Image(config={"Cmd": ["other"]}).saved(), None, ""),
    "two gzip files one after the other": (gzip.compress(PLAIN[:1536]) + gzip.compress(PLAIN[1536:]), None, ""),
    "gzip and then garbage": (gzip.compress(PLAIN) + b"garbage", "damaged", "gzip"),
    "gzip in gzip": (gzip.compress(gzip.compress(PLAIN)), "not_an_archive", ""),
    "without the end mark": (BODY, None, ""),
    "cut in the last header": (BODY[:-700], "truncated", "complete file"),
    "a bomb of zeros": (zeros_in_gzip(80), "inflates_too_far", "Leave data"),
    "a sparse member": (header(b"manifest.json", 1 << 40, b"S") + END, "not_an_archive", ""),
    "a member of 8 EiB": (
        FILE + header(b"b", 0, size_field=b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7) + END,
        "damaged",
        "",
    ),
    "a negative size": (header(b"a", 0, size_field=b"\xff" * 12) + END, "not_an_archive", ""),
    "100,000 members": (FILE * 100_000 + END, "ambiguous", "twice"),
    "too many members": (b"".join(header(b"%d" % n, 0) for n in range(5000)) + END, "too_many_entries", ""),
    "too many long names": (FILE + gnu_long(b"L", b"n" * 600) * 5000 + END, "too_many_entries", ""),
    "a long name of a gigabyte": (FILE + header(b"././@LongLink", 1 << 30, b"L") + END, "damaged", "1 MiB"),
    "pax records of a gigabyte": (FILE + header(b"x", 1 << 30, b"x") + END, "damaged", "1 MiB"),
    "a pax path out of it": (FILE + pax(path="../../etc/passwd") + header(b"b", 0) + END, "unsafe_member", "out of it"),
    "a GNU name out of it": (FILE + gnu_long(b"L", b"/etc/passwd\0") + header(b"b", 0) + END, "unsafe_member", "out"),
    "a pax path with NUL": (FILE + pax(path="b\0c") + header(b"b", 0) + END, "damaged", "not a readable tar"),
    "a pax time that is none": (FILE + pax(mtime="soon") + header(b"b", 0) + END, "damaged", "not a readable tar"),
    "a global pax header": (header(b"g", 16, b"g") + padded(b"16 comment=abcd\n") + PLAIN, None, ""),
    "a manifest twice": (BODY + tar_of({"manifest.json": b"[]"}), "ambiguous", "'manifest.json' twice"),
    "a manifest twice by a dot": (BODY + tar_of({"./manifest.json": b"[]"}), "ambiguous", "twice"),
    "a folder and a file of one name": (BODY + tar_of({"manifest.json/": b""}), None, ""),
    "a hard link": (layer_of(entry("a"), entry("b", tarfile.LNKTYPE, target="a")), "unsafe_member", "hardlink"),
    "a device": (layer_of(entry("a", tarfile.BLKTYPE)), "unsafe_member", "device"),
    "an unknown kind": (FILE + header(b"b", 0, b"Z") + END, "damaged", "unknown kind"),
    "a manifest that is a link": (
        tar_of({"real": b"[]"}, {"manifest.json": "/etc/passwd"}),
        "unsafe_member",
        "out of it",
    ),
    "bytes that are no text": (BODY + layer_of(entry("\udcff\udcfe")), None, ""),
    "control characters": (layer_of(entry("../\x1b]0;x\x07\u202e<b>")), "unsafe_member", "\\x1b"),
    # JSON
    "an empty manifest": (manifest_text(b"[]"), "no_image", ""),
    "a manifest of null": (manifest_text(b"null"), "no_image", ""),
    "a manifest of nulls": (manifest_text(b"[null]"), "bad_json", ""),
    "a manifest of a huge number": (manifest_text(b"9" * 100_000), "bad_json", ""),
    "a manifest nested deeply": (manifest_text(b"[" * 500 + b"]" * 500), "bad_json", ""),
    "a manifest with a byte order mark": (manifest_text(b"\xef\xbb\xbf[]"), "bad_json", ""),
    "a manifest in UTF-16": (manifest_text("[]".encode("utf-16")), "bad_json", ""),
    "Infinity": (raw(b'"amd64"', b"Infinity"), "bad_json", ""),
    "1e999": (raw(b'"linux"', b"1e999"), "wrong_platform", "unknown platform"),
    "a key twice by an escape": (raw(b'"os": ', b'"o\\u0073": "windows", "os": '), "duplicate_key", "'os' twice"),
    "a key of another case": (raw(b'"os": ', b'"OS": "windows", "os": '), "unknown_key", "is 'os' meant?"),
    "a key with a long s": (raw(b'"os": ', b'"o\xc5\xbf": "windows", "os": '), "unknown_key", ""),
    "an index with another's key": (
        new(lambda files: files.update({"index.json": b'{"Manifests": []}'})),
        "unknown_key",
        "'manifests'",
    ),
    "an index that is a list": (new(lambda files: files.update({"index.json": b"[]"})), "bad_json", ""),
    # which image
    "amd64 beside arm64": (two_platforms("arm64"), None, ""),
    "amd64 twice": (two_platforms("amd64"), "several_images", "exactly one"),
    "arm64": (raw(b'"amd64"', b'"arm64"'), "wrong_platform", "docker build --platform linux/amd64"),
    "windows": (raw(b'"linux"', b'"windows"'), "wrong_platform", "built for windows"),
    "a platform made to mislead": (raw(b'"amd64"', b'"<script>"'), "wrong_platform", "an unknown platform"),
    "a digest of another kind": (
        tar_of({"index.json": index_json({"mediaType": OCI_MANIFEST, "digest": "sha512:" + "0" * 128, "size": 1})}),
        "wrong_digest",
        "",
    ),
    "a digest that is a path": (
        tar_of({"index.json": index_json({"mediaType": OCI_MANIFEST, "digest": "sha256:../../x", "size": 1})}),
        "wrong_digest",
        "",
    ),
    "an index that is not there": (
        tar_of({"index.json": index_json({"mediaType": OCI_INDEX, "digest": digest(b""), "size": 0})}),
        "no_image",
        "",
    ),
    "a manifest that is not there": (
        tar_of({"index.json": index_json({"mediaType": OCI_MANIFEST, "digest": digest(b""), "size": 0})}),
        "missing_part",
        "",
    ),
    # layers
    "a foreign layer": (
        old(lambda files: [files.pop(name) for name in list(files) if name.endswith("layer.tar")]),
        "missing_part",
        "layer",
    ),
    "one layer too many": (
        old(
            lambda files: files.update(
                {"manifest.json": files["manifest.json"].replace(b'.tar"]', b'.tar", "repositories"]')}
            )
        ),
        "missing_part",
        "different numbers of layers: 1 and 2",
    ),
    "an empty layer": (of_layer(END), None, ""),
    "a layer of no bytes": (of_layer(b""), None, ""),
    "a layer of one zero block": (of_layer(bytes(512)), None, ""),
    "data after the layer's end": (of_layer(ORDINARY + b"hidden" * 999), None, ""),
    "125 layers": (Image([layer_of(entry(f"f{n}")) for n in range(125)]).saved(), None, ""),
    "126 layers": (Image([layer_of(entry(f"f{n}")) for n in range(126)]).saved(), "too_many_layers", "at most 125"),
    "one layer 125 times": (Image([ORDINARY] * 125).saved(), None, ""),
    "a layer in capitals": (
        Image(top={"rootfs": {"type": "layers", "diff_ids": [digest(b"").upper()]}}).saved(),
        "bad_config",
        "",
    ),
    "diff_ids that are numbers": (Image(top={"rootfs": {"type": "layers", "diff_ids": [1]}}).saved(), "bad_config", ""),
    "diff_ids of another image": (
        Image(top={"rootfs": {"type": "layers", "diff_ids": [digest(b"x")]}}).saved(),
        "wrong_digest",
        "Layer 1 of 1",
    ),
    # settings
    "no entrypoint": (Image(config={}).saved(), "no_entrypoint", "Add an ENTRYPOINT"),
    "no settings": (Image(top={"config": None}).saved(), "no_entrypoint", ""),
    "an entrypoint of numbers": (configured(Entrypoint=[1]), "bad_config", ""),
    "a NUL in the entrypoint": (configured(Entrypoint=["/a\0b"]), "bad_json", ""),
    "ANSI in the entrypoint": (configured(Entrypoint=["/\x1b[2J"]), "unusable_entrypoint", "'/\\x1b[2J'"),
    "a user by number": (configured(User="1000:1000"), None, ""),
    "a user by name": (configured(User="nobody"), None, ""),
    "a user that is nobody": (configured(User="\u202e$(id)"), None, ""),
    "VOLUME, HEALTHCHECK, ONBUILD, EXPOSE": (
        configured(
            Volumes={"/weights": {}},
            Healthcheck={"Test": ["CMD", "true"], "Interval": 10**18},
            OnBuild=["RUN x"],
            ExposedPorts={"80/tcp": {}},
        ),
        None,
        "",
    ),
    "a volume list of another type": (configured(Volumes=["/weights"]), None, ""),
    "the labels and variables of a CUDA base": (
        configured(
            Labels={"maintainer": "NVIDIA CORPORATION <cudatools@nvidia.com>"},
            Env=["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470", "PATH=/bin"],
        ),
        None,
        "",
    ),
    "a huge environment": (configured(Env=["A=" + "x" * (2 << 20)]), "too_large", "environment"),
    "a variable longer than a program can be given": (configured(Env=["A=" + "x" * 200_000]), "bad_config", "ENV"),
    "an argument longer than a program can be given": (configured(Cmd=["x" * 200_000]), "bad_config", "CMD"),
    "an environment of many variables": (configured(Env=[f"V{n}=x" for n in range(900)]), None, ""),
    "labels of another type": (configured(Labels=["x"]), None, ""),
    "a working folder with dots": (configured(WorkingDir="/../../etc"), None, ""),
    "a history of another type": (Image(top={"history": 7}).saved(), None, ""),
}


def answer(folder: Path, data: bytes, limits: ArchiveLimits = LIMITS) -> ImageRejected | None:
    """What becomes of an upload, after which only what belongs there may lie in the folder."""
    source, rebuilt = folder / "upload.tar", folder / "rebuilt.tar"
    source.write_bytes(data)
    refused = None
    try:
        check_archive(source, rebuilt, limits=limits)
    except ImageRejected as rejection:
        refused = rejection
    left = sorted(path.name for path in folder.iterdir())
    rebuilt.unlink(missing_ok=True)
    assert left == (["upload.tar"] if refused else ["rebuilt.tar", "upload.tar"])
    message = refused.message if refused else ""
    assert (message.isascii(), message.isprintable(), len(message) < 500) == (True, True, True)
    return refused


@pytest.mark.parametrize(("data", "code", "words"), ARCHIVES.values(), ids=ARCHIVES.keys())
def test_a_hostile_upload_gets_its_answer(tmp_path: Path, data: bytes, code: str | None, words: str) -> None:
    refused = answer(tmp_path, data)
    assert (refused and refused.code) == code, refused and refused.message
    assert refused is None or words in refused.message


# --- Mutations --------------------------------------------------------------------------------------------------------

SMALL = [
    PLAIN,
    tar_of(Image().new_files()),
    tar_of(Image().oci_files()),
    gzip.compress(PLAIN),
    of_layer(layer_of(entry("d/a", data=b"x", pax_headers={"path": "d/" + "n" * 150}), entry("l", b"2", target="d"))),
]


def mutated(data: bytes, chance: random.Random) -> bytes:  # noqa: C901 - a branch for each kind of damage
    """Some bytes, blocks or ends changed; half of the time every header's checksum is made right again."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        block = at - at % 512
        kind = chance.randrange(7)
        if kind == 0:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del changed[at : at + chance.choice([1, 512, 5000])]
        elif kind == 3:
            changed[block:block] = changed[block : block + 512 * chance.randint(1, 3)]
        elif kind == 4:  # a field of a header
            start, size = chance.choice(
                [(0, 100), (100, 8), (108, 8), (124, 12), (136, 12), (156, 1), (257, 8), (345, 155)]
            )
            changed[block + start : block + start + size] = chance.choice(
                [bytes(size), b"\xff" * size, b"7" * size, b"\x80" + chance.randbytes(size - 1), chance.randbytes(size)]
            )
        elif kind == 5:
            changed[at : at + 1] = chance.choice([b'"', b"{", b"[", b"\\u0000", b"1e9999", b"-", b"/../", b"\n"])
        else:
            changed = changed[: at + 1]
        if not changed:
            return b"\0"
    if chance.random() < 0.5:
        for block in range(0, len(changed) - 511, 512):
            if changed[block + 257 : block + 262] == b"ustar":
                changed[block + 148 : block + 156] = b" " * 8
                changed[block + 148 : block + 156] = b"%06o\0 " % sum(changed[block : block + 512])
    return bytes(changed)


@pytest.mark.parametrize("number", range(len(SMALL)))
def test_no_mutation_is_answered_with_anything_but_a_refusal(tmp_path: Path, number: int) -> None:
    chance = random.Random(number)
    begun, codes = time.monotonic(), set()
    tracemalloc.start()
    try:
        for _ in range(600):
            refused = answer(tmp_path, mutated(SMALL[number], chance))
            codes.add(refused.code if refused else None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(codes) > 1, "the mutations reach nothing"
    assert peak < 32 << 20
    assert time.monotonic() - begun < 120


def test_manifests_of_every_shape_are_answered(tmp_path: Path) -> None:
    chance = random.Random(7)
    values: list[Any] = [
        None,
        True,
        -1,
        10**30,
        1.5,
        "",
        "x",
        [],
        {},
        [[]],
        [{}],
        {"Layers": {}},
        "../x",
        "\ud7ff\u202e",
    ]
    config_name = sha256(Image().config_bytes) + ".json"
    for _ in range(500):
        layers = chance.choice([*values, ["a.tar"], ["a.tar", chance.choice(values)]])
        document = json.loads(manifest_json(config_name, ["a.tar"]))
        document[0][chance.choice(["Config", "RepoTags", "Layers", "Parent", "x"])] = layers
        upload = tar_of(
            {
                "a.tar": Image().layers[0],
                config_name: Image().config_bytes,
                "manifest.json": json.dumps(chance.choice([document, layers, document * 2])).encode(),
            }
        )
        answer(tmp_path, upload)


def test_configurations_of_every_shape_are_answered(tmp_path: Path) -> None:
    chance = random.Random(8)
    values: list[Any] = [
        None,
        False,
        0,
        -1,
        10**40,
        1e300,
        "",
        "x",
        "\u202e\x1b[1m",
        [],
        {},
        [[]],
        [None],
        {"": ""},
        ["a=b"],
    ]
    keys = ["Entrypoint", "Cmd", "Env", "User", "WorkingDir", "Volumes", "Labels", "Healthcheck", "OnBuild"]
    tops = ["architecture", "os", "rootfs", "config", "history", "created", "variant", "os.features"]
    for _ in range(600):
        config = {"Entrypoint": ["/program"]} | {chance.choice(keys): chance.choice(values) for _ in range(2)}
        top = {chance.choice(tops): chance.choice(values)} if chance.random() < 0.4 else {}
        answer(tmp_path, Image(config=config, top=top).saved())
