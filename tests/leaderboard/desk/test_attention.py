"""What needs a person: objections, undecided re-scorings, runs of several teams failing alike; until it is settled."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.desk.attention import alike, objections, rescorings
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.journey import decisions
from leaderboard.journey import objections as of_teams
from leaderboard.models import Phase, Run, Submission
from leaderboard.rescoring import decisions as of_rescorings
from tests.leaderboard import cast, masks
from tests.leaderboard.rescoring import trial
from tests.leaderboard.web import scene

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR


def failed(phase: Phase, name: str, kind: str = "memory") -> Submission:
    team = cast.team_of(cast.person(name))
    run = cast.submit_checked(team, phase).runs.get()
    return scene.in_state(run, "failed", failure_kind=kind, ended_at=clock.now() - timedelta(minutes=1)).submission


def alike_now() -> list[Item]:
    return list(alike.failures(clock.now()))


@pytest.fixture
def phase() -> Phase:
    return cast.phase(runs_per_day=9)


class TestRunsThatFailAlike:
    def test_of_several_teams_point_at_the_phase(self, phase):
        for name in ("Ann", "Ben"):
            failed(phase, name)
        assert alike_now() == []
        failed(phase, "Cem")
        [item] = alike_now()
        assert (item.level, item.urgency) == ("bad", Urgency.NOW)
        assert "3 runs of 3 teams, of 3" in item.what
        assert "code=memory" in item.links[0][1]

    def test_of_one_team_do_not(self, phase, team):
        for _ in range(4):
            run = cast.submit_checked(team, phase).runs.get()
            scene.in_state(run, "failed", failure_kind="memory", ended_at=clock.now())
        assert alike_now() == []

    def test_in_different_ways_do_not(self, phase):
        for name, kind in (("Ann", "memory"), ("Ben", "time"), ("Cem", "ended_at_once"), ("Dan", "different")):
            failed(phase, name, kind)
        for name in ("Eve", "Fay", "Gil"):
            failed(phase, name, "different")  # a run whose cases were lost in several ways says nothing of others
        assert alike_now() == []

    def test_in_other_phases_or_before_do_not(self, phase):
        other = cast.phase(phase.case_set, slug="other")
        for name, where in (("Ann", phase), ("Ben", phase), ("Cem", other)):
            failed(where, name)
        old = failed(phase, "Dan")
        Run.objects.filter(submission=old).update(ended_at=clock.now() - timedelta(hours=25))
        assert alike_now() == []

    def test_of_a_few_among_many_do_not(self, phase):
        for number in range(7):
            scene.scored(cast.team_of(cast.person(f"Scored{number}")), phase)
        for name in ("Ann", "Ben", "Cem"):
            failed(phase, name)
        assert alike_now() == []
        failed(phase, "Dan")
        assert len(alike_now()) == 1

    def test_are_settled_by_running_again_or_giving_back(self, phase):
        ones = [failed(phase, name) for name in ("Ann", "Ben", "Cem", "Dan")]
        decisions.give_back(ones[0], by=BY, why="Ours.")
        assert "3 runs of 3 teams" in alike_now()[0].what
        decisions.run_again(ones[1], by=BY, why="Ours.")
        assert alike_now() == []

    def test_go_on_to_wait_when_one_of_them_runs_again(self, phase):
        ones = [failed(phase, name) for name in ("Ann", "Ben", "Cem", "Dan")]
        scene.scored(cast.team_of(cast.person("Eve")), phase)
        decisions.run_again(ones[0], by=BY, why="Ours.")
        [item] = alike_now()
        assert "3 runs of 3 teams, of 4" in item.what
        scene.in_state(ones[0].runs.get(number=2), "failed", failure_kind="memory", ended_at=clock.now())
        [item] = alike_now()
        assert "4 runs of 4 teams, of 5" in item.what


def test_an_objection_waits_until_it_is_answered(phase, team, alice):
    submission = cast.submit_checked(team, phase)
    decisions.disqualify(submission, by=BY, why="Copied.")
    made = of_teams.object_to(submission.decisions.get(), "It is ours.", user=alice)
    [item] = objections.unanswered(clock.now())
    assert (item.level, item.since) == ("idle", made.at)
    assert "It is ours." in item.what
    assert [(act.name, row.pk) for act, row in item.acts] == [("answer-objection", made.pk)]
    of_teams.answer(made, by=BY, answer="No.")
    assert list(objections.unanswered(clock.now())) == []


def test_a_preview_waits_to_be_decided():
    phase = cast.phase(cast.case_set(2), cases_are_public=True)
    masks.give_references(masks.cube(4))
    trial.scored(phase, "Anna", 4)
    phase.refresh_from_db()
    with trial.deployed("2"):
        of_rescorings.start(phase, reason="A mended metric.", by=BY)
        assert list(rescorings.undecided(clock.now())) == []  # it goes on by itself
        with trial.deployed("3"):
            [stuck] = rescorings.undecided(clock.now())
            assert (stuck.word, [act.name for act, _ in stuck.acts]) == ("Stuck", ["discard-rescoring"])
        trial.work_on()
        [item] = rescorings.undecided(clock.now())
    assert (item.word, item.level) == ("To be decided", "idle")
    assert [act.name for act, _ in item.acts] == ["apply-rescoring", "discard-rescoring"]
    of_rescorings.discard(phase, why="No.", by=BY)
    assert list(rescorings.undecided(clock.now())) == []
