"""Acts on hosts, the queue and pauses, from the command line."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from leaderboard.hosts.registry import host_with_token
from leaderboard.models import Host, Maintenance, Phase, Run
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


def act(*words: str) -> str:
    told = StringIO()
    call_command("act", *words, stdout=told)
    return told.getvalue()


def test_a_host_is_added_and_its_token_told_once():
    assert "not shown again" not in act("add-host", "new", "--name", "gpu-9", "--dry-run")
    assert not Host.objects.exists()
    token = act("add-host", "new", "--name", "gpu-9").split()[-1]
    assert host_with_token(token) == Host.objects.get(name="gpu-9")
    renewed = json.loads(act("renew-token", "gpu-9", "--json"))["shown_once"]
    assert [host_with_token(one) for one in (token, *renewed)] == [None, Host.objects.get()]
    with pytest.raises(CommandError):
        act("add-host", "new", "--name", "gpu-9")
    with pytest.raises(CommandError, match="small letters"):
        act("add-host", "new", "--name", "GPU 9")


def test_what_an_act_makes_is_named_new():
    with pytest.raises(CommandError, match="named “new”"):
        act("add-host", "gpu-9", "--name", "gpu-9")


def test_a_pause_shows_ahead_which_deadlines_it_moves(team):
    phase = cast.phase()
    ends = f"{phase.closes_at:%Y-%m-%d %H:%M}"
    words = ("begin-pause", "new", "--ends-at", ends, "--words", "A larger disk.", "--why", "It is full.", "--json")
    [outcome] = json.loads(act(*words, "--dry-run"))["outcomes"]
    assert [change["action"] for change in outcome["changes"]] == ["begin pause", "change phase"]
    assert not Maintenance.objects.exists()
    assert Phase.objects.get().closes_at == phase.closes_at
    act(*words)
    assert Phase.objects.get().closes_at > phase.closes_at
    act("end-pause", str(Maintenance.objects.get().pk))


def test_a_run_is_put_first_and_waits_in_turn_again(team):
    submission = cast.submit_checked(team, cast.phase())
    act("run-next", str(submission.pk), "--why", "We interrupted it.")
    assert Run.objects.get().put_first_why == "We interrupted it."
    act("wait-in-turn", str(submission.pk))
    assert Run.objects.get().put_first_at is None


def test_what_a_host_serves_is_one_of_three(host):
    act("serve", "gpu-1", "--which", "public")
    assert Host.objects.get().serves == "public"
    with pytest.raises(CommandError):
        act("serve", "gpu-1", "--which", "some")
