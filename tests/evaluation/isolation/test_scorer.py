"""Scoring in a child process: what a file does to it costs that file's case, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation import EvaluationError, Job, assess_isolated, score_case
from evaluation.isolation import child, fork_server
from evaluation.isolation import scorer as isolation
from evaluation.isolation.fork_server import ForkServer
from evaluation.isolation.messages import Cause, Failure, encode_answer, encode_request
from evaluation.isolation.scorer import IsolatedScorer
from evaluation.masks.correction import Correction
from tests.evaluation import builders
from tests.evaluation.isolation import scripted

SHAPE = (2, 8, 8, 8)


@pytest.fixture
def job(tmp_path):
    """A good job; a prediction of its own by number."""
    reference = np.zeros(SHAPE, np.uint8)
    reference[:, :4] = 1
    reference[0, 6:] = 2
    path = builders.mask_file(tmp_path / "reference.nii.gz", reference)

    def make(number=0):
        prediction = builders.mask_file(tmp_path / f"{number}.nii.gz", np.roll(reference, number, 1))
        case = builders.a_case(SHAPE, ["1a", "2a"], (1.0, 1.0, 2.5), name=f"{number}.nii.gz")
        return Job(case, path, prediction)

    return make


@pytest.fixture(scope="module")
def shared():
    """A scorer with the usual limits; its child has scored other tests' cases before."""
    with IsolatedScorer() as scorer:
        yield scorer


def noise_job(tmp_path, shape):
    reference = np.zeros(shape, np.uint8)
    reference[0, 0, 0, :3] = [1, 2, 3]
    noise = np.random.default_rng(0).integers(0, 2, shape, np.uint8)
    return Job(
        builders.a_case(shape, ["1a"], (1.0, 1.0, 1.0), name="noise"),
        builders.mask_file(tmp_path / "noise_reference.nii.gz", reference),
        builders.mask_file(tmp_path / "noise.nii", noise),
    )


def dust_job(tmp_path, shape):
    """Millions of components of one voxel: what makes most to be known."""
    noise = noise_job(tmp_path, shape)
    dust = np.zeros(shape, np.uint8)
    dust[:, ::2, ::2, ::2] = 1
    return replace(noise, prediction=builders.mask_file(tmp_path / "dust.nii", dust))


class TestResults:
    def test_they_are_what_scoring_in_this_process_gives(self, job):
        jobs = [job(0), job(1), job(2)]
        results = [one.result for one in assess_isolated(jobs)]
        assert results == [score_case(j.case, j.reference, j.prediction) for j in jobs]

    def test_one_child_serves_many_cases(self, shared, job):
        shared.assess(job(0))
        first = shared.pid
        shared.assess(job(1))
        assert shared.pid == first

    def test_missing_and_invalid_predictions_are_results(self, shared, job, tmp_path):
        good = job(0)
        bad = builders.write(tmp_path / "bad.nii.gz", b"no")
        assert shared.assess(Job(good.case, good.reference, None)).result["status"] == "missing"
        assert shared.assess(Job(good.case, good.reference, bad)).result["status"] == "invalid"

    def test_an_unusable_reference_is_an_error(self, shared, job, tmp_path):
        good = job(0)
        bad = builders.write(tmp_path / "bad.nii.gz", b"no")
        with pytest.raises(EvaluationError, match="unusable"):
            shared.assess(Job(good.case, bad, good.prediction))
        assert shared.assess(good).result["status"] == "scored"


class TestLimits:
    def test_a_case_that_needs_too_much_memory_is_invalid_and_the_next_goes_on(self, job, tmp_path):
        hungry = dust_job(tmp_path, (1, 360, 360, 360))
        results = [one.result for one in assess_isolated([job(0), hungry, job(1)], memory_bytes=300 << 20)]
        assert [result["status"] for result in results] == ["scored", "invalid", "scored"]
        assert "takes more than 0.3 GiB of memory" in str(results[1]["reason"])
        assert results[1]["findings"][0]["fn"] == 3

    def test_a_case_that_needs_too_much_processor_time_is_invalid_and_the_next_goes_on(self, job, tmp_path):
        slow = noise_job(tmp_path, (1, 320, 320, 320))  # some 3 seconds; at 0.5, a child is ended after 1.5 at most
        results = [one.result for one in assess_isolated([job(0), slow, job(1)], seconds_per_case=0.5)]
        assert [result["status"] for result in results] == ["scored", "invalid", "scored"]
        assert "takes too long" in str(results[1]["reason"])
        assert results[1]["findings"][0]["fn"] == 3

    def test_the_child_inherits_no_secrets_and_no_files_and_cannot_write(self, job, monkeypatch):
        monkeypatch.setenv("SECRET_THING", "hidden")
        monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
        with IsolatedScorer() as scorer:
            scorer.assess(job(0))
            process = Path(f"/proc/{scorer.pid}")
            names = {entry.split("=")[0] for entry in (process / "environ").read_text().split("\0") if entry}
            assert names <= {*fork_server.ENVIRONMENT, "LD_LIBRARY_PATH"}
            assert str((process / "cwd").readlink()) == "/"
            links = [str(link.readlink()) for link in (process / "fd").iterdir()]
            assert all(link == "/dev/null" or link.startswith("pipe:") for link in links)
            assert len(links) <= 4
            limits = {line[:25].strip(): line[25:].split() for line in (process / "limits").read_text().splitlines()}
            assert limits["Max address space"][0] == f"{2 << 30}"
            assert limits["Max file size"][:2] == ["0", "0"]


class TestLife:
    def test_a_child_that_died_between_cases_is_replaced(self, shared, job):
        shared.assess(job(0))
        os.kill(shared.pid, signal.SIGKILL)
        time.sleep(0.1)
        assert shared.assess(job(1)).result["status"] == "scored"

    def test_nothing_is_left_running(self, job):
        with IsolatedScorer() as scorer:
            scorer.assess(job(0))
            process = Path(f"/proc/{scorer.pid}")
            assert process.exists()
        assert not process.exists()

    def test_after_the_end_there_is_no_result(self, job):
        scorer = IsolatedScorer()
        scorer.close()
        assert scorer.fit(job(0)) is None
        with pytest.raises(EvaluationError, match="stopped"):
            scorer.assess(job(0))

    def test_who_waits_while_another_thread_ends_it_is_told_so(self, scorer_of, job, caplog):
        scorer, plan = scorer_of(STALLED)
        closing = threading.Timer(0.5, scorer.close)
        closing.start()
        with pytest.raises(EvaluationError, match="stopped"):
            scorer.assess(job(0))
        closing.join()
        assert (scorer.pid, plan.read_text(), caplog.text) == (None, "", "")

    @pytest.mark.parametrize("work", ["exit(1)", "answers.write(b'hello')", "os.kill(os.getpid(), 9)"])
    def test_a_child_that_does_not_start_is_an_error(self, job, work):
        program = f"import os; from evaluation.isolation import forking; work = lambda _, answers, __: {work}; "
        server = ForkServer(program + "forking.main(orders, work)")
        with server, IsolatedScorer(fork_server=server) as scorer, pytest.raises(EvaluationError, match="not start"):
            scorer.assess(job(0))


# --- whose fault it is -----------------------------------------------------------------------------------------------

# One line of this per request, from child to child: what happens instead of scoring (see `scripted`).
ANSWER = "say(answer)"
COUNT = "say(count)"
LIE = "say(answer.replace('true', 'false', 1))"
TWICE = "say(answer + chr(10) + answer)"
FLOOD = "say('x' * (9 << 20))"
TOO_LONG = "die(signal.SIGXCPU)"
KILLED = "die(signal.SIGKILL)"
STALLED = "time.sleep(60)"
SILENT = "answers.close(); time.sleep(60)"
SEGFAULT, BUS_ERROR, ABORTED = "die(signal.SIGSEGV)", "die(signal.SIGBUS)", "die(signal.SIGABRT)"
EXIT = "os._exit(3)"


def failing(why):
    return f"say({encode_answer(Failure(why, 'detail')).decode().strip()!r})"


HUNGRY, EXCEPTION = failing(Cause.OUT_OF_MEMORY), failing(Cause.EXCEPTION)

THEIRS = {  # what happens, until it costs the case -> the reason
    (TOO_LONG,): "takes too long",
    (HUNGRY,): "GiB of memory",
    (KILLED, TOO_LONG): "takes too long",
    (SEGFAULT, HUNGRY): "GiB of memory",
    (SEGFAULT, SEGFAULT): "ended abnormally (signal 11)",
    (BUS_ERROR, BUS_ERROR): "ended abnormally (signal 7)",
    (ABORTED, ABORTED): "ended abnormally (signal 6)",
    (SEGFAULT, EXIT): "ended abnormally (exit code 3)",
    (EXCEPTION, EXCEPTION): "please report this file",
    (LIE, LIE): "an impossible answer",
    (TWICE, TWICE): "an impossible answer",
    (FLOOD, FLOOD): "an impossible answer",
}
OURS = {
    (KILLED, KILLED): "was killed",
    (STALLED, STALLED): "stalled",
    (SILENT, SILENT): "stalled",
    (KILLED, SEGFAULT): "was killed",
    (SEGFAULT, STALLED): "stalled",
    (LIE, KILLED): "was killed",
    # A prediction that costs its case, and then a reference that cannot be counted.
    (TOO_LONG, TOO_LONG): "the reference of 0.nii.gz cannot be read: scoring it takes too long",
    (HUNGRY, SEGFAULT, SEGFAULT): "the reference of 0.nii.gz cannot be read: scoring it ended abnormally",
    (TOO_LONG, KILLED, KILLED): "was killed",
}
ONCE = (KILLED, STALLED, SILENT, SEGFAULT, BUS_ERROR, ABORTED, EXIT, EXCEPTION, LIE, TWICE, FLOOD)


@pytest.fixture(scope="module")
def scripted_server():
    with ForkServer(scripted.PROGRAM) as server:
        server.fork(1 << 30).kill()  # now it is ready: its start counts in no test of time
        yield server


@pytest.fixture
def scorer_of(job, monkeypatch, scripted_server):
    """A scorer of `job(0)` whose children follow a plan; with it, the plan as it is left."""
    monkeypatch.setattr(child, "END_SECONDS", 1.0)
    monkeypatch.setattr(isolation, "WALL_ALLOWANCE", 1.5)

    def start(*steps):
        plan = scripted.write_plan(job(0), *steps)
        return IsolatedScorer(seconds_per_case=0.01, fork_server=scripted_server), plan

    return start


class TestBlame:
    @pytest.mark.parametrize("step", ONCE)
    def test_what_happens_once_costs_nothing(self, scorer_of, job, step):
        scorer, plan = scorer_of(step, ANSWER)
        with scorer:
            assert scorer.assess(job(0)).result["status"] == "scored"
        assert plan.read_text() == ""

    @pytest.mark.parametrize("steps", THEIRS)
    def test_their_fault_is_an_invalid_case_and_the_next_goes_on(self, scorer_of, job, steps):
        scorer, plan = scorer_of(*steps, COUNT, ANSWER)
        with scorer:
            result = scorer.assess(job(0)).result
            assert THEIRS[steps] in result["reason"]
            assert (result["status"], result["dice"]) == ("invalid", 0.0)
            assert [finding["fn"] for finding in result["findings"]] == [2, 1]
            assert scorer.assess(job(0)).result["status"] == "scored"
        assert plan.read_text() == ""

    @pytest.mark.parametrize("steps", OURS)
    def test_our_fault_is_an_error_and_trying_later_helps(self, scorer_of, job, steps):
        scorer, plan = scorer_of(*steps, ANSWER)
        with scorer:
            with pytest.raises(EvaluationError, match=OURS[steps]):
                scorer.assess(job(0))
            assert scorer.assess(job(0)).result["status"] == "scored"
        assert plan.read_text() == ""

    def test_without_a_prediction_it_is_the_reference_that_cannot_be_read(self, scorer_of, job):
        scorer, _ = scorer_of(TOO_LONG)
        with scorer, pytest.raises(EvaluationError, match=r"the reference of 0.nii.gz cannot be read"):
            scorer.assess(Job(job(0).case, job(0).reference, None))

    def test_a_child_that_talks_unasked_is_replaced(self, scorer_of, job):
        scorer, plan = scorer_of(f"{ANSWER}; time.sleep(0.1); say('more')", ANSWER)
        with scorer:
            scorer.assess(job(0))
            first = scorer.pid
            time.sleep(0.3)
            assert scorer.assess(job(0)).result["status"] == "scored"
            assert scorer.pid != first
        assert plan.read_text() == ""

    def test_an_exception_in_the_real_child_costs_its_case_only(self, shared, job, monkeypatch, caplog):
        def broken(request):
            fields = json.loads(encode_request(request))
            if request.prediction == job(0).prediction:
                fields["case"]["categories"] = None
            return json.dumps(fields).encode() + b"\n"

        monkeypatch.setattr(isolation, "encode_request", broken)
        result = shared.assess(job(0)).result
        assert (result["status"], result["findings"][0]["fn"]) == ("invalid", 2)
        assert "please report this file" in result["reason"]
        assert "AttributeError" in caplog.text
        assert shared.assess(job(1)).result["status"] == "scored"


class TestCheck:
    """Whether a mask can be scored at all, in the words of scoring."""

    def test_a_good_mask_has_nothing_wrong_with_it(self, shared, job):
        assert shared.check(job()) is None

    @pytest.mark.parametrize("kind", ["shape", "values", "cut off", "no NIfTI", "missing"])
    def test_what_is_wrong_is_said_as_scoring_says_it(self, shared, job, tmp_path, kind):
        path = tmp_path / "bad.nii.gz"
        if kind == "shape":
            builders.mask_file(path, np.zeros((2, 8, 8, 9), np.uint8))
        elif kind == "values":
            builders.mask_file(path, np.full(SHAPE, np.nan, np.float32))
        elif kind == "cut off":
            path.write_bytes(job().prediction.read_bytes()[:-20])
        elif kind == "no NIfTI":
            path.write_bytes(b"PK" * 400)
        bad = Job(job().case, job().reference, None if kind == "missing" else path)
        assert shared.check(bad) == shared.assess(bad).result["reason"]

    def test_what_costs_too_much_is_said(self, scorer_of, job):
        scorer, _ = scorer_of(TOO_LONG)
        with scorer:
            assert "takes too long" in scorer.check(job())

    def test_an_unusable_reference_is_our_fault(self, shared, job, tmp_path):
        (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
        with pytest.raises(EvaluationError):
            shared.check(Job(job().case, tmp_path / "broken.nii.gz", job().prediction))

    @pytest.mark.parametrize("lie", ['{"reason": ""}', '{"reason": 3}', '{"reason": "a\\u0007b"}', '{"fine": null}'])
    def test_an_answer_that_cannot_be_is_no_answer(self, scorer_of, job, lie):
        scorer, _ = scorer_of(*[f"say({lie!r})"] * isolation.TRIES)
        with scorer:
            assert "impossible answer" in scorer.check(job())


class TestFit:
    """The look at a poor case, for the command line's hints."""

    def test_it_gives_what_looking_in_this_process_gives(self, shared, job):
        found = shared.fit(job(0))
        assert found is not None
        assert found.turned["HWD"] == pytest.approx(1)
        assert found.order == {"0": "0", "1": "1"}

    def test_there_is_none_of_empty_masks(self, shared, job, tmp_path):
        empty = builders.mask_file(tmp_path / "empty.nii.gz", np.zeros(SHAPE, np.uint8))
        assert shared.fit(Job(job(0).case, job(0).reference, empty)) is None

    def test_an_unusable_file_costs_only_the_hint(self, shared, job, tmp_path):
        bad = builders.write(tmp_path / "bad.nii.gz", b"no")
        assert shared.fit(Job(job(0).case, job(0).reference, bad)) is None
        assert shared.assess(job(0)).result["status"] == "scored"

    @pytest.mark.parametrize("prepared", [False, True])
    def test_a_corrected_mask_is_scored_as_the_file_would_be(self, job, tmp_path, prepared):
        turned = builders.mask_file(tmp_path / "turned.nii.gz", np.ones(SHAPE, np.uint8))
        with IsolatedScorer(prepared=tmp_path / "prepared" if prepared else None) as scorer:
            nothing = scorer.corrected(Job(job(0).case, job(0).reference, turned), Correction(inverted=True))
            assert scorer.fit(job(0)) is not None
            assert scorer.spent_seconds < 60
        assert nothing is not None
        assert nothing["status"] == "scored"
        assert {finding["n_predicted"] for finding in nothing["findings"]} == {0}

    def test_a_correction_for_another_mask_gives_none(self, shared, job):
        assert shared.corrected(job(0), Correction(channels=(0, 1, 2))) is None
        assert shared.assess(job(0)).result["status"] == "scored"

    @pytest.mark.parametrize("step", [TOO_LONG, HUNGRY, KILLED, LIE])
    def test_a_child_that_is_lost_over_it_is_counted_with_all_that_it_was_given(self, scorer_of, job, step):
        scorer, _ = scorer_of(step, ANSWER)
        with scorer:
            assert scorer.corrected(job(0), Correction(turn="hWD"), 3.0) is None
            assert scorer.spent_seconds == (3.0 if step in (TOO_LONG, KILLED) else pytest.approx(0, abs=1))

    @pytest.mark.parametrize("step", [TOO_LONG, HUNGRY, KILLED, LIE, ANSWER])
    def test_nothing_that_happens_to_it_costs_a_case(self, scorer_of, job, step):
        scorer, plan = scorer_of(step, ANSWER)
        with scorer:
            assert scorer.fit(job(0)) is None
            assert scorer.assess(job(0)).result["status"] == "scored"
        assert plan.read_text() == ""


def test_the_package_needs_neither_django_nor_docker():
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'django', 'docker', 'celery', 'redis', 'requests'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import evaluation.command.cli, evaluation.isolation.worker\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestPreparedReferences:
    @pytest.fixture
    def folder(self, tmp_path):
        return tmp_path / "prepared"

    @pytest.fixture
    def scorer(self, folder):
        with IsolatedScorer(prepared=folder) as scorer:
            yield scorer

    def test_results_are_the_same_and_the_mask_is_not_read_again(self, shared, scorer, job, folder):
        jobs = [job(0), job(1)]
        expected = [shared.assess(job) for job in jobs]
        assert [scorer.assess(job) for job in jobs] == expected
        (kept,) = folder.iterdir()
        made = kept.stat().st_mtime_ns
        assert [scorer.assess(job) for job in jobs] == expected
        assert [path.stat().st_mtime_ns for path in folder.iterdir()] == [made]

    def test_a_damaged_one_does_not_matter_and_is_made_again(self, shared, scorer, job, folder, caplog):
        expected = scorer.assess(job(1))
        (kept,) = folder.iterdir()
        whole = kept.read_bytes()
        kept.write_bytes(whole[:100])
        assert scorer.assess(job(1)) == expected == shared.assess(job(1))
        assert "damaged" in caplog.text
        assert scorer.assess(job(1)) == expected
        assert kept.read_bytes() == whole

    def test_a_folder_that_cannot_be_written_only_costs_time(self, shared, job, tmp_path, caplog):
        folder = builders.write(tmp_path / "prepared", b"a file")
        assert list(assess_isolated([job(1)], prepared=folder)) == [shared.assess(job(1))]
        assert "cannot prepare" in caplog.text

    def test_an_unusable_reference_is_an_error_as_ever(self, scorer, job, tmp_path):
        bad = builders.write(tmp_path / "bad.nii.gz", b"no")
        with pytest.raises(EvaluationError, match="unusable"):
            scorer.assess(Job(job(0).case, bad, job(0).prediction))

    def test_a_reference_is_a_mask_whatever_its_name(self, shared, job):
        good = job(0)
        oddly_named = good.reference.rename(good.reference.with_name("x.runs-1.npz"))
        assert shared.assess(Job(good.case, oddly_named, good.prediction)).result["status"] == "scored"
