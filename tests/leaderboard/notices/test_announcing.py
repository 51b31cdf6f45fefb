"""Organisers tell everybody, or the teams of a phase: looked at, sent once, recorded; who wants none gets none."""

import pytest
from django.core.management import CommandError, call_command

from leaderboard.core.refusal import Refused
from leaderboard.models import Announcement, AuditEntry, NoticeKind, OutgoingMail, User
from leaderboard.notices import announcing, choices
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def phase():
    """A phase to which Alice's team handed in; Dora is in no team, Eve in none and not confirmed."""
    cast.person("Dora")
    cast.person("Eve", confirmed=False)
    cast.team_of(cast.person("Charlie"))
    made = cast.phase()
    cast.submit(cast.team_of(cast.person("Alice")), made)
    return made


def got() -> set[str]:
    return {to.partition("@")[0] for to in OutgoingMail.objects.values_list("to", flat=True)}


def test_everybody_with_a_confirmed_address_who_wants_it_is_told_once(phase):
    choices.stop(User.objects.get(name="Charlie"), NoticeKind.ANNOUNCEMENTS)
    made = Announcement.objects.create(subject="A change", body="Words.\n\nMore: https://example.org/x")
    assert announcing.send(made, by=cast.OPERATOR, why="asked for") == 2
    assert got() == {"alice", "dora"}
    with pytest.raises(Refused, match="sent before"):
        announcing.send(made, by=cast.OPERATOR)
    assert OutgoingMail.objects.count() == 2
    entry = AuditEntry.objects.get(action="send announcement")
    assert (entry.target, entry.after["recipients"], entry.why) == ("A change", 2, "asked for")


def test_the_command_shows_it_first_and_sends_it_to_the_teams_of_a_phase(phase, tmp_path, capsys):
    file = tmp_path / "words.txt"
    file.write_text("Words for teams.")
    options = {"subject": "To teams", "file": str(file), "phase": "test"}
    call_command("announce", **options)
    said = capsys.readouterr().out
    assert "ReXGrounding Challenge: To teams\n\nWords for teams." in said
    assert "It would go to 1 people" in said
    assert not OutgoingMail.objects.exists()
    assert not Announcement.objects.exists()
    call_command("announce", **options, send=True)
    assert got() == {"alice"}
    assert "your team handed in to the Phase test" in OutgoingMail.objects.get().body
    with pytest.raises(CommandError, match="no phase nowhere"):
        call_command("announce", **{**options, "phase": "nowhere"})


def test_in_the_administration_it_is_looked_at_sent_to_oneself_and_then_to_all(phase, admin_client, admin_user):
    folder = "/admin/leaderboard/announcement/"
    words = {"subject": "A <b>change</b>", "body": "Words.", "audience": "teams", "phase": ""}
    assert "Choose the phase" in admin_client.post(f"{folder}add/", words).content.decode()
    admin_client.post(f"{folder}add/", {**words, "phase": phase.pk})
    made = Announcement.objects.get()
    shown = admin_client.get(f"{folder}{made.pk}/change/").content.decode()
    assert "A &lt;b&gt;change&lt;/b&gt;\n\nWords." in shown
    act = {"_selected_action": made.pk}
    assert (
        "confirm your address"
        in admin_client.post(folder, {**act, "action": "send_to_me"}, follow=True).content.decode()
    )
    assert got() == set()
    admin_client.post(folder, {**act, "action": "send", "why": "asked for"})
    assert got() == {"alice"}
    admin_client.post(folder, {**act, "action": "send"})
    assert OutgoingMail.objects.count() == 1
    assert admin_client.post(f"{folder}{made.pk}/change/", {**words, "subject": "B"}).status_code == 403
    assert admin_client.post(f"{folder}{made.pk}/delete/", {"post": "yes"}).status_code == 403
