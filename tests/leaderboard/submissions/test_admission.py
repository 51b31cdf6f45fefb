"""The one module that refuses."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, pipeline
from leaderboard.models import Submission
from leaderboard.people import teams
from leaderboard.states import SubmissionState
from leaderboard.submissions import admission, uploads
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


def test_a_team_with_everything_in_order_may_submit(alice, team):
    assert admission.check_open_for(alice, cast.phase(), clock.now()) == team


def test_it_refuses_a_person_without_a_team(alice):
    with pytest.raises(Refused, match="Found a team"):
        admission.check_open_for(alice, cast.phase(), clock.now())


def test_it_refuses_who_has_not_accepted_the_rules():
    newcomer = cast.person("Nora", accepts_rules=False)
    cast.team_of(newcomer)
    with pytest.raises(Refused, match="accept the rules"):
        admission.check_open_for(newcomer, cast.phase(), clock.now())


def test_a_new_version_of_the_rules_asks_again(alice, team, settings):
    settings.RULES_VERSION = "2027-01"
    with pytest.raises(Refused, match="accept the rules"):
        admission.check_open_for(alice, cast.phase(), clock.now())


def test_it_refuses_before_the_phase_opens(team):
    with pytest.raises(Refused, match="opens on"):
        cast.submit(team, cast.phase(opens_at=clock.now() + timedelta(minutes=1)))


def test_it_refuses_everything_in_a_draft(team, alice):
    phase = cast.phase(is_draft=True, cases_are_public=True)
    phase.try_outs_on = phase
    phase.save()
    with pytest.raises(Refused, match="a draft of the organisers"):
        cast.submit(team, phase)
    with pytest.raises(Refused, match="a draft of the organisers"):
        cast.submit(team, phase, kind="try_out")
    with pytest.raises(Refused, match="a draft of the organisers"):
        admission.check_open_for(alice, phase, clock.now())


def test_it_refuses_after_the_deadline(team):
    phase = cast.phase(opens_at=clock.now() - timedelta(days=2), closes_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(Refused, match="closed on"):
        cast.submit(team, phase)


def test_it_refuses_more_runs_than_the_day_has(team):
    phase = cast.phase(runs_per_day=1)
    cast.submit(team, phase)
    with pytest.raises(Refused, match="used its 1 run of today"):
        cast.submit(team, phase)


def test_it_refuses_more_runs_than_the_phase_has(team):
    phase = cast.phase(runs_per_day=5, runs_total=1)
    cast.submit(team, phase)
    with pytest.raises(Refused, match="all of its 1 run "):
        cast.submit(team, phase)


def test_another_day_has_its_own_runs(team):
    phase = cast.phase(runs_per_day=1)
    cast.submit(team, phase)
    Submission.objects.update(quota_day=clock.now().date() - timedelta(days=1))
    cast.submit(team, phase)


def test_a_rejected_submission_gives_its_run_back(team):
    phase = cast.phase(runs_per_day=1)
    first = cast.submit(team, phase)
    pipeline.validate_image(first.pk)  # not an archive at all
    first.refresh_from_db()
    assert first.state == SubmissionState.REJECTED
    assert first.reason
    cast.submit(team, phase)


def test_it_refuses_an_empty_file_and_keeps_nothing_of_it(team):
    empty = cast.upload(b"")
    with pytest.raises(Refused, match="empty"):
        cast.submit(team, cast.phase(), upload=empty)
    assert not uploads.path(empty.file).exists()


def test_it_refuses_a_file_that_is_too_large(team):
    with pytest.raises(Refused, match="takes up to"):
        cast.submit(team, cast.phase(max_archive_bytes=5), upload=cast.upload(b"123456"))


def test_a_refusal_leaves_the_same_bytes_of_another_submission_alone(team):
    phase = cast.phase(runs_per_day=1)
    first = cast.submit(team, phase, upload=cast.upload(b"the same image"))
    with pytest.raises(Refused):
        cast.submit(team, phase, upload=cast.upload(b"the same image"))
    assert uploads.path(first.upload_file).exists()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("method", "too short", "Describe the method"),
        ("external_data", " ", "none"),
        ("algorithm", "", "Name your algorithm"),
        ("algorithm", "\u200b\u202e\u2060", "at least one letter or digit"),
        ("track", "sprint", "Choose a track"),
    ],
)
def test_it_refuses_what_the_board_could_not_show(team, field, value, says):
    with pytest.raises(Refused, match=says):
        cast.submit(team, cast.phase(), **{field: value})


def test_one_person_is_in_one_team(alice, team):
    with pytest.raises(Refused, match="One person is in one team"):
        teams.create_team(alice, name="A second team")


def test_a_team_mate_joins_by_the_captains_link(team):
    bob = cast.person("Bob")
    assert teams.join_team(bob, team.join_code) == team
    assert bob.team == team


def test_joining_twice_is_joining_once(team):
    bob = cast.person("Bob")
    teams.join_team(bob, team.join_code)
    teams.join_team(bob, team.join_code)
    assert team.memberships.count() == 2


def test_an_old_link_opens_nothing(alice, team):
    old = team.join_code
    teams.renew_join_code(alice, team)
    with pytest.raises(Refused, match="not valid any more"):
        teams.join_team(cast.person("Bob"), old)


def test_two_teams_cannot_have_one_name(team):
    with pytest.raises(Refused, match="already"):
        teams.create_team(cast.person("Charlie"), name=team.name.upper())


def test_it_refuses_to_cancel_what_has_ended(team):
    submission = cast.submit(team, cast.phase())
    decisions.cancel(submission, by=cast.OPERATOR)
    with pytest.raises(Refused, match="nothing to cancel"):
        decisions.cancel(submission, by=cast.OPERATOR)
