"""A message has to arrive before anything else; and no answer tells which addresses have an account."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core.management import call_command

from leaderboard.core import task_queue
from leaderboard.models import Team, Throttle, User
from leaderboard.people import addresses, mail_limits
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import PASSWORD, bare, confirm_it_is_you, is_in, register, sign_in
from tests.leaderboard.web.scene import page
from tests.mail_server import text_of

pytestmark = pytest.mark.django_db

DORA, ALICE = "dora@example.org", "alice@example.org"


def follow(client, link):
    """Open the link of a message, and press the button there."""
    path, _, query = link.partition("?")
    opened = client.get(link)
    assert "Confirm the address" in page(opened).text
    return client.post(path + (f"?{query}" if query else ""))


# --- a stranger -------------------------------------------------------------------------------------------------------


def test_nobody_keeps_a_stranger_out_by_adding_the_strangers_address(from_address, mails):
    EmailAddress.objects.create(user=cast.person("Mallory"), email=DORA, verified=False)
    dora = from_address()
    register(dora, DORA)
    follow(dora, mails.link(DORA))
    assert is_in(dora)


def test_an_account_is_made_with_the_message_about_it_or_not_at_all(from_address, monkeypatch):
    monkeypatch.setattr(task_queue, "enqueue_mail", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        register(from_address(), DORA)
    assert not User.objects.filter(email=DORA).exists()


def test_a_stranger_is_in_once_the_link_was_opened(from_address, mails):
    dora = from_address()
    answer = register(dora, DORA)
    assert "Look into your mail" in page(dora.get(answer["Location"])).text
    assert not is_in(dora)
    follow(dora, mails.link(DORA))
    assert is_in(dora)
    assert "Found a team" in page(dora.get("/team/")).text


def test_the_link_works_on_another_device_and_leads_on_from_there(from_address, mails):
    team = cast.team_of(cast.person("Alice"))
    register(from_address(), DORA, at=f"/account/signup/?next=/team/join/{team.join_code}/")
    phone = from_address("198.51.100.7")
    answer = follow(phone, mails.link(DORA))
    assert answer["Location"] == f"/team/join/{team.join_code}/"
    assert not is_in(phone), "a link that was forwarded lets nobody in"
    sign_in(phone, DORA)
    phone.post(f"/team/join/{team.join_code}/")
    assert User.objects.get(email=DORA).team == team


def test_the_link_leads_nowhere_else(from_address, mails):
    register(from_address(), DORA, at="/account/signup/?next=https://evil.example/")
    assert "evil" not in mails.link(DORA)


def test_a_link_works_once(from_address, mails):
    register(from_address(), DORA)
    link = mails.link(DORA)
    follow(from_address(), link)
    again = from_address().get(link)
    assert "does not work any more" in page(again).text


def test_a_link_expires(from_address, mails, settings, monkeypatch):
    register(from_address(), DORA)
    link = mails.link(DORA)
    settings.ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 0
    assert "does not work any more" in page(from_address().get(link)).text
    assert not addresses.is_confirmed(User.objects.get(email=DORA))


def test_two_throw_away_accounts_make_no_team_and_no_run(from_address):
    """Messages that reach nobody."""
    phase = cast.phase()
    for name in ("one", "two"):
        client = from_address()
        assert register(client, f"{name}@nowhere.invalid").status_code == 302
        sign_in(client, f"{name}@nowhere.invalid")
        client.post("/team/", {"name": name})
        client.get(f"/submit/{phase.slug}/")
        assert not is_in(client)
    assert not Team.objects.exists()


def test_who_has_not_confirmed_is_answered_like_a_wrong_password(from_address, mails):
    """Otherwise whoever registers with an address sees, by signing in, whether it had an account before."""
    cast.person("Alice")
    answers = []
    for email in (ALICE, DORA):
        client = from_address()
        register(client, email, password=PASSWORD)
        answer = sign_in(client, email, PASSWORD)
        answers.append((answer.status_code, bare(answer, email)))
    assert answers[0] == answers[1]
    assert "open the link in our message first" in answers[0][1].replace("\n", " ")


# --- who has an account -----------------------------------------------------------------------------------------------


def told(client, address, words):
    """What a form answers, and the page to which it leads."""
    answer = client.post(address, words)
    page_after = client.get(answer["Location"]) if answer.status_code == 302 else answer
    return answer.status_code, answer.headers.get("Location"), sorted(answer.cookies), bare(page_after, words["email"])


SIGN_UP = {"name": "Dora", "password1": PASSWORD, "password2": PASSWORD}
FORMS = {
    "registering": ("/account/signup/", SIGN_UP),
    "registering with a weak password": ("/account/signup/", {**SIGN_UP, "password1": "short", "password2": "short"}),
    "asking for a new password": ("/account/password/reset/", {}),
}


@pytest.mark.parametrize(("address", "words"), FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("known", [ALICE, ALICE.upper()])
def test_a_form_answers_known_and_unknown_addresses_alike(from_address, mails, address, words, known):
    cast.person("Alice")
    answers = [told(from_address(), address, {**words, "email": email}) for email in (known, "n0body@example.org")]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("state", ["confirmed", "pending", "closed"])
def test_registering_answers_alike_whatever_the_account_is_like(from_address, mails, state):
    alice = cast.person("Alice", confirmed=state != "pending", is_active=state != "closed")
    before = alice.password
    answers = [told(from_address(), "/account/signup/", {**SIGN_UP, "email": email}) for email in (ALICE, DORA)]
    assert answers[0] == answers[1]
    alice.refresh_from_db()
    assert alice.password == before
    assert User.objects.filter(email__iexact=ALICE).count() == 1


def test_adding_an_address_answers_known_and_unknown_ones_alike(from_address, mails):
    cast.person("Alice")
    answers = []
    for name, email in (("Bob", ALICE), ("Cai", "alicf@example.org")):
        client = from_address()
        client.force_login(cast.person(name))
        status, *rest, html = told(client, "/account/email/", {"email": email, "action_add": ""})
        answers.append((status, *rest, html.replace(name, "").replace(name.lower(), "")))
    assert answers[0] == answers[1]


def test_the_owner_is_told_that_there_is_an_account(from_address, mails):
    cast.person("Alice")
    register(from_address(), ALICE)
    (message,) = mails.messages(ALICE)
    assert "You are registered already" in message["Subject"]
    assert "/account/password/reset/" in text_of(message)


def test_an_account_is_made_and_an_existing_one_found_at_the_same_cost(from_address, mails, settings):
    """Hashing a password is what takes long."""
    settings.PASSWORD_HASHERS = ["tests.leaderboard.web.accounts.counting.CountingHasher"]
    from tests.leaderboard.web.accounts.counting import CountingHasher

    cast.person("Alice")
    hashed = []
    for email in (ALICE, DORA):
        CountingHasher.times = 0
        register(from_address(), email)
        hashed.append(CountingHasher.times)
    assert hashed == [1, 1]
    for email in (ALICE, "n0body@example.org"):
        CountingHasher.times = 0
        sign_in(from_address(), email, "a wrong password")
        hashed.append(CountingHasher.times)
    assert hashed[2:] == [1, 1]


def test_two_who_register_with_one_address_at_the_same_instant_are_answered_alike(from_address, mails, monkeypatch):
    """As if the other one's row had been written right after this one's address was found to be free."""
    from leaderboard.web.accounts.forms import SignupForm

    clean = SignupForm.clean

    def be_late(form):
        cleaned = clean(form)
        User.objects.get_or_create(username="first", defaults={"email": DORA.upper()})
        return cleaned

    monkeypatch.setattr(SignupForm, "clean", be_late)
    assert register(from_address(), DORA)["Location"] == "/account/confirm-email/"
    assert User.objects.filter(email__iexact=DORA).count() == 1


# --- who lost the message ---------------------------------------------------------------------------------------------


def test_a_new_password_confirms_an_account_that_waits_and_makes_the_device_known(from_address, mails):
    register(from_address(), DORA)
    dora = from_address()
    dora.post("/account/password/reset/", {"email": DORA})
    form = dora.get(mails.link(DORA))["Location"]
    dora.post(form, {"password1": "n3w enough secret", "password2": "n3w enough secret"})
    for number in range(40):  # what others try meanwhile
        sign_in(from_address(f"198.51.100.{number}"), DORA, "a wrong password")
    sign_in(dora, DORA, "n3w enough secret")
    assert is_in(dora)


def test_a_reset_link_works_once_and_on_another_device(from_address, mails):
    cast.person("Alice")
    from_address().post("/account/password/reset/", {"email": ALICE})
    link, new = mails.link(ALICE), {"password1": "n3w enough secret", "password2": "n3w enough secret"}
    phone = from_address("198.51.100.7")
    phone.post(phone.get(link)["Location"], new)
    assert "The link does not work" in page(from_address().get(link)).text
    sign_in(phone, ALICE, "n3w enough secret")
    assert is_in(phone)


def test_a_link_for_a_new_password_goes_to_no_address_that_was_merely_added(from_address, mails):
    alice = cast.person("Alice")
    EmailAddress.objects.create(user=alice, email="stranger@example.org")
    from_address().post("/account/password/reset/", {"email": "stranger@example.org"})
    assert "/password/reset/key/" not in text_of(mails.messages("stranger@example.org")[-1])


def test_a_mailbox_is_not_flooded_and_nobody_notices_by_the_answer(from_address, mails):
    cast.person("Alice")
    answers = {
        told(from_address(f"198.51.100.{number}"), "/account/password/reset/", {"email": ALICE})[0]
        for number in range(mail_limits.LIMIT.free + 3)
    }
    assert answers == {302}
    assert len(mails.messages(ALICE)) == mail_limits.LIMIT.free


@pytest.mark.parametrize("form", ["registering", "asking for a new password"])
def test_an_address_that_had_enough_messages_tells_as_little(from_address, mails, settings, form):
    """By the answer, by what the server does for it, which takes time, or by who else hears of it."""
    settings.PASSWORD_HASHERS = ["tests.leaderboard.web.accounts.counting.CountingHasher"]
    from tests.leaderboard.web.accounts.counting import CountingHasher

    cast.person("Alice")
    address, words = FORMS[form]
    seen = []
    for email in (ALICE, DORA):
        of_one = []
        for number in range(mail_limits.LIMIT.free + 2):
            CountingHasher.times = 0
            answer = told(from_address(f"198.51.100.{number}"), address, {**words, "email": email})
            of_one.append((answer, CountingHasher.times, len(mails.messages(email))))
        seen.append(of_one)
    assert seen[0] == seen[1]
    assert seen[0][-1][-1] == mail_limits.LIMIT.free


def test_one_network_does_not_register_without_end_and_is_told_how_long_to_wait(from_address, mails):
    answers = [register(from_address(), f"person{number}@example.org") for number in range(21)]
    assert [answer.status_code for answer in answers] == [302] * 20 + [429]
    assert "Retry-After" in answers[-1]
    assert "Wait 61 seconds" in page(answers[-1]).text or "Wait 60 seconds" in page(answers[-1]).text
    assert register(from_address("198.51.100.7"), DORA).status_code == 302


# --- who was there before ---------------------------------------------------------------------------------------------


@pytest.fixture
def member(from_address):
    """Somebody who took part before addresses had to be confirmed, signed in, and with a team."""
    alice = cast.person("Alice", last_login="2026-01-01T00:00Z")
    team = cast.team_of(alice, name="Lingula")
    EmailAddress.objects.filter(user=alice).delete()
    client = from_address()
    sign_in(client, ALICE, "correct horse")
    client.team = team
    return client


def test_a_member_of_before_gets_in_and_keeps_the_team_and_its_runs(member):
    phase = cast.phase()
    run = cast.submit_checked(member.team, phase)
    assert "Lingula" in page(member.get("/team/")).text
    assert member.get(f"/runs/{run.pk}/").status_code == 200
    run.refresh_from_db()
    assert run.state == "accepted"


def test_a_member_of_before_submits_again_once_the_address_is_confirmed(member, mails):
    phase = cast.phase()
    refused = page(member.get(f"/submit/{phase.slug}/"))
    assert "Confirm your email address before you submit" in refused.text
    answer = member.post("/account/confirm-email/again/", {"next": f"/submit/{phase.slug}/"})
    assert answer["Location"] == f"/submit/{phase.slug}/"
    follow(member, mails.link(ALICE))
    assert page(member.get(f"/submit/{phase.slug}/")).all("form", id="submission-form")


def test_the_button_says_when_the_next_message_can_go(member, mails):
    pages = [page(member.post("/account/confirm-email/again/", follow=True)).text for _ in range(5)]
    assert "is on its way" in pages[0]
    assert re.search(r"The next one can go in \d+ minutes", pages[-1])
    assert len(mails.messages(ALICE)) == mail_limits.LIMIT.free
    Throttle.objects.update(at=Throttle.objects.get(level__gte=1, account="").at - timedelta(hours=2))
    assert "is on its way" in page(member.post("/account/confirm-email/again/", follow=True)).text


def test_the_button_leads_nowhere_else(member, mails):
    answer = member.post("/account/confirm-email/again/", {"next": "https://evil.example/"})
    assert answer["Location"] == "/team/"


@pytest.mark.parametrize("way", ["found", "join"])
def test_without_a_confirmed_address_nobody_founds_or_joins_a_team(from_address, mails, way):
    team = cast.team_of(cast.person("Alice"))
    eve = cast.person("Eve", confirmed=False)
    client = from_address()
    client.force_login(eve)
    address, words = {"found": ("/team/", {"name": "Eve"}), "join": (f"/team/join/{team.join_code}/", {})}[way]
    assert "eve@example.org is not confirmed yet" in page(client.get(address)).text
    answer = client.post(address, words)
    assert answer.status_code == 422
    assert "Confirm your email address before" in page(answer).text
    assert eve.team is None


# --- other addresses, organisers, operators ---------------------------------------------------------------------------


def test_a_new_address_replaces_the_old_one_only_when_it_is_confirmed(from_address, mails):
    alice = cast.person("Alice")
    client = from_address()
    client.force_login(alice)
    new = "alice@new.example"
    answer = client.post("/account/email/", {"email": new, "action_add": ""})
    assert answer["Location"].startswith("/account/reauthenticate/")
    confirm_it_is_you(client)
    client.post("/account/email/", {"email": new, "action_add": ""})
    answer = client.post("/account/email/", {"email": new, "action_primary": ""}, follow=True)
    assert f"Confirm {new} first" in page(answer).text
    alice.refresh_from_db()
    assert alice.email == ALICE
    follow(client, mails.link(new))
    client.post("/account/email/", {"email": new, "action_primary": ""})
    alice.refresh_from_db()
    assert alice.email == new


def test_an_unconfirmed_main_address_is_not_replaced_by_another_unconfirmed_one(member, mails):
    member.post("/account/email/", {"email": "other@example.org", "action_add": ""})
    member.post("/account/email/", {"email": "other@example.org", "action_primary": ""})
    assert User.objects.get().email == ALICE


def test_the_first_superuser_gets_in_without_any_message(from_address, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, username="olga", email="Olga@example.org", verbosity=0)
    olga = from_address()
    sign_in(olga, "olga@example.org")
    assert olga.get("/admin/").status_code == 200
    assert olga.get("/account/email/").status_code == 200


def test_an_organiser_vouches_for_an_address(from_address, admin_client, mails):
    register(from_address(), DORA)
    pending = EmailAddress.objects.get(email=DORA)
    words = {"action": "make_verified", "_selected_action": [pending.pk], "why": "met in person"}
    admin_client.post("/admin/account/emailaddress/", words)
    dora = from_address()
    sign_in(dora, DORA)
    assert is_in(dora)
