"""Scoring in a child process: what a file does to it costs that file's case, and nothing else."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from evaluation import EvaluationError, Job, isolation, score_case, score_isolated
from evaluation.isolation import IsolatedScorer
from tests.evaluation import builders

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


def test_it_gives_what_scoring_in_this_process_gives(job):
    jobs = [job(0), job(1), job(2)]
    assert list(score_isolated(jobs)) == [score_case(j.case, j.reference, j.prediction) for j in jobs]


def test_one_child_serves_many_cases(job):
    with IsolatedScorer() as scorer:
        scorer.assess(job(0))
        first = scorer.pid
        scorer.assess(job(1))
        assert scorer.pid == first


def test_missing_and_invalid_predictions_are_results(job, tmp_path):
    good = job(0)
    bad = builders.write(tmp_path / "bad.nii.gz", b"no")
    results = list(score_isolated([Job(good.case, good.reference, None), Job(good.case, good.reference, bad)]))
    assert [result["status"] for result in results] == ["missing", "invalid"]


def test_an_unusable_reference_is_an_error(job, tmp_path):
    good = job(0)
    bad = builders.write(tmp_path / "bad.nii.gz", b"no")
    with pytest.raises(EvaluationError, match="unusable"):
        list(score_isolated([Job(good.case, bad, good.prediction)]))


def noise_job(tmp_path, shape):
    reference = np.zeros(shape, np.uint8)
    reference[0, 0, 0, :3] = [1, 2, 3]
    noise = (np.random.default_rng(0).random(shape) < 0.5).astype(np.uint8)
    return Job(
        builders.a_case(shape, ["1a"], (1.0, 1.0, 1.0), name="noise"),
        builders.mask_file(tmp_path / "noise_reference.nii.gz", reference),
        builders.mask_file(tmp_path / "noise.nii", noise),
    )


def test_a_case_that_needs_too_much_memory_is_invalid_and_the_next_goes_on(job, tmp_path):
    hungry = noise_job(tmp_path, (1, 200, 200, 200))
    results = list(score_isolated([job(0), hungry, job(1)], memory_bytes=300 << 20))
    assert [result["status"] for result in results] == ["scored", "invalid", "scored"]
    assert "takes more than 0.3 GiB of memory" in results[1]["reason"]
    assert results[1]["findings"][0]["fn"] == 3


def test_a_case_that_takes_too_long_is_invalid_and_the_next_goes_on(job, tmp_path):
    slow = noise_job(tmp_path, (1, 200, 200, 200))
    results = list(score_isolated([job(0), slow, job(1)], seconds_per_case=0.5))
    assert [result["status"] for result in results] == ["scored", "invalid", "scored"]
    assert "takes too long" in results[1]["reason"]
    assert results[1]["findings"][0]["fn"] == 3


def kill_children(scorer: IsolatedScorer, times: int) -> threading.Thread:
    """kill -9 the scorer's child in the middle of its work, and the next ones."""

    def kill() -> None:
        killed: set[int | None] = {None}
        for _ in range(times):
            while scorer.pid in killed:
                time.sleep(0.01)
            killed.add(scorer.pid)
            time.sleep(0.4)
            os.kill(scorer.pid or 0, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_a_child_that_is_killed_once_costs_nothing(job, tmp_path):
    victim = noise_job(tmp_path, (1, 200, 200, 200))
    with IsolatedScorer() as scorer:
        killer = kill_children(scorer, times=1)
        assert scorer.assess(victim).result["status"] == "scored"
        killer.join()


def test_a_child_that_is_killed_twice_costs_the_case_in_hand(job, tmp_path):
    victim = noise_job(tmp_path, (1, 200, 200, 200))
    with IsolatedScorer() as scorer:
        killer = kill_children(scorer, times=2)
        result = scorer.assess(victim).result
        killer.join()
        assert "ended abnormally (signal 9)" in result["reason"]
        assert scorer.assess(job(1)).result["status"] == "scored"


def test_a_child_that_died_between_cases_is_replaced(job):
    with IsolatedScorer() as scorer:
        scorer.assess(job(0))
        assert scorer.pid is not None
        os.kill(scorer.pid, signal.SIGKILL)
        time.sleep(0.1)
        assert scorer.assess(job(1)).result["status"] == "scored"


def test_an_unexpected_exception_costs_the_case(job, monkeypatch, caplog):
    # Categories that are no mapping break the child's code in a way that no file is known to.
    broken = job(0)
    monkeypatch.setattr(isolation, "_message", lambda job: b'{"case": {"name": "x"}}\n')
    with pytest.raises(EvaluationError, match="failed unexpectedly"):
        list(score_isolated([broken]))
    assert "KeyError" in caplog.text


def test_the_child_inherits_no_secrets_and_no_files(job, monkeypatch):
    monkeypatch.setenv("SECRET_THING", "hidden")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    with IsolatedScorer() as scorer:
        scorer.assess(job(0))
        process = Path(f"/proc/{scorer.pid}")
        names = {entry.split("=")[0] for entry in (process / "environ").read_text().split("\0") if entry}
        assert names <= {*isolation._ENVIRONMENT, "LD_LIBRARY_PATH"}
        assert str((process / "cwd").readlink()) == "/"
        links = [str(link.readlink()) for link in (process / "fd").iterdir()]
        assert all(link == "/dev/null" or link.startswith("pipe:") for link in links)
        assert len(links) <= 4
        assert f"{2 << 30}" in (process / "limits").read_text()


def test_nothing_is_left_running(job):
    with IsolatedScorer() as scorer:
        scorer.assess(job(0))
        process = Path(f"/proc/{scorer.pid}")
        assert process.exists()
    assert not process.exists()


class TestFit:
    """The look at a poor case, for the command line's hints."""

    def test_it_gives_what_looking_in_this_process_gives(self, job):
        with IsolatedScorer() as scorer:
            found = scorer.fit(job(0))
        assert found is not None
        assert found.turned["HWD"] == pytest.approx(1)
        assert found.order == {"0": "0", "1": "1"}

    def test_nothing_that_happens_to_it_costs_a_case(self, job, tmp_path):
        good = job(0)
        bad = builders.write(tmp_path / "bad.nii.gz", b"no")
        with IsolatedScorer() as scorer:
            assert scorer.fit(Job(good.case, good.reference, bad)) is None
            assert scorer.assess(good).result["status"] == "scored"

    def test_too_much_memory_or_time_costs_only_the_hint(self, job, tmp_path, monkeypatch):
        noise = noise_job(tmp_path, (1, 200, 200, 200))
        with IsolatedScorer(memory_bytes=300 << 20) as scorer:
            assert scorer.fit(noise) is None
            assert scorer.assess(job(0)).result["status"] == "scored"
        monkeypatch.setattr(isolation, "FIT_SECONDS", 0.01)
        with IsolatedScorer() as scorer:
            assert scorer.fit(noise) is None

    def test_after_the_end_there_is_none(self, job):
        scorer = IsolatedScorer()
        scorer.close()
        assert scorer.fit(job(0)) is None


def test_the_package_needs_neither_django_nor_docker():
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'django', 'docker', 'celery', 'redis', 'requests'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import evaluation.cli, evaluation.worker\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestPreparedReferences:
    def test_results_are_the_same_and_the_mask_is_not_read_again(self, job, tmp_path):
        jobs = [job(0), job(1)]
        expected = list(score_isolated(jobs))
        folder = tmp_path / "prepared"
        assert list(score_isolated(jobs, prepared=folder)) == expected
        (kept,) = folder.iterdir()
        made = kept.stat().st_mtime_ns
        assert list(score_isolated(jobs, prepared=folder)) == expected
        assert [path.stat().st_mtime_ns for path in folder.iterdir()] == [made]

    def test_a_damaged_one_is_made_again(self, job, tmp_path):
        folder = tmp_path / "prepared"
        expected = list(score_isolated([job(1)], prepared=folder))
        (kept,) = folder.iterdir()
        whole = kept.read_bytes()
        kept.write_bytes(whole[:100])
        assert list(score_isolated([job(1)], prepared=folder)) == expected
        assert kept.read_bytes() == whole

    def test_a_folder_that_cannot_be_written_only_costs_time(self, job, tmp_path, caplog):
        folder = builders.write(tmp_path / "prepared", b"a file")
        assert list(score_isolated([job(1)], prepared=folder)) == list(score_isolated([job(1)]))
        assert "cannot prepare" in caplog.text

    def test_an_unusable_reference_is_an_error_as_ever(self, job, tmp_path):
        good = job(0)
        bad = builders.write(tmp_path / "bad.nii.gz", b"no")
        with pytest.raises(EvaluationError, match="unusable"):
            list(score_isolated([Job(good.case, bad, good.prediction)], prepared=tmp_path / "prepared"))
