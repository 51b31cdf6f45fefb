"""`python -m evaluation`: score a folder of predictions as the challenge server does.

Every case of the dataset file counts. A prediction that is missing or unreadable is not left out of the means: it has
Dice 0 and no hit, and every lesion of its reference counts as missed.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from evaluation.aggregate import seed_from, size_limits, summarise
from evaluation.dataset import Dataset, load_dataset
from evaluation.errors import EvaluationError
from evaluation.isolation import IsolatedScorer, Job
from evaluation.report import native, params, rexrank, table
from evaluation.scoring import Assessment, CaseResult

EXIT_OK, EXIT_UNUSABLE, EXIT_LOST_CASES, EXIT_INTERRUPTED = 0, 2, 3, 130
SECONDS_PER_CASE = 600.0  # generous: a slow disk at home must not make a good file invalid
MAX_WORKERS = 16
PROGRESS_STEPS = 10

EPILOG = """\
exit codes:
  0    every case was scored
  2    nothing was scored: an argument, the dataset file or a reference is unusable
  3    scored, but predictions are missing or invalid (listed; they count as Dice 0)
  130  interrupted

masks:
  One NIfTI file per case, named like its CT volume, of shape (F, H, W, D): findings first, then the CT's own axes.
  Whole numbers from 0 to 255, non-zero is foreground. uint8, gzip-compressed, is best; see the submission guidelines.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except EvaluationError as error:
        _tell(f"error: {error}")
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        _tell("interrupted")
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--gt_dir", type=Path, required=True, help="folder of reference masks")
    parser.add_argument("--pred_dir", type=Path, required=True, help="folder of predicted masks, same file names")
    parser.add_argument("--dataset_json", type=Path, required=True, help="the challenge's dataset file")
    parser.add_argument("--output_json", type=Path, required=True, help="where to write the results")
    parser.add_argument("--split", help="which split of the dataset file (default: those that have references)")
    parser.add_argument("--num_workers", type=int, help="processes at work at once (default: one per processor)")
    parser.add_argument("--ct_dir", type=Path, help="folder of CT volumes; their spacing is used for the distances")
    parser.add_argument("--format", choices=("native", "rexrank"), default="native", help="form of the output")
    return parser


def _run(options: argparse.Namespace) -> int:
    workers = options.num_workers if options.num_workers is not None else len(os.sched_getaffinity(0))
    _check_arguments(options, workers)
    dataset = load_dataset(options.dataset_json, options.split, options.gt_dir, options.ct_dir)
    for warning in (*dataset.warnings, *name_warnings(dataset, options.pred_dir)):
        _tell(f"warning: {warning}")
    jobs = [Job(case, options.gt_dir / case.name, _prediction(options.pred_dir / case.name)) for case in dataset.cases]
    assessments = _assess_all(jobs, min(workers, MAX_WORKERS, len(jobs)))
    results = [assessment.result for assessment in assessments]

    sizes = _sizes(dataset, assessments)
    limits = size_limits(list(sizes.values()))
    seed = seed_from("\n".join(sorted(case.name for case in dataset.cases)))
    summarised = summarise(results, seed=seed, sizes=sizes, limits=limits)
    if options.format == "native":
        document = native(results, summarised, params(seed, limits, options.split))
    else:
        document = rexrank(results, summarised)
    _write(options.output_json, document)
    return _finish(results, summarised, options.output_json)


def _check_arguments(options: argparse.Namespace, workers: int) -> None:
    """Find out before the long work, not after it, that something cannot be read or written."""
    if workers < 1:
        raise EvaluationError("--num_workers must be 1 or more")
    for name in ("gt_dir", "pred_dir", "ct_dir"):
        folder = getattr(options, name)
        if folder is not None and not folder.is_dir():
            raise EvaluationError(f"--{name}: there is no folder {folder}")
    parent = options.output_json.absolute().parent
    if options.output_json.is_dir() or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise EvaluationError(f"--output_json: cannot write {options.output_json}")


def _prediction(path: Path) -> Path | None:
    return path if os.path.lexists(path) else None


def name_warnings(dataset: Dataset, pred_dir: Path) -> Iterator[str]:
    """What is conspicuous about the names in the folder of predictions."""
    expected = {case.name for case in dataset.cases}
    present = {path.relative_to(pred_dir).as_posix() for path in pred_dir.rglob("*") if path.is_file()}
    extra = sorted(present - expected)
    for name in sorted(expected - present):
        candidate = near_miss(name, extra)
        if candidate is not None:
            yield f"{name} is missing, but there is {candidate}; is it meant? A prediction is named exactly like its CT"
    if extra:
        yield f"{len(extra)} files in {pred_dir} belong to no case and are not read, for example {extra[0]}"


def near_miss(name: str, others: Sequence[str]) -> str | None:
    """The file among `others` that was probably meant to have this name, if there is one."""
    stem = _stem(name)
    for other in others:
        if _stem(other) == stem:
            return other
    affixed = [other for other in others if _stem(other).startswith(stem) or _stem(other).endswith(stem)]
    if affixed:
        return min(affixed, key=len)
    stems = {_stem(other): other for other in others}
    close = difflib.get_close_matches(stem, stems, n=1, cutoff=0.9)
    return stems[close[0]] if close else None


def _stem(name: str) -> str:
    """A file name without folder, extension, capitals and separators."""
    base = name.rsplit("/", 1)[-1].lower()
    for extension in (".gz", ".nii"):
        base = base.removesuffix(extension)
    return "".join(character for character in base if character.isalnum())


def _assess_all(jobs: Sequence[Job], workers: int) -> list[Assessment]:
    """Every job's assessment, in the order of the jobs. Each thread looks after one child process of its own."""
    own = threading.local()
    scorers: list[IsolatedScorer] = []

    def assess(job: Job) -> Assessment:
        if not hasattr(own, "scorer"):
            own.scorer = IsolatedScorer(seconds_per_case=SECONDS_PER_CASE)
            scorers.append(own.scorer)
        result: Assessment = own.scorer.assess(job)
        return result

    progress = _Progress(len(jobs))
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(assess, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                progress.step()
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for scorer in scorers:
                scorer.close()


class _Progress:
    """A line that counts on a terminal; a line every tenth of the way elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._start = total, 0, time.monotonic()
        self._live = sys.stderr.isatty()

    def step(self) -> None:
        self._done += 1
        seconds = time.monotonic() - self._start
        line = f"scored {self._done} of {self._total} cases, {seconds:.0f} s"
        if self._live:
            end = "\n" if self._done == self._total else ""
            sys.stderr.write(f"\r{line}{end}")
            sys.stderr.flush()
        elif self._done * PROGRESS_STEPS // self._total > (self._done - 1) * PROGRESS_STEPS // self._total:
            _tell(line)


def _sizes(dataset: Dataset, assessments: Sequence[Assessment]) -> dict[tuple[str, str], float]:
    """Reference voxels of each finding as a fraction of its volume."""
    sizes = {}
    for case, assessment in zip(dataset.cases, assessments, strict=True):
        height, width, depth = case.shape
        for key, voxels in zip(case.findings, assessment.reference_voxels, strict=True):
            sizes[case.name, key] = voxels / (height * width * depth)
    return sizes


def _write(path: Path, document: dict[str, Any]) -> None:
    """Write completely or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise EvaluationError(f"--output_json: {path} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _finish(results: Sequence[CaseResult], summarised: dict[str, Any], output: Path) -> int:
    lost = [case for case in results if case["status"] != "scored"]
    lines = [table(summarised), ""]
    if lost:
        lines.append(f"{len(lost)} of {len(results)} cases have no usable prediction and count as Dice 0:")
        lines += [f"  {case['name']}: {case['status']}: {case['reason']}" for case in lost] + [""]
    lines.append(f"results written to {output}")
    sys.stdout.write("\n".join(lines) + "\n")
    return EXIT_LOST_CASES if lost else EXIT_OK


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
