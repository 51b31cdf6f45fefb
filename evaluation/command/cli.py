"""`python -m evaluation`: from the arguments to the table, the JSON, the CSV and the exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from evaluation.command.dataset import Dataset, load_dataset
from evaluation.command.files import is_writable, write
from evaluation.command.hints import advice, worth_a_look
from evaluation.command.names import folder_warnings, same_folder_warnings
from evaluation.command.progress import Progress, tell
from evaluation.command.report import csv_text, native, params, rexrank, table
from evaluation.errors import EvaluationError
from evaluation.isolation.scorer import IsolatedScorer, Job
from evaluation.metrics.aggregate import seed_from, size_limits, summarise
from evaluation.metrics.fit import Fit
from evaluation.metrics.instances import MIN_VOXELS
from evaluation.metrics.scoring import VERSION, Assessment, CaseResult

EXIT_OK, EXIT_NO_RESULTS, EXIT_LOST_CASES, EXIT_INTERRUPTED = 0, 2, 3, 130
MAX_WORKERS = 16
MAX_LOST_SHOWN = 20
WIDTH = 80
# Options of the organisers' script for what the challenge has settled; taken as long as they say the same.
OFFICIAL = {"min_size": MIN_VOXELS, "cc_connectivity": 2}
LOOK_SECONDS = 1.0  # between two looks at the progress while a case takes long

DESCRIPTION = """\
Score a folder of predicted masks as the challenge server does.

Every case of the dataset file counts. A prediction that is missing or invalid
is not left out of the means: it has Dice 0 and no hit, and every lesion of its
reference counts as missed.
"""
EPILOG = """\
example:
  python -m evaluation --gt_dir masks --pred_dir predictions --ct_dir images \\
                       --dataset_json dataset.json --output_json scores.json

input:
  A mask is one NIfTI file per case, named exactly like its CT volume, of shape
  (F, H, W, D): findings first, then the CT's own three axes in the order of
  its file. Channel 0 is the finding with key "0" in the dataset file. Values
  are whole numbers from 0 to 255, and everything but 0 is foreground;
  gzip-compressed uint8 is best.
  The voxel spacing, which only the distance metrics need, comes from the CT
  volumes or from a field `spacing` of the dataset file (three numbers in mm,
  for H, W, D), never from a mask.

output:
  A table on standard output; the results as JSON and, if wanted, as CSV.
  Progress, warnings and errors go to standard error. When a poor score looks
  like masks that were saved wrongly (flipped, transposed, empty, ...), a hint
  below the table says so. Hints never change a score.

exit codes:
  0    every case was scored
  2    no results: an argument, the dataset file, a reference or the output
       file is unusable
  3    results, but predictions are missing or invalid; they count as Dice 0
  130  interrupted (Ctrl-C)
  143  terminated
"""

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except EvaluationError as error:
        tell(f"error: {error}")
        return EXIT_NO_RESULTS
    except OSError as error:  # a folder of somebody else's, a disk that fails, no process left to start
        tell(f"error: {error.strerror}: {error.filename}" if error.filename else f"error: {error}")
        return EXIT_NO_RESULTS
    except KeyboardInterrupt:
        tell("\ninterrupted, nothing was written")
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--gt_dir", metavar="DIR", type=Path, required=True, help="folder of reference masks")
    parser.add_argument("--pred_dir", metavar="DIR", type=Path, required=True, help="folder of predicted masks")
    parser.add_argument("--dataset_json", metavar="FILE", type=Path, required=True, help="the challenge's dataset file")
    parser.add_argument("--output_json", metavar="FILE", type=Path, required=True, help="where to write the results")
    parser.add_argument("--output_csv", metavar="FILE", type=Path, help="also write one row per case and finding")
    parser.add_argument("--ct_dir", metavar="DIR", type=Path, help="folder of CT volumes, for the voxel spacing")
    parser.add_argument(
        "--split", metavar="NAME", help="split of the dataset file to score (default: those that have references)"
    )
    parser.add_argument(
        "--format",
        choices=("native", "rexrank"),
        default="native",
        help="form of the JSON: all numbers with intervals and groups, or the fields of the organisers' script",
    )
    parser.add_argument(
        "--num_workers",
        metavar="N",
        type=int,
        help=f"processes at work at once (default: one per processor, at most {MAX_WORKERS}; 0 is 1)",
    )
    parser.add_argument(
        "--cache_dir", metavar="DIR", type=Path, help="keep what is needed of the references there, for the next run"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    for setting in OFFICIAL:
        parser.add_argument(f"--{setting}", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--global_only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"evaluation version {VERSION}")
    return parser


def _run(options: argparse.Namespace) -> int:
    _check_arguments(options)
    reading = Progress("headers read", quiet=options.quiet)
    dataset = load_dataset(options.dataset_json, options.split, options.gt_dir, options.ct_dir, reading.show)
    names = [case.name for case in dataset.cases]
    for warning in (
        *dataset.warnings,
        *same_folder_warnings(options.gt_dir, options.pred_dir, options.ct_dir),
        *folder_warnings(names, dataset.elsewhere, options.pred_dir),
    ):
        tell(f"warning: {warning}")
    assessments, fits = _score(dataset, options)
    results = [assessment.result for assessment in assessments]

    sizes = _sizes(dataset, assessments)
    limits = size_limits(list(sizes.values()))
    seed = seed_from("\n".join(sorted(names)))
    summarised = summarise(results, seed=seed, sizes=sizes, limits=limits)
    _say("\n".join([table(summarised), *_lost_lines(results), *_hint_lines(advice(results, fits))]))
    if options.format == "native":
        document = native(results, summarised, params(seed, limits, options.split))
    else:
        document = rexrank(results, summarised)
    write(options.output_json, json.dumps(document, indent=1, allow_nan=False) + "\n")
    if options.output_csv is not None:
        write(options.output_csv, csv_text(results))
    written = " and ".join(str(path) for path in (options.output_json, options.output_csv) if path is not None)
    _say(f"\nresults written to {written}")
    return EXIT_OK if all(case["status"] == "scored" for case in results) else EXIT_LOST_CASES


def _check_arguments(options: argparse.Namespace) -> None:
    """Find out before the long work, not after it, that something cannot be read or written."""
    if options.num_workers is not None and options.num_workers < 0:
        raise EvaluationError("--num_workers must be 0 or more")
    for setting, value in OFFICIAL.items():
        if getattr(options, setting) not in (None, value):
            raise EvaluationError(f"--{setting}: the challenge is scored with {value}, and so is everything here")
    if options.global_only:
        tell(
            "warning: --global_only has no effect: all metrics are computed; its Dice is `dice_raw` in the native form"
        )
    _check_folders(options)
    _check_outputs(options)


def _check_folders(options: argparse.Namespace) -> None:
    for name in ("gt_dir", "pred_dir", "ct_dir"):
        folder = getattr(options, name)
        if folder is not None and not folder.is_dir():
            raise EvaluationError(f"--{name}: there is no folder {folder}")
        if folder is not None and not os.access(folder, os.R_OK | os.X_OK):
            raise EvaluationError(f"--{name}: cannot read {folder}")
    if options.cache_dir is not None:
        options.cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def _check_outputs(options: argparse.Namespace) -> None:
    taken = {os.path.realpath(options.dataset_json): "dataset_json"}
    for name in ("output_json", "output_csv"):
        path = getattr(options, name)
        if path is not None:
            other = taken.setdefault(os.path.realpath(path), name)
            if other != name:
                raise EvaluationError(f"--{name}: {path} is --{other} already")
            if not is_writable(path):
                raise EvaluationError(f"--{name}: cannot write {path}")


def _score(dataset: Dataset, options: argparse.Namespace) -> tuple[list[Assessment], list[Fit]]:
    """All cases' assessments, in their order, and what a look at the poor ones found."""
    jobs = [Job(case, options.gt_dir / case.name, _existing(options.pred_dir / case.name)) for case in dataset.cases]
    wanted = options.num_workers if options.num_workers is not None else _processors()
    with ExitStack() as stack:
        count = max(1, min(wanted, MAX_WORKERS, len(jobs)))
        pool = stack.enter_context(ThreadPoolExecutor(count))
        # Closed before the pool waits for its threads: that ends the children, and with them what the threads wait for.
        scorers = [stack.enter_context(IsolatedScorer(prepared=options.cache_dir)) for _ in range(count)]
        progress = Progress("cases scored", quiet=options.quiet)
        assessments = _shared_out(jobs, IsolatedScorer.assess, scorers, pool, progress)
        poor = [jobs[index] for index in worth_a_look([assessment.result for assessment in assessments])]
        progress = Progress("poorly scored cases looked at", quiet=options.quiet)
        fits = _shared_out(poor, IsolatedScorer.fit, scorers, pool, progress)
    return assessments, [fit for fit in fits if fit is not None]


def _shared_out(
    items: Sequence[_Item],
    work: Callable[[IsolatedScorer, _Item], _Answer],
    scorers: Sequence[IsolatedScorer],
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> list[_Answer]:
    """The work's answer for each item, in the order of the items; each thread of the pool takes a free scorer."""
    free: SimpleQueue[IsolatedScorer] = SimpleQueue()
    for scorer in scorers:
        free.put(scorer)

    def with_a_free_scorer(item: _Item) -> _Answer:
        scorer = free.get()
        try:
            return work(scorer, item)
        finally:
            free.put(scorer)

    futures = [pool.submit(with_a_free_scorer, item) for item in items]
    pending = set(futures)
    try:
        while pending:
            done, pending = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            progress.show(len(items) - len(pending), len(items))
    except BaseException:
        progress.interrupt()
        for future in pending:
            future.cancel()
        raise
    return [future.result() for future in futures]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _existing(path: Path) -> Path | None:
    return path if os.path.lexists(path) else None


def _sizes(dataset: Dataset, assessments: Sequence[Assessment]) -> dict[tuple[str, str], float]:
    """Reference voxels of each finding as a fraction of its volume."""
    sizes = {}
    for case, assessment in zip(dataset.cases, assessments, strict=True):
        height, width, depth = case.shape
        for key, voxels in zip(case.findings, assessment.reference_voxels, strict=True):
            sizes[case.name, key] = voxels / (height * width * depth)
    return sizes


def _lost_lines(results: Sequence[CaseResult]) -> list[str]:
    lost = [case for case in results if case["status"] != "scored"]
    if not lost:
        return []
    lines = [f"  {case['name']}: {case['status']}: {case['reason']}" for case in lost[:MAX_LOST_SHOWN]]
    if len(lost) > MAX_LOST_SHOWN:
        lines.append(f"  ... and {len(lost) - MAX_LOST_SHOWN} more, listed in the results")
    return ["", f"{len(lost)} of {len(results)} cases have no usable prediction and count as Dice 0:", *lines]


def _hint_lines(hints: Sequence[str]) -> list[str]:
    return ["\n" + textwrap.fill(f"hint: {hint}", WIDTH, subsequent_indent="  ") for hint in hints]


def _say(text: str) -> None:
    """Print results; that they cannot be printed does not matter, for they are in the files."""
    with suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
