"""A run that an organiser put first."""

import pytest

from leaderboard.core.refusal import Refused
from leaderboard.journey import pipeline, precedence, scheduling
from leaderboard.models import AuditEntry, Host, Run, Submission
from leaderboard.states import RunState
from tests.leaderboard import cast, gpu_host, seen
from tests.leaderboard.virtual_challenge import Pace, Places, challenge

pytestmark = pytest.mark.django_db(transaction=True)
BY, WHY = cast.OPERATOR, "It was interrupted by us three times."


@pytest.fixture
def queued():
    """The queued runs of three teams, two each, in the order in which they were accepted."""
    phase = cast.phase(runs_per_day=9)
    teams = [cast.team_of(cast.person(name)) for name in ("Alice", "Bob", "Charlie")]
    return [cast.submit_checked(team, phase) for team in teams for _ in range(2)]


def place(submission: Submission) -> int | None:
    estimate = seen.by_team(submission).estimate
    assert estimate is not None
    return estimate.place


def order() -> list[int]:
    return [run.submission_id for run in scheduling.queue()]


def test_it_starts_before_all_others_and_takes_its_teams_turn(queued):
    a1, a2, b1, b2, c1, c2 = (one.pk for one in queued)
    assert order() == [a1, b1, c1, a2, b2, c2]
    precedence.put_first(queued[5], by=BY, why=WHY)
    assert order() == [c2, a1, b1, c1, a2, b2]
    host = cast.host()
    pipeline.fill_slots()
    assert gpu_host.claim(host, gpu_host.waiting(queued[5].runs.get()))
    entry = AuditEntry.objects.get(action="run next")
    assert (entry.why, entry.after["put_first_why"]) == (WHY, WHY)


def test_the_estimates_of_other_teams_tell_nothing_but_their_new_place(queued):
    before = place(queued[0])
    precedence.put_first(queued[5], by=BY, why=WHY)
    assert (before, place(queued[0])) == (1, 2)
    assert place(queued[5]) == 1
    assert WHY not in str(seen.by_team(queued[0]))


def test_a_post_challenge_run_that_is_put_first_is_no_turn_of_scored_runs(queued):
    type(queued[5]).objects.filter(pk=queued[5].pk).update(kind="post_challenge")
    precedence.put_first(queued[5], by=BY, why=WHY)
    precedence.put_first(queued[3], by=BY, why=WHY)
    a1, a2, b1, b2, c1, c2 = (one.pk for one in queued)
    assert order() == [b2, c2, a1, c1, b1, a2]


def test_it_waits_in_turn_again(queued):
    before = order()
    precedence.put_first(queued[5], by=BY, why=WHY)
    precedence.take_turns(queued[5], by=BY)
    assert order() == before
    assert Run.objects.get(submission=queued[5]).put_first_why == ""


def test_only_what_waits_for_its_start_can_be_put_first(queued):
    Run.objects.filter(submission=queued[0]).update(state=RunState.SCORED)
    with pytest.raises(Refused, match="waits for its start"):
        precedence.put_first(queued[0], by=BY, why=WHY)
    with pytest.raises(Refused, match="waits for its start"):
        precedence.put_first(cast.submit(queued[0].team, queued[0].phase), by=BY, why=WHY)
    with pytest.raises(Refused, match="Say why"):
        precedence.put_first(queued[1], by=BY, why=" ")


def test_the_others_are_served_in_turns_as_before_and_the_forecast_says_so():
    simulated = challenge(3, cases=1, pace=Pace(check=0.0), places=Places(slots=1))
    Host.objects.update(slots=[])
    submissions = [cast.submit_checked(team, simulated.phase) for team in simulated.teams for _ in range(2)]
    precedence.put_first(submissions[5], by=BY, why=WHY)
    expected = order()
    assert [place(one) for one in submissions] == [expected.index(one.pk) + 1 for one in submissions]
    simulated._numbers = {one.pk: one.pk for one in submissions}
    Host.objects.update(slots=[{"name": "slot0", "gpus": []}])
    pipeline.fill_slots()
    simulated.run()
    assert [number for _, number in simulated.of("started")] == expected
