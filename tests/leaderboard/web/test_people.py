"""Teams and rules, as people meet them."""

import re

import pytest
from django.test import Client

from leaderboard.core import outbox
from leaderboard.models import Membership, RulesAcceptance, Team
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db


def browser(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_a_stranger_registers_and_is_known_by_name_and_affiliation(client, mailoutbox):
    words = {
        "name": "Dora Diaz",
        "affiliation": "Institution D",
        "email": "dora@example.org",
        "password1": "a long enough secret",
        "password2": "a long enough secret",
    }
    assert client.post("/account/signup/", words).status_code == 302
    outbox.send_due()
    client.post(re.findall(r"http://\S+", mailoutbox[0].body)[0])
    text = page(client.get("/team/")).text
    assert "Dora Diaz" in text
    assert "Found a team" in text


def test_a_person_without_a_team_founds_one_and_captains_it():
    dora = browser(cast.person("Dora"))
    dora.post("/team/", {"name": "Team D", "affiliation": "Institution D"})
    text = page(dora.get("/team/")).text
    assert "captain" in text
    assert Team.objects.get().join_code in text


def test_a_taken_name_is_refused_at_its_field_and_what_was_typed_stays(people):
    response = browser(cast.person("Dora")).post("/team/", {"name": "rivals", "affiliation": "Institution D"})
    found = page(response)
    assert response.status_code == 422
    assert "There is a team called “rivals” already" in found.text
    assert found.all("input", name="name", value="rivals", aria_invalid="true")
    assert found.all("input", name="affiliation", value="Institution D")


def test_the_link_asks_before_anybody_joins(people):
    dora = cast.person("Dora")
    link = f"/team/join/{people.team.join_code}/"
    assert "Join Alice and Bob?" in page(browser(dora).get(link)).text
    assert dora.team is None
    browser(dora).post(link)
    assert dora.team == people.team


def test_a_stranger_who_opens_the_link_reads_whose_it_is_and_comes_back_after_signing_in(client, people):
    link = f"/team/join/{people.team.join_code}/"
    shown = page(client.get(link))
    assert "Alice made this link" in shown.text
    assert "sees all of the team’s runs" in shown.text
    assert shown.all("a", href=f"/account/login/?next={link}")
    assert shown.all("a", href=f"/account/signup/?next={link}")
    assert client.post(link)["Location"].endswith(f"?next={link}")


@pytest.mark.parametrize("typed", ["{code}", "https://challenge.example/team/join/{code}/", "  {code} "])
def test_the_code_leads_to_the_same_question(people, typed):
    response = browser(cast.person("Dora")).post("/team/", {"code": typed.format(code=people.team.join_code)})
    assert response["Location"] == f"/team/join/{people.team.join_code}/"


def test_a_link_with_what_no_code_has_leads_nowhere(people):
    assert people.browser["Alice"].get("/team/join/%00/").status_code == 400  # the database would take no NUL


def test_a_link_that_is_not_valid_says_so(people):
    response = people.browser["Alice"].get("/team/join/nonsense/")
    assert response.status_code == 404
    assert "not valid any more" in page(response).text


def test_a_second_team_is_refused(people):
    response = people.browser["Charlie"].post(f"/team/join/{people.team.join_code}/")
    assert response.status_code == 422
    assert "One person is in one team" in page(response).text


def test_only_the_captain_sees_the_link(people):
    assert people.team.join_code in page(people.browser["Alice"].get("/team/")).text
    assert people.team.join_code not in people.browser["Bob"].get("/team/").content.decode()


def test_only_the_captain_renews_the_link(people):
    old = people.team.join_code
    people.browser["Bob"].post("/team/")
    people.team.refresh_from_db()
    assert people.team.join_code == old
    people.browser["Alice"].post("/team/")
    people.team.refresh_from_db()
    assert people.team.join_code != old


def test_a_link_that_is_switched_off_lets_nobody_in_until_a_new_one_is_made(people):
    old = people.team.join_code
    people.browser["Bob"].post("/team/", {"link": "off"})
    people.team.refresh_from_db()
    assert people.team.join_link_is_on
    people.browser["Alice"].post("/team/", {"link": "off"})
    people.team.refresh_from_db()
    dora, frank = browser(cast.person("Dora")), browser(cast.person("Frank"))
    for code in (old, people.team.join_code):
        assert dora.get(f"/team/join/{code}/").status_code == 404
        assert "not valid any more" in page(dora.post(f"/team/join/{code}/")).text
    assert "The link is switched off" in page(people.browser["Alice"].get("/team/")).text
    people.browser["Alice"].post("/team/")
    people.team.refresh_from_db()
    assert frank.get(f"/team/join/{old}/").status_code == 404
    assert frank.post(f"/team/join/{people.team.join_code}/")["Location"] == "/team/"


def test_the_captain_corrects_what_the_team_is_called_until_it_has_handed_in(people):
    words = {"name": "Bob and Alice", "affiliation": "Institute B"}
    assert "Only the captain" in page(people.browser["Bob"].post("/team/edit/", words, follow=True)).text
    assert "Saved." in page(people.browser["Alice"].post("/team/edit/", words, follow=True)).text
    people.team.refresh_from_db()
    assert (people.team.name, people.team.affiliation) == ("Bob and Alice", "Institute B")
    alike = people.browser["Alice"].post("/team/edit/", {**words, "name": "Rıvals"})
    assert alike.status_code == 422
    assert "looks the same" in page(alike).text
    cast.submit(people.team, cast.phase())
    late = people.browser["Alice"].post("/team/edit/", {**words, "name": "Others"})
    assert "write to the organisers" in page(late).text
    people.browser["Alice"].post("/team/edit/", {**words, "affiliation": "Institute C"})
    people.team.refresh_from_db()
    assert (people.team.name, people.team.affiliation) == ("Bob and Alice", "Institute C")


def test_members_are_listed_with_their_captain_first(people):
    Membership.objects.filter(user=people.bob).update(joined_at="2020-01-01T00:00Z")
    text = page(people.browser["Bob"].get("/team/")).text
    assert text.index("Alice captain") < text.index("Bob you")


def test_accepting_the_rules_stores_the_version_and_goes_on(settings):
    dora = cast.person("Dora", accepts_rules=False)
    response = browser(dora).post("/rules/", {"accept": "1", "next": "/submit/"})
    assert response["Location"] == "/submit/"
    assert RulesAcceptance.objects.get(user=dora).version == settings.RULES_VERSION


def test_rules_are_not_accepted_without_the_tick():
    dora = cast.person("Dora", accepts_rules=False)
    response = browser(dora).post("/rules/", {})
    assert response.status_code == 422
    assert not RulesAcceptance.objects.exists()


def test_accepting_the_rules_leads_nowhere_else():
    dora = cast.person("Dora", accepts_rules=False)
    assert browser(dora).post("/rules/", {"accept": "1", "next": "//evil.example"})["Location"] == "/rules/"


@pytest.mark.parametrize("address", ["/team/", "/runs/", "/submit/"])
def test_a_stranger_is_asked_to_sign_in(client, address):
    assert client.get(address)["Location"] == f"/account/login/?next={address}"


def test_the_administration_has_no_sign_in_of_its_own(people, client):
    assert client.get("/admin/login/?next=/admin/")["Location"].startswith("/account/login/?")
    assert client.post("/admin/login/", {"username": "olga", "password": "guess"})["Location"].startswith(
        "/account/login/"
    )
    assert people.browser["Alice"].get("/admin/", follow=True).status_code == 403
    assert people.browser["Olga"].get("/admin/").status_code == 200
