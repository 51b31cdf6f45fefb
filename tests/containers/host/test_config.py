"""A bad setting stops the start with a line that says which."""

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
    assert settings.cache_bytes == 20 << 30


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


def test_slots_of_one_kind_given_twice_have_different_names() -> None:
    names = [slot.name for slot in parse_slots("cpu:1,cpu:2", first_uid=1000)]
    assert len(set(names)) == 3


def test_an_encrypted_broker_whose_certificate_would_not_be_checked_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ssl_cert_reqs=required"):
        from_environment(GOOD | {"REDIS_URL": "rediss://host:secret@broker.example.org/0"})
    from_environment(GOOD | {"REDIS_URL": "rediss://host:secret@broker.example.org/0?ssl_cert_reqs=required"})
