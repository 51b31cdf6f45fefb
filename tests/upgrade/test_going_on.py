"""What was under way when the server was upgraded, and how it ends: as if nothing had happened."""

from typing import Any

import pytest

from tests.upgrade.upgraded import sorted_attempts, without_news
from tests.upgrade.world import World

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("upgrade"), pytest.mark.timeout(240)]

# Nothing more happens to these, and nothing did.
ENDED = (
    "tried",
    "scored",
    "lossy",
    "failed",
    "hidden",
    "shifted",
    "disqualified",
    "rejected",
    "cancelled",
    "withdrawn",
)


def numbers(submission: dict[str, Any]) -> dict[str, Any]:
    """What each case of the only run was given, and the run for all: not when, where or in what order."""
    (run,) = submission["runs"]
    told = ("status", "reason_code", "reason", "dice", "findings")
    cases = {case["name"]: [case[name] for name in told] for case in run["cases"]}
    return {"cases": cases, "summary": run["summary"], "state": run["state"]}


def test_what_was_interrupted_ends_with_the_numbers_of_an_undisturbed_run(ended: World) -> None:
    recording = ended.upgraded.recording
    for role, undisturbed in recording.manifest["same_as"].items():
        assert numbers(ended.ends[role]) == numbers(recording.submissions[undisturbed]), role


def test_what_had_ended_stays_as_it_was(ended: World) -> None:
    for role in ENDED:
        before = sorted_attempts(ended.upgraded.now(ended.upgraded.recording.submissions[role]))
        now = sorted_attempts(ended.ends[role])
        assert without_news(now, before) == before, role
    undecided = "SELECT count(*) FROM leaderboard_run WHERE state = 'failed' AND failure_kind = ''"
    assert ended.upgraded.database.value(undecided) == 0, "the sweeper decides in which way runs of before failed"


def test_every_scored_run_has_its_array_of_scores(ended: World) -> None:
    """Those of before got theirs from the sweeper."""
    of_run = "of_run.run_id = one.run_id AND of_run.evaluation_version = one.evaluation_version"
    lacking = (
        "SELECT count(*) FROM leaderboard_standing AS one "
        f"WHERE scope = 'all' AND NOT EXISTS (SELECT FROM leaderboard_runscores AS of_run WHERE {of_run})"
    )
    assert ended.upgraded.database.value(lacking) == 0
    assert ended.upgraded.database.value("SELECT count(*) FROM leaderboard_runscores") > len(ENDED) / 2


def test_each_run_that_ended_is_charged_once_and_nothing_else_is(ended: World) -> None:
    free = {"rejected", "withdrawn", "received"}  # no container of theirs ever started
    charged = {role for role in ended.upgraded.recording.roles if ended.ends[role]["charged"]}
    assert charged == set(ended.upgraded.recording.roles) - free
    twice = "SELECT submission_id FROM leaderboard_run GROUP BY 1 HAVING count(*) > 1"
    assert ended.upgraded.database.ask(twice) == []


def test_the_history_from_before_is_kept_and_goes_on(ended: World) -> None:
    for role, recorded in ended.upgraded.recording.submissions.items():
        before = ended.upgraded.now(recorded["history"])
        now = ended.ends[role]["history"]
        assert now[: len(before)] == before, role
        assert role in ENDED or len(now) > len(before), role


def attempts(told: dict[str, Any], batch: int) -> list[tuple[int, str, str]]:
    """Fence, host and fault of each attempt at a batch."""
    (run,) = told["runs"]
    return [(one["fence"], one["host"], one["fault"]) for one in run["attempts"] if one["batch"] == batch]


@pytest.mark.parametrize(("role", "batch"), [("canary", 1), ("running", 2)])
def test_a_host_that_still_has_its_lease_goes_on_and_is_heard(ended: World, role: str, batch: int) -> None:
    assert attempts(ended.ends[role], batch) == [(1, "gpu-2", "")]


@pytest.mark.parametrize("host", ["gpu-1", "gpu-3"])
def test_a_host_that_was_done_delivers_what_it_had_written_down(ended: World, host: str) -> None:
    """gpu-3 was upgraded as well, gpu-1 was not: both find the old journal and the masks of before."""
    told = ended.ends[f"done by {host}"]
    assert attempts(told, 2) == [(1, host, "")]
    assert {case["tries"] for case in told["runs"][0]["cases"]} == {1}


def test_a_silent_hosts_batch_goes_to_another_and_the_silent_one_is_refused(ended: World) -> None:
    assert attempts(ended.ends["silent"], 2) == [(1, "gpu-2", "host_lost"), (2, "gpu-3", "")]
    assert (ended.refusal["go_on"], ended.refusal["why"]) == (False, "stale")


def test_masks_that_waited_for_their_scores_are_not_made_again(ended: World) -> None:
    for role in ("reported", "scoring"):
        assert attempts(ended.ends[role], 2) == [(1, "gpu-2", "")]


def test_an_image_that_waited_for_its_check_is_checked(ended: World) -> None:
    rejected = ended.upgraded.recording.submissions["rejected"]
    assert (ended.ends["received"]["state"], ended.ends["received"]["reason"]) == ("rejected", rejected["reason"])


def test_messages_of_the_old_server_are_understood(ended: World) -> None:
    assert any(ended.upgraded.messages.values())
    for part in ("control", "gpu-3"):
        log = ended.server.processes.log(part)
        assert "nregistered" not in log
        assert "Received and deleted unknown message" not in log


def test_nothing_breaks_down_on_the_way(ended: World) -> None:
    for part in ("web", "control", "sweeper", "gpu-3", "gpu-1"):
        assert "Traceback" not in ended.server.processes.log(part), part
