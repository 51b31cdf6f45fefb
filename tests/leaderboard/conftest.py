"""Who is there in most tests: Alice, who captains a team, and a GPU host with one slot."""

import pytest

from leaderboard.models import Host, Team, User
from tests.leaderboard import cast


@pytest.fixture
def alice() -> User:
    return cast.person("Alice")


@pytest.fixture
def team(alice: User) -> Team:
    return cast.team_of(alice)


@pytest.fixture
def host() -> Host:
    return cast.host()
