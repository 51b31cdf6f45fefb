"""The tests' database between two tests: nothing that a test committed stays, and what migrations made does."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test import TransactionTestCase

from leaderboard.core import audit
from leaderboard.operations import backup
from tests import databases
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db(transaction=True)


def filled() -> set[str]:
    """The tables that have rows."""
    return {model._meta.db_table for model in apps.get_models() if model._default_manager.exists()}


@pytest.mark.parametrize("large_bytes", [databases.LARGE_BYTES, -1], ids=["small", "large"])
def test_emptying_leaves_nothing_of_a_test_and_all_that_migrations_made(
    large_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LARGE_BYTES", large_bytes)
    made = [
        ContentType.objects.count(),
        Permission.objects.count(),
        len(MigrationRecorder(connection).applied_migrations()),
    ]
    person = cast.person("Alice")
    cast.submit_checked(cast.team_of(person), cast.phase())
    with transaction.atomic():
        audit.record(audit.Actor.person(person), "test", person)
    assert len(filled()) > 10

    databases.empty_tables(TransactionTestCase())

    assert filled() == {"django_content_type", "auth_permission"}
    assert [
        ContentType.objects.count(),
        Permission.objects.count(),
        len(MigrationRecorder(connection).applied_migrations()),
    ] == made


def test_a_clone_has_the_tables_and_the_rows_of_migrations_alone(template_database: str) -> None:
    name = f"clone_{cast.person('Alice').pk}"
    databases.at_server(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
    ours = connection.settings_dict["NAME"]
    try:
        databases.use(name)
        assert filled() == {"django_content_type", "auth_permission"} | backup.FILLED_AT_FIRST
    finally:
        databases.use(ours)
        databases.drop(name)
    assert "leaderboard_user" in filled()
