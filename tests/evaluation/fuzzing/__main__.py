"""Run the fuzzer: `python -m tests.evaluation.fuzzing --inputs 20000 --seed 1 [--seconds 600] [--keep FOLDER]`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.evaluation.fuzzing.differential import Differential, Disagreement
from tests.evaluation.fuzzing.mutations import sample


def main():
    options = parsed()
    began = time.monotonic()
    found = good = number = 0
    with tempfile.TemporaryDirectory() as folder:
        differential = Differential(Path(folder))
        for number in range(options.first, options.first + options.inputs):
            if time.monotonic() - began > options.seconds:
                break
            case = sample(options.seed, number)
            try:
                good += differential.check(case)
            except Disagreement as disagreement:
                found += 1
                keep(options.keep, options.seed, number, case, disagreement)
    seconds, done = time.monotonic() - began, number - options.first + 1
    print(
        f"{done} inputs in {seconds:.0f} s ({done / seconds:.0f} per second), {good} of them good masks; "
        f"the slowest was read in {differential.slowest * 1000:.0f} ms; {found} disagreements"
    )
    return found > 0


def parsed():
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation.fuzzing", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=0, help="which sequence of inputs")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--keep", type=Path, default=Path("fuzzing-found"), help="folder for the disagreements")
    return parser.parse_args()


def keep(folder, seed, number, case, disagreement):
    """Save the input beside its story."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"seed{seed}-{number}"
    (folder / f"{name}.bin").write_bytes(case.content)
    story = f"{disagreement}\nshape {case.shape}\n{case.story}\n"
    (folder / f"{name}.txt").write_text(story)
    print(f"{name}: {story}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
