"""The outbox and Debian's mail server: taken, not now, never, nobody's, away for a while; each message once."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage

from leaderboard.core import outbox
from leaderboard.models import OutgoingMail, RefusedAddress
from tests import debian_mail
from tests.leaderboard.core.test_outbox import time_passes
from tests.mail_server import text_of
from tests.outbox import send_to

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(not debian_mail.can_run(), reason="needs root and exim4")]

DORA, GONE, GREY, ELSEWHERE = "dora@example.org", "gone@example.org", "grey@example.org", "eve@elsewhere.example"


def write(*addresses: str) -> None:
    EmailMessage("Straße – a subject", "Words with ünïcode.\n\n" + "long " * 400, to=list(addresses)).send()


def states() -> dict[str, str]:
    return dict(OutgoingMail.objects.values_list("to", "state"))


def test_what_debian_s_mail_server_does_and_what_becomes_of_messages(settings, monkeypatch):
    with debian_mail.exim() as server:
        send_to(server, settings)
        write(GONE, GREY, ELSEWHERE, DORA)
        outbox.send_due()
        assert states() == {GONE: "given_up", GREY: "waiting", ELSEWHERE: "waiting", DORA: "sent"}
        assert list(RefusedAddress.objects.values_list("email", "answer")) == [
            (GONE, "550 5.1.1 There is no such mailbox")
        ]
        (message,) = server.messages()
        assert (message["To"], message["Subject"]) == (DORA, "Straße – a subject")
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert "Words with ünïcode." in text_of(message)

        server.stop()
        OutgoingMail.objects.all().delete()
        write("amy@example.org", "bob@example.org")
        for _ in range(60):  # an hour of it
            time_passes(timedelta(minutes=1), monkeypatch)
            outbox.send_due()
        assert set(states().values()) == {"waiting"}
        server.start()
        time_passes(outbox.LONGEST_PAUSE_AWAY, monkeypatch)
        outbox.send_due()
        assert set(states().values()) == {"sent"}
        assert sorted(message["To"] for message in server.messages()) == ["amy@example.org", "bob@example.org", DORA]
