"""Where a phase asks for it, organisers approve teams: what is refused until then, what goes on, who is told."""

import pytest

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Draft, OutgoingMail, Phase, Submission, TeamApproval
from leaderboard.operations import alarms
from leaderboard.people import approvals, teams
from leaderboard.submissions import admission
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db

ASKS = "/team/approvals/test/"


@pytest.fixture
def phase():
    return cast.phase(requires_approval=True)


def decide(people, action: str, why: str = "") -> str:
    """What the administration answers to an organiser."""
    people.olga.is_superuser = True
    people.olga.save()
    chosen = {"action": action, "_selected_action": [one.pk for one in TeamApproval.objects.all()], "why": why}
    return page(people.browser["Olga"].post("/admin/leaderboard/teamapproval/", chosen, follow=True)).text


def test_a_team_hands_in_once_organisers_have_approved_it(people, phase):
    with pytest.raises(Refused, match="ask for it on your team’s page"):
        cast.submit(people.team, phase, user=people.alice)
    people.browser["Bob"].post(ASKS)
    people.browser["Alice"].post(ASKS)
    assert TeamApproval.objects.get().asked_by == people.bob
    with pytest.raises(Refused, match="waits for the organisers to approve it for the Phase test"):
        cast.submit(people.team, phase, user=people.alice)
    assert "Waiting" in page(people.browser["Alice"].get("/team/")).text
    assert "approved, and the team is told" in decide(people, "approve", "Welcome.")
    told = OutgoingMail.objects.get(to="bob@example.org")
    assert told.subject == "ReXGrounding Challenge: Your team is approved for the Phase test"
    assert "Welcome." in told.body
    with pytest.raises(Refused, match="approved the team under its name"):
        teams.describe(people.alice, people.team, name="Somebody else", affiliation="")
    teams.describe(people.alice, people.team, name=people.team.name, affiliation="Elsewhere")
    assert cast.submit(people.team, phase, user=people.alice).pk
    entry = AuditEntry.objects.get(action="approve team")
    assert (entry.by, entry.why, entry.before) == ("Olga", "Welcome.", {"state": "waiting", "phase": "Phase test"})
    with pytest.raises(Refused, match="ask for it"):
        cast.submit(people.rivals, phase, user=people.charlie)


def test_a_team_that_is_not_approved_reads_why(people, phase):
    approvals.ask(people.alice, people.team, phase)
    assert "Say why" in decide(people, "refuse")
    assert TeamApproval.objects.get().state == "waiting"
    assert "not approved, and the team is told why" in decide(people, "refuse", "You are in two teams.")
    with pytest.raises(Refused, match="did not approve your team for the Phase test: You are in two teams"):
        cast.submit(people.team, phase)
    assert "You are in two teams." in page(people.browser["Alice"].get("/team/")).text
    assert "You are in two teams." in OutgoingMail.objects.filter(to="alice@example.org").latest("pk").body
    asked = people.browser["Alice"].post(ASKS, follow=True)
    assert "The organisers have decided." in page(asked).text
    decide(people, "approve")
    assert cast.submit(people.team, phase).pk


def test_drafts_are_filled_meanwhile_and_refused_when_they_are_sent(people, phase):
    alice = people.browser["Alice"]
    begun = alice.post("/drafts/of/test/", {"algorithm": "LungText"})
    assert begun.status_code == 201
    draft = Draft.objects.get(pk=begun.json()["draft"])
    assert "ask for it on your team’s page" in page(alice.get("/submit/test/")).text
    sent = alice.post(f"/drafts/{draft.pk}/send/", {"algorithm": "LungText"})
    assert sent.status_code == 422
    assert "The organisers approve the teams of the Phase test" in page(sent).text
    refused = alice.post("/submit/test/", {"algorithm": "LungText"})
    assert "The organisers approve the teams" in page(refused).text
    assert not Submission.objects.exists()
    assert Draft.objects.get().words["algorithm"] == "LungText"


def test_phases_that_do_not_ask_for_it_take_every_team_without_a_question(people, django_assert_num_queries):
    phase = cast.phase()
    with django_assert_num_queries(0):
        admission.check_approved(people.team, phase)
    assert "there is nothing to ask for" in page(people.browser["Alice"].post(ASKS, follow=True)).text
    assert "Approval by the organisers" not in page(people.browser["Alice"].get("/team/")).text


def test_organisers_are_told_once_who_waits(people, phase):
    approvals.ask(people.alice, people.team, phase)
    for _ in range(2):
        alarms.tell()
    told = OutgoingMail.objects.filter(to="olga@example.org", body__contains="asks to take part in the Phase test")
    assert told.count() == 1
    assert f"/organisers/teams/of/{people.team.slug}/" in told.get().body


def test_nobody_waits_for_a_phase_that_is_over(people, phase):
    approvals.ask(people.alice, people.team, phase)
    assert approvals.waiting(clock.now()).count() == 1
    Phase.objects.update(closes_at=clock.now())
    assert not approvals.waiting(clock.now())


def test_a_rival_sees_nothing_of_what_was_decided(people, phase):
    approvals.ask(people.alice, people.team, phase)
    decide(people, "refuse", "Known cheaters.")
    for address in ("/team/", "/submit/test/", "/leaderboard/test/", "/"):
        text = people.browser["Charlie"].get(address).content.decode()
        assert "cheaters" not in text, address
        assert "Alice and Bob" not in text, address
    assert people.browser["Charlie"].post("/team/approvals/nothing/").status_code == 404
