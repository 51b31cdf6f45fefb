"""What changes of a phase would do: found out by changing it, and taking that back."""

from datetime import timedelta

import pytest

from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.desk.phases import line_of, preview
from leaderboard.models import AuditEntry, Phase, RunCase
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def rivals():
    return cast.team_of(cast.person("Rita"), name="Rivals")


def test_ranks_are_compared_and_nothing_is_changed(team, rivals):
    phase = cast.phase(runs_per_day=9, closes_at=clock.now() + timedelta(days=9))
    scored(team, phase, dice=0.9)
    scored(team, phase, dice=0.2)
    scored(rivals, phase, dice=0.5)
    found = preview(phase, {"counting": "best"}, by=cast.OPERATOR)
    assert not found.problems
    assert [(one.label, one.before) for one in found.changes] == [
        ("Which run counts", "the last scored run accepted by the deadline")
    ]
    board = next(one for one in found.boards if (one.track, one.reader) == ("main", "organiser"))
    ranks = [(of.name, of.before and of.before.rank, of.after and of.after.rank) for of in board.teams]
    assert ranks == [(team.name, 2, 1), ("Rivals", 1, 2)]
    [touched] = [one for one in found.touched if one.what == "Scored"]
    assert (touched.number, touched.means) == (3, "1 team has another counting run")
    assert any("mid-phase" in one for one in found.warnings)
    assert found.as_json()["boards"]
    assert Phase.objects.get().counting == "last"
    assert not AuditEntry.objects.filter(action="change phase").exists()


def test_what_a_lowered_limit_means_for_whom(team, rivals):
    phase = cast.phase(case_seconds=120, runs_total=10, runs_per_day=9)
    slow = scored(team, phase)
    RunCase.objects.filter(pk=slow.cases.earliest("pk").pk).update(seconds=100)
    cast.submit_checked(rivals, phase)
    found = preview(phase, {"case_seconds": "90 s", "runs_total": "1"}, by=cast.OPERATOR)
    told = {one.what: one for one in found.touched}
    assert told["Waiting"].number + told["At work"].number == 1
    assert told["Waiting"].means == "keep time per case 2 min"
    assert (told["Would not pass again"].number, told["Would not pass again"].teams) == (1, [team.name])
    assert told["Teams without a run left"].teams == sorted([team.name, "Rivals"])
    assert not found.boards, "no board is made of these"


def test_drafts_that_a_lower_limit_would_refuse_are_named(team, rivals):
    phase = cast.phase(max_archive_bytes=15 * 10**9)
    for of, length in ((team, 9 * 10**9), (rivals, 7 * 10**9)):
        draft = phase.drafts.create(team=of, changed_at=clock.now())
        draft.uploads.create(name="image.tar", file=f"file-{length}", length=length, received_at=clock.now())
    found = preview(phase, {"max_archive_bytes": "8 GB"}, by=cast.OPERATOR)
    [touched] = [one for one in found.touched if "too large" in one.what]
    assert (touched.number, touched.teams) == (1, [team.name])
    wider = preview(phase, {"max_archive_bytes": "16 GB"}, by=cast.OPERATOR)
    assert not [one for one in wider.touched if "too large" in one.what]


def test_who_sees_what_now_and_after():
    phase = cast.phase(publication="half", revealed_at=None)
    changes = {"publication": "nothing", "anonymous_until_reveal": "yes", "runs_total": "30", "runs_per_day": "3"}
    found = preview(phase, changes, by=cast.OPERATOR)
    told = {(one.reader, one.what): (one.before, one.after) for one in found.sights if one.differs}
    assert told == {
        ("everybody", "Scores on its board"): (
            "over the public half of the cases, in three decimals",
            "none before the reveal",
        ),
        ("everybody", "Whose runs they are"): ("the teams’ names", "“Team” and a number"),
        ("a team", "Scores of its own runs"): (
            "over the public half of the cases, in three decimals",
            "none before the reveal",
        ),
        ("a team", "Runs"): (f"{phase.runs_per_day} a day, {phase.runs_total} in all", "3 a day, 30 in all"),
    }
    assert {one["what"] for one in found.as_json()["seen"]} == {what for _, what in told}


def test_whether_entries_are_ranked_is_a_policy_until_a_board_has_rows(team):
    phase = cast.phase(cases_are_public=True)
    found = preview(phase, {"is_ranked": "no"}, by=cast.OPERATOR)
    [ranks] = [one for one in found.sights if one.differs]
    assert (ranks.what, ranks.after) == ("Ranks", "nobody has one")
    scored(team, phase)
    cast.let_a_minute_pass()
    versions.make(phase.pk)
    assert "stays, too" in preview(phase, {"is_ranked": "no"}, by=cast.OPERATOR).problems["is_ranked"]


def test_what_is_refused_is_said_by_policy():
    phase = cast.phase()
    sooner = f"{clock.now() + timedelta(hours=1):%Y-%m-%d %H:%M}"
    found = preview(phase, {"closes_at": sooner, "memory_bytes": "much", "runs_per_day": "3"}, by=cast.OPERATOR)
    assert set(found.problems) == {"memory_bytes"}
    assert {one.name for one in found.changes} == {"closes_at", "runs_per_day"}
    assert set(preview(phase, {"closes_at": sooner}, by=cast.OPERATOR).problems) == {"closes_at"}


def test_drafts_of_teams_that_are_not_approved_are_named(team):
    phase = cast.phase()
    phase.drafts.create(team=team, changed_at=clock.now())
    found = preview(phase, {"requires_approval": "yes"}, by=cast.OPERATOR)
    [touched] = [one for one in found.touched if "not approved" in one.what]
    assert (touched.number, touched.teams) == (1, [team.name])


def test_the_sentence_about_a_phase():
    phase, now = cast.phase(), clock.now()
    assert "is open, closes" in line_of(phase, now)
    assert "opens" in line_of(phase, now - timedelta(days=2))
    assert "closed" in line_of(phase, now + timedelta(days=2))
    phase.is_draft = True
    assert "is a draft" in line_of(phase, now)
