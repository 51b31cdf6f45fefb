"""What can be asked of `python -m evaluation`, and what is asked, checked before the long work begins."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation import kernel
from evaluation.command.files import obstacle
from evaluation.command.progress import tell
from evaluation.command.report import OutputFormat
from evaluation.errors import EvaluationError
from evaluation.metrics.cases import VERSION
from evaluation.metrics.instances import MIN_VOXELS
from evaluation.system import processors

PROGRAM = "python -m evaluation"
MAX_WORKERS = 16
# Options of the organisers' script for what the challenge has settled; taken as long as they say the same.
OFFICIAL = {"min_size": MIN_VOXELS, "cc_connectivity": 2}

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
  A mask is one NIfTI file per case, of the base name of `seg_path` or else the
  `name` in the dataset file, of shape (F, H, W, D): findings first, then the
  CT's own three axes in the order of its file. Channel 0 is the finding with
  key "0". Values are whole numbers from 0 to 255, and everything but 0 is
  foreground; gzip-compressed uint8 is best.
  The voxel spacing, which only the distance metrics need, comes from the CT
  volumes (also those in folders below --ct_dir) or from a field `spacing` of
  the dataset file (three numbers in mm, for H, W, D), never from a mask.

output:
  A table on standard output; the results as JSON and, if wanted, as CSV.
  Progress, warnings and errors go to standard error. When a poor score looks
  like masks that were saved wrongly (flipped, transposed, empty, ...), a hint
  below the table says so. Hints never change a score.
  Until a run is finished, its scored cases are kept beside the output, in
  FILE.partial: after an interruption, the same command with --resume goes on
  from there and writes what an uninterrupted run would have written.

exit codes:
  0    every case was scored
  2    no results: an argument, the dataset file, a reference or the output
       file is unusable
  3    results, but predictions are missing or invalid; they count as Dice 0
  130  interrupted (Ctrl-C)
  143  terminated
"""


@dataclass(frozen=True)
class Options:
    """What the command line asks for: folders and files that are there, outputs that can be written."""

    gt_dir: Path
    pred_dir: Path
    dataset_json: Path
    output_json: Path
    output_csv: Path | None
    ct_dir: Path | None
    cache_dir: Path | None
    split: str | None
    format: OutputFormat
    global_only: bool
    workers: int
    resume: bool
    quiet: bool


def parse(arguments: Sequence[str] | None, program: str = PROGRAM) -> Options:
    """The options; of the process itself without `arguments`. Texts call the program as it is called.

    Ends the process with an explanation when it cannot make sense of them. Raises `EvaluationError` when what they name
    cannot be used, and makes the folder `cache_dir`, which may raise `OSError`.
    """
    given = _parser(program).parse_args(arguments)
    _check_settings(given)
    for name in ("gt_dir", "pred_dir", "ct_dir"):
        _check_folder(name, getattr(given, name))
    if given.cache_dir is not None:
        given.cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_outputs(given)
    return Options(
        gt_dir=given.gt_dir,
        pred_dir=given.pred_dir,
        dataset_json=given.dataset_json,
        output_json=given.output_json,
        output_csv=given.output_csv,
        ct_dir=given.ct_dir,
        cache_dir=given.cache_dir,
        split=given.split,
        format=OutputFormat(given.format),
        global_only=given.global_only,
        workers=min(max(1, given.num_workers if given.num_workers is not None else processors()), MAX_WORKERS),
        resume=given.resume,
        quiet=given.quiet,
    )


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description=DESCRIPTION,
        epilog=EPILOG.replace(PROGRAM, program),
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
        choices=tuple(form.value for form in OutputFormat),
        default=OutputFormat.NATIVE.value,
        help="form of the JSON: all numbers with intervals and groups, or the fields of the organisers' script",
    )
    parser.add_argument(
        "--global_only",
        action="store_true",
        help="with --format rexrank: only Dice and hits of the masks as saved, as the organisers' script has it",
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
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was interrupted: score only the cases that it left"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    for setting in OFFICIAL:
        parser.add_argument(f"--{setting}", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"evaluation version {VERSION}, {kernel.description}")
    return parser


def _check_settings(given: argparse.Namespace) -> None:
    if given.num_workers is not None and given.num_workers < 0:
        raise EvaluationError("--num_workers must be 0 or more")
    for setting, value in OFFICIAL.items():
        if getattr(given, setting) not in (None, value):
            raise EvaluationError(f"--{setting}: the challenge is scored with {value}, and so is everything here")
    if given.global_only and given.format == OutputFormat.NATIVE:
        tell("warning: --global_only has no effect on the native form, whose `dice_raw` is its Dice")


def _check_folder(name: str, folder: Path | None) -> None:
    if folder is not None and folder.is_file():
        raise EvaluationError(f"--{name}: {folder} is a file, not a folder; unpack it if it is an archive")
    if folder is not None and not folder.is_dir():
        raise EvaluationError(f"--{name}: there is no folder {folder}")
    if folder is not None and not os.access(folder, os.R_OK | os.X_OK):
        raise EvaluationError(f"--{name}: cannot read {folder}")


def _check_outputs(given: argparse.Namespace) -> None:
    """Each can be written, and none is another one or the dataset file."""
    taken = {os.path.realpath(given.dataset_json): "dataset_json"}
    for name in ("output_json", "output_csv"):
        path: Path | None = getattr(given, name)
        if path is None:
            continue
        other = taken.setdefault(os.path.realpath(path), name)
        if other != name:
            raise EvaluationError(f"--{name}: {path} is --{other} already")
        if path.name.endswith((".nii", ".nii.gz")):
            raise EvaluationError(
                f"--{name}: {path} has the name of a mask; name a .{name.removeprefix('output_')} file"
            )
        if problem := obstacle(path):
            raise EvaluationError(f"--{name}: {problem}")
