"""A team is told what organisers decided about it, with the reason: always, once, and nothing of hidden numbers."""

import pytest

from leaderboard.core.audit import Actor
from leaderboard.desk.acting import act_on
from leaderboard.desk.acts import ACTS
from leaderboard.journey import decisions, objections
from leaderboard.models import NoticeKind, OutgoingMail, RunDecision
from leaderboard.notices import choices
from leaderboard.notices import decisions as notices
from tests.leaderboard import cast
from tests.leaderboard.web import scene

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR
PREFIX = "ReXGrounding Challenge: "


def told() -> list[tuple[str, str]]:
    notices.write_due()
    notices.write_due()  # nothing is told twice
    return list(OutgoingMail.objects.order_by("pk").values_list("to", "subject"))


def last() -> str:
    return OutgoingMail.objects.latest("pk").body


@pytest.fixture
def team():
    made = cast.team_of(cast.person("Alice"), cast.person("Bob"))
    cast.team_of(cast.person("Charlie"))
    return made


@pytest.mark.parametrize(
    ("decide", "words"),
    [
        (decisions.disqualify, "disqualified submission"),
        (decisions.give_back, "gave back submission"),
        (decisions.cancel_for_team, "cancelled submission"),
    ],
)
def test_all_members_are_told_with_the_reason_though_they_stopped_notices(team, decide, words):
    submission = cast.submit_checked(team, cast.phase())
    for user in (one.user for one in team.memberships.all()):
        choices.choose(user, [])
    decide(submission, by=BY, why="Two accounts\n<b>of one person</b>.")
    subject = f"{PREFIX}The organisers {words} {submission.pk}"
    assert told() == [("alice@example.org", subject), ("bob@example.org", subject)]
    assert "Two accounts\n<b>of one person</b>." in last()
    assert f"/runs/{submission.pk}/" in last()
    assert NoticeKind.RUNS not in OutgoingMail.objects.values_list("kind", flat=True)


def test_a_reinstated_run_and_one_that_runs_again_are_told(team):
    run = scene.scored(team, cast.phase())
    decisions.disqualify(run.submission, by=BY, why="Copied.")
    decisions.reinstate(run.submission, by=BY, why="It was not.")
    decisions.run_again(run.submission, by=BY, why="Our host was broken.")
    found = [subject.removeprefix(f"{PREFIX}The organisers ") for to, subject in told() if to.startswith("alice")]
    name = f"submission {run.submission_id}"
    assert found == [f"disqualified {name}", f"reinstated {name}", f"started again {name}"]


def test_many_at_once_are_one_message(team):
    phase = cast.phase(runs_per_day=9)
    submissions = [cast.submit_checked(team, phase) for _ in range(3)]
    act_on(ACTS["give-back"], submissions, {}, by=BY, why="A case was broken.")
    assert {subject for _, subject in told()} == {f"{PREFIX}The organisers gave back 3 of your submissions"}
    assert len(told()) == 2
    assert all(f"submission {one.pk} (“Grounder”)" in last() for one in submissions)


def test_a_team_that_is_disqualified_is_told_once_for_all_its_runs(team):
    phase = cast.phase(runs_per_day=9)
    for _ in range(2):
        cast.submit_checked(team, phase)
    decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
    subject = f"{PREFIX}Your team is disqualified in the Phase test"
    assert told() == [("alice@example.org", subject), ("bob@example.org", subject)]
    assert "Two accounts." in last()
    decisions.reinstate_team(team, phase=phase, by=BY, why="They were two people.")
    assert {subject for _, subject in told()[2:]} == {f"{PREFIX}Your team is reinstated in the Phase test"}
    assert len(told()) == 4


def test_an_answer_is_told(team):
    submission = cast.submit_checked(team, cast.phase())
    decisions.disqualify(submission, by=BY, why="Copied.")
    user = team.memberships.first().user
    made = objections.object_to(submission.decisions.get(), "It is ours.", user=user)
    assert len(told()) == 2
    objections.answer(made, by=BY, answer="We looked again: it is.")
    subject = f"{PREFIX}The organisers answered your objection about submission {submission.pk}"
    assert told()[2:] == [("alice@example.org", subject), ("bob@example.org", subject)]
    assert "We looked again: it is." in last()


def test_what_is_only_played_tells_nobody(team):
    submission = cast.submit_checked(team, cast.phase())
    [outcome] = act_on(ACTS["disqualify-run"], [submission], {}, by=BY, why="Copied.", dry_run=True)
    assert outcome.entries
    assert told() == []
    assert not RunDecision.objects.exists()


def test_what_the_team_did_itself_is_not_told(team):
    decisions.cancel(cast.submit_checked(team, cast.phase()), by=Actor.person(team.memberships.first().user))
    assert told() == []


def test_hidden_numbers_are_in_no_message(team):
    run = scene.scored(team, cast.phase(publication="half"), dice=0.3129)
    decisions.disqualify(run.submission, by=BY, why="Copied.")
    assert len(told()) == 2
    assert "0.3" not in last()
    assert "0.2" not in last()
