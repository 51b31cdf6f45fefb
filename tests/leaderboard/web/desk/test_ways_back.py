"""After an act people are where they came from; where that is not known, or gone, at a page that is there."""

import pytest

from leaderboard.desk.acts import ACTS
from leaderboard.desk.kinds import RUN
from leaderboard.models import Host, User
from leaderboard.web.desk import ways_back
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
DRAIN, DROP = "/organisers/acts/drain-host/?on=gpu-1", "/organisers/acts/drop-phase/?on=draft"


@pytest.fixture
def host() -> Host:
    return cast.host()


@pytest.mark.parametrize(
    ("came_from", "back"),
    [
        ("http://testserver/organisers/hosts/?page=1", "/organisers/hosts/?page=1"),
        ("http://testserver/organisers/acts/stop-host/?on=gpu-1", "/organisers/hosts/gpu-1/"),
        ("http://elsewhere.example/organisers/hosts/", "/organisers/hosts/gpu-1/"),
        ("", "/organisers/hosts/gpu-1/"),
    ],
)
def test_an_act_leads_back(people, host, came_from, back):
    olga = people.browser["Olga"]
    asked = page(olga.get(DRAIN, headers={"referer": came_from} if came_from else {}))
    assert asked.all("a", href=back)
    told = asked.all("input", name="next")[0]  # the footer's form has one, too
    assert olga.post(DRAIN, {"do": "1", "next": told["value"]})["Location"] == back
    assert olga.get(back).status_code == 200


def test_where_the_thing_is_gone_its_list_is_left(people):
    phase = cast.phase(slug="draft", is_draft=True)
    sent = {"do": "1", "why": "Not needed.", "confirmed": str(phase), "next": "/organisers/phases/draft/"}
    assert people.browser["Olga"].post(DROP, sent)["Location"] == "/organisers/phases/"


def test_who_deleted_an_account_is_among_people(people):
    nora = cast.person("Nora")
    olga = people.browser["Olga"]
    olga.post("/account/reauthenticate/", {"password": "correct horse"})
    sent = {"do": "1", "why": "Asked by mail.", "confirmed": "Nora", "next": f"/organisers/people/{nora.pk}/"}
    assert olga.post(f"/organisers/acts/delete-person/?on={nora.pk}", sent)["Location"] == "/organisers/people/"
    assert not User.objects.filter(name="Nora").exists()


def test_every_kind_of_thing_has_a_list(people):
    for kind in {act.kind.name: act.kind for act in ACTS.values()}.values():
        assert people.browser["Olga"].get(ways_back.list_of(kind)).status_code == 200, kind
    assert ways_back.page_of(RUN, []) == ways_back.list_of(RUN)
