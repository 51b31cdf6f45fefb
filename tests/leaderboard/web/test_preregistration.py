"""Pre-registration by email: confirmed by its owner, told once, let go at a press; and sign-up before its instant."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from leaderboard.core import clock, outbox
from leaderboard.models import AuditEntry, OutgoingMail, PreRegistration, Registration, User
from leaderboard.operations import retention
from leaderboard.people import preregistration
from leaderboard.processes import sweeper
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db

DORA = "dora@example.org"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def opens_at():
    """Registration opens in ten days."""
    at = clock.now() + 10 * DAY
    Registration.objects.update_or_create(pk=1, defaults={"opens_at": at})
    return at


@pytest.fixture
def set_clock(monkeypatch):
    return lambda at: monkeypatch.setattr(clock, "now", lambda: at)


def ask(client: Client, email: str = DORA) -> None:
    response = client.post("/pre-registration/", {"email": email})
    assert (response.status_code, response["Location"]) == (302, "/pre-registration/sent/")


def sent(mailoutbox) -> list[str]:
    outbox.send_due()
    return [message.body for message in mailoutbox]


def links(body: str) -> list[str]:
    return re.findall(r"https?://[^/\s]+(/pre-registration/\S+)", body)


def confirmed(client: Client, email: str) -> PreRegistration:
    row = PreRegistration.objects.create(email=email, asked_at=clock.now())
    client.post(f"/pre-registration/{row.link_key}/")
    row.refresh_from_db()
    return row


# --- asking and confirming --------------------------------------------------------------------------------------------


def test_an_address_counts_once_its_owner_pressed_the_button_behind_the_link(client, mailoutbox):
    ask(client, " Dora@Example.org ")
    (body,) = sent(mailoutbox)
    confirm, _ = links(body)
    assert "May we write to dora@example.org once" in page(client.get(confirm)).text
    assert PreRegistration.objects.get().confirmed_at is None  # a scanner fetches links, too
    assert client.post(confirm).status_code == 302
    assert "You are pre-registered" in page(client.get(confirm)).text
    assert PreRegistration.objects.get().confirmed_at


def test_whoever_asks_again_while_mail_waits_gets_one_message(client, mailoutbox):
    ask(client)
    ask(client)
    assert len(sent(mailoutbox)) == 1


def test_answers_are_alike_whether_an_address_is_known_confirmed_or_had_enough(client, mailoutbox):
    answers = []
    for _ in range(5):
        response = client.post("/pre-registration/", {"email": DORA})
        answers.append((response.status_code, dict(response.headers), response.content))
        PreRegistration.objects.update(confirmed_at=clock.now())
        outbox.send_due()
    assert all(answer == answers[0] for answer in answers)
    bodies = sent(mailoutbox)
    assert len(bodies) == 3  # and no more for a while
    assert "press the button" in bodies[0]
    assert "It is confirmed" in bodies[1]


def test_what_is_no_address_is_refused_at_its_field(client):
    for typed in (
        "",
        "dora",
        "dora@" + "x" * 260 + ".org",
        "dora@exa\u2028mple.org",
        f"{DORA}\nBcc: x@example.org",
        '"\x01"@x.org',
    ):
        response = client.post("/pre-registration/", {"email": typed})
        assert (response.status_code, page(response).all("input", name="email", aria_invalid="true") != []) == (
            422,
            True,
        )
    assert not OutgoingMail.objects.exists()


def test_one_network_is_held_up_after_many(client):
    answers = [client.post("/pre-registration/", {"email": f"p{number}@example.org"}) for number in range(22)]
    assert answers[19].status_code == 302
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) > 0
    assert "too many of these from your network" in page(answers[-1]).text


# --- taking it off ----------------------------------------------------------------------------------------------------


def test_a_mail_program_takes_the_address_off_with_one_request(client, mailoutbox):
    ask(client)
    sent(mailoutbox)
    headers = mailoutbox[0].extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (path,) = links(headers["List-Unsubscribe"].strip("<>"))
    program = Client(enforce_csrf_checks=True)  # it has neither cookies nor a token
    response = program.post(path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200  # RFC 8058: no redirect
    assert not PreRegistration.objects.exists()
    assert program.post(path).status_code == 200  # again


def test_the_link_alone_takes_nothing_off_but_the_button_there_does(client, mailoutbox):
    ask(client)
    _, path = links(sent(mailoutbox)[0])
    assert page(client.get(path)).all("form", action=path, method="post")
    assert PreRegistration.objects.exists()
    assert "The address is gone" in page(client.post(path)).text
    assert not PreRegistration.objects.exists()


def test_what_waits_to_be_sent_goes_with_the_address(client, mailoutbox, set_clock, opens_at):
    one, other = confirmed(client, DORA), confirmed(client, "emil@example.org")
    set_clock(opens_at)
    preregistration.tell_that_it_opened()
    client.post(f"/pre-registration/{one.link_key}/unsubscribe/")
    sent(mailoutbox)
    assert [message.to for message in mailoutbox] == [[other.email]]


# --- telling ----------------------------------------------------------------------------------------------------------


def test_confirmed_addresses_are_told_once_when_registration_opens(client, mailoutbox, set_clock, opens_at):
    confirmed(client, DORA)
    PreRegistration.objects.create(email="never@example.org", asked_at=clock.now())
    preregistration.tell_that_it_opened()
    assert not sent(mailoutbox)  # not yet
    set_clock(opens_at)
    for _ in range(3):
        sweeper.sweep()
    (body,) = sent(mailoutbox)
    assert mailoutbox[0].to == [DORA]
    assert "/account/signup/" in body
    assert OutgoingMail.objects.get().unsubscribe == ""  # what it said is gone


def test_who_dies_while_telling_has_told_nobody_and_nobody_is_told_twice(client, monkeypatch, set_clock, opens_at):
    rows = [confirmed(client, f"p{number}@example.org") for number in range(4)]
    set_clock(opens_at)
    with monkeypatch.context() as patch:
        write, count = preregistration._write, iter(range(9))

        def dies(row, what):
            if next(count) == 2:
                raise KeyboardInterrupt
            write(row, what)

        patch.setattr(preregistration, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            preregistration.tell_that_it_opened()
    assert not OutgoingMail.objects.exists()
    assert not PreRegistration.objects.exclude(told_at=None).exists()
    for _ in range(2):
        preregistration.tell_that_it_opened()
    assert sorted(OutgoingMail.objects.values_list("to", flat=True)) == [row.email for row in rows]


def test_many_are_told_in_portions_so_that_other_messages_go_between(monkeypatch, set_clock, opens_at):
    monkeypatch.setattr(preregistration, "AT_ONCE", 3)
    at = clock.now()
    PreRegistration.objects.bulk_create(
        PreRegistration(email=f"p{number}@example.org", asked_at=at, confirmed_at=at) for number in range(5)
    )
    set_clock(opens_at)
    for expected in (3, 3):  # nothing more while these wait
        preregistration.tell_that_it_opened()
        assert OutgoingMail.objects.count() == expected
    outbox.send_due()
    preregistration.tell_that_it_opened()
    assert OutgoingMail.objects.count() == 5


def test_addresses_go_when_they_were_not_confirmed_or_were_told_long_ago(client, set_clock, opens_at):
    confirmed(client, DORA)
    late = PreRegistration.objects.create(email="never@example.org", asked_at=clock.now())
    now = clock.now()
    set_clock(now + preregistration.UNCONFIRMED_KEPT + timedelta(seconds=1))
    assert client.get(f"/pre-registration/{late.link_key}/").status_code == 404  # also before anybody tidied
    retention.tidy()
    assert PreRegistration.objects.get().email == DORA
    set_clock(opens_at)
    preregistration.tell_that_it_opened()
    set_clock(opens_at + preregistration.KEPT_AFTER_TOLD + timedelta(seconds=1))
    retention.tidy()
    assert not PreRegistration.objects.exists()


# --- organisers, and registration itself ------------------------------------------------------------------------------


def test_organisers_see_counts_and_export_what_is_confirmed_and_that_is_recorded(client):
    confirmed(client, "=dora@example.org")
    PreRegistration.objects.create(email="never@example.org", asked_at=clock.now())
    olga, sam = Client(), Client()
    olga.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    sam.force_login(cast.person("Sam", is_staff=True))
    folder = "/admin/leaderboard/preregistration/"
    assert "1 confirmed, 0 of them told" in page(olga.get(folder)).text
    table = olga.post(f"{folder}export/", {"why": "an invitation"})
    assert table["Content-Disposition"].startswith("attachment")
    head, line, end = table.content.decode().split("\r\n")
    assert (head, line.partition(",")[0], end) == ("email,confirmed_at", "'=dora@example.org", "")
    entry = AuditEntry.objects.get(action="export pre-registrations")
    assert (entry.by, entry.after, entry.why) == ("Olga", {"addresses": 1}, "an invitation")
    assert olga.get(f"{folder}export/").status_code == 405
    assert sam.post(f"{folder}export/").status_code == 403
    chosen = {"action": "take_off", "_selected_action": [PreRegistration.objects.earliest("pk").pk], "why": "asked us"}
    olga.post(folder, chosen)
    assert list(PreRegistration.objects.values_list("email", flat=True)) == ["never@example.org"]
    entry = AuditEntry.objects.get(action="take off pre-registration")
    assert "dora" not in str([entry.target, entry.before, entry.after])


def test_nobody_registers_before_the_instant_and_everybody_after_it(client, set_clock, opens_at):
    words = {"name": "Dora", "email": DORA, "password1": "a long enough secret", "password2": "a long enough secret"}
    for response in (client.get("/account/signup/"), client.post("/account/signup/", words)):
        found = page(response)
        assert "Registration is not open yet" in found.text
        assert found.all("a", href="/pre-registration/")
    assert not User.objects.exists()
    assert page(client.get("/")).all("a", href="/pre-registration/", class_="btn main")
    set_clock(opens_at)
    found = page(client.get("/pre-registration/"))
    assert "Registration is open" in found.text
    assert found.all("a", href="/account/signup/", class_="btn main")
    late = PreRegistration.objects.create(email="late@example.org", asked_at=clock.now())
    found = page(client.get(f"/pre-registration/{late.link_key}/"))
    assert "Registration is open" in found.text
    assert "Yes, tell me" not in found.text
    late.delete()
    assert client.post("/pre-registration/", {"email": DORA}).status_code == 200
    assert not PreRegistration.objects.exists()
    assert client.post("/account/signup/", words).status_code == 302
    assert User.objects.get().email == DORA


def test_without_an_instant_registration_is_open(client):
    Registration.objects.update(opens_at=None)
    assert page(client.get("/account/signup/")).all("input", name="email")
    Registration.objects.all().delete()
    assert page(client.get("/")).all("a", href="/account/signup/", class_="btn main")
