"""A bad setting stops the start with a line that says which."""

import re
from typing import Any

import pytest

from containers.host.config import ConfigurationError, from_environment, parse_slots

GOOD = {
    "REX_SERVER_URL": "https://challenge.example.org",
    "REX_HOST_TOKEN": "token",
    "REDIS_URL": "rediss://host:secret@broker/0?ssl_cert_reqs=required",
    "REX_STATE_DIR": "/var/lib/rexgrounding",
}


def test_defaults_are_one_slot_without_a_gpu() -> None:
    settings = from_environment(GOOD)
    assert [(slot.name, slot.gpus) for slot in settings.slots] == [("cpu0", ())]
    assert settings.sandbox.runtime is None
    assert settings.cache_bytes == 50 << 30


@pytest.mark.parametrize("name", list(GOOD))
def test_what_is_needed_is_named_when_it_is_missing(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        from_environment(GOOD | {name: " "})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REX_SERVER_URL", "challenge.example.org"),
        ("REDIS_URL", "http://broker"),
        ("REX_STATE_DIR", "state"),
        ("REX_SLOTS", "tpu:1"),
        ("REX_SLOTS", "cpu:0"),
        ("REX_SLOTS", "cpu:x"),
        ("REX_SLOTS", ""),
        ("REX_SLOTS", "gpu:0,gpu:0"),
        ("REX_SLOTS", "gpu:0+0"),
        ("REX_SLOTS", "gpu:all devices"),
        ("REX_SLOTS", "gpu:"),
        ("REX_SLOTS", "gpu:0+"),
        ("REX_SLOTS", "gpu:all"),
        ("REX_SLOTS", "gpu:void"),
        ("REX_SLOTS", "gpu:0000:81:00"),
        ("REX_SLOTS", "gpu:nvidia.com/gpu=0"),
        ("REX_GPU_HANDOVER", "CDI"),
        ("REX_GPU_BASELINE", "some"),
        ("REX_INSTANCE", "Rex"),
        ("REX_INSTANCE", "../x"),
        ("REX_CACHE_BYTES", "-1"),
        ("REX_FREE_BYTES", "5 GB"),
        ("REX_IMAGES_KEPT", "0"),
        ("REX_IMAGE_DAYS", "a month"),
        ("REX_CACHE_BYTES", "20 GB"),
        ("REX_SANDBOX_UID", "0"),
        ("REX_SANDBOX_UID", "root"),
        ("REX_SANDBOX_USERNS", "yes"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        from_environment(GOOD | {name: value})


def test_every_slot_has_a_user_of_its_own_that_is_not_the_holders() -> None:
    settings = from_environment(GOOD | {"REX_SLOTS": "cpu:2,gpu:0,gpu:GPU-5f+2"})
    assert [(slot.name, slot.gpus) for slot in settings.slots] == [
        ("cpu0", ()),
        ("cpu1", ()),
        ("gpu0", ("0",)),
        ("gpuGPU-5f+2", ("GPU-5f", "2")),
    ]
    assert len({settings.sandbox.holder_uid, *(slot.uid for slot in settings.slots)}) == 5


UUIDS = tuple(f"GPU-{digit * 8}-1111-2222-3333-444455556666" for digit in "ab")
PART = "MIG-6a5f3c1e-aaaa-5bbb-8ccc-0123456789ab"


@pytest.mark.parametrize(
    ("handover", "text", "gpus"),
    [
        ("runtime", "gpu:0:1,gpu:GPU-5f", [("0:1",), ("GPU-5f",)]),
        ("runtime", f"gpu:{PART},gpu:MIG-{UUIDS[0]}/3/0", [(PART,), (f"MIG-{UUIDS[0]}/3/0",)]),
        ("cdi", f"gpu:0:1+{PART},gpu:{UUIDS[0]}", [("0:1", PART), (UUIDS[0],)]),
        ("cdi", "gpu:nvidia.com/gpu=0+nvidia.com/gpu=1", [("0", "1")]),
    ],
)
def test_gpus_are_named_as_the_drivers_tool_names_them(handover: Any, text: str, gpus: list[tuple[str, ...]]) -> None:
    assert [slot.gpus for slot in parse_slots(text, first_uid=1000, handover=handover)] == gpus


@pytest.mark.parametrize(
    ("handover", "text", "sentence"),
    [
        ("runtime", "gpu:nvidia.com/gpu=0", "is a CDI device: set REX_GPU_HANDOVER=cdi, or write gpu:0."),
        ("cdi", "gpu:GPU-5f", 'CDI knows a GPU by its number or its whole uuid, not by "GPU-5f".'),
        ("cdi", "gpu:all", "nvidia-smi -L lists them."),
        ("cdi", "gpu:example.com/gpu=0", "nvidia-smi -L lists them."),
        ("cdi", "gpu:0,gpu:nvidia.com/gpu=0", "no GPU twice"),
    ],
)
def test_a_gpu_that_cannot_be_handed_over_so_is_refused_with_what_to_do(
    handover: Any, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        parse_slots(text, first_uid=1000, handover=handover)


def test_a_slot_of_several_uuids_has_a_short_name_that_stays_the_same() -> None:
    """The server takes no longer one, and a journal of before finds its slot by it."""
    slots = parse_slots(f"gpu:{'+'.join(UUIDS)}", first_uid=1000)
    assert slots[0].name == parse_slots(f"gpu:{'+'.join(UUIDS)}", first_uid=1000)[0].name
    assert len(slots[0].name) <= 60
    assert slots[0].name != parse_slots(f"gpu:{'+'.join(reversed(UUIDS))}", first_uid=1000)[0].name


def test_how_gpus_are_looked_at_and_handed_over() -> None:
    settings = from_environment(GOOD)
    assert (settings.nvidia_smi, settings.gpu_baseline_bytes) == ("nvidia-smi", 1 << 30)
    assert settings.sandbox.gpu_handover == "runtime"
    settings = from_environment(GOOD | {"REX_NVIDIA_SMI": "none", "REX_GPU_HANDOVER": "cdi", "REX_GPU_BASELINE": "2G"})
    assert (settings.nvidia_smi, settings.sandbox.gpu_handover, settings.gpu_baseline_bytes) == (None, "cdi", 2 << 30)


def test_slots_of_one_kind_given_twice_have_different_names() -> None:
    names = [slot.name for slot in parse_slots("cpu:1,cpu:2", first_uid=1000)]
    assert len(set(names)) == 3


def test_an_encrypted_broker_whose_certificate_would_not_be_checked_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ssl_cert_reqs=required"):
        from_environment(GOOD | {"REDIS_URL": "rediss://host:secret@broker.example.org/0"})
    from_environment(GOOD | {"REDIS_URL": "rediss://host:secret@broker.example.org/0?ssl_cert_reqs=required"})
