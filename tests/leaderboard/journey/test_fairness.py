"""Nobody is served again before everybody else was: from the check to the score, in virtual time on real rows."""

import pytest

from leaderboard.core import locks, task_queue
from leaderboard.journey import faults, pipeline, planning, scheduling
from leaderboard.journey.turns import Place, Turns
from leaderboard.models import Batch, Host, Phase, Run, Team, Turn
from leaderboard.processes import sweeper
from leaderboard.scores import scoring
from leaderboard.states import BatchState, RunState
from tests.leaderboard import cast, gpu_host, masks, seen
from tests.leaderboard.virtual_challenge import Pace, Places, challenge

pytestmark = pytest.mark.django_db(transaction=True)

TEAMS, EACH = 6, 3


@pytest.fixture
def told(monkeypatch):
    """The messages that are sent."""
    told = []
    monkeypatch.setattr(task_queue, "_send", lambda task, key, queue: told.append((queue, key)))
    return told


def rounds(served: list[tuple[str, int]]) -> list[int]:
    return [number for _, number in served]


@pytest.fixture(scope="module")
def names():
    return [f"Team P{number:02}" for number in range(TEAMS)]


def test_teams_with_three_runs_each_are_served_in_turns_from_the_check_to_the_score(names):
    """Scoring is slower than the machines, and these than the checks; one mask of the first team takes a minute."""
    heavy, *light = names
    simulated = challenge(TEAMS, cases=2, heavy=frozenset({heavy}), pace=Pace(check=1.0, mask=6.0))
    simulated.hand_in(EACH)
    simulated.run()

    def served(what: str, teams: list[str]) -> list[int]:
        return [number for team, number in simulated.of(what) if team in teams]

    for what in ("checked", "started"):
        assert served(what, names) == [number for number in range(1, EACH + 1) for _ in names], what
    for what in ("canary scored", "scored"):
        assert served(what, light) == [number for number in range(1, EACH + 1) for _ in light], what
        assert served(what, [heavy]) == [1, 2, 3], what
    # Canaries go first: they wait for canaries, and for no mask of the heavy team's.
    assert max(wait for team in light for wait in simulated.waits[team]) <= 8 * TEAMS


def test_a_second_run_that_began_waits_for_the_first_of_another_team():
    """Its canary ran while nobody else was there."""
    host, phase = cast.host(), cast.phase(cast.case_set(3), runs_per_day=9)
    alices, charlies = (cast.team_of(cast.person(name)) for name in ("Alice", "Charlie"))
    first = cast.submit_checked(alices, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(first))
    second = cast.submit_checked(alices, phase).runs.get()
    other = cast.submit_checked(charlies, phase).runs.get()
    Run.objects.filter(pk=second.pk).update(state=RunState.CANARY)
    Batch.objects.create(run=second, number=1, is_canary=True)
    host.slots = [{"name": f"slot{number}", "gpus": []} for number in range(2)]
    host.save()
    scheduling.fill_slots(lambda run: Batch.objects.create(run=run, number=1))
    assert other.batches.get().notified_at
    assert second.batches.get().notified_at is None
    assert order["run"] == first.token


def test_the_place_in_the_queue_is_the_order_in_which_runs_then_start(names):
    simulated = challenge(3, cases=1, pace=Pace(check=0.0), places=Places(slots=1))
    simulated._host.slots = []
    simulated._host.save()
    submissions = [cast.submit_checked(team, simulated.phase) for team in simulated.teams for _ in range(2)]
    expected = [run.submission_id for run in scheduling.queue()]
    estimates = [seen.by_team(one).estimate for one in submissions]
    assert [estimate and estimate.place for estimate in estimates] == [1, 4, 2, 5, 3, 6]
    simulated._numbers = {one.pk: one.pk for one in submissions}
    simulated._host.slots = [{"name": "slot0", "gpus": []}]
    simulated._host.save()
    pipeline.fill_slots()
    simulated.run()
    assert rounds(simulated.of("started")) == expected


class TestScoring:
    """Reported batches, of which some are being scored."""

    @pytest.fixture
    def reported(self):
        """Three runs of Alice's team and one of Charlie's whose canaries wait for their scores."""
        host, phase = cast.host(slots=9), cast.phase(cast.case_set(3), runs_per_day=9)
        masks.give_references(masks.cube())
        alices, charlies = (cast.team_of(cast.person(name)) for name in ("Alice", "Charlie"))
        batches = []
        for number, team in enumerate((alices, alices, alices, charlies)):
            run = cast.submit_checked(team, phase).runs.get()
            order = gpu_host.claim(host, gpu_host.waiting(run), slot=f"slot{number}")
            gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
            batches.append(run.batches.get())
        return batches

    def test_a_team_never_holds_all_processes(self, reported):
        with scheduling.next_scoring(processes=2) as first, scheduling.next_scoring(processes=2) as second:
            assert (first, second) == (reported[0].pk, reported[3].pk)
            with scheduling.next_scoring(processes=2) as third:
                assert third is None
        Batch.objects.filter(pk=reported[3].pk).update(state="scored")
        with scheduling.next_scoring(processes=2) as alone, scheduling.next_scoring(processes=2) as beside:
            assert alone
            assert beside is None, "one process stays free for others"
        with scheduling.next_scoring(processes=3) as one, scheduling.next_scoring(processes=3) as two:
            assert one
            assert two

    def test_one_process_serves_teams_in_turns(self, reported):
        served = []
        for _ in range(4):
            with scheduling.next_scoring(processes=1) as batch:
                assert batch
                served.append(Batch.objects.get(pk=batch).run.submission.team.name)
        assert served == ["Team of Alice", "Team of Charlie"] * 2

    def test_a_canary_goes_before_all_other_masks(self, reported):
        Batch.objects.exclude(pk=reported[2].pk).update(is_canary=False)
        with scheduling.next_scoring(processes=1) as batch:
            assert batch == reported[2].pk

    def test_a_batch_whose_scorer_was_killed_is_taken_up_again(self, reported):
        with scheduling.next_scoring(processes=1) as batch:
            assert locks.at_work("scores", [one.pk for one in reported]) == {batch}
        assert locks.at_work("scores", [one.pk for one in reported]) == set()

    @pytest.mark.parametrize("state", [RunState.CANARY, RunState.QUEUED])
    def test_what_nobody_can_score_steps_aside_whatever_its_run_waits_for(self, reported, monkeypatch, state):
        """It was the next one again, for ever, and before everybody else's."""
        Run.objects.filter(pk=reported[0].run_id).update(state=state)

        def broken(_cases):
            raise RuntimeError("a mistake of ours")

        monkeypatch.setattr(scoring, "score", broken)
        pipeline.score_batch(reported[0].pk)
        assert Run.objects.get(pk=reported[0].run_id).state == RunState.HALTED
        with scheduling.next_scoring(processes=1) as batch:
            assert batch == reported[1].pk

    def test_what_we_could_not_score_is_scored_when_its_run_goes_on_whether_or_not_a_slot_is_free(
        self, reported, told, settings
    ):
        Host.objects.update(slots=[])
        run = reported[0].run
        faults.halt_run(run, scheduling.SCORING_FAULT)
        with scheduling.next_scoring(processes=1) as batch:
            assert batch == reported[1].pk
        Turn.objects.all().delete()
        faults.resume(run)
        assert cast.stage_of(run.submission) == RunState.QUEUED
        assert told == [("scoring", str(reported[0].pk))]
        told.clear()
        settings.NOTIFY_AGAIN_SECONDS = 0  # that message was lost
        sweeper.sweep()
        assert ("scoring", str(reported[0].pk)) in told
        pipeline.score_next(processes=1)
        assert planning.canary_passed(run)

    def test_a_run_that_waits_for_scores_alone_leaves_the_slot_to_the_next(self, reported):
        Run.objects.filter(pk=reported[0].run_id).update(state=RunState.QUEUED)
        Host.objects.update(slots=[])
        other = cast.submit_checked(reported[3].run.submission.team, reported[3].run.submission.phase).runs.get()
        Host.objects.update(slots=[{"name": "slot0", "gpus": []}])
        pipeline.fill_slots()
        assert gpu_host.waiting(other).notified_at
        assert cast.stage_of(reported[0].run.submission) == RunState.CANARY

    def test_a_resumed_run_that_its_score_ends_starts_nothing(self, reported):
        """Its mask was scored while it waited for a slot, and was one too many that is invalid."""
        run = reported[0].run
        Phase.objects.update(max_failures_in_row=1)
        run.cases.filter(batch=reported[0]).update(result={"status": "invalid"})
        Batch.objects.filter(pk=reported[0].pk).update(state=BatchState.SCORED)
        Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED)
        pipeline.fill_slots()
        assert cast.stage_of(run.submission) == RunState.FAILED
        assert not run.batches.exclude(state__in={BatchState.SCORED, BatchState.DROPPED}).exists()


class TestWorkers:
    """What they do for a message, whichever it was."""

    def test_a_batch_of_slow_masks_is_scored_in_turns_and_each_asks_for_the_next(self, monkeypatch, told):
        host, phase = cast.host(), cast.phase(cast.case_set(3))
        masks.give_references(masks.cube())
        run = cast.submit_checked(cast.team_of(cast.person("Alice")), phase).runs.get()
        mask = masks.nifti(masks.cube())
        for cases in (1, 2):
            order = gpu_host.claim(host, gpu_host.waiting(run))
            gpu_host.report(host, order, [gpu_host.finished(order, number, mask) for number in range(cases)])
            if cases == 1:
                pipeline.score_next(processes=1)
        monkeypatch.setattr(pipeline, "TURN_SECONDS", -1.0)
        batch = run.batches.get(is_canary=False)
        told.clear()
        pipeline.score_next(processes=1)
        batch.refresh_from_db()
        assert batch.state == BatchState.REPORTED
        assert run.cases.filter(result__isnull=False).count() == 2
        assert told == [("scoring", str(batch.pk))]
        told.clear()
        pipeline.score_next(processes=1)
        run.refresh_from_db()
        assert run.state == RunState.SCORED
        assert told == [("scoring", str(run.submission.phase_id))], "there is a board to make"

    def test_an_image_is_checked_whichever_the_message_named_and_the_next_is_asked_for(self, told):
        phase = cast.phase(cast.case_set(1), runs_per_day=9)
        alices, charlies = (cast.team_of(cast.person(name)) for name in ("Alice", "Charlie"))
        submissions = [cast.submit(team, phase) for team in (alices, alices, charlies)]
        told.clear()
        pipeline.check_next(processes=2)
        pipeline.check_next(processes=2)
        assert [cast.stage_of(one) for one in submissions] == ["rejected", "received", "rejected"]
        assert told == [("control", str(submissions[2].pk)), ("control", str(submissions[1].pk))]
        pipeline.check_next(processes=2)
        pipeline.check_next(processes=2)
        assert len(told) == 2

    def test_the_sweeper_knocks_a_few_times_however_much_waits(self, told, settings):
        phase, team = cast.phase(cast.case_set(1), runs_per_day=99, runs_total=99), cast.team_of(cast.person("Alice"))
        submissions = [cast.submit(team, phase) for _ in range(sweeper.KNOCKS + 3)]
        settings.NOTIFY_AGAIN_SECONDS = 0
        told.clear()
        sweeper.sweep()
        assert told == [("control", str(one.pk)) for one in submissions[: sweeper.KNOCKS]]


class TestTurns:
    """The rule by itself."""

    @pytest.fixture
    def teams(self):
        return [cast.team_of(cast.person(name)) for name in ("Alice", "Charlie", "Dora")]

    def served(self, places: list[Place[str]], turns: Turns, load: dict[int, int]) -> list[str]:
        found = []
        for place in turns.in_order(places, lambda place: load.get(place.team, 0)):
            found.append(place.thing)
            load[place.team] = load.get(place.team, 0) + 1
            turns.take(place.team)
        return found

    def test_the_least_at_work_comes_first_then_who_was_served_longest_ago(self, teams):
        one, two, three = (team.pk for team in teams)
        turns = Turns(Turn.Kind.SLOT)
        for team in (two, one):
            turns.take(team)
        places = [Place(team, f"{team}.{n}", n) for team in (one, two, three) for n in (1, 2)]
        expected = [f"{three}.1", f"{two}.1", f"{one}.1", f"{three}.2", f"{two}.2", f"{one}.2"]
        assert self.served(places, turns, {}) == expected

    def test_a_rank_decides_among_those_that_are_as_well_served_and_a_class_before_everything(self, teams):
        one, two, _ = (team.pk for team in teams)
        places = [Place(one, "starts", 1, rank=1), Place(two, "goes on", 2), Place(one, "helps", 0, class_=1)]
        assert self.served(places, Turns(Turn.Kind.SLOT), {}) == ["goes on", "starts", "helps"]
        assert self.served(places, Turns(Turn.Kind.SLOT), {two: 1}) == ["starts", "goes on", "helps"]

    def test_turns_are_remembered_whatever_the_clock_says(self, teams):
        turns = Turns(Turn.Kind.CHECK)
        for team in reversed(teams):
            turns.take(team.pk)
        turns.save()
        places = [Place(team.pk, team.name, team.pk) for team in Team.objects.all()]
        assert self.served(places, Turns(Turn.Kind.CHECK), {}) == [team.name for team in reversed(teams)]
