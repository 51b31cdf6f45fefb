"""A team reads what organisers decided about its run, and objects there; what nobody else may."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.journey import decisions, objections
from leaderboard.models import Objection, Submission
from tests.leaderboard import cast
from tests.leaderboard.web import scene
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR


@pytest.fixture
def submission(people) -> Submission:
    made = cast.submit_checked(people.team, cast.phase())
    decisions.disqualify(made, by=BY, why=f"Copied. {HOSTILE}")
    return made


def address_of(submission: Submission) -> str:
    decision = submission.decisions.earliest("pk")
    return f"/runs/{submission.pk}/decisions/{decision.pk}/object/"


def test_a_team_objects_and_reads_the_answer(people, submission):
    alice, own = people.browser["Alice"], f"/runs/{submission.pk}/"
    shown = page(alice.get(own))
    assert "Copied." in shown.text
    assert not shown.scripts
    assert shown.all("form", action=address_of(submission))
    alice.post(address_of(submission), {"text": f"**It is ours.** {HOSTILE}"})
    again = page(people.browser["Bob"].get(own))
    assert "**It is ours.**" in again.text  # as it was written
    assert "waits for an answer" in again.text
    assert not again.scripts
    assert not again.all("form", action=address_of(submission))
    objections.answer(Objection.objects.get(), by=BY, answer="We see.")
    assert "We see." in page(alice.get(own)).text


def test_a_reason_stays_told_after_a_reinstatement(people, submission):
    decisions.reinstate(submission, by=BY, why="It was not.")
    text = page(people.browser["Alice"].get(f"/runs/{submission.pk}/")).text
    assert "Copied." in text
    assert "It was not." in text


def test_a_second_objection_is_refused_in_words(people, submission):
    alice = people.browser["Alice"]
    alice.post(address_of(submission), {"text": "It is ours."})
    told = page(alice.post(address_of(submission), {"text": "Really."}, follow=True)).text
    assert "waits for an answer already" in told
    assert Objection.objects.count() == 1


@pytest.mark.parametrize("who", ["Charlie", "Olga"])
def test_nobody_else_objects_for_it(people, submission, who):
    assert people.browser[who].post(address_of(submission), {"text": "No."}).status_code == 404
    assert not Objection.objects.exists()
    assert people.browser["Alice"].get(address_of(submission)).status_code == 405


def test_a_decision_about_another_run_is_not_there(people, submission):
    other = cast.submit_checked(people.rivals, submission.phase)
    wrong = address_of(submission).replace(f"/runs/{submission.pk}/", f"/runs/{other.pk}/")
    assert people.browser["Charlie"].post(wrong, {"text": "No."}).status_code == 404


def test_a_rival_reads_nothing_of_it(people, submission):
    assert people.browser["Charlie"].get(f"/runs/{submission.pk}/").status_code == 404


def test_decisions_say_nothing_of_hidden_cases(people, monkeypatch):
    """What organisers did to two runs that differ in what is hidden reads the same."""
    phase = cast.phase(runs_per_day=9, publication="nothing")
    minute = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1, seconds=30)
    runs = [scene.scored(people.team, phase, dice=dice) for dice in (0.41, 0.87)]
    monkeypatch.setattr(clock, "now", lambda: minute)
    Submission.objects.update(upload_name="image.tar")
    told = []
    for decide in (decisions.disqualify, decisions.reinstate, decisions.give_back):
        for run in runs:
            decide(run.submission, by=BY, why="As it is.")
    for run in runs:
        text = page(people.browser["Alice"].get(f"/runs/{run.submission_id}/")).text
        told.append(text.replace(str(run.submission_id), "N"))
        assert "0.41" not in text
        assert "0.87" not in text
    assert told[0] == told[1]
