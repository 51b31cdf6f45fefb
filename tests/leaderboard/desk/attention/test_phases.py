"""Phases that wait for a person."""

from datetime import timedelta
from typing import Any

import pytest

from leaderboard.core import clock
from leaderboard.desk.attention.items import Item
from leaderboard.desk.attention.phases import reveal_due, unready
from leaderboard.models import Phase
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def phase(opens: int, closes: int, **fields: Any) -> Phase:
    now = clock.now()
    return cast.phase(opens_at=now + opens * HOUR, closes_at=now + closes * HOUR, **fields)


def items() -> list[Item]:
    now = clock.now()
    return [*unready(now), *reveal_due(now)]


def words() -> list[str]:
    return [one.word for one in items()]


def test_what_opens_or_closes_within_a_day_with_something_unset():
    made = phase(20, 200)
    assert words() == ["Opens unready"]
    Phase.objects.update(opens_at=clock.now() + 30 * HOUR)
    assert words() == []
    Phase.objects.update(opens_at=clock.now() - HOUR, closes_at=clock.now() + 20 * HOUR)
    assert words() == ["Closes unready"]
    settled = {"description": "One.", "revealed_at": made.closes_at + 200 * HOUR, "try_outs_on": made}
    Phase.objects.update(**settled)
    assert words() == []


def test_a_draft_that_was_to_open():
    phase(20, 200, is_draft=True)
    [item] = items()
    assert "still a draft" in item.what
    assert [act.name for act, _ in item.acts] == ["open-phase"]
    Phase.objects.update(opens_at=clock.now() - HOUR)
    assert words() == ["Not opened"]


def test_a_reveal_that_is_due():
    phase(-50, -2)
    [item] = items()
    assert (item.word, [act.name for act, _ in item.acts]) == ("Reveal is due", ["reveal-phase"])
    Phase.objects.update(revealed_at=clock.now() + HOUR)
    assert words() == []
    Phase.objects.update(revealed_at=None, cases_are_public=True)
    assert words() == []
