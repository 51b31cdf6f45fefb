"""What teams write, where no page's template stands guard: emails, logs, the administration, commands."""

import json
import logging
import uuid
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.management import call_command
from django.test import Client

from containers.protocol.reports import parse_report
from leaderboard import models
from leaderboard.core import outbox
from leaderboard.core.logs import OneRecordFormatter
from leaderboard.core.refusal import Refused
from leaderboard.journey import pipeline
from leaderboard.models import Attempt, Host, OutgoingMail, Submission, User
from leaderboard.operations import alarms
from leaderboard.people import teams
from leaderboard.web import public
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)

EVIL = "\x1b[31mA\x1b]0;owned\x07\u202e<script>alert(1)</script>\x00\r\nBcc: charlie@example.org\r\n=HYPERLINK(1)"
EVIL_IN_DATABASE = EVIL.replace("\x00", "")
CONTROLS = ("\x1b", "\x07", "\u202e", "\x00")


# --- names as they are kept -------------------------------------------------------------------------------------------


def test_names_lose_what_is_not_text_when_they_are_handed_in(alice):
    team = teams.create_team(alice, name="A\x1b[31m\u202e  B\r\nC", affiliation="\u2066Lab\n\n1")
    assert (team.name, team.affiliation) == ("A B C", "Lab 1")
    submission = cast.submit(team, cast.phase(), algorithm="X\n\x1b[0mY\u202e", method=cast.METHOD + "\x1b[31m\nend\n")
    assert (submission.algorithm, submission.method) == ("X Y", cast.METHOD + "\nend")


def test_a_name_of_nothing_but_marks_is_no_name(alice):
    with pytest.raises(Refused, match="Name your algorithm"):
        cast.submit(cast.team_of(alice), cast.phase(), algorithm="\u202e\u2066\x07")


def test_who_registers_keeps_a_name_in_one_line(client):
    words = {"name": "Eve\u202e \x1b[1mX", "email": "eve@example.org", "password1": "correct horse battery"}
    client.post("/account/signup/", {**words, "password2": words["password1"]})
    assert User.objects.get().name == "Eve X"


# --- emails ----------------------------------------------------------------------------------------------------------


def assert_harmless(message: mail.EmailMessage) -> None:
    text = message.message().as_string()
    head = text.partition("\n\n")[0]
    assert "bcc" not in head.lower()
    assert len(message.recipients()) == 1
    assert not any(control in f"{message.subject}{message.body}" for control in CONTROLS)
    assert "<script>" not in text
    assert "\n" not in message.subject


def test_mails_to_people_hold_nothing_of_what_people_call_themselves(alice, client, settings):
    User.objects.filter(pk=alice.pk).update(name=EVIL_IN_DATABASE[:120], affiliation=EVIL_IN_DATABASE[:200])
    EmailAddress.objects.filter(user=alice).update(verified=False)
    browser = Client()
    browser.force_login(alice)
    browser.post("/account/email/", {"action_send": "", "email": alice.email})
    client.post("/account/password/reset/", {"email": alice.email})
    client.post("/account/password/reset/", {"email": "nobody@example.org"})
    client.post("/account/password/reset/", {"email": '"\x1b[31m\x07"@example.org'})  # is no address
    cast.person("Bob")
    named = EVIL.replace("\0", "").replace(".org", "")  # an address of a page, or of mail, is no name
    words = {"name": named, "email": "bob@example.org", "password1": "correct horse battery"}
    client.post("/account/signup/", {**words, "password2": words["password1"]})
    outbox.send_due()
    subjects = {message.subject.partition(": ")[2] for message in mail.outbox}
    assert subjects == {
        "Confirm your email address",
        "Choose a new password",
        "There is no account with this address",
        "You are registered already",
    }
    for message in mail.outbox:
        assert_harmless(message)
        assert "HYPERLINK" not in message.body


@pytest.mark.parametrize("email", ["a@example.org\r\nBcc: b@example.org", '"a\nBcc: b"@example.org', "a@example.org\0"])
def test_an_address_with_a_line_break_is_none(client, email):
    assert client.post("/account/password/reset/", {"email": email}).status_code == 200
    assert not OutgoingMail.objects.exists()


def test_a_mail_to_organisers_is_in_our_own_words(alice, settings):
    settings.ADMINS, settings.MAX_FAULTS, settings.ALARM_SECONDS = [("o@example.org", "o@example.org")], 1, 0
    host = cast.host()
    Host.objects.update(engine=EVIL_IN_DATABASE, version=EVIL_IN_DATABASE[:40])
    run = cast.submit_checked(cast.team_of(alice), cast.phase(), algorithm="=HYPERLINK(1)").runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    said = {
        "fence": order["fence"],
        "cases": [gpu_host.lost(order, 0, "untouched", None)],
        "container": None,
        "fault": {"code": "internal", "detail": EVIL},
        "log": EVIL,
    }
    pipeline.report(host, uuid.UUID(order["batch"]), parse_report(said))
    alarms.tell()
    outbox.send_due()
    (message,) = mail.outbox
    assert_harmless(message)
    assert f"Submission {run.submission_id} was interrupted too often" in message.body
    assert "HYPERLINK" not in message.body


def test_an_error_page_mails_nobody_what_the_request_held(settings, monkeypatch):
    settings.ADMINS = [("o@example.org", "o@example.org")]
    monkeypatch.setattr(public, "timeline", lambda *_: 1 / 0)
    assert Client(raise_request_exception=False).get("/").status_code == 500
    assert not OutgoingMail.objects.exists()


# --- logs -------------------------------------------------------------------------------------------------------------


def test_a_record_is_one_record_whatever_it_quotes(settings):
    assert settings.LOGGING["formatters"]["line"]["()"] == "leaderboard.core.logs.OneRecordFormatter"
    assert all(isinstance(one.formatter, OneRecordFormatter) for one in logging.root.handlers if one.name == "stderr")
    forged = "x\n2026-01-01 00:00:00 ERROR leaderboard: all is lost\x1b[2J\u202e\u2028y"
    quoting = (ValueError, ValueError(forged), None)
    record = logging.LogRecord("web", logging.ERROR, "", 1, "no %s", (forged,), quoting)
    first, *more = OneRecordFormatter("{levelname} {message}", style="{").format(record).split("\n")
    assert first == "ERROR no x"
    assert more
    assert all(line.startswith("    ") and line.isprintable() for line in more)
    assert r"all is lost\x1b[2J\u202e" in more[0]


# --- the administration and the commands ------------------------------------------------------------------------------


@pytest.fixture
def evil_attempt(alice) -> Attempt:
    """A container that printed ten megabytes in one line, with everything that could hurt at its end."""
    phase, host = cast.phase(log_bytes=100_000), cast.host()
    run = cast.submit_checked(cast.team_of(alice), phase, algorithm="<script>alert(2)").runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    said = {
        "fence": order["fence"],
        "cases": [gpu_host.lost(order, 0)],
        "container": {
            "exit_code": 1,
            "oom_killed": False,
            "seconds": 1.0,
            "warnings": [EVIL, r"\u0000 \\u0000", "\udce4"],
        },
        "fault": None,
        "log": "x" * 10_000_000 + EVIL + "\udce4",
    }
    pipeline.report(host, uuid.UUID(order["batch"]), parse_report(json.loads(json.dumps(said))))
    return Attempt.objects.get()


def test_organisers_read_every_log_bounded_and_escaped(evil_attempt):
    assert 90_000 < len(evil_attempt.log) <= 100_000
    assert evil_attempt.container["warnings"][1:] == [r"\u0000 \\u0000", "\ufffd"]
    browser = Client()
    browser.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    submission = Submission.objects.get()
    pages = [f"/admin/leaderboard/attempt/{evil_attempt.pk}/change/", f"/runs/{submission.pk}/"]
    pages += [f"/admin/leaderboard/submission/{submission.pk}/change/"]
    pages += [f"/admin/leaderboard/{one}/" for one in ("attempt", "submission", "team", "statechange", "host", "user")]
    for address in pages:
        response = browser.get(address)
        html = response.content.decode()
        assert response.status_code == 200, address
        assert len(html) < 300_000, address
        assert "<script>alert" not in html, address
        assert not any(control in html for control in CONTROLS), address
    assert "&lt;script&gt;alert(1)" in browser.get(pages[0]).content.decode()


def test_commands_print_nothing_that_drives_a_terminal(evil_attempt):
    result = {"name": "case", "status": "invalid", "reason": EVIL_IN_DATABASE, "dice": 0.0, "findings": []}
    models.RunCase.objects.filter(position=0).update(result=result)
    Submission.objects.update(reason=EVIL_IN_DATABASE)
    for options in ({}, {"json": True}):
        out = StringIO()
        call_command("submission", Submission.objects.get().pk, stdout=out, **options)
        assert not any(control in out.getvalue() for control in CONTROLS), options
        assert "HYPERLINK" in out.getvalue()
        assert "\nBcc" not in out.getvalue()
