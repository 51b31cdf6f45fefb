"""A metric changed for trial: what the first runs of a phase say of it, and what is told on hidden cases."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.models import Phase, RescoredRun, Run
from leaderboard.rescoring import decisions, work
from tests.leaderboard import cast, masks
from tests.leaderboard.rescoring import trial
from tests.leaderboard.rescoring.trial import BY, deploy_and_rescore, started

pytestmark = pytest.mark.django_db


def test_the_first_run_says_by_which_version_a_phase_is_ranked():
    phase = trial.phase_of_both()
    with trial.deployed("2"):
        assert (phase.evaluation_version, phase.ranked_version) == ("", "2")
        trial.scored(phase, "Alice", 4)
    phase.refresh_from_db()
    assert (phase.evaluation_version, phase.ranked_version) == ("2", "2")


def test_a_try_out_says_nothing_of_it(host, team):
    phase = trial.phase_of_both()
    Phase.objects.update(try_outs_on=phase)
    trial.finish(cast.submit_checked(team, Phase.objects.get(), kind="try_out"), 4, host)
    assert Phase.objects.get().evaluation_version == ""


@pytest.fixture
def phase() -> Phase:
    """On hidden cases."""
    return trial.phase_of(publication="half")


@pytest.fixture
def runs(phase) -> dict[str, Run]:
    """Of a minute ago: Alice is better than Dora."""
    made = {
        "Alice": trial.scored(phase, "Alice", 4),
        "Dora": trial.scored(phase, "Dora", 6),
    }
    cast.let_a_minute_pass()
    return made


def test_applying_shows_at_once_the_same_runs_as_before(phase, runs):
    with trial.deployed("2"):
        deploy_and_rescore(phase)
        late = trial.scored(phase, "Eve", 4)
        assert len(trial.board(phase)) == 2
        decisions.apply(phase, by=BY)
        assert [row[0] for row in trial.board(phase)] == ["Team of Dora", "Team of Alice"]
        assert late.state == "scored"
        cast.let_a_minute_pass()
        assert len(trial.board(phase)) == 3


def test_a_run_that_missed_it_takes_its_numbers_over_when_a_minute_begins(phase, runs, host):
    submission = cast.submit_checked(cast.team_of(cast.person("Eve")), phase)
    case_set = trial.mended(phase.case_set, "mended", references={"case_000.nii.gz": masks.cube(6)})
    started(phase, cases=case_set)
    trial.work_on()
    decisions.apply(phase, by=BY)
    late = trial.finish(submission, 4, host)
    assert late.evaluation_version == "1", "it had begun on the cases of before"
    cast.let_a_minute_pass()
    assert len(trial.board(phase)) == 2
    work.look(clock.now())
    trial.work_on()
    scored_at = RescoredRun.objects.get(run=late).scored_at
    assert scored_at is not None
    work.look(scored_at)
    late.refresh_from_db()
    assert late.evaluation_version == "1", "within the minute nothing is told"
    work.look(clock.now() + timedelta(minutes=1))
    late.refresh_from_db()
    assert late.evaluation_version == "1-r1"
    assert set(late.cases.values_list("case__case_set", flat=True)) == {case_set.pk}
    cast.let_a_minute_pass()
    assert len(trial.board(phase)) == 3
