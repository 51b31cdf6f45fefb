"""All runs of a board: which are listed, as what, by whom, and from which version on until which."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leaderboard.board import all_runs, versions
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.journey import decisions
from leaderboard.models import BoardVersion, ListedRun, Phase, Run, Submission, Team
from leaderboard.people.ending import end_account
from leaderboard.states import SubmissionKind
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return cast.team_of(cast.person("Alice"))


@pytest.fixture
def rivals() -> Team:
    return cast.team_of(cast.person("Charlie"))


def public_phase(**fields) -> Phase:
    return cast.phase(**{"cases_are_public": True, "runs_per_day": 30, "runs_total": 30, **fields})


def made(phase: Phase, track: str = "main") -> BoardVersion:
    """The newest version."""
    versions.make(phase.pk)
    return BoardVersion.objects.filter(phase=phase, track=track).latest("number")


def listed(phase: Phase, version: BoardVersion, sort: str = "dice") -> list[all_runs.RunLine]:
    return all_runs.lines(phase, version, list(all_runs.listed_in(version, sort)))


def told(phase: Phase, version: BoardVersion, sort: str = "dice") -> list[tuple[float, int | None, str]]:
    """Of each run its Dice, rank and what it is."""
    return [(line.row.dice, line.row.rank, line.what) for line in listed(phase, version, sort)]


def test_every_scored_run_is_listed_and_said_what_it_is(team, rivals):
    phase = public_phase()
    for owner, dice in ((team, 0.6), (team, 0.4), (rivals, 0.5)):
        scored(owner, phase, dice=dice)
    assert told(phase, made(phase)) == [(0.6, None, "an earlier run"), (0.5, 1, "counts"), (0.4, 2, "counts")]


def test_where_the_best_run_counts_another_one_is_not_the_best(team):
    phase = public_phase(counting="best")
    for dice in (0.6, 0.4):
        scored(team, phase, dice=dice)
    assert told(phase, made(phase)) == [(0.6, 1, "counts"), (0.4, None, "not its team’s best")]


def test_masks_that_are_not_ranked_post_challenge_runs_and_those_of_organisers_are_marked(team, rivals):
    phase = public_phase(takes="both", masks_are_ranked=False)
    masks, after = scored(team, phase, dice=0.3), scored(team, phase, dice=0.2)
    Submission.objects.filter(pk=masks.submission_id).update(entry="masks")
    Submission.objects.filter(pk=after.submission_id).update(kind=SubmissionKind.POST_CHALLENGE)
    Phase.objects.filter(pk=phase.pk).update(post_challenge_opens_at=phase.closes_at)
    scored(rivals, phase, dice=0.5)
    Team.objects.filter(pk=rivals.pk).update(is_of_organisers=True)
    assert told(phase, made(phase)) == [
        (0.5, None, "organisers, not ranked"),
        (0.3, None, "masks, not ranked"),
        (0.2, None, "post-challenge run"),
    ]


def test_a_run_from_after_a_deadline_that_was_moved_to_before_it_is_said_to_be_late(team):
    phase = public_phase()
    scored(team, phase)
    Phase.objects.filter(pk=phase.pk).update(closes_at=clock.now() - timedelta(minutes=5))
    assert [what for _, _, what in told(phase, made(phase))] == ["after the deadline"]


def test_failed_withdrawn_and_disqualified_runs_and_those_without_a_usable_mask_are_not_listed(team):
    phase = public_phase()
    shown, withdrawn, disqualified, failed, lost = (scored(team, phase, dice=0.5 - n / 10) for n in range(5))
    for run, change in ((withdrawn, "withdrawn_at"), (disqualified, "disqualified_at")):
        Submission.objects.filter(pk=run.submission_id).update(**{change: clock.now()})
    Run.objects.filter(pk=failed.pk).update(state="failed")
    lost.standings.update(lost_cases=phase.case_set.cases.count())
    assert [line.row.submission for line in listed(phase, made(phase))] == [shown.submission_id]


def test_main_entries_are_listed_in_overall_too(team):
    phase = public_phase()
    scored(team, phase, dice=0.6)
    scored(team, phase, dice=0.5, track="overall")
    assert [dice for dice, _, _ in told(phase, made(phase))] == [0.6]
    assert [dice for dice, _, _ in told(phase, made(phase, "overall"))] == [0.6, 0.5]


def test_they_are_read_by_dice_by_date_or_by_team(team, rivals):
    phase = public_phase()
    for minute, (owner, dice) in enumerate(((team, 0.4), (rivals, 0.6), (team, 0.5))):
        scored(owner, phase, dice=dice, at=clock.now() - timedelta(minutes=30 - minute))
    version = made(phase)
    orders = {sort: [dice for dice, _, _ in told(phase, version, sort)] for sort in all_runs.ORDERS}
    assert orders == {"dice": [0.6, 0.5, 0.4], "date": [0.5, 0.6, 0.4], "team": [0.5, 0.4, 0.6]}


def test_a_version_goes_on_listing_what_it_listed(team, rivals):
    phase = public_phase()
    first = scored(team, phase, dice=0.6)
    before = made(phase)
    was = [(line.row.team, line.row.dice, line.what) for line in listed(phase, before)]
    scored(rivals, phase, dice=0.7)
    decisions.withdraw(first.submission, by=Actor("Alice"))
    Team.objects.filter(pk=team.pk).update(name="Renamed")
    after = made(phase)
    assert (before.runs_listed, after.runs_listed) == (1, 1)
    assert [(line.row.team, line.row.dice, line.what) for line in listed(phase, before)] == was
    assert (was[0][0].name, was[0][2]) == (team.name, "counts")
    assert [dice for dice, _, _ in told(phase, after)] == [0.7]


def test_a_new_version_stores_only_what_is_new_in_it(team, rivals):
    phase = public_phase()
    scored(team, phase, dice=0.6)
    made(phase)
    kept = ListedRun.objects.get(track="main")
    scored(rivals, phase, dice=0.7)
    made(phase)
    assert ListedRun.objects.filter(track="main").count() == 2
    assert ListedRun.objects.get(pk=kept.pk).to_number is None


def test_a_run_that_does_not_count_makes_a_version_as_well(team):
    phase = public_phase(counting="best")
    scored(team, phase, dice=0.6)
    later = scored(team, phase, dice=0.5)
    Run.objects.filter(pk=later.pk).update(state="scoring")
    before = made(phase)
    Run.objects.filter(pk=later.pk).update(state="scored")
    assert made(phase).number == before.number + 1
    assert made(phase).runs_listed == 2


def test_a_version_that_nobody_saw_is_taken_back_with_what_it_listed(team, rivals):
    """On hidden cases the next minute's version is made ahead; a decision meanwhile makes another one of it."""
    phase = cast.phase(runs_per_day=9)
    scored(team, phase, dice=0.6)
    versions.make(phase.pk)
    late = scored(rivals, phase, dice=0.7)
    Run.objects.filter(pk=late.pk).update(ended_at=clock.now())
    planned = made(phase)
    assert planned.visible_from > clock.now()
    assert [dice for dice, _, _ in told(phase, planned)] == [0.7, 0.6]
    Submission.objects.filter(pk=late.submission_id).update(disqualified_at=clock.now())
    again = made(phase)
    assert [dice for dice, _, _ in told(phase, again)] == [0.6]
    assert not ListedRun.objects.filter(from_number__gt=again.number).exists()
    assert not ListedRun.objects.filter(to_number__gt=again.number).exists()


def test_before_the_reveal_numbers_are_those_of_the_public_half_and_rounded_and_after_it_exact(team):
    phase = cast.phase(publication="half", runs_per_day=9)
    for dice in (0.61239, 0.51239):
        scored(team, phase, dice=dice)
    before = made(phase)
    Phase.objects.filter(pk=phase.pk).update(revealed_at=clock.now())
    after = made(phase)
    assert [dice for dice, _, _ in told(phase, before)] == [0.512, 0.412]
    assert [dice for dice, _, _ in told(phase, after)] == [0.61239, 0.51239]


def test_a_run_that_was_scored_again_is_listed_with_its_new_numbers(team):
    phase = public_phase()
    run = scored(team, phase, dice=0.4)
    before = made(phase)
    run.standings.update(dice=0.7, summary=cast.numbers(0.7, 60))
    after = made(phase)
    assert [told(phase, one)[0][0] for one in (before, after)] == [0.4, 0.7]


def test_where_nothing_is_published_nothing_is_listed(team):
    phase = cast.phase(publication="nothing")
    scored(team, phase)
    version = made(phase)
    assert (listed(phase, version), version.runs_listed) == ([], 0)


def test_runs_of_which_nothing_changed_are_not_read_again(team, rivals):
    phase = public_phase()
    for dice in (0.6, 0.5, 0.4):
        scored(team, phase, dice=dice)
    made(phase)
    scored(rivals, phase, dice=0.7)
    with CaptureQueriesContext(connection) as asked:
        made(phase)
    summaries = [sql["sql"] for sql in asked if '"summary"' in sql["sql"] and "groups" not in sql["sql"]]
    assert len(summaries) == 2, "of both tracks the new run's"


def test_who_handed_a_run_in_is_named_where_the_phase_says_so_and_said_so_before():
    alice = cast.person("Alice")
    team, phase = cast.team_of(alice), public_phase()
    scored(team, phase, dice=0.6, user=alice)
    Phase.objects.filter(pk=phase.pk).update(show_submitters=True)
    scored(team, phase, dice=0.5, user=alice)
    version = made(phase)
    phase.refresh_from_db()
    assert [line.submitter for line in listed(phase, version)] == ["", "Alice"]
    phase.show_submitters = False
    assert [line.submitter for line in listed(phase, version)] == ["", ""]


def test_who_has_no_account_any_more_is_named_in_no_version():
    alice, bob = cast.person("Alice"), cast.person("Bob")
    team, phase = cast.team_of(alice, bob), public_phase(show_submitters=True)
    scored(team, phase, user=bob)
    version = made(phase)
    assert [line.submitter for line in listed(phase, version)] == ["Bob"]
    end_account(bob)
    assert [line.submitter for line in listed(phase, version)] == [""]


def test_who_gave_no_name_is_not_named_by_an_address():
    nameless = cast.person("Dana")
    nameless.name = ""
    nameless.save()
    phase = public_phase(show_submitters=True)
    scored(cast.team_of(nameless), phase, user=nameless)
    assert [line.submitter for line in listed(phase, made(phase))] == [""]
