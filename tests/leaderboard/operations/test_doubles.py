"""Two teams that may be one: found by what they have in common, settled once, asked about again with more."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, EqualEntry, Equality, LikelyDouble, Team, User
from leaderboard.operations import doubles
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def teams() -> list[Team]:
    """Three teams; each person has a domain of their own."""
    found = []
    for name in ("Alice Ahlberg", "Bob Bergmann", "Carla Castellani"):
        user = cast.person(name.partition(" ")[0])
        found.append(cast.team_of(user))
        User.objects.filter(pk=user.pk).update(name=name)
        EmailAddress.objects.filter(user=user).update(email=f"x@{name.partition(' ')[0].lower()}.example")
    return found


def pairs() -> set[str]:
    doubles.find()
    return {str(one) for one in LikelyDouble.objects.all() if one.is_open}


def of(team: Team) -> User:
    return User.objects.get(membership__team=team)


def equal(kind: str, *teams: Team) -> None:
    phase = cast.phase(slug=f"of-{kind}", cases=cast.case_set(name=f"of-{kind}"))
    made = Equality.objects.create(kind=kind, key=kind, found_at=clock.now())
    for team in teams:
        EqualEntry.objects.create(equality=made, submission=cast.submit(team, phase), added_at=clock.now())


def session(team: Team, ip: str) -> None:
    UserSession.objects.create(user=of(team), ip=ip, user_agent="x", session_key=f"{team.pk}-{ip}")


def test_teams_that_have_nothing_in_common_are_no_pair(teams):
    assert pairs() == set()


def test_an_equal_image_is_enough_and_equal_weights_are_not(teams):
    equal("weights", *teams[:2])
    assert pairs() == set()
    equal("image", *teams[:2])
    assert pairs() == {"Team of Alice and Team of Bob"}
    [double] = LikelyDouble.objects.all()
    assert [one.kind for one in doubles.evidence_of(double)] == ["image", "weights"]


def test_the_same_name_of_a_person_is_enough(teams):
    User.objects.filter(pk=of(teams[2]).pk).update(name="Alice  Ahlberg")
    assert pairs() == {"Team of Alice and Team of Carla"}


def test_colleagues_are_no_pair_but_with_one_network_they_are(teams):
    Team.objects.filter(pk__in=[team.pk for team in teams[:2]]).update(affiliation="ETH Zürich")
    for team in teams[:2]:
        EmailAddress.objects.filter(user=of(team)).update(email=f"{team.pk}@ethz.example")
    assert pairs() == set()
    for team in teams[:2]:
        session(team, "10.1.2.3")
    assert pairs() == {"Team of Alice and Team of Bob"}


def test_what_many_share_says_nothing(teams):
    others = [cast.team_of(cast.person(f"Person{number}")) for number in range(doubles.MOST_TEAMS)]
    equal("image", *teams[:1], *others)
    assert pairs() == set()


def test_teams_of_the_organisers_are_none(teams):
    equal("image", *teams[:2])
    Team.objects.filter(pk=teams[0].pk).update(is_of_organisers=True)
    assert pairs() == set()


def test_that_they_are_two_is_remembered_until_there_is_more(teams):
    equal("image", *teams[:2])
    pairs()
    double = LikelyDouble.objects.get()
    doubles.settle(double, by=cast.OPERATOR, why="Two groups with one public model.")
    with pytest.raises(Refused, match="settled"):
        doubles.settle(double, by=cast.OPERATOR)
    assert pairs() == set()
    assert AuditEntry.objects.get(action="not a double").why == "Two groups with one public model."
    for team in teams[:2]:
        session(team, "10.1.2.3")
    assert pairs() == {"Team of Alice and Team of Bob"}


def test_what_nobody_settled_goes_with_its_reason(teams):
    equal("image", *teams[:2])
    pairs()
    EqualEntry.objects.all().delete()
    assert pairs() == set()
    assert not LikelyDouble.objects.exists()


def test_a_look_finds_it_now_and_then(teams, monkeypatch):
    monkeypatch.setattr(doubles, "_next_look", 0.0)
    equal("image", *teams[:2])
    doubles.look(clock.now() - timedelta(days=1))
    assert LikelyDouble.objects.count() == 1
