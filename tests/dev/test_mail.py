"""The mail server of the stack: a real one, whose messages end in a folder."""

import os
import smtplib
import socket
import stat
import subprocess
from email.message import EmailMessage

import pytest

from deploy.local.mail import KEPT, maildir, prepare_mail
from deploy.local.paths import State
from leaderboard.demo.mails import latest_mails
from tests.dev.conftest import eventually


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def message(subject: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "challenge@example.org", "dora@example.org", subject
    made.set_content("Open this address:\n\nhttp://127.0.0.1:8000/a/\n")
    return made


def test_a_message_is_taken_and_shown(state: State, port: int) -> None:
    part = prepare_mail(state, port)
    part.prepare()
    with subprocess.Popen(part.command, env=part.environment, cwd="/") as server:
        try:
            assert eventually(lambda: part.ready(""))
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                client.send_message(message("Bestätigen"))
        finally:
            server.terminate()
    (mail,) = latest_mails(maildir(state))
    assert (mail.to, mail.subject) == ("dora@example.org", "Bestätigen")
    assert "http://127.0.0.1:8000/a/" in mail.text


def test_the_folder_is_private_and_keeps_the_newest(state: State, port: int) -> None:
    part = prepare_mail(state, port)
    part.prepare()
    for number in range(KEPT + 2):
        path = maildir(state) / "new" / str(number)
        path.write_bytes(message(f"number {number}").as_bytes())
        os.utime(path, (number, number))
    part.prepare()
    assert stat.S_IMODE(maildir(state).stat().st_mode) == 0o700
    assert len(list((maildir(state) / "new").iterdir())) == KEPT
    assert latest_mails(maildir(state))[0].subject == f"number {KEPT + 1}"
