"""What scoring costs: heavy, typical, distance-stress and dense cases, against the least that any scorer must do.

Each contender is a process of its own on one core. They take turns for some rounds on the same files, the first turn
uncounted. Printed are the median CPU seconds, the median over the rounds of the ratio to the floor in the same round
(inflating both files once with ISA-L), and the peak memory; for files of gzip level 1, as nibabel writes them, and of
level 6. Then what hints add to poor cases, sets of heavy cases through `python -m evaluation` on one core and on all,
the aggregates of 300 made-up results, and what scoring a whole season again would take.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluation import kernel
from tests.bench import masks
from tests.evaluation import builders

MIB = 1 << 20
CHUNK = 1 << 20


LEVELS = (1, 6)
SEASON = (500, 20, 300)  # teams, runs of each, cases of each
HEAVY_SHARE = 0.1  # of a season's cases; the others are typical


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench scoring", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", type=int, default=300, help="heavy cases in the large set (0: no sets)")
    parser.add_argument("--levels", type=int, nargs="*", default=LEVELS, help="compression of the files, 1 to 9")
    parser.add_argument("--no-dense", action="store_true", help="leave out the dense implementation (minutes, 3 GB)")
    options = parser.parse_args()
    print(f"masks are scored by: {kernel.description}")
    for level in options.levels:
        masks.GZIP_LEVEL = level
        with tempfile.TemporaryDirectory(prefix="rexg-bench-") as name:
            folder = Path(name)
            seconds = {
                make.__name__: compare(make(folder), folder, options.rounds, dense=_wants_dense(options, make, level))
                for make in (masks.heavy, masks.typical, masks.shifted)
            }
            for make in (masks.checkerboard, masks.noise):
                compare(make(folder), folder, 1, dense=False, leave_out=WITHOUT)
            show_season(seconds)
            measure_hints(folder, options.rounds)
            if options.cases:
                measure_sets(folder, options.cases)
    measure_aggregates()


def _wants_dense(options: argparse.Namespace, make: Callable[..., masks.Files], level: int) -> bool:
    return not options.no_dense and make is not masks.shifted and level == options.levels[0]


def show_season(seconds: dict[str, dict[str, float]]) -> None:
    """What it takes to score again all that a season brought."""
    teams, runs, cases = SEASON
    count = teams * runs * cases
    for title in (OURS, PREPARED):
        mean = HEAVY_SHARE * seconds["heavy"][title] + (1 - HEAVY_SHARE) * seconds["typical"][title]
        print(
            f"\na season of {teams} teams x {runs} runs x {cases} cases, {HEAVY_SHARE:.0%} of them heavy, "
            f"{title}: {count * mean / 3600:.0f} core-hours"
        )


class Contender(NamedTuple):
    """`run(files, folder)` is what is timed."""

    title: str
    run: Callable[[masks.Files, Path], object]
    once: bool = False


def floor(files: masks.Files, folder: Path) -> None:
    """Inflate both files once, keeping nothing."""
    from isal import igzip

    for path in (files.reference, files.prediction):
        with igzip.open(path) as stream:
            while stream.read(CHUNK):
                pass


def read_with_simpleitk(files: masks.Files, folder: Path) -> None:
    """Both files as arrays."""
    import SimpleITK as sitk  # noqa: N813

    for path in (files.reference, files.prediction):
        sitk.GetArrayViewFromImage(sitk.ReadImage(str(path)))


def read_with_nibabel(files: masks.Files, folder: Path) -> None:
    """Both files as arrays."""
    import nibabel
    import numpy as np

    for path in (files.reference, files.prediction):
        np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


def dense(files: masks.Files, folder: Path) -> object:
    """All metrics on dense volumes."""
    from tests.bench import dense as implementation

    return implementation.score(files.case, files.reference, files.prediction)


def ours(files: masks.Files, folder: Path) -> object:
    """All metrics from both files."""
    from evaluation import score_case

    return score_case(files.case, files.reference, files.prediction)


def ours_without_kernel(files: masks.Files, folder: Path) -> object:
    """All metrics from both files, by NumPy, SciPy and cc3d."""
    from evaluation import score_case
    from tests.evaluation.ways import way

    with way("NumPy"):
        return score_case(files.case, files.reference, files.prediction)


def ours_prepared(files: masks.Files, folder: Path) -> object:
    """All metrics, with the reference's runs from the cache."""
    from evaluation.masks.prepared import open_prepared, prepare
    from evaluation.metrics.scoring import assess

    prepared = open_prepared(prepare(files.reference, folder / "prepared"))
    return assess(files.case, lambda: prepared, files.prediction).result


OURS, PREPARED, WITHOUT = "ours", "ours, prepared reference", "ours, without the kernel"
CONTENDERS = (
    Contender("floor: inflate both", floor),
    Contender("read with SimpleITK", read_with_simpleitk),
    Contender("read with nibabel", read_with_nibabel),
    Contender("dense, numpy and scipy", dense, once=True),
    Contender(OURS, ours),
    Contender(PREPARED, ours_prepared),
    Contender(WITHOUT, ours_without_kernel),
)


def compare(files: masks.Files, folder: Path, rounds: int, *, dense: bool, leave_out: str = "") -> dict[str, float]:
    """One case, all contenders in turns, but for one that would take too long; the median seconds of each."""
    chosen = [one for one in CONTENDERS if one.title != leave_out and (dense or not one.once)]
    seconds: dict[str, list[float]] = {contender.title: [] for contender in chosen}
    peaks: dict[str, float] = {}
    results: dict[str, object] = {}
    lasting = [contender for contender in chosen if not contender.once]
    hosts = {contender.title: _Host(contender, files, folder) for contender in lasting}
    for turn in range(rounds + 1):
        for title, host in hosts.items():
            elapsed, results[title] = host.turn()
            seconds[title] += [elapsed] if turn else []
    for title, host in hosts.items():
        peaks[title] = host.end()
    for contender in chosen:
        if contender.once:
            host = _Host(contender, files, folder)
            elapsed, results[contender.title] = host.turn()
            seconds[contender.title], peaks[contender.title] = [elapsed], host.end()
    _check_agreement(results)
    _show(files, seconds, peaks)
    return {title: statistics.median(values) for title, values in seconds.items()}


def _show(files: masks.Files, seconds: dict[str, list[float]], peaks: dict[str, float]) -> None:
    sizes = [path.stat().st_size / MIB for path in (files.reference, files.prediction)]
    print(
        f"\n{files.case.name}: {len(files.case.findings)} findings of {files.case.shape}, files of "
        f"{sizes[0]:.1f} and {sizes[1]:.1f} MiB, gzip level {masks.GZIP_LEVEL}"
    )
    print(f"  {'':26}{'CPU s':>9}{'x floor':>9}{'peak MB':>9}")
    floors = seconds[CONTENDERS[0].title]
    for title, values in seconds.items():
        ratio = statistics.median(value / floor for value, floor in zip(values, floors, strict=False))
        print(f"  {title:26}{statistics.median(values):9.3f}{ratio:9.2f}{peaks[title]:9.0f}")


def _check_agreement(results: dict[str, object]) -> None:
    """A fast wrong answer is no answer."""
    if any(results.get(title, results[OURS]) != results[OURS] for title in (PREPARED, WITHOUT)):
        raise SystemExit("the prepared reference, or NumPy, gives other numbers")
    slow = results.get("dense, numpy and scipy")
    findings = results[OURS]["findings"]  # type: ignore[index]
    for finding, (dice, tp, distance_tp) in zip(findings, slow or (), strict=slow is not None):  # type: ignore[call-overload]
        if (finding["tp"], finding["distance_tp"]) != (tp, distance_tp) or abs(finding["dice"] - dice) > 1e-9:
            raise SystemExit(f"the dense implementation disagrees: {finding} and {dice, tp, distance_tp}")


class _Host:
    """A process on one core that runs a contender whenever it is asked to."""

    def __init__(self, contender: Contender, files: masks.Files, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contender.run, files, folder))
        self._process.start()

    def turn(self) -> tuple[float, object]:
        """Seconds and result."""
        self._pipe.send("run")
        elapsed, result = self._pipe.recv()
        return elapsed, result

    def end(self) -> float:
        """Peak memory in MB."""
        self._pipe.send("end")
        peak: float = self._pipe.recv()
        self._process.join()
        return peak


def _serve(pipe, run, files: masks.Files, folder: Path) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    while pipe.recv() == "run":
        start = time.process_time()
        result = run(files, folder)
        pipe.send((time.process_time() - start, result))
    pipe.send(_peak_mb())


def _peak_mb(pid: str = "self") -> float:
    # Not ru_maxrss: a new process inherits its parent's. One that has ended but is not yet waited for has none.
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return max((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), default=0.0)


def measure_hints(folder: Path, rounds: int) -> None:
    """What finding out why cases are poor adds to scoring them, in a child as the command line has it."""
    from evaluation.isolation.scorer import IsolatedScorer, Job

    files = masks.heavy(folder, 1)
    other = masks.heavy(folder, 2)  # its prediction fits this reference nowhere
    job = Job(files.case, files.reference, other.prediction)
    ratios = []
    with IsolatedScorer() as scorer:
        for _ in range(rounds + 1):
            spent = [_child_seconds(scorer)]
            scorer.assess(job)
            spent.append(_child_seconds(scorer))
            scorer.fit(job)
            spent.append(_child_seconds(scorer))
            ratios.append((spent[2] - spent[1]) / (spent[1] - spent[0]))
    print(f"\nhints: a poor heavy case costs {statistics.median(ratios[1:]):.0%} more CPU time than scoring it takes")


def _child_seconds(scorer) -> float:
    """Its CPU time so far; the kernel's account of it is too coarse."""
    if scorer.pid is None:
        return 0.0
    return int(Path(f"/proc/{scorer.pid}/schedstat").read_text().split()[0]) / 1e9


def measure_sets(folder: Path, count: int) -> None:
    """Sets of heavy cases through the command line: is it linear in cases, and in cores?"""
    cores = len(os.sched_getaffinity(0))
    made = [masks.heavy(folder, seed) for seed in range(4)]
    print(f"\nsets of heavy cases with python -m evaluation, {cores} cores")
    for cases, workers, cached in (
        (count // 4, 1, False),
        (count // 4, cores, False),
        (count, cores, False),
        (count, cores, True),
    ):
        seconds, peak = _score_set(folder, made, cases, workers, cached=cached)
        what = "prepared references" if cached else "no cache"
        print(
            f"  {cases:4} cases, {workers} workers, {what:20}{seconds:8.1f} s, {seconds / cases:.3f} s a case, "
            f"largest process {peak:.0f} MB"
        )


def _score_set(folder: Path, made: list[masks.Files], cases: int, workers: int, *, cached: bool) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        root = Path(name)
        for part in ("gt", "pred"):
            (root / part).mkdir()
        entries = []
        for index in range(cases):
            files = made[index % len(made)]
            case = f"case-{index:03}.nii.gz"
            os.link(files.reference, root / "gt" / case)
            os.link(files.prediction, root / "pred" / case)
            entries.append(
                {
                    "name": case,
                    "findings": dict.fromkeys(files.case.findings, "a finding"),
                    "categories": files.case.categories,
                    "spacing": files.case.spacing_mm,
                }
            )
        (root / "dataset.json").write_text(json.dumps({"test": entries}))
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "evaluation",
            "--gt_dir",
            root / "gt",
            "--pred_dir",
            root / "pred",
            "--dataset_json",
            root / "dataset.json",
            "--output_json",
            root / "scores.json",
            "--num_workers",
            str(workers),
        ]
        command += ["--cache_dir", folder / "prepared-set"] if cached else []
        if cached:
            _timed(command)
        return _timed(command)


def _timed(command: list[str | Path]) -> tuple[float, float]:
    """Seconds, and the peak memory in MB of the largest process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        with suppress(OSError):  # one of them ended at this moment
            peak = max(peak, *(_peak_mb(pid) for pid in _descendants(str(process.pid))))
        time.sleep(0.1)
    if process.returncode != 0:
        raise SystemExit(f"the command line failed with exit code {process.returncode}")
    return time.perf_counter() - start, peak


def _descendants(pid: str) -> list[str]:
    """A process, its children, and theirs."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for thread in threads for child in thread.read_text().split()]
    return [pid, *(descendant for child in children for descendant in _descendants(child))]


def measure_aggregates() -> None:
    """Everything that a leaderboard row needs of 300 cases: all numbers of all groups, with intervals."""
    from evaluation.metrics import aggregate

    rng = np.random.default_rng(0)
    categories = [f"1{letter}" for letter in "abcdef"] + [f"2{letter}" for letter in "abcdefgh"]
    results = [
        builders.case_result(
            f"case-{index}",
            *(
                builders.finding_result(str(rng.choice(categories)), float(rng.random()), key=str(key))
                for key in range(rng.integers(1, 5))
            ),
        )
        for index in range(300)
    ]
    sizes = {
        (case["name"], finding["finding"]): float(rng.random()) for case in results for finding in case["findings"]
    }
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        summarised = aggregate.aggregate(results, seed=0, sizes=sizes, limits=(0.5, 0.75))
        seconds.append(time.perf_counter() - start)
    print(
        f"\nsummary and {len(summarised['groups'])} groups of 300 cases, {aggregate.RESAMPLES} resamples: "
        f"{statistics.median(seconds):.3f} s"
    )
