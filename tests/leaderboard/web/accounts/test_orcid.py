"""Signing in with ORCID, against an OpenID provider of its own process: discovery, code, token and keys are real."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from leaderboard.models import AuditEntry, User
from tests.deploy.conftest import eventually
from tests.leaderboard import cast
from tests.leaderboard.web.accounts.conftest import confirm_it_is_you, is_in
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db

ORCID, OTHER = "0000-0002-1825-0097", "0000-0002-1694-233X"
LOGIN = "/account/oidc/orcid/login/"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """An OpenID provider that lets everybody in who names themselves."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{address}/.well-known/openid-configuration", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        eventually(answers, seconds=60)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def orcid(provider, settings) -> None:
    """The site, as ORCID knows it."""
    settings.ORCID_CLIENT_ID, settings.ORCID_CLIENT_SECRET, settings.ORCID_URL = "rexg", "secret", provider


def go_there_and_back(client: Client, sub: str, *, connect: bool = False, **form: str):
    """Press the button, say there who one is, and come back."""
    there = client.post(LOGIN + ("?process=connect" if connect else ""))
    assert there.status_code == 302, there.content
    back = requests.post(there["Location"], data=form or {"sub": sub}, allow_redirects=False, timeout=10)
    assert back.status_code == 302, back.text
    return client.get(back.headers["Location"].removeprefix("http://testserver"), follow=True)


def signed_in(name: str) -> tuple[User, Client]:
    person, client = cast.person(name), Client()
    client.force_login(person)
    return person, client


def test_whoever_connected_orcid_signs_in_with_it(orcid):
    alice, here = signed_in("Alice")
    asked = go_there_and_back(here, ORCID, connect=True)
    assert "Confirm that it is you" in page(asked).text
    confirm_it_is_you(here)
    alice.refresh_from_db()
    assert alice.orcid == ORCID
    assert AuditEntry.objects.filter(user_id=alice.pk, action="connect ORCID").exists()
    shown = page(here.get("/account/")).text
    assert ORCID in shown
    assert "Your ORCID iD is connected: you can sign in with it." in shown

    there = Client()
    assert "Sign in with ORCID" in page(there.get("/account/login/")).text
    go_there_and_back(there, ORCID)
    assert is_in(there)

    words = {"name": "Alice", "affiliation": "", "country": "", "orcid": OTHER}
    assert "Disconnect it before" in page(here.post("/account/", words)).text
    account = SocialAccount.objects.get()
    here.post("/account/connected/", {"account": account.pk})
    assert not SocialAccount.objects.exists()
    assert AuditEntry.objects.filter(user_id=alice.pk, action="disconnect ORCID").exists()


def test_whoever_is_unknown_makes_an_account_first(orcid):
    stranger = Client()
    answer = go_there_and_back(stranger, ORCID)
    assert "No account here is connected with this ORCID iD" in page(answer).text
    assert not is_in(stranger)
    assert not User.objects.exists()


def test_an_address_that_the_provider_names_opens_nothing(orcid):
    cast.person("Alice")
    stranger = Client()
    answer = go_there_and_back(stranger, "alice@example.org")
    assert not is_in(stranger)
    assert "16 digits" in page(answer).text


def test_an_orcid_id_belongs_to_one_account_and_an_account_has_one(orcid):
    _, alice = signed_in("Alice")
    confirm_it_is_you(alice)
    go_there_and_back(alice, ORCID, connect=True)
    _, charlie = signed_in("Charlie")
    confirm_it_is_you(charlie)
    go_there_and_back(charlie, ORCID, connect=True)
    assert SocialAccount.objects.get().user.name == "Alice"
    assert "An account has one ORCID iD" in page(go_there_and_back(alice, OTHER, connect=True)).text


def test_whoever_says_no_there_is_told_so_here(orcid):
    client = Client()
    answer = go_there_and_back(client, ORCID, action="deny")
    assert "Nothing was changed." in page(answer).text
    assert not is_in(client)
    _, alice = signed_in("Alice")
    confirm_it_is_you(alice)
    answer = go_there_and_back(alice, ORCID, connect=True, action="deny")
    assert page(answer).all("a", class_="btn", href="/account/"), "back to where one came from"


@pytest.mark.parametrize("step", ["begins", "comes back"])
def test_while_orcid_is_away_one_is_told_so(orcid, settings, step):
    client, back = Client(), LOGIN
    if step == "comes back":
        there = client.post(LOGIN)
        said = requests.post(there["Location"], data={"sub": ORCID}, allow_redirects=False, timeout=10)
        back = said.headers["Location"].removeprefix("http://testserver")
    settings.ORCID_URL = "http://127.0.0.1:1"
    answer = client.post(back, follow=True) if step == "begins" else client.get(back, follow=True)
    assert "ORCID does not answer at present" in page(answer).text
    assert not is_in(client)


def test_where_no_client_is_set_nothing_is_offered(client):
    assert client.post(LOGIN).status_code == 404
    assert "ORCID" not in page(client.get("/account/login/")).text
