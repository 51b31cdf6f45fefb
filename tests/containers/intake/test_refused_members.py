"""Members and layers that are refused, each with a code and a sentence. One rejection per test."""

import bz2
import gzip
import io
import os
import tarfile

import pytest

from tests.containers.intake.build import Image, tar_of
from tests.containers.intake.conftest import Refusal

# Members


@pytest.mark.parametrize("name", ["../../etc/cron.d/evil", "/etc/passwd", "blobs/../../x"])
def test_it_refuses_names_that_lead_out_of_the_archive(refusal: Refusal, name: str) -> None:
    files, links = Image().old_files()
    refused = refusal(tar_of(files | {name: b"x"}, links))
    assert refused.code == "unsafe_member"
    assert "leads out of it" in str(refused)


def test_it_refuses_a_layer_that_is_a_link_out_of_the_archive(refusal: Refusal) -> None:
    files, links = Image().old_files()
    layer = next(name for name in files if name.endswith("layer.tar"))
    del files[layer]
    assert refusal(tar_of(files, links | {layer: "../../../../etc/shadow"})).code == "unsafe_member"


def test_it_refuses_links_that_go_round(refusal: Refusal) -> None:
    files, links = Image().old_files()
    layer = next(name for name in files if name.endswith("layer.tar"))
    del files[layer]
    assert refusal(tar_of(files, links | {layer: "../loop", "loop": layer})).code == "missing_part"


def test_it_refuses_two_members_of_one_name(refusal: Refusal) -> None:
    files, links = Image().old_files()
    refused = refusal(tar_of(files | {"./manifest.json": b"[]"}, links))
    assert refused.code == "ambiguous"
    assert "'manifest.json' twice" in str(refused)


@pytest.mark.parametrize("flag", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_it_refuses_members_that_are_no_files(refusal: Refusal, flag: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("odd")
        member.type = flag
        archive.addfile(member)
    assert refusal(buffer.getvalue()).code == "unsafe_member"


def test_it_quotes_names_without_control_characters(refusal: Refusal) -> None:
    assert "\x1b" not in str(refusal(tar_of({"../\x1b[31m\u202egnp.exe" * 9: b"x"})))


def test_it_refuses_too_many_members(refusal: Refusal) -> None:
    assert refusal(Image().saved(), archive_members=3).code == "too_many_entries"


# Layers


def test_it_refuses_too_many_files_in_the_layers(refusal: Refusal) -> None:
    layers = [tar_of({f"{layer}-{number}": b"" for number in range(6)}) for layer in range(2)]
    refused = refusal(Image(layers).saved(), layer_members=10)
    assert refused.code == "too_many_entries"
    assert "Leave out files" in str(refused)


def test_it_refuses_a_layer_that_is_no_tar_file(refusal: Refusal) -> None:
    assert "Layer 1 of 1 is not a readable tar file" in str(refusal(Image([os.urandom(2000)]).saved()))


def test_it_refuses_layers_of_other_compressions_than_those_it_reads(refusal: Refusal) -> None:
    refused = refusal(tar_of(Image().oci_files(store=bz2.compress)))
    assert refused.code == "compression"
    assert "compression=gzip" in str(refused)


def test_it_refuses_a_layer_compressed_twice(refusal: Refusal) -> None:
    assert refusal(tar_of(Image([gzip.compress(Image().layers[0])]).oci_files())).code == "compression"


def test_it_refuses_a_layer_that_the_engine_would_take_for_compressed(refusal: Refusal) -> None:
    def first_byte_alone(layer: bytes) -> bytes:
        return gzip.compress(layer[:1]) + gzip.compress(layer[1:])

    disguised = tar_of({"BZh91AY": b"x"})
    assert refusal(tar_of(Image([disguised]).oci_files(store=first_byte_alone))).code == "compression"


def test_it_refuses_a_truncated_layer(refusal: Refusal) -> None:
    assert refusal(Image([tar_of({"w": bytes(5000)})[:2000]]).saved()).code == "truncated"


def test_it_refuses_a_truncated_gzip_layer(refusal: Refusal) -> None:
    files = Image().oci_files(store=lambda layer: gzip.compress(layer)[:-9])
    assert refusal(tar_of(files)).code == "truncated"
