"""What organisers decide about runs and teams: what it changes, the reason that stays, what a team hands in after."""

import threading

import pytest
from django.db import connection, transaction

from leaderboard.board.reading import read_board
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, objections
from leaderboard.models import AuditEntry, Objection, RunDecision, Submission, TeamDisqualification
from leaderboard.people.team_locks import lock_team
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast
from tests.leaderboard.web import scene

pytestmark = pytest.mark.django_db
BY = cast.OPERATOR


def kinds(submission: Submission) -> list[tuple[str, str]]:
    return list(submission.decisions.values_list("kind", "reason"))


class TestOfARun:
    def test_the_reason_of_a_disqualification_stays_when_it_is_taken_back(self, team):
        submission = cast.submit_checked(team, cast.phase())
        decisions.disqualify(submission, by=BY, why="Trained on the test set.")
        decisions.reinstate(submission, by=BY, why="It was the other team.")
        assert kinds(submission) == [
            ("disqualified", "Trained on the test set."),
            ("reinstated", "It was the other team."),
        ]
        submission.refresh_from_db()
        assert submission.disqualified_at is None

    def test_a_run_is_given_back_once(self, team):
        phase = cast.phase(runs_per_day=1)
        submission = cast.submit_checked(team, phase)
        with pytest.raises(Refused, match="of today"):
            cast.submit(team, phase)
        decisions.give_back(submission, by=BY, why="A case of ours was broken.")
        assert quota_of(team, phase, clock.now()).today_used == 0
        cast.submit(team, phase)
        assert AuditEntry.objects.get(action="give back").why == "A case of ours was broken."
        with pytest.raises(Refused, match="nothing to give back"):
            decisions.give_back(submission, by=BY, why="Again.")
        with pytest.raises(Refused, match="the team reads the reason"):
            decisions.give_back(submission, by=BY, why=" ")
        assert kinds(submission) == [("given_back", "A case of ours was broken.")]

    def test_what_the_team_decides_itself_is_no_decision_of_organisers(self, team):
        phase = cast.phase(runs_per_day=9)
        own, theirs, unchecked = (
            cast.submit_checked(team, phase),
            cast.submit_checked(team, phase),
            cast.submit(team, phase),
        )
        decisions.cancel(own, by=BY)
        decisions.cancel_for_team(theirs, by=BY, why="The host goes.")
        decisions.cancel_for_team(unchecked, by=BY, why="The host goes.")
        assert kinds(own) == []
        assert kinds(theirs) == kinds(unchecked) == [("cancelled", "The host goes.")]


class TestOfATeam:
    def test_all_its_runs_leave_the_board_and_come_back_with_it(self, team):
        phase = cast.phase(cases_are_public=True, runs_per_day=9)
        best, other = (scene.scored(team, phase, dice=dice).submission for dice in (0.5, 0.4))
        rival = scene.scored(cast.team_of(cast.person("Charlie")), phase, dice=0.3).submission
        decisions.disqualify(other, by=BY, why="Copied.")
        decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
        assert [row.submission for row in read_board(phase, "main", clock.now()).rows] == [rival.pk]
        assert kinds(best) == [("disqualified", "Two accounts.")]
        assert kinds(other) == [("disqualified", "Copied.")]
        decisions.reinstate_team(team, phase=phase, by=BY, why="They were two people.")
        assert Submission.objects.get(pk=best.pk).disqualified_at is None
        assert Submission.objects.get(pk=other.pk).disqualified_reason == "Copied."
        assert {one.action for one in AuditEntry.objects.all()} >= {"disqualify team", "reinstate team"}

    def test_it_hands_in_nothing_more_of_any_kind_in_the_phase(self, team):
        phase = cast.phase(runs_per_day=9)
        elsewhere = cast.phase(phase.case_set, slug="other", runs_per_day=9)
        decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
        with pytest.raises(Refused, match=r"disqualified your team in the Phase test.*Two accounts"):
            cast.submit(team, phase)
        cast.submit(team, elsewhere)
        decisions.reinstate_team(team, phase=phase, by=BY, why="No.")
        cast.submit(team, phase)

    def test_one_of_its_runs_does_not_come_back_alone(self, team):
        phase = cast.phase()
        submission = cast.submit_checked(team, phase)
        decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
        with pytest.raises(Refused, match="Reinstate the team"):
            decisions.reinstate(submission, by=BY, why="No.")

    def test_a_run_that_got_a_reason_of_its_own_meanwhile_stays_out(self, team):
        phase = cast.phase()
        submission = cast.submit_checked(team, phase)
        decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
        decisions.disqualify(submission, by=BY, why="Copied.")
        decisions.reinstate_team(team, phase=phase, by=BY, why="No.")
        submission.refresh_from_db()
        assert submission.disqualified_reason == "Copied."

    def test_it_is_disqualified_once_and_may_be_again(self, team):
        phase = cast.phase()
        with pytest.raises(Refused, match="is not disqualified"):
            decisions.reinstate_team(team, phase=phase, by=BY)
        for _ in range(2):
            decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
            with pytest.raises(Refused, match="already"):
                decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
            decisions.reinstate_team(team, phase=phase, by=BY, why="No.")
        assert TeamDisqualification.objects.count() == 2
        with pytest.raises(Refused, match="Say why"):
            decisions.disqualify_team(team, phase=phase, by=BY, why="")


@pytest.mark.django_db(transaction=True)
def test_what_is_handed_in_while_its_team_is_disqualified_is_refused_or_out(team):
    phase, begun, ended = cast.phase(), threading.Event(), []

    def disqualify() -> None:
        begun.set()
        try:
            decisions.disqualify_team(team, phase=phase, by=BY, why="Two accounts.")
            ended.append(True)
        finally:
            connection.close()

    other = threading.Thread(target=disqualify)
    with transaction.atomic():
        lock_team(team)
        other.start()
        begun.wait(10)
        submission = cast.submit(team, phase)  # in the transaction that holds the team
        assert not ended
    other.join(30)
    assert ended
    submission.refresh_from_db()
    assert submission.disqualified_reason == "Two accounts."


class TestObjections:
    @pytest.fixture
    def decision(self, team) -> RunDecision:
        submission = cast.submit_checked(team, cast.phase())
        decisions.disqualify(submission, by=BY, why="Copied.")
        return submission.decisions.get()

    def test_one_is_open_at_a_time_and_answered_once(self, decision, alice):
        made = objections.object_to(decision, "  It is ours.  ", user=alice)
        with pytest.raises(Refused, match="waits for an answer"):
            objections.object_to(decision, "Really.", user=alice)
        objections.answer(made, by=BY, answer="We see.")
        with pytest.raises(Refused, match="answered before"):
            objections.answer(made, by=BY, answer="No.")
        objections.object_to(decision, "And now?", user=alice)
        assert list(Objection.objects.values_list("text", "answer")) == [("It is ours.", "We see."), ("And now?", "")]
        assert [one.action for one in AuditEntry.objects.filter(target_type="submission").order_by("pk")] == [
            *("disqualify", "object", "answer objection", "object"),
        ]

    @pytest.mark.parametrize("text", ["", "   ", "x" * (objections.LONGEST + 1)])
    def test_the_text_is_bounded(self, decision, alice, text):
        with pytest.raises(Refused, match="Say in up to"):
            objections.object_to(decision, text, user=alice)
        made = objections.object_to(decision, "No.", user=alice)
        with pytest.raises(Refused, match="Answer in up to"):
            objections.answer(made, by=BY, answer=text)

    def test_there_are_a_few_to_one_decision(self, decision, alice):
        for _ in range(objections.MOST):
            objections.answer(objections.object_to(decision, "No.", user=alice), by=BY, answer="Yes.")
        with pytest.raises(Refused, match="write to the organisers"):
            objections.object_to(decision, "No.", user=alice)

    def test_nobody_objects_to_what_helps_the_team(self, decision, alice):
        decisions.reinstate(decision.submission, by=BY, why="You are right.")
        with pytest.raises(Refused, match="Only to a disqualification"):
            objections.object_to(decision.submission.decisions.last(), "No.", user=alice)
