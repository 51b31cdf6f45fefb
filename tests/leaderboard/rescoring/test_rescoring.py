"""A metric changed for trial: scored anew beside the old numbers, previewed, discarded, applied; nothing else moves."""

from datetime import timedelta

import pytest
from django.db.models import F

import evaluation
from leaderboard.board import versions
from leaderboard.board.reading import board_of
from leaderboard.core import blobs, clock
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions as of_runs
from leaderboard.journey import pipeline, scheduling
from leaderboard.models import (
    AuditEntry,
    BoardVersion,
    Phase,
    RescoredCase,
    RescoredRun,
    Rescoring,
    Run,
    RunCase,
    RunScores,
    Standing,
    Submission,
)
from leaderboard.processes import sweeper
from leaderboard.rescoring import decisions, progress, work
from leaderboard.rescoring.preview import preview
from leaderboard.scores import arrays, scoring
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.rescoring import trial
from tests.leaderboard.rescoring.trial import BY, CASES, deploy_and_rescore, started

pytestmark = pytest.mark.django_db

TWO = (("mended", "2c"), ("again", "2e"))


@pytest.fixture(scope="module")
def four(made_once) -> dict[str, int]:
    """Runs (their keys) that were scored before any test, each of which changes them for itself alone.

    Alice is best and Dora last, whose masks are none; Bob takes part in Overall alone; Charlie handed in masks.
    """
    phase = trial.phase_of_both()
    made = {
        "Alice": trial.scored(phase, "Alice", 4),
        "Bob": trial.scored(phase, "Bob", 5, track="overall"),
        "Charlie": trial.scored(phase, "Charlie", 5, entry="masks"),
        "Dora": trial.scored(phase, "Dora", 6, lost=1),
    }
    return {name: run.pk for name, run in made.items()}


@pytest.fixture
def runs(four, shared_files) -> dict[str, Run]:
    """They as this test has them."""
    return {name: Run.objects.get(pk=key) for name, key in four.items()}


@pytest.fixture
def phase(runs) -> Phase:
    """That in which they are."""
    return Phase.objects.get()


OLD = [
    ("Team of Alice", "ranked", 1, 1.0),
    ("Team of Charlie", "ranked", 2, 0.4219),
    ("Team of Dora", "ranked", 3, 0.0938),
]
NEW = [
    ("Team of Dora", "ranked", 1, 0.6562),
    ("Team of Charlie", "ranked", 2, 0.5781),
    ("Team of Alice", "ranked", 3, 0.0),
]


class TestABoardStands:
    def test_when_newer_metrics_are_deployed(self, phase, runs):
        before = trial.told(phase)
        with trial.deployed("2"):
            assert trial.told(phase) == before
            assert trial.board(phase) == OLD

    def test_without_a_run_that_newer_metrics_scored_which_has_its_numbers(self, phase, runs):
        with trial.deployed("2"):
            late = trial.scored(phase, "Eve", 4)
            assert trial.board(phase) == OLD
        assert late.evaluation_version == "2"
        assert late.standings.get(scope="all").dice == pytest.approx(0.0)
        assert arrays.of_run(late.pk).evaluation_version == "2"


class TestBesideTheOldNumbers:
    def test_nothing_that_is_told_changes_until_it_is_applied(self, phase, runs):
        with trial.deployed("2"):
            before = trial.told(phase)
            deploy_and_rescore(phase)
            sweeper.sweep()
            after = trial.told(phase)
        assert after == before
        assert RescoredRun.objects.filter(scored_at__isnull=False).count() == 4

    def test_a_killed_worker_costs_nothing_but_time(self, phase, runs, monkeypatch):
        with trial.deployed("2"):
            started(phase)
            with monkeypatch.context() as killed:
                real = work._keep
                kept: list[bool] = []

                def dies(*arguments):
                    if len(kept) == 3:
                        raise SystemExit
                    kept.append(real(*arguments))
                    return kept[-1]

                killed.setattr(work, "_keep", dies)
                with pytest.raises(SystemExit):
                    work.work_next(processes=1)
            assert RescoredCase.objects.count() == 3
            first = list(RescoredCase.objects.order_by("pk").values_list("pk", "scored_at"))
            sweeper.sweep()
            trial.work_on()
        assert list(RescoredCase.objects.order_by("pk").values_list("pk", "scored_at"))[:3] == first, "not again"
        assert trial.pending() == 0
        assert progress.progress_of(Rescoring.objects.get()).masks_measured == 4 * CASES - 1

    def test_a_lost_message_is_sent_again_by_the_sweeper(self, phase, runs, monkeypatch):
        asked = []
        with trial.deployed("2"):
            started(phase)
            monkeypatch.setattr("leaderboard.core.task_queue.enqueue_rescoring", lambda: asked.append("again"))
            sweeper.sweep()
            assert asked
            trial.work_on()
            asked.clear()
            monkeypatch.setattr(sweeper, "_rescoring_asked_at", -1e9)
            sweeper.sweep()
        assert not asked

    def test_live_runs_come_first(self, phase, runs, host):
        live = cast.submit_checked(cast.team_of(cast.person("Eve")), phase).runs.get()
        pipeline.fill_slots()
        order = gpu_host.claim(host, gpu_host.waiting(live))
        gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube(4)))])
        assert scheduling.scores_wait()
        with trial.deployed("2"):
            started(phase)
            assert not work.work_next(processes=1)
            assert not RescoredCase.objects.exists()
            gpu_host.score_reported(live)
            work.work_next(processes=1)
        assert RescoredCase.objects.exists()

    def test_a_mask_of_a_live_run_interrupts_it_after_one_case(self, phase, runs, monkeypatch):
        monkeypatch.setattr(scheduling, "scores_wait", lambda: RescoredCase.objects.exists())
        with trial.deployed("2"):
            started(phase)
            work.work_next(processes=1)
        assert RescoredCase.objects.count() == 1

    def test_a_run_that_is_scored_meanwhile_is_taken_in(self, phase, runs):
        case_set = trial.mended(phase.case_set, "mended", categories={"case_000.nii.gz": "2c"})
        rescoring = started(phase, cases=case_set)
        trial.work_on()
        trial.scored(phase, "Eve", 4)
        assert len(trial.board(phase)) == 4, "the old board goes on"
        sweeper.sweep()
        assert progress.progress_of(rescoring).waiting == 1
        trial.work_on()
        decisions.apply(phase, by=BY)
        assert len(trial.board(phase)) == 4

    def test_a_fault_of_ours_keeps_no_other_run_waiting_and_is_told(self, phase, runs, monkeypatch, caplog):
        real = scoring.score

        def score(cases, **options):
            cases = list(cases)
            if cases and cases[0].run_id == runs["Alice"].pk:
                raise OSError("no disk")
            return real(cases, **options)

        with trial.deployed("2"), monkeypatch.context() as broken:
            rescoring = started(phase)
            broken.setattr(scoring, "score", score)
            trial.work_on()
            now = progress.progress_of(rescoring)
            assert (now.scored, now.waiting, now.troubles) == (3, 1, ["no disk"])
            with pytest.raises(decisions.NotReady, match="1 of 4 runs"):
                decisions.apply(phase, by=BY)
            broken.undo()
            RescoredRun.objects.update(retry_at=clock.now() - timedelta(seconds=1))
            trial.work_on()
            assert progress.progress_of(rescoring).is_ready


class TestThePreview:
    def test_it_says_whose_numbers_and_ranks_change_by_how_much(self, phase, runs):
        with trial.deployed("2"):
            found = preview(deploy_and_rescore(phase))
        assert (found.runs, found.runs_changed, found.findings_changed) == (4, 4, 4 * CASES - 1)
        assert found.largest_change == pytest.approx(-1.0)
        boards = {(one.track, one.reader): one for one in found.boards}
        assert len(boards) == 4
        main = boards["main", "public"]
        ranks = [(one.name, one.before.rank, one.after.rank) for one in main.teams if one.before and one.after]
        assert ranks == [("Team of Dora", 3, 1), ("Team of Charlie", 2, 2), ("Team of Alice", 1, 3)]
        assert (main.moved, main.changed) == (2, 3)
        assert main.teams[2].dice_change == pytest.approx(-1.0)
        assert len(boards["overall", "organiser"].teams) == 4

    def test_it_names_teams_where_boards_do_not(self, phase, runs):
        Phase.objects.update(anonymous_until_reveal=True, cases_are_public=False, takes="images")
        cast.let_a_minute_pass()
        with trial.deployed("2"):
            found = preview(deploy_and_rescore(phase))
        names = {one.reader: [team.name for team in one.teams] for one in found.boards if one.track == "main"}
        assert names["public"] == names["organiser"] == ["Team of Dora", "Team of Charlie", "Team of Alice"]

    def test_it_is_what_applying_does(self, phase, runs):
        with trial.deployed("2"):
            found = preview(deploy_and_rescore(phase))
            decisions.apply(phase, by=BY)
            for one in found.boards:
                if one.reader == "public":
                    after = [(team.after.rank, round(team.after.dice, 4)) for team in one.teams if team.after]
                    assert after == [place[2:] for place in trial.board(phase, one.track)]


class TestApplied:
    def test_all_runs_change_at_once_and_the_old_board_stays_at_its_address(self, phase, runs):
        assert trial.board(phase) == OLD
        old = versions.latest(phase, "main", clock.now())
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            decisions.apply(phase, why="two organisers looked at it", by=BY)
            assert trial.board(phase) == NEW
            assert [row[0] for row in trial.board(phase, "overall")][-1] == "Team of Alice"
            new = versions.latest(phase, "main", clock.now())
        assert old is not None
        assert new is not None
        assert {"what": "evaluation version", "to": "2"} in new.changes
        rows = board_of(phase, "main", BoardVersion.objects.get(pk=old.pk)).rows
        assert [(row.team.name, round(row.dice, 4)) for row in rows] == [(one[0], one[3]) for one in OLD]

    def test_what_is_told_of_a_run_agrees(self, phase, runs):
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            decisions.apply(phase, by=BY)
        for run in Run.objects.all():
            standing = run.standings.get(scope="all")
            assert (run.evaluation_version, standing.evaluation_version) == ("2", "2")
            assert arrays.case_dice([run.pk]).mean() == standing.dice
            results = [dice for (dice,) in run.cases.values_list("result__dice")]
            assert sum(results) / len(results) == pytest.approx(standing.dice)
            assert set(run.cases.filter(outcome="finished").values_list("evaluation_version", flat=True)) == {"2"}
            assert set(RunScores.objects.filter(run=run).values_list("evaluation_version", flat=True)) == {"1", "2"}
        assert not RescoredCase.objects.exists()

    def test_the_scores_of_findings_by_the_older_version_stay(self, phase, runs):
        RunScores.objects.all().delete()  # as of runs from before there were arrays
        old = arrays.case_dice([runs["Alice"].pk])
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            decisions.apply(phase, by=BY)
        assert (arrays.case_dice([runs["Alice"].pk], "1") == old).all()
        assert (arrays.case_dice([runs["Alice"].pk]) == 1 - old).all()

    def test_runs_of_newer_metrics_and_all_later_ones_are_ranked_then(self, phase, runs):
        with trial.deployed("2"):
            trial.scored(phase, "Eve", 4)
            deploy_and_rescore(phase)
            assert len(trial.board(phase)) == 3
            decisions.apply(phase, by=BY)
            assert len(trial.board(phase)) == 4
            trial.scored(phase, "Frank", 4)
            assert len(trial.board(phase)) == 5

    def test_it_is_refused_while_a_run_waits(self, phase, runs):
        with trial.deployed("2"):
            started(phase)
            with pytest.raises(decisions.NotReady, match="4 of 4 runs"):
                decisions.apply(phase, by=BY)

    def test_it_does_not_meet_a_board_in_the_making(self, phase, runs):
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            with cast.another_process_at("board", phase.pk), pytest.raises(decisions.NotReady, match="being made"):
                decisions.apply(phase, by=BY)
            decisions.apply(phase, by=BY)

    def test_runs_that_missed_an_earlier_one_are_in_the_next(self, phase, runs):
        first, second = (trial.mended(phase.case_set, name, categories={"case_000.nii.gz": to}) for name, to in TWO)
        started(phase, cases=first)
        trial.work_on()
        decisions.apply(phase, by=BY)
        run = Run.objects.get(pk=runs["Alice"].pk)
        Rescoring.objects.get().runs.filter(run=run).update(applied_at=None, scored_at=None)  # as if it came too late
        run.standings.update(evaluation_version="1")
        started(Phase.objects.get(), cases=second)
        trial.work_on()
        decisions.apply(phase, by=BY)
        assert not RescoredRun.objects.filter(applied_at=None).exists()
        assert len(trial.board(phase)) == 3

    def test_post_challenge_runs_change_with_it(self, phase, runs):
        Phase.objects.update(closes_at=clock.now(), post_challenge_opens_at=clock.now())
        phase.refresh_from_db()
        after = trial.scored(phase, "Eve", 5, kind="post_challenge")
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            decisions.apply(phase, by=BY)
            assert trial.board(phase)[-1] == ("Team of Eve", "post_challenge", None, 0.5781)
        assert Run.objects.get(pk=after.pk).evaluation_version == "2"

    def test_a_try_out_keeps_its_numbers(self, phase, runs, host):
        Phase.objects.update(try_outs_on=phase)
        team = runs["Alice"].submission.team
        tried = trial.finish(cast.submit_checked(team, Phase.objects.get(), kind="try_out"), 5, host)
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            decisions.apply(phase, by=BY)
        assert tried.standings.get(scope="all").evaluation_version == "1"
        assert not RescoredRun.objects.filter(run=tried).exists()

    def test_runs_go_on_that_were_under_way(self, phase, runs, host):
        live = cast.submit_checked(cast.team_of(cast.person("Eve")), phase).runs.get()
        pipeline.fill_slots()
        order = gpu_host.claim(host, gpu_host.waiting(live))
        gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube(4)))])
        gpu_host.score_reported(live)
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            decisions.apply(phase, by=BY)
            done = trial.finish(live.submission, 4, host)
        assert done.evaluation_version == "2"
        assert done.standings.get(scope="all").dice == pytest.approx(0.0)


class TestDiscarded:
    def test_everything_is_as_before_to_the_bit_and_it_can_be_done_again(self, phase, runs):
        with trial.deployed("2"):
            before = trial.told(phase), list(RunScores.objects.order_by("pk").values())
            deploy_and_rescore(phase)
            decisions.discard(phase, why="the metric was right", by=BY)
            assert (trial.told(phase), list(RunScores.objects.order_by("pk").values())) == before
            assert not RescoredRun.objects.exists()
            [kept] = Rescoring.objects.all()
            assert kept.changes is not None
            assert kept.changes["runs_changed"] == 4, "for the record"
            deploy_and_rescore(phase)
            decisions.apply(phase, by=BY)
            assert trial.board(phase) == NEW

    def test_while_a_worker_is_at_it(self, phase, runs, monkeypatch):
        with trial.deployed("2"):
            started(phase)
            real = work._keep
            monkeypatch.setattr(
                work, "_keep", lambda *rows: (decisions.discard(phase, why="no", by=BY), real(*rows))[1]
            )
            work.work_next(processes=1)
        assert not RescoredCase.objects.exists()
        assert Standing.objects.exclude(evaluation_version="1").count() == 0


class TestTheRecord:
    def test_each_decision_is_in_it(self, phase, runs):
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            decisions.discard(phase, why="not yet", by=BY)
            deploy_and_rescore(phase)
            decisions.apply(phase, why="agreed", by=BY)
        entries = AuditEntry.objects.filter(action__endswith="re-scoring").order_by("pk")
        actions = ("start re-scoring", "discard re-scoring", "start re-scoring", "apply re-scoring")
        assert tuple(entries.values_list("action", flat=True)) == actions
        last = entries.latest("pk")
        assert last.before == {"evaluation_version": "1", "case_set": "cases"}
        assert (last.after, last.why) == ({"evaluation_version": "2", "case_set": "cases"}, "agreed")


class TestRefused:
    def test_an_archived_phase_keeps_its_version_and_its_board_for_ever(self, phase, runs):
        Phase.objects.update(opens_at=F("opens_at") - timedelta(days=9), closes_at=clock.now())
        trial.board(phase)
        of_runs.archive(phase, by=BY)
        before = trial.told(phase)
        with trial.deployed("2"):
            with pytest.raises(Refused, match="archived"):
                started(phase)
            sweeper.sweep()
            assert trial.told(phase) == before
            assert [row[0] for row in trial.board(phase)] == [row[0] for row in OLD]

    def test_a_phase_is_not_archived_before_it_is_decided(self, phase, runs):
        Phase.objects.update(opens_at=F("opens_at") - timedelta(days=9), closes_at=clock.now())
        with trial.deployed("2"):
            deploy_and_rescore(phase)
            with pytest.raises(Refused, match="Apply or discard"):
                of_runs.archive(phase, by=BY)
            decisions.apply(phase, by=BY)
            of_runs.archive(phase, by=BY)

    def test_what_would_change_nothing(self, phase, runs):
        with pytest.raises(Refused, match="nothing to score anew"):
            started(phase)

    def test_a_second_one_and_one_without_a_reason(self, phase, runs):
        with trial.deployed("2"):
            with pytest.raises(Refused, match="Say why"):
                decisions.start(phase, reason=" ", by=BY)
            started(phase)
            with pytest.raises(Refused, match="apply or discard that first"):
                started(phase)

    def test_cases_that_do_not_mend_those_of_the_phase(self, phase, runs):
        with pytest.raises(Refused, match="--mends cases"):
            started(phase, cases=cast.case_set(CASES, name="others"))

    def test_it_waits_when_the_server_has_other_metrics_again(self, phase, runs):
        with trial.deployed("2"):
            rescoring = started(phase)
        work.work_next(processes=1)
        assert not RescoredCase.objects.exists()
        assert not progress.progress_of(rescoring).goes_on
        decisions.discard(phase, why="the server went back", by=BY)


class TestMasksThatAreGone:
    @pytest.fixture
    def without(self, runs) -> Run:
        """Of Charlie's masks none is kept."""
        [digest] = set(runs["Charlie"].cases.values_list("output", flat=True))
        Run.objects.filter(pk=runs["Bob"].pk).delete()  # who handed in the same
        blobs.outputs.path(digest).unlink()
        return runs["Charlie"]

    def test_such_a_run_is_named_and_applying_has_to_say_that_it_is_left_out(self, phase, without):
        with trial.deployed("2"):
            rescoring = deploy_and_rescore(phase)
            now = progress.progress_of(rescoring)
            assert [(one.team, one.masks_missing) for one in now.lost] == [("Team of Charlie", CASES)]
            public = next(one for one in preview(rescoring).boards if one.reader == "public")
            assert [one.name for one in public.teams if one.after is None] == ["Team of Charlie"]
            with pytest.raises(Refused, match="--leave-out"):
                decisions.apply(phase, by=BY)
            decisions.apply(phase, leave_out=True, by=BY)
            assert [row[0] for row in trial.board(phase)] == ["Team of Dora", "Team of Alice"]
        assert without.standings.get(scope="all").evaluation_version == "1"
        assert RunCase.objects.filter(run=without, evaluation_version="1").count() == CASES

    def test_they_are_not_needed_where_only_categories_are_mended(self, phase, without):
        case_set = trial.mended(phase.case_set, "mended", categories={"case_000.nii.gz": "2c"})
        started(phase, cases=case_set)
        trial.work_on()
        decisions.apply(phase, by=BY)
        assert [row[0] for row in trial.board(phase)] == [row[0] for row in OLD]


class TestMendedReferences:
    def test_only_the_masks_of_those_cases_are_measured(self, phase, runs, monkeypatch):
        measured: list[str] = []
        real = evaluation.assess_isolated

        def counted(jobs, **options):
            jobs = list(jobs)
            measured.extend(job.case.name for job in jobs)
            return real(jobs, **options)

        case_set = trial.mended(phase.case_set, "mended", references={"case_001.nii.gz": masks.cube(6)})
        monkeypatch.setattr(evaluation, "assess_isolated", counted)
        rescoring = started(phase, cases=case_set)
        trial.work_on()
        decisions.apply(phase, by=BY)
        assert set(measured) == {"case_001.nii.gz"}
        assert rescoring.to_version == "1-r1"
        phase.refresh_from_db()
        assert (phase.case_set, phase.evaluation_version) == (case_set, "1-r1")
        assert trial.board(phase)[0][0] == "Team of Alice"

    def test_the_numbers_are_those_of_runs_that_were_scored_on_them_from_the_start(self, phase, runs):
        case_set = trial.mended(
            phase.case_set,
            "mended",
            references={"case_001.nii.gz": masks.cube(6)},
            categories={"case_000.nii.gz": "1c", "case_002.nii.gz": "2c"},
        )
        started(phase, cases=case_set)
        trial.work_on()
        decisions.apply(phase, by=BY)
        phase.refresh_from_db()
        again = trial.scored(phase, "Eve", 5)
        for other in (runs["Bob"], runs["Charlie"]):
            other.refresh_from_db()
            assert other.evaluation_version == again.evaluation_version == "1-r1"
            columns = ("scope", "evaluation_version", "dice", "cases", "lost_cases", "summary", "groups")
            both = [list(one.standings.order_by("scope").values_list(*columns)) for one in (other, again)]
            assert both[0] == both[1]
            names = [dict(one.cases.values_list("case", "result")) for one in (other, again)]
            assert names[0] == names[1]
            stored = [RunScores.objects.get(run=one, evaluation_version="1-r1") for one in (other, again)]
            assert bytes(stored[0].findings) == bytes(stored[1].findings)

    def test_categories_alone_need_no_mask_and_change_no_dice(self, phase, runs, monkeypatch):
        case_set = trial.mended(phase.case_set, "mended", categories={"case_000.nii.gz": "2c"})
        rescoring = started(phase, cases=case_set)
        monkeypatch.setattr(evaluation, "assess_isolated", lambda *_, **__: pytest.fail("nothing is to be measured"))
        trial.work_on()
        found = preview(rescoring)
        assert (found.runs_changed, found.findings_changed, found.largest_change) == (4, 4, 0.0)
        decisions.apply(phase, by=BY)
        groups = runs["Alice"].standings.get(scope="all").groups
        assert (groups["2c"]["n"], groups["2d"]["n"]) == (1, CASES - 1)

    def test_the_half_and_its_commitment_stay(self, phase, runs):
        cast.draw_half(phase.case_set)
        half = set(phase.case_set.cases.filter(in_public_half=True).values_list("name", flat=True))
        case_set = trial.mended(phase.case_set, "mended", references={"case_001.nii.gz": masks.cube(6)})
        assert set(case_set.cases.filter(in_public_half=True).values_list("name", flat=True)) == half

    def test_what_was_handed_in_runs_again_on_them(self, phase, runs):
        case_set = trial.mended(phase.case_set, "mended", references={"case_001.nii.gz": masks.cube(6)})
        started(phase, cases=case_set)
        trial.work_on()
        decisions.apply(phase, by=BY)
        again = of_runs.run_again(Submission.objects.get(entry="masks"), by=BY)
        pipeline.score_batch(again.batches.get().pk)
        again.refresh_from_db()
        assert (again.state, again.evaluation_version) == ("scored", "1-r1")

    def test_back_to_the_references_of_before(self, phase, runs):
        before = trial.board(phase)
        first = phase.case_set
        case_set = trial.mended(first, "mended", references={"case_001.nii.gz": masks.cube(6)})
        for cases in (case_set, first):
            phase.refresh_from_db()
            started(phase, cases=cases)
            trial.work_on()
            decisions.apply(phase, by=BY)
        phase.refresh_from_db()
        assert (phase.case_set, phase.evaluation_version) == (first, "1")
        assert trial.board(phase) == before
