"""Messages at the desk: from a template to a mail in people's hands, and lines on every page."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.models import Announcement, NoticeKind, OutgoingMail, SiteLine, User
from leaderboard.notices.links import stop_url
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page
from tests.mail_server import mail_server
from tests.outbox import send_to

pytestmark = pytest.mark.django_db
WORDS = {"subject": "A <b>change</b>", "body": "Words.", "level": "idle", "audience": "all"}


@pytest.fixture
def olga(people):
    return people.browser["Olga"]


def test_it_is_written_looked_at_announced_and_arrives(people, olga, tmp_path, settings):
    wrong = olga.post("/organisers/messages/new/", WORDS)
    assert wrong.status_code == 422
    assert "Choose a mail, a line on every page, or both." in wrong.content.decode()
    olga.post("/organisers/messages/new/", {**WORDS, "by_mail": "on"})
    made = Announcement.objects.get()
    shown = page(olga.get(f"/organisers/messages/{made.pk}/")).text
    assert "It would go" not in shown
    assert "go to 4 people of 2 teams" in shown
    mail = olga.get(f"/organisers/messages/{made.pk}/mail/")
    assert "A &lt;b&gt;change&lt;/b&gt;" in mail.content.decode()
    assert "sandbox" in mail["Content-Security-Policy"]
    own = {stop_url(person, NoticeKind.ANNOUNCEMENTS) for person in User.objects.values_list("pk", flat=True)}
    assert not [url for url in own if url in mail.content.decode()], "whoever looks could stop somebody's messages"
    previewed = olga.post(f"/organisers/acts/announce/?on={made.pk}", {"preview": "1"}).content.decode()
    assert "recipients" in previewed
    assert not OutgoingMail.objects.exists()
    with mail_server(tmp_path / "mails") as server:
        arrived = send_to(server, settings)
        olga.post(f"/organisers/acts/announce/?on={made.pk}", {"do": "1"})
        assert len(arrived.messages()) == 4
    assert "Announced" in page(olga.get("/organisers/messages/")).text
    assert "It went to 4 people: 4 sent" in page(olga.get(f"/organisers/messages/{made.pk}/")).text
    assert olga.get(f"/organisers/messages/{made.pk}/edit/").status_code == 302


def test_a_line_stands_on_every_page_and_in_the_api_until_it_is_taken_down(people, olga, client):
    olga.post("/organisers/messages/new/", {**WORDS, "subject": "The queue stands", "level": "warn", "on_site": "on"})
    made = Announcement.objects.get()
    assert "The queue stands" not in page(client.get("/")).text
    olga.post(f"/organisers/acts/announce/?on={made.pk}", {"do": "1"})
    for path in ("/", "/guidelines/", "/account/login/"):
        assert "The queue stands" in page(client.get(path)).text, path
    status = client.get("/api/v1/status").json()
    assert (status["is_disturbed"], [one["text"] for one in status["lines"]]) == (True, ["The queue stands"])
    olga.post(f"/organisers/acts/cancel-announcement/?on={made.pk}", {"do": "1"})
    assert "The queue stands" not in page(client.get("/")).text
    assert client.get("/api/v1/status").json()["is_disturbed"] is False


def test_a_line_to_some_is_refused_and_one_is_over_by_itself(people, olga, client):
    phase = cast.phase()
    some = {**WORDS, "on_site": "on", "audience": "teams", "phase": phase.pk}
    assert "for everybody" in olga.post("/organisers/messages/new/", some).content.decode()
    now = clock.now()
    SiteLine.objects.create(text="Until noon", shown_from=now - timedelta(hours=2), shown_until=now)
    assert "Until noon" not in page(client.get("/")).text


def test_a_template_is_filled_in_and_what_is_about_to_happen_asks_for_it(people, olga):
    opens = clock.now() + timedelta(hours=5)
    phase = cast.phase(opens_at=opens, closes_at=opens + timedelta(days=9))
    begun = f"/organisers/messages/new/?template=opening&phase={phase.slug}"
    assert "opens within a day" in page(olga.get("/organisers/")).text
    form = olga.get(begun).content.decode()
    assert "The Phase test opens on" in form
    olga.post(begun, {**WORDS, "by_mail": "on", "occasion": "opening", "of_phase": phase.pk})
    assert "opens within a day" not in page(olga.get("/organisers/")).text


def test_one_team_is_written_to_by_its_page(people, olga):
    assert "?team=rivals" in olga.get("/organisers/teams/of/rivals/").content.decode()
    to_team = {**WORDS, "by_mail": "on", "audience": "team"}
    assert "no such team" in olga.post("/organisers/messages/new/", {**to_team, "team": "nobody"}).content.decode()
    olga.post("/organisers/messages/new/?team=rivals", {**to_team, "team": "rivals"})
    assert Announcement.objects.get().team == people.rivals
