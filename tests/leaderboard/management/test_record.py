"""manage.py record."""

import csv
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from leaderboard.hosts import registry
from leaderboard.models import AuditEntry, Host
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def decided(host: Host) -> None:
    registry.drain(host, by=cast.OPERATOR, why="A new\x1b[2J driver, Ärger.")
    registry.end_draining(host, by=cast.OPERATOR)


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("record", *arguments, stdout=out)
    return out.getvalue()


def test_a_whole_record_is_verified_at_once_though_no_sweeper_runs():
    digest = AuditEntry.objects
    assert said("verify").startswith("The chain is unbroken: 2 entries.")
    told = json.loads(said("verify", "--json"))
    assert told == {"entries": 2, "digest": digest.get(number=2).digest, "problems": []}


def test_a_broken_one_is_told_and_ends_with_one():
    said("verify")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE leaderboard_auditentry DISABLE TRIGGER USER")
        cursor.execute("UPDATE leaderboard_auditentry SET why = 'x' WHERE number = 1")
    with pytest.raises(CommandError, match=r"Entry 1 was changed: why\."):
        said("verify")


def test_it_is_searched():
    assert "drain gpu-1" in said("search", "--words", "driver")
    found = json.loads(said("search", "--json", "--thing", "host"))
    assert [one["action"] for one in found] == ["end draining", "drain"]
    assert [one["action"] for one in json.loads(said("search", "--json", "--limit", "1"))] == ["end draining"]
    with pytest.raises(CommandError, match="Write a day"):
        said("search", "--since", "x")


@pytest.mark.parametrize("form", ["--json", ""])
def test_an_export_is_recorded(form):
    text = said("export", *filter(None, [form]), "--words", "ärger")
    rows = json.loads(text) if form else list(csv.DictReader(text.splitlines()))
    assert [one["action"] for one in rows] == ["drain"]
    entry = AuditEntry.objects.latest("pk")
    assert entry.action == "export record"
    assert entry.by.startswith("command line")
