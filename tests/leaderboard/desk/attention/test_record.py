"""A record that is not whole waits for a person."""

import pytest

from leaderboard.core import clock, verification
from leaderboard.desk.attention.record import broken
from tests.leaderboard import cast
from tests.leaderboard.core.test_chain import by_hand, decide

pytestmark = pytest.mark.django_db


def test_a_break_waits_until_an_owner_says_that_it_is_known(host):
    decide(host, 4)
    verification.verify_all()
    assert [*broken(clock.now())] == []
    by_hand("DELETE FROM leaderboard_auditentry WHERE number = 2")
    verification.verify_all()
    [item] = broken(clock.now())
    assert "Entry 2 is gone." in item.what
    [(act, check)] = item.acts
    assert act.is_offered(check)
    act.decide(check, by=cast.OPERATOR, why="A backup of before was brought back.")
    assert [*broken(clock.now())] == []
