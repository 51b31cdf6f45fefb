"""`python -m evaluation`: from the arguments to the table, the JSON, the CSV and the exit code."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from evaluation.command.arguments import PROGRAM, Options, parse
from evaluation.command.dataset import Dataset, load_dataset
from evaluation.command.files import write
from evaluation.command.journal import Journal
from evaluation.command.names import folder_warnings, same_folder_warnings
from evaluation.command.parallel import Children, children, score_all
from evaluation.command.progress import Progress, tell
from evaluation.command.report import OutputFormat, csv_text, native, params, table
from evaluation.command.rexrank import rexrank, rexrank_global_only
from evaluation.errors import EvaluationError
from evaluation.hints import Hint
from evaluation.isolation.scorer import Job
from evaluation.metrics.aggregate import aggregate, seed_from, size_limits
from evaluation.metrics.cases import Assessment
from evaluation.results import CaseResult, CaseStatus

EXIT_OK, EXIT_NO_RESULTS, EXIT_LOST_CASES, EXIT_INTERRUPTED = 0, 2, 3, 130
MAX_LOST_SHOWN = 20
WIDTH = 80


def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the command line of a program that is called so; returns the exit code."""
    try:
        return _run(parse(arguments, program))
    except EvaluationError as error:
        _tell(f"error: {error}", error)
        return EXIT_NO_RESULTS
    except OSError as error:  # a folder of somebody else's, a disk that fails, no process left to start
        _tell(f"error: {error.strerror}: {error.filename}" if error.filename else f"error: {error}", error)
        return EXIT_NO_RESULTS
    except KeyboardInterrupt as error:
        _tell("\ninterrupted", error, otherwise="nothing was written")
        return EXIT_INTERRUPTED
    except SystemExit as error:  # terminated, or told what is wrong with the arguments
        if hasattr(error, "__notes__"):
            _tell("terminated", error)
        raise


def _tell(what: str, error: BaseException, otherwise: str = "") -> None:
    """What ended the run, and how to go on, where it got that far."""
    tell("\n".join([what, *getattr(error, "__notes__", [otherwise] if otherwise else [])]))


def _run(options: Options) -> int:
    source = children()
    source.start()  # it takes a second, in which there are headers to read
    reading = Progress("headers read", quiet=options.quiet)
    dataset = load_dataset(options.dataset_json, options.split, options.gt_dir, options.ct_dir, reading.show)
    _warn(dataset, options)
    jobs = [Job(case, options.gt_dir / case.name, _existing(options.pred_dir / case.name)) for case in dataset.cases]
    journal = Journal(options.output_json, jobs, resume=options.resume)
    try:
        code = _score(options, dataset, jobs, journal, source)
    except BaseException as error:
        journal.close()
        error.add_note(journal.how_to_go_on())
        raise
    journal.remove()
    return code


def _score(options: Options, dataset: Dataset, jobs: Sequence[Job], journal: Journal, source: Children) -> int:
    assessments, hints = score_all(
        jobs, journal, children=source, workers=options.workers, cache_dir=options.cache_dir, quiet=options.quiet
    )
    results = [assessment.result for assessment in assessments]

    sizes = _sizes(dataset, assessments)
    limits = size_limits(list(sizes.values()))
    seed = seed_from("\n".join(sorted(case.name for case in dataset.cases)))
    aggregates = aggregate(results, seed=seed, sizes=sizes, limits=limits)
    _say("\n".join([table(aggregates), *_lost_lines(results), *_hint_lines(hints)]))
    if options.format == OutputFormat.NATIVE:
        document: Mapping[str, object] = native(results, aggregates, params(seed, limits, options.split), hints)
    elif options.global_only:
        document = rexrank_global_only(assessments, aggregates)
    else:
        document = rexrank(assessments, aggregates)
    _write(options, document, results)
    return EXIT_OK if all(case["status"] == CaseStatus.SCORED for case in results) else EXIT_LOST_CASES


def _warn(dataset: Dataset, options: Options) -> None:
    names = [case.name for case in dataset.cases]
    for warning in (
        *dataset.warnings,
        *same_folder_warnings(options.gt_dir, options.pred_dir, options.ct_dir),
        *folder_warnings(names, dataset.elsewhere, options.pred_dir),
    ):
        tell(f"warning: {warning}")


def _write(options: Options, document: Mapping[str, object], results: Sequence[CaseResult]) -> None:
    write(options.output_json, json.dumps(document, indent=1, allow_nan=False) + "\n")
    if options.output_csv is not None:
        write(options.output_csv, csv_text(results))
    written = " and ".join(str(path) for path in (options.output_json, options.output_csv) if path is not None)
    _say(f"\nresults written to {written}")


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
    lost = [case for case in results if case["status"] != CaseStatus.SCORED]
    if not lost:
        return []
    lines = [f"  {case['name']}: {case['status']}: {case['reason']}" for case in lost[:MAX_LOST_SHOWN]]
    if len(lost) > MAX_LOST_SHOWN:
        lines.append(f"  ... and {len(lost) - MAX_LOST_SHOWN} more, listed in the results")
    return ["", f"{len(lost)} of {len(results)} cases have no usable prediction and count as Dice 0:", *lines]


def _hint_lines(hints: Sequence[Hint]) -> list[str]:
    return ["\n" + textwrap.fill(f"hint: {hint['text']}", WIDTH, subsequent_indent="  ") for hint in hints]


def _say(text: str) -> None:
    """Print results; that they cannot be printed does not matter, for they are in the files."""
    with suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
