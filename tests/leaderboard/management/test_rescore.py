"""manage.py rescore: what it says, and how it ends."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from leaderboard.core import blobs
from leaderboard.models import AuditEntry, Phase, Rescoring
from tests.leaderboard import cast, masks
from tests.leaderboard.rescoring import trial

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def runs() -> dict[str, Any]:
    """Two teams on two public cases."""
    phase = cast.phase(cast.case_set(2), cases_are_public=True)
    masks.give_references(masks.cube(4))
    return {name: trial.scored(phase, name, start) for name, start in (("Alice", 4), ("Dora", 6))}


def rescore(*words: str) -> str:
    out = StringIO()
    call_command("rescore", *words, stdout=out)
    return out.getvalue()


def said(*words: str) -> Any:
    return json.loads(rescore(*words, "--json"))


def refused(*words: str) -> tuple[int, str]:
    """How it ends, and what it says."""
    with pytest.raises(CommandError) as refusal:
        rescore(*words)
    return refusal.value.returncode, str(refusal.value)


def test_from_the_plan_to_the_board():
    with trial.deployed("2"):
        plan = said("start", "test", "--dry-run")
        assert (plan["from"], plan["to"], plan["runs"], plan["masks"], plan["lost"]) == ("1", "2", 2, 4, [])
        assert not Rescoring.objects.exists()
        assert "scored anew: 0 of 2 runs" in rescore("start", "test", "--reason", "a wrong metric")
        assert refused("preview", "test")[0] == refused("apply", "test")[0] == 3, "too early"
        trial.work_on()
        status = said("status", "test")
        assert (status["state"], status["scored"], status["masks_measured"]) == ("undecided", 2, 4)
        assert "rescore preview test" in rescore("status", "test")
        shown = rescore("preview", "test")
        assert "2 of 2 runs change" in shown
        assert "main track, as everybody sees it: 2 ranks and 2 numbers change" in shown
        assert "1 1.0000 -> 2 0.0000" in " ".join(shown.split())
        changes = said("preview", "test")["boards"][0]["teams"]
        assert [(one["before"]["rank"], one["after"]["rank"]) for one in changes] == [(2, 1), (1, 2)]
        assert said("apply", "test", "--why", "agreed")["state"] == "applied"
    assert Phase.objects.get().evaluation_version == "2"
    assert AuditEntry.objects.latest("pk").by.startswith("command line")


def test_a_discarded_one_leaves_all_as_it_was():
    with trial.deployed("2"):
        rescore("start", "test", "--reason", "a wrong metric")
        assert refused("discard", "test") == (1, "Say why: it is kept in the record.")
        assert "discarded" in rescore("discard", "test", "--why", "it was right")
        assert said("status", "test")["state"] == "discarded"
    assert Phase.objects.get().evaluation_version == "1"


def test_what_is_refused_says_what_to_do():
    assert "Known: test" in refused("status", "nowhere")[1]
    assert "Known: cases" in refused("start", "test", "--cases", "nothing", "--reason", "x")[1]
    assert "nothing to score anew" in refused("start", "test", "--reason", "x")[1]
    assert "rescore start test" in refused("apply", "test")[1]
    assert "never scored anew" in rescore("status", "test")
    with trial.deployed("2"):
        assert "Say why" in refused("start", "test")[1]


def test_runs_without_their_masks_are_named(runs):
    for digest in runs["Dora"].cases.values_list("output", flat=True)[:1]:
        blobs.outputs.path(digest).unlink()
    with trial.deployed("2"):
        assert "Team of Dora: 2 masks are not kept" in rescore("start", "test", "--dry-run")
        rescore("start", "test", "--reason", "a wrong metric")
        trial.work_on()
        assert "Team of Dora: 2 masks are not kept" in rescore("preview", "test")
        code, words = refused("apply", "test")
        assert (code, "--leave-out" in words) == (1, True)
        rescore("apply", "test", "--leave-out")
        assert [row[0] for row in trial.board(Phase.objects.get())] == ["Team of Alice"]
