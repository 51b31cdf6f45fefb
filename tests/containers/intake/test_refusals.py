"""What is refused, each with a code and a sentence that says what to do. One rejection per test."""

import bz2
import gzip
import io
import json
import os
import zipfile
from typing import Any

import pytest

from tests.containers.intake.build import SOME_PROGRAM, Image, digest, index_json, manifest_json, sha256, tar_of
from tests.containers.intake.conftest import Refusal

# The file


def test_it_refuses_an_empty_file(refusal: Refusal) -> None:
    refused = refusal(b"")
    assert refused.code == "not_an_archive"
    assert "docker save" in str(refused)


def test_it_refuses_what_is_no_archive(refusal: Refusal) -> None:
    assert "docker save -o image.tar" in str(refusal(b"FROM python:3.12\n" * 99))


def test_it_refuses_random_bytes_in_gzip_before_inflating_them_all(refusal: Refusal) -> None:
    refused = refusal(gzip.compress(bytes(1000) + os.urandom(5 << 20)), inflated_bytes=2 << 20)
    assert refused.code == "not_an_archive"


def test_it_refuses_other_compressions_than_those_it_reads(refusal: Refusal) -> None:
    refused = refusal(bz2.compress(b"x"))
    assert refused.code == "compression"
    assert "compressed with gzip, xz or zstd" in str(refused)


def test_it_refuses_a_zip_file(refusal: Refusal) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("image.tar", b"x")
    assert "zip" in str(refusal(buffer.getvalue()))


def test_it_refuses_a_file_that_is_too_large(refusal: Refusal) -> None:
    refused = refusal(Image().saved(), archive_bytes=2000)
    assert refused.code == "too_large"
    assert "Make the image smaller" in str(refused)


def test_it_refuses_a_truncated_gzip_file(refusal: Refusal) -> None:
    refused = refusal(gzip.compress(Image([tar_of({"w": os.urandom(9999)})]).saved())[:-4000])
    assert refused.code == "truncated"
    assert "upload the complete file" in str(refused)


def test_it_refuses_a_truncated_tar_file(refusal: Refusal) -> None:
    refused = refusal(Image([tar_of({"w": os.urandom(9999)})]).saved()[:5000])
    assert refused.code == "truncated"
    assert "upload the complete file" in str(refused)


def test_it_refuses_a_damaged_gzip_file(refusal: Refusal) -> None:
    data = bytearray(gzip.compress(Image().saved()))
    data[-6] ^= 1  # in the checksum
    assert refusal(bytes(data)).code == "damaged"


def test_it_refuses_a_gzip_bomb(refusal: Refusal) -> None:
    bomb = gzip.compress(tar_of({"bomb": bytes(9 << 20)}))
    refused = refusal(bomb, inflated_bytes=4 << 20)
    assert refused.code == "inflates_too_far"
    assert "4.19 MB" in str(refused)


def test_it_refuses_a_bomb_in_a_layer(refusal: Refusal) -> None:
    bomb = tar_of(Image([tar_of({"bomb": bytes(9 << 20)})]).oci_files())
    assert refusal(bomb, inflated_bytes=4 << 20).code == "inflates_too_far"


def test_it_refuses_a_million_empty_gzip_parts(refusal: Refusal) -> None:
    refused = refusal(gzip.compress(b"") * 20_000, compressed_parts=10_000)
    assert "gzip parts" in str(refused)


def test_it_refuses_a_containers_files_without_configuration(refusal: Refusal) -> None:
    refused = refusal(tar_of({"bin/": b"", "etc/passwd": b"root"}))
    assert refused.code == "no_image"
    assert "docker export" in str(refused)


# Which image


def test_it_refuses_two_images(refusal: Refusal) -> None:
    files, links = Image().old_files()
    entry = json.loads(files["manifest.json"])[0]
    refused = refusal(tar_of(files | {"manifest.json": json.dumps([entry, entry]).encode()}, links))
    assert refused.code == "several_images"
    assert "exactly one image" in str(refused)


def test_it_refuses_an_index_of_two_images(refusal: Refusal) -> None:
    (first, first_descriptor, _), (second, second_descriptor, _) = (
        Image().blobs(),
        Image(config={"Cmd": ["x"]}).blobs(),
    )
    upload = tar_of(first | second | {"index.json": index_json(first_descriptor, second_descriptor)})
    assert refusal(upload).code == "several_images"


def test_it_refuses_an_index_that_leads_to_another_image_than_the_manifest(refusal: Refusal) -> None:
    other, descriptor, _ = Image(config={"Entrypoint": ["/other"]}).blobs()
    refused = refusal(tar_of(Image().new_files() | other | {"index.json": index_json(descriptor)}))
    assert refused.code == "ambiguous"
    assert "different images" in str(refused)


def test_it_refuses_an_endless_index(refusal: Refusal) -> None:
    files: dict[str, bytes] = {}
    index = index_json()
    for _ in range(5):
        files[f"blobs/sha256/{sha256(index)}"] = index
        descriptor = {
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": digest(index),
            "size": len(index),
        }
        index = index_json(descriptor)
    assert refusal(tar_of(files | {"index.json": index})).code == "several_images"


def test_it_refuses_an_index_without_an_image(refusal: Refusal) -> None:
    assert refusal(tar_of({"index.json": index_json()})).code == "no_image"


# JSON


def with_manifest(**entry: Any) -> bytes:
    files, links = Image().old_files()
    files["manifest.json"] = json.dumps([json.loads(files["manifest.json"])[0] | entry]).encode()
    return tar_of(files, links)


def test_it_refuses_a_case_variant_key_in_the_manifest(refusal: Refusal) -> None:
    refused = refusal(with_manifest(layers=["elsewhere.tar"]))
    assert refused.code == "unknown_key"
    assert "'layers' (is 'Layers' meant?)" in str(refused)


def test_it_refuses_a_case_variant_key_in_the_configuration(refusal: Refusal) -> None:
    refused = refusal(Image(config={"Entrypoint": ["/p"], "entrypoint": ["/q"]}).saved())
    assert refused.code == "unknown_key"


def test_it_refuses_a_case_variant_key_at_the_top_of_the_configuration(refusal: Refusal) -> None:
    assert refusal(Image(top={"RootFS": {}}).saved()).code == "unknown_key"


def test_it_refuses_an_unknown_key_in_an_oci_manifest(refusal: Refusal) -> None:
    files, descriptor, _ = Image().blobs()
    manifest = json.loads(files["blobs/sha256/" + descriptor["digest"][7:]]) | {"Layers": []}
    data = json.dumps(manifest).encode()
    index = index_json(descriptor | {"digest": digest(data), "size": len(data)})
    upload = tar_of(files | {f"blobs/sha256/{sha256(data)}": data, "index.json": index})
    assert "is 'layers' meant?" in str(refusal(upload))


def test_it_refuses_duplicate_keys_in_the_manifest(refusal: Refusal) -> None:
    files, links = Image().old_files()
    files["manifest.json"] = files["manifest.json"].replace(b'"RepoTags"', b'"Config": "x", "RepoTags"')
    refused = refusal(tar_of(files, links))
    assert refused.code == "duplicate_key"
    assert "'Config' twice" in str(refused)


def test_it_refuses_duplicate_keys_in_the_configuration(refusal: Refusal) -> None:
    raw = Image().config_bytes.replace(b'"os": "linux"', b'"os": "linux", "os": "linux"')
    assert refusal(Image(raw_config=raw).saved()).code == "duplicate_key"


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b"[" * 100_000,
        b'{"created": ' + b"[" * 50 + b"]" * 50 + b"}",
        b'{"created": NaN}',
        b'{"author": "a\\u0000b"}',
        b'{"author": "\\ud800"}',
        b'{"author": "\xff"}',
        b'{"Size": ' + b"1" * 5000 + b"}",
        b"[]",
        b"",
    ],
    ids=["text", "bomb", "deep", "nan", "nul", "surrogate", "latin-1", "long number", "list", "empty"],
)
def test_it_refuses_bad_json(refusal: Refusal, raw: bytes) -> None:
    refused = refusal(Image(raw_config=raw).saved())
    assert refused.code == "bad_json"
    assert "Save the image again" in str(refused)


def test_it_refuses_a_huge_configuration(refusal: Refusal) -> None:
    refused = refusal(Image(config={"Entrypoint": [SOME_PROGRAM], "Labels": {"x": "y" * (1 << 20)}}).saved())
    assert refused.code == "too_large"
    assert "labels" in str(refused)


def test_it_refuses_a_manifest_whose_parts_have_other_types(refusal: Refusal) -> None:
    assert refusal(with_manifest(Layers="layer.tar")).code == "bad_json"


# The configuration


def test_it_refuses_an_image_for_arm(refusal: Refusal) -> None:
    refused = refusal(Image(top={"architecture": "arm64", "variant": "v8"}).saved())
    assert str(refused) == (
        "This image is built for arm64. Build it with docker build --platform linux/amd64 and upload it again."
    )


def test_it_refuses_an_image_for_windows(refusal: Refusal) -> None:
    assert "built for windows." in str(refusal(Image(top={"os": "windows"}).saved()))


def test_it_refuses_an_index_of_other_platforms(refusal: Refusal) -> None:
    (first, one, _), (second, two, _) = (
        Image().blobs(),
        Image(config={"Cmd": ["x"]}).blobs(),
    )
    index = index_json(
        one | {"platform": {"os": "linux", "architecture": "arm64"}},
        two | {"platform": {"os": "linux", "architecture": "s390x"}},
    )
    assert "linux/arm64, linux/s390x" in str(refusal(tar_of(first | second | {"index.json": index})))


@pytest.mark.parametrize("config", [{}, {"Entrypoint": [], "Cmd": None}, {"Entrypoint": [""], "Cmd": ["x"]}])
def test_it_refuses_an_image_that_runs_nothing(refusal: Refusal, config: dict[str, Any]) -> None:
    refused = refusal(Image(config=config).saved())
    assert refused.code == "no_entrypoint"
    assert "Add an ENTRYPOINT" in str(refused)


@pytest.mark.parametrize(
    "config",
    [{"Env": ["NAME"]}, {"Env": ["=x"]}, {"Env": "A=b"}, {"WorkingDir": "opt"}, {"User": 0}, {"Entrypoint": "/p"}],
)
def test_it_refuses_settings_that_the_engine_would_choke_on(refusal: Refusal, config: dict[str, Any]) -> None:
    assert refusal(Image(config={"Cmd": ["x"]} | config).saved()).code == "bad_config"


def test_it_refuses_more_layers_than_the_engine_can_mount(refusal: Refusal) -> None:
    refused = refusal(Image([tar_of({f"f{number}": b""}) for number in range(126)]).saved())
    assert refused.code == "too_many_layers"
    assert "at most 125" in str(refused)


def test_it_refuses_an_image_without_layers(refusal: Refusal) -> None:
    assert refusal(Image(layers=[]).saved()).code == "no_layers"


def test_it_refuses_layers_of_another_kind(refusal: Refusal) -> None:
    assert refusal(Image(top={"rootfs": {"type": "layers+base", "diff_ids": ["x"]}}).saved()).code == "bad_config"


# Digests


def test_it_refuses_a_configuration_that_does_not_match_its_name(refusal: Refusal) -> None:
    files, links = Image().old_files()
    files[sha256(Image().config_bytes) + ".json"] = Image(config={"Cmd": ["x"]}).config_bytes
    refused = refusal(tar_of(files, links))
    assert refused.code == "wrong_digest"
    assert "configuration does not match" in str(refused)


def test_it_refuses_a_configuration_that_is_missing(refusal: Refusal) -> None:
    assert refusal(with_manifest(Config="0" * 64 + ".json")).code == "missing_part"


def test_it_refuses_a_layer_that_is_not_in_the_archive(refusal: Refusal) -> None:
    files, links = Image().old_files()
    layer = next(name for name in files if name.endswith("layer.tar"))
    del files[layer]
    refused = refusal(tar_of(files, links))
    assert refused.code == "missing_part"
    assert layer[:20] in str(refused)


def test_it_refuses_a_layer_with_other_content_than_its_diff_id(refusal: Refusal) -> None:
    files, links = Image().old_files()
    layer = next(name for name in files if name.endswith("layer.tar"))
    refused = refusal(tar_of(files | {layer: tar_of({"program": b"other"})}, links))
    assert refused.code == "wrong_digest"
    assert "Layer 1 of 1" in str(refused)


def test_it_refuses_a_compressed_layer_with_another_digest(refusal: Refusal) -> None:
    files = Image().oci_files()
    layer = next(name for name, data in files.items() if data.startswith(b"\x1f\x8b"))
    other = bytearray(files[layer])
    other[4] ^= 1  # the time in the gzip header, which changes nothing of the content
    assert refusal(tar_of(files | {layer: bytes(other)})).code == "wrong_digest"


def test_it_refuses_a_layer_of_another_size_than_stated(refusal: Refusal) -> None:
    files = Image().oci_files()
    layer = next(name for name, data in files.items() if data.startswith(b"\x1f\x8b"))
    assert "another size" in str(refusal(tar_of(files | {layer: files[layer] + b"x"})))


def test_it_refuses_a_wrong_second_copy_of_a_layer(refusal: Refusal) -> None:
    layer = Image().layers[0]
    image = Image([layer, layer])
    config_name = sha256(image.config_bytes) + ".json"
    files = {
        "a.tar": layer,
        "b.tar": tar_of({"program": b"other"}),
        config_name: image.config_bytes,
        "manifest.json": manifest_json(config_name, ["a.tar", "b.tar"]),
    }
    assert "Layer 2 of 2" in str(refusal(tar_of(files)))


def test_it_refuses_fewer_layers_than_the_configuration_lists(refusal: Refusal) -> None:
    assert refusal(with_manifest(Layers=[])).code == "missing_part"
