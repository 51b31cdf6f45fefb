"""manage.py phase: the phases, with the rules and previews of the desk."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from leaderboard.core import clock
from leaderboard.models import AuditEntry, Phase
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db


def said(*words: str) -> Any:
    told = StringIO()
    call_command("phase", *words, "--json", stdout=told)
    return json.loads(told.getvalue())


def lines(*words: str) -> str:
    told = StringIO()
    call_command("phase", *words, stdout=told)
    return told.getvalue()


def test_phases_are_listed_and_shown():
    phase = cast.phase(memory_bytes=16 << 30)
    assert [one["slug"] for one in said("list")] == ["test"]
    assert "reveal" in lines("list")
    assert said("show", "test")["policies"]["memory_bytes"] == "16 GiB"
    assert f"name={phase.name}" in lines("show", "test")
    with pytest.raises(CommandError, match="no phase “nowhere”"):
        said("show", "nowhere")


def test_a_phase_is_made_copied_and_dropped():
    cast.case_set(name="test-300")
    new = ("new", "test", "--template", "test", "--cases", "test-300", "--name", "Test phase")
    said(*new, "--dry-run")
    assert not Phase.objects.exists()
    assert said(*new, "--set", "runs_total=5")["policies"]["runs_total"] == "5"
    said("copy", "test", "second", "--name", "Second", "--set", "counting=best")
    assert [(one.is_draft, one.counting) for one in Phase.objects.order_by("pk")] == [(True, "last"), (True, "best")]
    said("drop", "second", "--dry-run")
    said("drop", "second")
    assert "Dropped: Test phase" in lines("drop", "test")
    assert not Phase.objects.exists()
    with pytest.raises(CommandError, match="no case set “none”"):
        said("new", "x", "--template", "test", "--cases", "none", "--name", "X")


def test_a_change_says_what_it_would_do_and_needs_a_reason(team):
    phase = cast.phase(runs_per_day=9, closes_at=clock.now() + timedelta(days=9))
    scored(team, phase, dice=0.9)
    scored(team, phase, dice=0.2)
    change = ("change", "test", "--set", "counting=best", "--set", "case_seconds=90 s")
    would = said(*change, "--dry-run")
    assert {one["name"]: one["after"] for one in would["changes"]}["case_seconds"] == "90 s"
    assert would["guidelines"]
    assert would["warnings"]
    [board] = [one for one in would["boards"] if (one["track"], one["reader"]) == ("main", "organiser")]
    assert board["teams"][0]["before"]["run"] != board["teams"][0]["after"]["run"]
    assert "another counting run" in lines(*change, "--dry-run")
    assert not AuditEntry.objects.filter(action="change phase").exists()
    with pytest.raises(CommandError, match="Say why"):
        said(*change)
    said(*change, "--why", "So it was announced.")
    assert (Phase.objects.get().counting, Phase.objects.get().case_seconds) == ("best", 90)
    assert AuditEntry.objects.get(action="change phase").by.startswith("command line")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("cases_are_public=yes", "an act of its own"),
        ("colour=red", "no policy “colour”"),
        ("counting", "has no “=”"),
        ("runs_per_day=0", "greater than or equal to 1"),
    ],
)
def test_what_is_refused(value, sentence):
    cast.phase()
    with pytest.raises(CommandError, match=sentence):
        said("change", "test", "--set", value, "--why", "x")
