"""Each version of a board stays at its address, can be cited, and says what is new in it."""

import re
from datetime import timedelta
from xml.etree import ElementTree

import pytest

from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.models import BoardVersion, Phase, Team
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db
VERSIONS = "/leaderboard/dev/main/versions/"
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def phase(people) -> Phase:
    """An open phase, named in a way that TeX would stumble over; of its board there are two versions."""
    made = cast.phase(slug="dev", cases_are_public=True, name="Dev & 50% {more}")
    scored(people.team, made, dice=0.4)
    versions.make(made.pk)
    scored(people.rivals, made, dice=0.5)
    versions.make(made.pk)
    return made


def test_a_version_stays_as_it_was(client, phase, people):
    Team.objects.filter(pk=people.team.pk).update(name="Renamed")
    versions.make(phase.pk)
    first, third = (page(client.get(f"{VERSIONS}{number}/")) for number in (1, 3))
    assert "Alice and Bob" in first.text
    assert "Rivals" not in first.text
    assert "This board was shown from" in first.text
    assert first.all("a", href="/leaderboard/dev/?track=main")
    assert "Renamed" in third.text
    assert "This is the present board" in third.text


def test_a_version_can_be_read_by_groups_and_in_orders_and_opened_at_its_address(client, phase):
    shown = page(client.get(f"{VERSIONS}2/?group=focal&sort=team&open=rivals"))
    assert shown.text.index("Alice and Bob") < shown.text.index("Rivals")
    assert "Method" in shown.text
    [sorts] = shown.all("a", id="sort-hit_rate")
    assert sorts["href"] == f"{VERSIONS}2/?group=focal&sort=hit_rate"


def test_the_board_names_its_version_and_how_to_cite_it(client, phase, settings):
    answer = client.get("/leaderboard/dev/")
    shown = page(answer)
    assert shown.all("a", href=f"{settings.SITE_URL}{VERSIONS}2/")
    [said] = re.findall(r"@misc\{.*?\n\}", answer.content.decode().replace("&amp;", "&"), re.S)
    assert said.startswith("@misc{rexgrounding-dev-main-v2,")
    assert r"Dev \& 50\% \{more\}, Main track, version 2" in said
    assert rf"\url{{{settings.SITE_URL}{VERSIONS}2/}}" in said
    assert said.count("{") == said.count("}"), "as many braces are closed as are opened"


def test_all_versions_are_listed_with_what_is_new(client, phase):
    text = page(client.get(VERSIONS)).text
    assert text.index("Version 2") < text.index("Rivals entered at rank 1.") < text.index("Version 1")
    assert "The first one." in text


def test_what_is_new_can_be_followed_by_a_feed_that_is_not_sent_twice(client, phase, settings):
    answer = client.get("/leaderboard/dev/main/feed.atom")
    entries = ElementTree.fromstring(answer.content).findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}id") for entry in entries] == [
        f"{settings.SITE_URL}{VERSIONS}{number}/" for number in (2, 1)
    ]
    assert entries[0].findtext(f"{ATOM}summary") == "Rivals entered at rank 1."
    again = client.get("/leaderboard/dev/main/feed.atom", headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304


def test_a_version_that_does_not_show_yet_is_not_there(client, phase):
    BoardVersion.objects.filter(track="main", number=2).update(visible_from=clock.now() + timedelta(seconds=50))
    assert client.get(f"{VERSIONS}2/").status_code == 404
    for address in (VERSIONS, "/leaderboard/dev/main/feed.atom", f"{VERSIONS}1/"):
        assert "Rivals" not in client.get(address).content.decode(), address


@pytest.mark.parametrize(
    "address",
    [
        *(f"{VERSIONS}{number}/" for number in (0, 3, 2**31, 10**30)),
        *("/leaderboard/dev/side/versions/", "/leaderboard/nope/main/versions/", "/leaderboard/dev/side/feed.atom"),
        f"{VERSIONS}1/?group=9z",
    ],
)
def test_what_there_is_not_is_not_found(client, phase, address):
    assert client.get(address).status_code == 404


def test_before_the_first_version_the_pages_say_so(client, phase):
    BoardVersion.objects.all().delete()
    assert "No version was made yet" in page(client.get(VERSIONS)).text
    assert client.get("/leaderboard/dev/main/feed.atom").status_code == 200
