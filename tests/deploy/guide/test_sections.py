"""Which test carries out which section of the guide. One without an entry fails here."""

from __future__ import annotations

import re

import pytest

from tests.deploy.conftest import ROOT
from tests.deploy.guide import text
from tests.deploy.guide.conftest import COMPOSE, NEW_HOST, SYSTEMD

GUIDE = "tests/deploy/guide/test_guide.py"
OPERATIONS = "tests/leaderboard/operations"
CARRIED_OUT: dict[str, tuple[str, ...]] = {
    # Not tried: the certificate from Let's Encrypt, for which there is nobody to ask; compose itself.
    COMPOSE: (
        f"{GUIDE}::test_compose_is_asked_for_files_services_and_commands_that_there_are",
        "tests/deploy/test_images.py",
        "tests/deploy/test_compose.py",
        "tests/deploy/test_proxy.py::test_only_the_proof_of_a_certificate_is_served_without_tls",
    ),
    # Not tried: the walls of the units, which systemd reads, and the packet filter.
    SYSTEMD: (
        f"{GUIDE}::test_the_site_answers_over_tls_after_the_installation",
        f"{GUIDE}::test_the_first_owner_signs_in_without_a_mail_and_is_led_to_a_second_factor",
        "tests/deploy/test_systemd.py",
    ),
    NEW_HOST: (
        f"{GUIDE}::test_two_hosts_with_an_engine_each_are_known_to_the_server_and_ready",
        "tests/deploy/test_broker.py",
        "tests/deploy/test_settings_files.py",
    ),
    # What has to have a GPU skips without one, and says so.
    "GPUs": (
        "tests/gpu/test_real_gpus.py",
        "tests/containers/host/test_gpu_slots.py",
        "tests/containers/sandbox/test_gpus.py",
    ),
    "Stronger walls": ("tests/containers/sandbox/test_engine.py", "tests/containers/sandbox/test_kernel_view.py"),
    "When a host fails": ("tests/containers/host/test_slot_backoff.py", "tests/containers/host/test_host_faults.py"),
    "Connections to the database": (
        f"{GUIDE}::test_the_database_has_room_for_as_many_connections_as_the_guide_says",
        "tests/deploy/test_compose.py::test_the_database_has_a_connection_for_whoever_may_ask",
    ),
    "Upgrades": (
        f"{GUIDE}::test_an_upgrade_shows_the_new_version_and_keeps_the_hosts",
        "tests/upgrade/test_database.py",
        "tests/upgrade/test_going_on.py",
    ),
    "Backups": (
        f"{GUIDE}::test_a_backup_comes_to_life_where_nothing_was_left_and_the_hosts_come_back",
        f"{OPERATIONS}/test_backup.py",
        "tests/journey/test_restore.py",
    ),
    "What is kept, and for how long": (
        f"{OPERATIONS}/test_retention.py",
        "tests/containers/host/test_image_cache.py",
        "tests/containers/host/test_blob_cache.py",
    ),
    "Data to download": ("tests/leaderboard/challenge/test_downloads.py", "tests/leaderboard/web/test_data.py"),
    # Not tried: journald, and Docker's own log driver.
    "Logs": (f"{GUIDE}::test_every_service_whose_log_the_guide_names_is_one_of_composes",),
    "Watching": (
        f"{OPERATIONS}/test_health.py",
        f"{OPERATIONS}/test_alarms.py",
        "tests/leaderboard/web/desk/test_health.py",
        "tests/leaderboard/web/test_without_a_database.py",
    ),
    "What a start refuses": ("tests/deploy/test_start.py", "tests/deploy/test_images.py"),
}


def test_every_section_of_the_guide_is_carried_out_somewhere() -> None:
    assert list(CARRIED_OUT) == list(text.sections())


@pytest.mark.parametrize("test", sorted({test for tests in CARRIED_OUT.values() for test in tests}))
def test_what_carries_a_section_out_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert re.search(rf"^ *def {name or 'test_'}", (ROOT / file).read_text(), re.MULTILINE)


def test_blocks_of_commands_stand_in_the_sections_that_are_carried_out_whole() -> None:
    """Those commands that a test of the guide types: of the other sections it would miss them."""
    assert [heading for heading in text.sections() if text.commands(heading)] == [COMPOSE, SYSTEMD, NEW_HOST, "Backups"]
