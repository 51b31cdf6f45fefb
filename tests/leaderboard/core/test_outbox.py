"""A message is written down with what causes it, and sent once, whatever becomes of the mail server."""

import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from aiosmtpd.handlers import Mailbox
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.management import call_command
from django.db import connection, transaction

from leaderboard.celery import app
from leaderboard.core import clock, outbox, refusals
from leaderboard.models import OutgoingMail
from leaderboard.processes import tasks
from tests.mail_server import AnyPort, MailServer, text_of
from tests.outbox import Outbox, send_to

pytestmark = pytest.mark.django_db

LINK = "https://site.example/account/confirm/as-good-as-a-password"
DORA = "dora@example.org"


class Moody(Mailbox):
    """Delivers to a folder what it takes; before that it answers as it is told."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.answers: dict[str, list[str]] = {}  # to whom: what it says the next times
        self.before_taking: Callable[[], None] = lambda: None
        self.hangs_up = ""  # at the end of DATA: before it took the message, or after

    async def handle_RCPT(self, server, session, envelope, address, options):
        if answers := self.answers.get(address):
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.before_taking()
        if self.hangs_up == "before":
            raise ConnectionResetError
        said = await super().handle_DATA(server, session, envelope)
        if self.hangs_up == "after":
            server.transport.abort()
        return said


@pytest.fixture
def moody(tmp_path) -> Moody:
    return Moody(tmp_path / "mails")


@pytest.fixture
def mails(moody, tmp_path, settings) -> Iterator[Outbox]:
    controller = AnyPort(moody, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield send_to(MailServer(tmp_path / "mails", controller.port), settings)
    finally:
        controller.stop()


def write(to: str = DORA) -> OutgoingMail:
    EmailMessage("A subject", f"Open {LINK}", "challenge@example.org", [to]).send()
    return OutgoingMail.objects.latest("pk")


def time_passes(by: timedelta, monkeypatch) -> None:
    """For the rows, and for this process, which forgets that a server was away."""
    for mail in OutgoingMail.objects.filter(state="waiting"):
        mail.created_at, mail.due_at = mail.created_at - by, mail.due_at - by
        mail.save()
    monkeypatch.setattr(outbox, "_away_until", 0.0)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_message_is_there_if_what_causes_it_is(mails):
    with transaction.atomic():
        write()
        transaction.set_rollback(True)
    assert mails.messages() == []
    write()
    assert len(mails.messages(DORA)) == 1


def test_each_address_has_a_message_of_its_own(moody, mails):
    moody.answers["gone@example.org"] = ["550 No such user"]
    EmailMessage("A subject", "Words", to=["gone@example.org", DORA]).send()
    assert [message["To"] for message in mails.messages()] == [DORA]


def test_a_worker_is_told_of_the_row_and_sends_after_the_commit(mails, monkeypatch, django_capture_on_commit_callbacks):
    sent = []
    monkeypatch.setattr(app, "send_task", lambda *task, **how: sent.append((*task, how["queue"])))
    with django_capture_on_commit_callbacks(execute=True):
        mail = write()
        assert sent == []
    assert sent == [("leaderboard.send_mail", [str(mail.pk)], "control")]
    tasks.send_mail(str(mail.pk))
    mail.refresh_from_db()
    assert mail.state == "sent"


@pytest.mark.parametrize("more", [{"cc": [DORA]}, {"reply_to": [DORA]}, {"headers": {"X-One": "1"}}])
def test_what_the_outbox_cannot_keep_is_refused_and_not_dropped(more):
    with pytest.raises(ValueError, match="plain text"):
        EmailMessage("A subject", "Words", to=[DORA], **more).send()
    with_html = EmailMultiAlternatives("A subject", "Words", to=[DORA])
    with_html.attach_alternative("<p>Words</p>", "text/html")
    with pytest.raises(ValueError, match="plain text"):
        with_html.send()


# --- what the mail server does ----------------------------------------------------------------------------------------


def test_what_was_sent_is_sent_once_and_says_nothing_any_more(mails, admin_client, caplog):
    mail = write()
    page = f"/admin/leaderboard/outgoingmail/{mail.pk}/change/"
    assert LINK not in admin_client.get(page).content.decode()
    assert LINK in text_of(mails.messages()[0])
    assert len(mails.messages()) == 1
    mail.refresh_from_db()
    assert (mail.state, mail.body, mail.tries) == ("sent", "", 1)
    assert LINK not in caplog.text


def test_not_now_is_asked_again_later_and_holds_up_nobody(moody, mails, monkeypatch):
    moody.answers[DORA] = ["451 Greylisted", "450 Mailbox busy"]
    mail = write()
    write("bob@example.org")
    assert [message["To"] for message in mails.messages()] == ["bob@example.org"]
    pauses = []
    for _ in range(2):
        mail.refresh_from_db()
        pauses.append((mail.due_at - clock.now()).total_seconds())
        time_passes(timedelta(seconds=pauses[-1] + 1), monkeypatch)
        outbox.send_due()
    assert len(mails.messages(DORA)) == 1
    assert pauses == [pytest.approx(30, abs=5), pytest.approx(60, abs=5)]
    mail.refresh_from_db()
    assert (mail.state, mail.tries) == ("sent", 3)


def test_a_no_is_final(moody, mails, monkeypatch, caplog):
    moody.answers[DORA] = [f"550 Your {LINK} is spam"]
    mail = write()
    assert mails.messages() == []
    time_passes(timedelta(days=1), monkeypatch)
    assert mails.messages() == []
    mail.refresh_from_db()
    assert (mail.state, mail.body, mail.answer) == ("given_up", "", "550 Your (a link) is spam")
    assert "was given up" in caplog.text
    assert LINK not in caplog.text


def test_a_server_that_refuses_everybody_says_nothing_of_anybody(moody, mails, monkeypatch):
    """Somebody mends its settings; who was refused before that was noticed is marked, and nobody else."""
    people = [f"person-{number}@example.org" for number in range(6)]
    moody.answers = {one: ["550 relay not permitted"] for one in people}
    for one in people:
        write(one)
    assert mails.messages() == []
    known = people[: outbox.MANY_REFUSALS]
    assert refusals.refused_among(people) == set(known)
    time_passes(timedelta(minutes=1), monkeypatch)
    assert [message["To"] for message in mails.messages()] == people[outbox.MANY_REFUSALS :]
    moody.answers["person-9@example.org"] = ["550 no such user"]
    write("person-9@example.org")
    outbox.send_due()
    assert refusals.refused_among(["person-9@example.org"]), "once it takes something its word is good again"


def test_a_server_that_is_down_is_not_asked_for_each_message_and_gets_all_when_it_is_back(mails, settings, monkeypatch):
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, free_port()
    first, second = write(), write("bob@example.org")
    for _ in range(2):
        outbox.send_due()
    tries = list(OutgoingMail.objects.order_by("pk").values_list("state", "tries", "is_refused"))
    assert tries == [("waiting", 1, False), ("waiting", 0, False)]
    settings.EMAIL_PORT = port
    time_passes(timedelta(minutes=1), monkeypatch)
    assert sorted(message["To"] for message in mails.messages()) == [second.to, first.to]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_pages_say_since_when_messages_are_late(moody, mails, settings, monkeypatch, client):
    """Also where the server answers and refuses everybody; not for one address, nor while others are served."""

    def said() -> str:
        return client.get("/account/password/reset/done/").content.decode()

    port, settings.EMAIL_PORT = settings.EMAIL_PORT, free_port()
    write()
    outbox.send_due()
    assert "Messages have waited since" not in said()
    time_passes(timedelta(minutes=3), monkeypatch)
    assert "Messages have waited since" in said()
    settings.EMAIL_PORT = port
    people = [DORA, "amy@example.org", "bob@example.org"]
    moody.answers = {one: ["451 disk full"] * 9 for one in people}
    for number, one in enumerate(people, start=1):
        OutgoingMail.objects.filter(to=one).delete()
        write(one)
        outbox.send_due()
        time_passes(timedelta(minutes=3), monkeypatch)
        assert ("Messages have waited since" in said()) is (number == outbox.MANY_REFUSALS)
    write("cai@example.org")
    outbox.send_due()
    assert "Messages have waited since" not in said()


def test_messages_to_one_address_come_in_the_order_in_which_they_were_written(mails):
    for number in range(3):
        EmailMessage(f"Number {number}", "Words", to=[DORA]).send()
    now = clock.now()
    for pauses, mail in enumerate(OutgoingMail.objects.order_by("-pk")):  # the first was tried most often
        mail.due_at = now - timedelta(hours=1) + timedelta(minutes=pauses)
        mail.save()
    outbox.send_due()
    ended = OutgoingMail.objects.order_by("ended_at").values_list("subject", flat=True)
    assert list(ended) == ["Number 0", "Number 1", "Number 2"]


def test_a_message_that_comes_late_says_when_it_was_written(mails, monkeypatch):
    write()
    time_passes(timedelta(hours=1), monkeypatch)
    (message,) = mails.messages(DORA)
    written = OutgoingMail.objects.get().created_at
    assert abs(parsedate_to_datetime(message["Date"]) - written) < timedelta(seconds=1)


def test_after_two_days_a_message_is_given_up(settings, monkeypatch):
    settings.EMAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    mail = write()
    for passed, state in ((timedelta(hours=47), "waiting"), (timedelta(hours=2), "given_up")):
        time_passes(passed, monkeypatch)
        outbox.send_due()
        mail.refresh_from_db()
        assert mail.state == state
    assert (mail.body, mail.tries) == ("", 2)
    assert "refused" in mail.answer


def test_a_server_that_says_nothing_is_left(settings):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings.EMAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = mute.getsockname()
        settings.EMAIL_TIMEOUT = 0.1
        mail = write()
        outbox.send_due()
    mail.refresh_from_db()
    assert (mail.state, mail.tries) == ("waiting", 1)


@pytest.mark.parametrize(("hangs_up", "times"), [("before", 1), ("after", 2)])
def test_a_line_that_is_lost_at_the_end_of_a_message_costs_time_and_the_message_keeps_its_name(
    moody, mails, monkeypatch, hangs_up, times
):
    """Whether the server took it nobody can know then (RFC 5321, 4.2.5): it is sent again, by the same name."""
    moody.hangs_up = hangs_up
    mail = write()
    outbox.send_due()
    mail.refresh_from_db()
    assert (mail.state, mail.tries) == ("waiting", 1)
    moody.hangs_up = ""
    OutgoingMail.objects.update(due_at=clock.now())
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    names = [message["Message-ID"] for message in mails.messages(DORA)]
    assert (len(names), len(set(names))) == (times, 1)


def test_notices_wait_for_what_somebody_waits_for(mails):
    """And say how they are stopped (RFC 8058); the message of an account does not."""
    stop = "https://site.example/account/notices/stop/1-runs.abc/"
    notice = OutgoingMail(kind="runs", unsubscribe=stop, to="bob@example.org", sender="c@example.org", body="Words")
    outbox.write([notice])
    write()
    by_to = {message["To"]: message for message in mails.messages()}
    ended = OutgoingMail.objects.order_by("ended_at").values_list("to", flat=True)
    assert list(ended) == [DORA, "bob@example.org"]
    assert by_to["bob@example.org"]["List-Unsubscribe"] == f"<{stop}>"
    assert by_to["bob@example.org"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert by_to[DORA]["List-Unsubscribe"] is None
    assert not OutgoingMail.objects.exclude(unsubscribe="").exists()


def test_an_address_that_is_refused_for_good_gets_no_notices_that_wait(moody, mails):
    moody.answers[DORA] = ["550 5.1.1 No such user"]
    fields = {"kind": "runs", "unsubscribe": "https://x.example", "sender": "c@example.org", "body": "Words"}
    outbox.write([OutgoingMail(to=to, **fields) for to in (DORA, DORA, "bob@example.org")])
    assert [message["To"] for message in mails.messages()] == ["bob@example.org"]
    assert refusals.refused_among(["Dora@Example.org", "bob@example.org"]) == {DORA}
    ended = list(OutgoingMail.objects.filter(to=DORA).order_by("pk").values_list("state", "answer", "tries"))
    assert ended == [("given_up", "550 5.1.1 No such user", 1), ("given_up", "the address was refused", 0)]


@pytest.mark.django_db(transaction=True)
def test_while_one_process_waits_for_the_server_no_other_does(moody, mails):
    """Neither for the same message, which would come twice, nor for the next."""
    asked, answer = threading.Event(), threading.Event()

    def hesitate() -> None:
        asked.set()
        answer.wait(20)

    def send() -> None:
        outbox.send_due()
        connection.close()

    moody.before_taking = hesitate
    write()
    one = threading.Thread(target=send)
    one.start()
    try:
        assert asked.wait(20)
        outbox.send_due()
        assert OutgoingMail.objects.filter(state="waiting").count() == 1
    finally:
        answer.set()
        one.join()
    assert len(mails.messages(DORA)) == 1


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_the_server_who_deletes_or_drops_what_is_being_sent(moody, mails):
    """Whoever deletes an account, say, while a mail server hesitates over a message to it."""

    def delete_and_drop() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        outbox.drop_notices(["bob@example.org"], kind="runs", why="not wanted any more")
        OutgoingMail.objects.filter(to=DORA).delete()
        connection.close()

    def do_so_meanwhile() -> None:
        somebody = threading.Thread(target=delete_and_drop)
        somebody.start()
        somebody.join()

    moody.before_taking = do_so_meanwhile
    write()
    outbox.write([OutgoingMail(kind="runs", to="bob@example.org", sender="c@example.org", body="Words")])
    outbox.send_due()
    assert [message["To"] for message in mails.messages()] == [DORA]
    assert list(OutgoingMail.objects.values_list("to", "state")) == [("bob@example.org", "given_up")]


@pytest.mark.django_db(transaction=True)
def test_what_no_worker_sent_goes_out_with_the_sweeper(mails):
    write()
    call_command("sweep", once=True)
    assert OutgoingMail.objects.get().state == "sent"


def test_a_worker_that_has_images_to_check_sends_for_a_while_only(mails, monkeypatch):
    monkeypatch.setattr(tasks, "MAIL_SECONDS", 0.0)
    mail = write()
    tasks.send_mail(str(mail.pk))
    mail.refresh_from_db()
    assert mail.state == "waiting"


ABOUT_IT = {"is_refused": True}
ABOUT_US = {"is_away": True}
GONE = ABOUT_IT | {"is_final": True, "is_of_address": True}


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (smtplib.SMTPRecipientsRefused({DORA: (550, b"no")}), GONE),
        (smtplib.SMTPRecipientsRefused({DORA: (550, b"5.1.1 no such user")}), GONE),
        (smtplib.SMTPRecipientsRefused({DORA: (554, b"5.7.1 relay access denied")}), ABOUT_IT),
        (smtplib.SMTPRecipientsRefused({DORA: (552, b"5.2.2 mailbox full")}), ABOUT_IT),
        (smtplib.SMTPRecipientsRefused({DORA: (504, b"5.5.2 <us>: Helo command rejected")}), ABOUT_IT),
        (smtplib.SMTPRecipientsRefused({DORA: (550, b"5.1.8 <us@x>: Sender address rejected")}), ABOUT_IT),
        (smtplib.SMTPRecipientsRefused({DORA: (550, b"5.1.10 no such recipient")}), GONE),
        (smtplib.SMTPRecipientsRefused({DORA: (530, b"5.7.0 sign in first")}), ABOUT_US),
        (smtplib.SMTPRecipientsRefused({DORA: (452, b"full")}), ABOUT_IT),
        (smtplib.SMTPDataError(554, b"spam"), ABOUT_IT | {"is_final": True}),
        (smtplib.SMTPDataError(421, b"bye"), ABOUT_US),
        (smtplib.SMTPSenderRefused(530, b"sign in first", "us"), ABOUT_US),
        (smtplib.SMTPAuthenticationError(535, b"wrong"), ABOUT_US),
        (smtplib.SMTPHeloError(550, b"who?"), ABOUT_US),
        (smtplib.SMTPServerDisconnected("away"), ABOUT_US),
        (TimeoutError("slow"), ABOUT_US),
        (ValueError("a bug"), {}),
    ],
)
def test_what_an_error_means(error, means):
    found = outbox.failure_of(error)
    assert found == outbox.Failure(found.words, **means)


# --- afterwards -------------------------------------------------------------------------------------------------------


def test_what_ended_is_forgotten_after_a_month_and_what_waits_is_not(mails):
    write()
    mails.messages()
    OutgoingMail.objects.update(ended_at=clock.now() - timedelta(days=31))
    waits = write("bob@example.org")
    outbox.forget_old()
    assert list(OutgoingMail.objects.values_list("pk", flat=True)) == [waits.pk]


def test_a_clock_that_was_set_back_lets_no_message_wait(mails):
    OutgoingMail.objects.filter(pk=write().pk).update(due_at=clock.now() + timedelta(days=7))
    outbox.shorten_pauses(clock.now())
    assert len(mails.messages(DORA)) == 1
