"""What the site sends where it runs in the test's own process: its outbox, and a real mail server behind it."""

from email.message import EmailMessage
from typing import Any

from leaderboard.core import outbox
from tests.mail_server import MailServer


class Outbox(MailServer):
    """A mail server whose messages are looked at only after a worker has sent what waited."""

    def messages(self, to: str = "") -> list[EmailMessage]:
        """The messages (to one address), in the order in which they came."""
        outbox.send_due()
        return super().messages(to)


def send_to(server: MailServer, settings: Any) -> Outbox:
    """Have the site in this process send to this server."""
    values = dict(server.environment)
    settings.EMAIL_TRANSPORT = values["EMAIL_BACKEND"]
    settings.EMAIL_HOST, settings.EMAIL_PORT = values["EMAIL_HOST"], int(values["EMAIL_PORT"])
    return Outbox(server.folder, settings.EMAIL_PORT)
