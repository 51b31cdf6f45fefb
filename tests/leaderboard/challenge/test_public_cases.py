"""Making hidden cases public: once, by an act of its own."""

from datetime import timedelta
from typing import Any

import pytest

from leaderboard.challenge.public_cases import make_public
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Phase
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def over(cases: Any = None, **fields: Any) -> Phase:
    """A phase on hidden cases that has closed and was revealed."""
    now = clock.now()
    when = {"opens_at": now - 9 * DAY, "closes_at": now - 2 * DAY, "revealed_at": now - DAY}
    return cast.phase(cases, **{"publication": "half", **when, **fields})


def test_all_phases_on_the_cases_become_public_with_a_reason():
    phase = over(embargo_until=clock.now() - DAY)
    beside = over(phase.case_set, slug="beside")
    with pytest.raises(Refused, match="Say why"):
        make_public(phase, by=cast.OPERATOR, why=" ")
    make_public(phase, by=cast.OPERATOR, why="The challenge is over.")
    for one in (phase, beside):
        one.refresh_from_db()
        assert (one.cases_are_public, one.publication, one.embargo_until) == (True, "everything", None)
        one.full_clean()
    assert AuditEntry.objects.filter(action="make cases public", why="The challenge is over.").count() == 2
    with pytest.raises(Refused, match="public already"):
        make_public(phase, by=cast.OPERATOR, why="Again.")


@pytest.mark.parametrize(
    ("fields", "stands_against"),
    [
        ({"closes_at": 1}, "its deadline is not over"),
        ({"revealed_at": None}, "its full result is not revealed"),
        ({"post_challenge_opens_at": -1}, "its post-challenge runs have not ended"),
    ],
)
def test_it_is_refused_while_anybody_may_still_ask(fields, stands_against):
    phase = over()
    told = {name: days if days is None else clock.now() + days * DAY for name, days in fields.items()}
    if "closes_at" in fields:
        told["revealed_at"] = None
    over(phase.case_set, **{"slug": "beside", **told})
    with pytest.raises(Refused, match=f"The Phase beside stands in the way: {stands_against}"):
        make_public(phase, by=cast.OPERATOR, why="The challenge is over.")
    assert not Phase.objects.filter(cases_are_public=True).exists()
