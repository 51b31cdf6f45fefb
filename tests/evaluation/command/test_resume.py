"""A run that was interrupted goes on, and its results are those of a run that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from evaluation.command import journal as journals
from evaluation.command.journal import Journal
from evaluation.isolation.messages import Cause, Failure, encode_answer
from evaluation.isolation.scorer import Job
from evaluation.masks.prepared import open_reference
from evaluation.metrics.scoring import assess
from tests.evaluation import builders

SHAPE = (2, 8, 8, 8)
CASES = 40
COMMAND = [sys.executable, "-m", "evaluation"]


def a_mask(number):
    mask = np.zeros(SHAPE, np.uint8)
    mask[0, : 2 + number], mask[1, 5:] = 1, 2
    return mask


class TestJournal:
    @pytest.fixture
    def jobs(self, tmp_path):
        """A scored case, an invalid one and a missing one."""
        jobs = []
        for number in range(3):
            reference = builders.mask_file(tmp_path / f"reference_{number}.nii", a_mask(number))
            prediction = tmp_path / f"prediction_{number}.nii"
            builders.mask_file(prediction, a_mask(0) * (1.0 if number == 0 else 0.5))
            case = builders.a_case(SHAPE, ["2a", "1b"], (1.0, 1.0, 2.5), name=f"case_{number}.nii")
            jobs.append(Job(case, reference, None if number == 2 else prediction))
        return jobs

    @pytest.fixture
    def output(self, tmp_path):
        """Where the results will be."""
        return tmp_path / "scores.json"

    def assessments(self, jobs):
        return {job.case.name: assess(job.case, partial(open_reference, job.reference), job.prediction) for job in jobs}

    def interrupted(self, output, jobs, *, resume=False):
        """A run that scored all of the jobs and came to no end."""
        journal = Journal(output, jobs, resume=resume)
        found = self.assessments(jobs)
        for job in jobs:
            journal.add(job, found[job.case.name])
        journal.close()
        return found

    def test_what_was_added_is_known_again(self, output, jobs):
        found = self.interrupted(output, jobs)
        assert {case.result["status"] for case in found.values()} == {"scored", "invalid", "missing"}
        assert Journal(output, jobs, resume=True).known == found
        assert Path(f"{output}.partial").exists()

    def test_without_resume_nothing_is_known_and_the_first_new_line_replaces_the_old_ones(self, output, jobs, capsys):
        found = self.interrupted(output, jobs)
        journal = Journal(output, jobs, resume=False)
        assert journal.known == {}
        assert "warning: 3 of 3 cases were scored by a run that was interrupted" in capsys.readouterr().err
        assert len(Path(f"{output}.partial").read_bytes().splitlines()) == 3
        journal.add(jobs[1], found["case_1.nii"])
        assert Journal(output, jobs, resume=True).known == {"case_1.nii": found["case_1.nii"]}

    @pytest.mark.parametrize(
        "change", ["prediction", "same size", "reference", "category", "spacing", "version", "gone"]
    )
    def test_what_depends_on_something_that_changed_is_not_known(self, output, jobs, monkeypatch, change):
        found = self.interrupted(output, jobs)
        job, *others = jobs
        if change == "prediction":
            builders.mask_file(job.prediction, a_mask(3))
        elif change == "same size":
            content = job.prediction.read_bytes()
            times = job.prediction.stat()
            job.prediction.write_bytes(content[:-1] + b"\1")
            os.utime(job.prediction, ns=(times.st_atime_ns, times.st_mtime_ns))
        elif change == "reference":
            builders.mask_file(job.reference, a_mask(3))
        elif change == "category":
            job = replace(job, case=replace(job.case, categories={}))
        elif change == "spacing":
            job = replace(job, case=replace(job.case, spacing_mm=(1.0, 1.0, 3.0)))
        elif change == "gone":
            job = replace(job, prediction=None)
        else:
            monkeypatch.setattr(journals, "VERSION", "2")
        kept = {} if change == "version" else {other.case.name: found[other.case.name] for other in others}
        assert Journal(output, [job, *others], resume=True).known == kept

    def test_results_of_other_files_are_counted(self, output, jobs, capsys):
        self.interrupted(output, jobs)
        builders.mask_file(jobs[0].prediction, a_mask(3))
        Journal(output, jobs, resume=True)
        said = "resumed: 2 of 3 cases were scored before; 1 kept results are of other files or options and are not used"
        assert said in capsys.readouterr().err

    def test_wherever_the_last_line_was_cut_off_the_rest_is_known_and_it_is_written_again(self, output, jobs):
        found = self.interrupted(output, jobs)
        path = Path(f"{output}.partial")
        whole = path.read_bytes()
        start = whole.rstrip(b"\n").rfind(b"\n") + 1
        first_two = {name: found[name] for name in ("case_0.nii", "case_1.nii")}
        for end in [*range(start, start + 70), *range(start + 70, len(whole) - 1, 97), len(whole) - 2]:
            path.write_bytes(whole[:end])
            journal = Journal(output, jobs, resume=True)
            assert journal.known == first_two
            journal.add(jobs[2], found["case_2.nii"])
            journal.close()
            assert Journal(output, jobs, resume=True).known == found

    @pytest.mark.parametrize(
        "lie", [(b'"dice": ', b'"dice": 2'), (b'"tp": 1', b'"tp": 7'), (b"{", b"["), (b'"case_0.nii"', b'"case_1.nii"')]
    )
    def test_a_line_that_cannot_be_true_is_not_believed(self, output, jobs, lie):
        found = self.interrupted(output, jobs)
        path = Path(f"{output}.partial")
        first, *rest = path.read_bytes().splitlines(keepends=True)
        assert lie[0] in first
        path.write_bytes(b"".join([first.replace(*lie), *rest]))
        del found["case_0.nii"]
        assert Journal(output, jobs, resume=True).known == found

    def test_a_failure_is_no_result(self, output, jobs):
        found = self.interrupted(output, jobs)
        path = Path(f"{output}.partial")
        first, *rest = path.read_bytes().splitlines(keepends=True)
        failure = encode_answer(Failure(Cause.EXCEPTION, "as it happened"))
        path.write_bytes(b"".join([first.partition(b" ")[0] + b" " + failure, *rest]))
        del found["case_0.nii"]
        assert Journal(output, jobs, resume=True).known == found

    def test_a_journal_that_cannot_be_written_is_told_once_and_stops_nothing(self, output, jobs, capsys):
        Path(f"{output}.partial").mkdir()
        self.interrupted(output, jobs)
        said = capsys.readouterr().err
        assert said.count("cannot be written (Is a directory): no --resume from here on") == 1

    def test_the_results_of_a_device_have_none(self, jobs):
        self.interrupted(Path(os.devnull), jobs)
        assert Journal(Path(os.devnull), jobs, resume=True).path is None

    def test_it_is_gone_once_the_run_is_finished(self, output, jobs):
        self.interrupted(output, jobs)
        journal = Journal(output, jobs, resume=True)
        assert "3 of 3 cases are scored and kept in" in journal.how_to_go_on()
        journal.remove()
        journal.remove()
        assert not Path(f"{output}.partial").exists()


class Run:
    """Flipped masks, which a hint speaks of, so many that there is time to interrupt; the last of them is noise."""

    def __init__(self, root):
        self.root = root
        noise = (np.random.default_rng(0).random((2, 64, 64, 64)) < 0.5).astype(np.uint8)
        masks = {f"case_{number}.nii.gz": self.flat(number) for number in range(CASES - 1)} | {"noise.nii": noise}
        for folder in ("gt", "pred"):
            (root / folder).mkdir()
            for name, mask in masks.items():
                builders.mask_file(root / folder / name, mask if folder == "gt" else mask[..., ::-1])
        (root / "pred" / "case_3.nii.gz").unlink()
        builders.mask_file(root / "pred" / "case_4.nii.gz", masks["case_4.nii.gz"] * 0.5)
        findings = {"findings": {"0": "a", "1": "b"}, "categories": {"0": "2d", "1": "1c"}, "spacing": [1, 1, 2]}
        entries = [{"name": name, **findings} for name in masks]
        (root / "dataset.json").write_text(json.dumps({"val": entries}))
        self.output = root / "out.json"
        self.partial = root / "out.json.partial"

    def flat(self, number):
        mask = np.zeros(SHAPE, np.uint8)
        mask[0, 1:3, : 2 + number % 5, :4] = mask[1, 5:, 5:, 5:] = 1
        return mask

    def words(self, *more):
        folders = ["--gt_dir", self.root / "gt", "--pred_dir", self.root / "pred"]
        files = ["--dataset_json", self.root / "dataset.json", "--output_json", self.output]
        return [*COMMAND, *(str(word) for word in [*folders, *files, "--num_workers", 1, *more])]

    def finished(self, *more):
        return subprocess.run(self.words(*more), capture_output=True, text=True, check=False)

    def interrupted(self, sent, *more, after):
        """Exit code, errors and the number of cases kept, of a run that is sent a signal once it has so many."""
        process = subprocess.Popen(
            self.words(*more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # These tests may run in a background job, whose children ignore SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not (self.partial.exists() and self.partial.read_bytes().count(b"\n") >= after):
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=30)
        kept = self.partial.read_bytes().count(b"\n")
        assert after <= kept < CASES
        return process.returncode, errors, kept


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What an uninterrupted run writes."""
    run = Run(tmp_path_factory.mktemp("uninterrupted"))
    done = run.finished("--output_csv", run.root / "out.csv")
    assert done.returncode == 3
    assert json.loads(run.output.read_text())["hints"]
    assert not run.partial.exists()
    return run


class TestAsAProcess:
    @pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
    def test_an_interrupted_run_goes_on_and_writes_the_same_bytes(self, tmp_path, uninterrupted, sent, code):
        run = Run(tmp_path)
        ended, errors, kept = run.interrupted(sent, after=8)
        assert ended == code
        assert not run.output.exists()
        if sent != signal.SIGKILL:
            said = (
                f"{kept} of {CASES} cases are scored and kept in {run.partial}; the same command with --resume goes on"
            )
            assert said in errors
            assert "Traceback" not in errors
        more = ("--output_csv", run.root / "out.csv")
        done = run.finished("--resume", *more)
        assert done.returncode == 3
        assert f"resumed: {kept} of {CASES} cases were scored before\n" in done.stderr
        assert run.output.read_bytes() == uninterrupted.output.read_bytes()
        assert (run.root / "out.csv").read_bytes() == (uninterrupted.root / "out.csv").read_bytes()
        assert not run.partial.exists()

    def test_it_may_be_interrupted_again_and_again(self, tmp_path, uninterrupted):
        run = Run(tmp_path)
        run.interrupted(signal.SIGKILL, after=2)
        run.partial.write_bytes(run.partial.read_bytes()[:-40])
        run.interrupted(signal.SIGTERM, "--resume", after=6)
        run.interrupted(signal.SIGKILL, "--resume", after=12)
        assert run.finished("--resume").returncode == 3
        assert run.output.read_bytes() == uninterrupted.output.read_bytes()
