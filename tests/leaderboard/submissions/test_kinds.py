"""Try-outs, and runs after the deadline: what admission takes, by the clock, and what becomes of them."""

import io
from datetime import timedelta

import pytest

from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.core import blobs, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, submitting
from leaderboard.models import AlgorithmImage, Case, Draft, Phase, Standing, Submission
from leaderboard.progress import listing
from leaderboard.states import RunState, SubmissionKind
from leaderboard.submissions import admission, drafts
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast, gpu_host, masks, seen

pytestmark = pytest.mark.django_db
TRY_OUT, POST, SCORED = SubmissionKind.TRY_OUT, SubmissionKind.POST_CHALLENGE, SubmissionKind.SCORED
HOURS, DAYS = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def hidden():
    """A phase on hidden cases with one run a day, for which images are tried out on the public cases of another one."""
    public = cast.phase(cast.case_set(4, name="validation"), slug="dev", cases_are_public=True)
    fields = {"runs_per_day": 1, "try_outs_on": public, "try_out_cases": 2, "try_outs_per_day": 2}
    return cast.phase(cast.case_set(3, name="test"), slug="test", closes_at=clock.now() + 9 * DAYS, **fields)


def change(phase, **fields):
    Phase.objects.filter(pk=phase.pk).update(**fields)
    phase.refresh_from_db()


def close(phase, **fields):
    change(phase, closes_at=clock.now() - HOURS, **fields)


def pass_try_out(submission, *, lost=0):
    """As if its few cases had been scored, so many of them lost."""
    run = submission.runs.get()
    type(run).objects.filter(pk=run.pk).update(state=RunState.SCORED, ended_at=clock.now())
    numbers = {"dice": 0.01, "cases": 2, "summary": cast.numbers(0.01), "groups": {}}
    Standing.objects.create(run=run, scope="all", evaluation_version="1", lost_cases=lost, **numbers)


class TestTryOuts:
    def test_it_runs_on_a_few_public_cases_and_uses_no_run(self, team, hidden):
        tried = cast.submit_checked(team, hidden, kind=TRY_OUT)
        names = [one.case.name for one in tried.runs.get().cases.order_by("case__name")]
        assert names == ["case_000.nii.gz", "case_001.nii.gz"]
        assert {one.case.case_set.name for one in tried.runs.get().cases.all()} == {"validation"}
        assert quota_of(team, hidden, clock.now()).total_used == 0
        cast.submit(team, hidden)

    def test_it_has_a_limit_of_its_own_which_scored_runs_do_not_use(self, team, hidden):
        cast.submit(team, hidden)
        for _ in range(2):
            cast.submit(team, hidden, kind=TRY_OUT)
        with pytest.raises(Refused, match="used its 2 try-outs of today"):
            cast.submit(team, hidden, kind=TRY_OUT)

    def test_who_has_no_run_left_may_still_open_the_form_to_try_something_out(self, alice, team, hidden):
        cast.submit(team, hidden)
        assert admission.check_open_for(alice, hidden, clock.now()) == team
        with pytest.raises(Refused, match="used its 1 run of today"):
            cast.submit(team, hidden)

    def test_a_phase_that_offers_none_takes_none(self, team, hidden):
        change(hidden, try_outs_on=None)
        with pytest.raises(Refused, match="has no try-outs"):
            cast.submit(team, hidden, kind=TRY_OUT)

    def test_cases_that_are_not_public_any_more_are_tried_out_on_by_nobody(self, team, hidden):
        change(hidden.try_outs_on, cases_are_public=False)
        with pytest.raises(Refused, match="has no try-outs"):
            cast.submit(team, hidden, kind=TRY_OUT)

    @pytest.mark.parametrize("opens", [-2, 1])
    def test_before_and_after_the_phase_there_is_none(self, team, hidden, opens):
        change(hidden, opens_at=clock.now() + opens * HOURS, closes_at=clock.now() + (opens + 1) * HOURS)
        with pytest.raises(Refused, match=r"opens on|closed on"):
            cast.submit(team, hidden, kind=TRY_OUT)

    def test_masks_need_none_and_get_none(self, team, hidden):
        public = hidden.try_outs_on
        change(public, takes="both", try_outs_on=public)
        with pytest.raises(Refused, match="Only an image can be tried out"):
            cast.submit(team, public, kind=TRY_OUT, entry="masks")
        change(public, try_out_required_from=clock.now() - HOURS)
        cast.submit(team, public, entry="masks")

    def test_it_counts_for_nothing_and_is_not_withdrawn(self, alice, team, hidden):
        tried = cast.submit_checked(team, hidden, kind=TRY_OUT)
        with pytest.raises(Refused, match="A try-out counts for nothing"):
            decisions.withdraw(tried, by=Actor.person(alice))
        assert not seen.by_team(tried).withdrawal.can_withdraw

    def test_a_kind_that_there_is_not_is_refused(self, team, hidden):
        with pytest.raises(Refused, match="scored or tried out"):
            cast.submit(team, hidden, kind="winner")


class TestARequiredTryOut:
    @pytest.fixture
    def asking(self, hidden):
        change(hidden, try_out_required_from=clock.now() - HOURS)
        return hidden

    def test_without_one_no_run_is_taken(self, team, asking):
        with pytest.raises(Refused, match="needs a passed try-out of the same image"):
            cast.submit(team, asking)

    def test_a_passed_one_of_the_same_image_opens_the_door_to_that_image_alone(self, team, asking):
        pass_try_out(cast.submit_checked(team, asking, kind=TRY_OUT))
        with pytest.raises(Refused, match="needs a passed try-out"):
            cast.submit(team, asking, upload=cast.upload(b"another archive"))
        cast.submit(team, asking)

    def test_it_has_to_have_had_the_same_weights(self, team, asking):
        tried = cast.submit_checked(team, asking, kind=TRY_OUT, weights=cast.upload(b"weights"))
        pass_try_out(tried)
        for other in (None, cast.upload(b"other weights")):
            with pytest.raises(Refused, match="the same image and weights"):
                cast.submit(team, asking, weights=other)
        change(asking, runs_per_day=2)
        cast.submit(team, asking, weights=cast.upload(b"weights"))

    def test_one_with_a_lost_case_has_not_passed(self, team, asking):
        pass_try_out(cast.submit_checked(team, asking, kind=TRY_OUT), lost=1)
        with pytest.raises(Refused, match="needs a passed try-out"):
            cast.submit(team, asking)

    def test_one_of_another_team_or_for_another_phase_does_not_help(self, team, asking):
        rival = cast.team_of(cast.person("Charlie"))
        pass_try_out(cast.submit_checked(rival, asking, kind=TRY_OUT))
        change(asking.try_outs_on, try_outs_on=asking.try_outs_on)
        pass_try_out(cast.submit_checked(team, asking.try_outs_on, kind=TRY_OUT))
        with pytest.raises(Refused, match="needs a passed try-out"):
            cast.submit(team, asking)

    def test_another_archive_in_which_the_same_image_was_found_is_the_same_image(self, team, asking):
        pass_try_out(cast.submit_checked(team, asking, kind=TRY_OUT))
        again = cast.upload(b"the same image, saved again")
        cast.submit_checked(team, asking.try_outs_on, upload=again)  # there it is found to be the same
        cast.submit(team, asking, upload=cast.upload(b"the same image, saved again"))

    def test_before_the_day_that_was_told_none_is_needed(self, team, asking):
        change(asking, try_out_required_from=clock.now() + HOURS)
        cast.submit(team, asking)

    def test_in_the_last_48_hours_none_is_needed(self, team, asking):
        change(asking, closes_at=clock.now() + 48 * HOURS - timedelta(seconds=1))
        cast.submit(team, asking)

    def test_where_none_can_be_made_none_is_needed(self, team, asking):
        change(asking, try_outs_on=None)
        cast.submit(team, asking)


class TestPostChallengeRuns:
    def test_after_the_deadline_they_are_taken_where_the_organisers_say_so(self, alice, team, hidden):
        close(hidden)
        with pytest.raises(Refused, match="closed on"):
            admission.check_open_for(alice, hidden, clock.now())
        change(hidden, post_challenge_opens_at=clock.now() - HOURS)
        assert admission.check_open_for(alice, hidden, clock.now()) == team
        assert cast.submit(team, hidden, kind=POST).kind == POST

    def test_what_was_meant_to_count_and_came_late_becomes_none_by_itself(self, team, hidden):
        close(hidden, post_challenge_opens_at=clock.now() - HOURS)
        with pytest.raises(Refused, match=r"closed on .* scored and never ranked"):
            cast.submit(team, hidden)

    def test_before_the_deadline_there_are_none(self, team, hidden):
        change(hidden, post_challenge_opens_at=clock.now() - HOURS)
        with pytest.raises(Refused, match="is open until"):
            cast.submit(team, hidden, kind=POST)

    @pytest.mark.parametrize("ended", ["post_challenge_closes_at", "archived_at"])
    def test_closed_again_or_archived_the_phase_takes_no_more(self, team, hidden, ended):
        close(hidden, post_challenge_opens_at=clock.now() - HOURS, **{ended: clock.now()})
        with pytest.raises(Refused, match="no post-challenge runs now"):
            cast.submit(team, hidden, kind=POST)

    def test_their_number_is_limited_for_ever_whatever_the_team_did_before(self, team, hidden):
        cast.submit(team, hidden)
        close(hidden, post_challenge_opens_at=clock.now() - HOURS, revealed_at=clock.now(), post_challenge_total=2)
        for days in (2, 1):
            cast.submit(team, hidden, kind=POST)
            Submission.objects.filter(kind=POST).update(quota_day=clock.now().date() - days * DAYS)
        with pytest.raises(Refused, match="all of its 2 post-challenge runs"):
            cast.submit(team, hidden, kind=POST)


@pytest.mark.django_db(transaction=True)
def test_a_try_out_shows_everything_and_becomes_a_run_at_a_press(alice, team, host, hidden):
    """The journey, with masks that are scored for real; a second press changes nothing, nor does a lack of drafts."""
    change(hidden, try_out_required_from=clock.now() - HOURS)
    for case in Case.objects.all():
        masks.give_reference(case, masks.cube())
    tried = cast.submit_checked(team, hidden, kind=TRY_OUT)
    image = blobs.images.put(io.BytesIO(b"an image"))
    AlgorithmImage.objects.update(archive=image.digest)
    gpu_host.finish_run(host, tried.runs.get(), masks.nifti(masks.cube()))
    view = seen.by_team(tried)
    assert (view.state, len(view.cells), view.figures and view.figures.dice) == ("scored", 2, 1.0)
    assert view.log
    assert tried.runs.get().hints_asked_at  # its masks are looked at, as on public cases
    for board in map(seen.board_by_public, (hidden, hidden.try_outs_on)):
        assert not board.everything
    [line] = listing.runs_of(team, Viewer(Reader.TEAM, clock.now())).lines
    assert (line.counts, line.figures and line.figures.dice) == ("", 1.0)
    for _ in range(drafts.MOST_OF_A_TEAM):
        drafts.begin(alice, team, hidden, {})
    entered = [submitting.enter(alice, tried, SCORED) for _ in range(2)]
    run = Submission.objects.get(kind=SCORED)
    assert entered == [run, run]
    assert (run.image, run.method, run.runs.get().cases.count()) == (tried.image, tried.method, 3)
    assert Draft.objects.count() == drafts.MOST_OF_A_TEAM
    assert (seen.by_team(run).cells, seen.by_team(run).log) == ((), None)
