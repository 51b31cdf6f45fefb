"""Scoring in a child process, so that no prediction file can hurt more than its own case.

One child is started and reused for many cases. It gets a clean environment, no open files of the parent, and limits on
memory and processor time; the parent watches the clock. When the child dies or stalls twice on a case, it becomes
"invalid" with the reason, a new child counts that case's reference entities (so that they are all counted as missed),
and the next case goes on there. If even that fails, it is the reference that is unusable: `EvaluationError`.

The command line asks the same child for `fit`, its hints, in a message of its own after a case has its result. So
whatever becomes of it can cost no case, and the server, which never asks, pays nothing.
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Self, cast

from evaluation.errors import EvaluationError, InvalidMask
from evaluation.hints import Fit
from evaluation.prepared import prepare
from evaluation.scoring import Assessment, Case, CaseResult, lost_case

logger = logging.getLogger(__name__)

MEMORY_BYTES = 2 << 30
SECONDS_PER_CASE = 120.0
START_SECONDS = 60.0
FIT_SECONDS = 60.0
MAX_ANSWER_BYTES = 64 << 20

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from evaluation.worker import main; "
    "main(int(sys.argv[2]), float(sys.argv[3]))"
)
# Threads of a maths library would only compete with the other workers, and each reserves memory of its own.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Job:
    """One case to score; without a prediction it is "missing"."""

    case: Case
    reference: Path
    prediction: Path | None


class _Lost(Exception):
    """The child gave no result for the case in hand; the message is the reason to show."""


def score_isolated(
    jobs: Iterable[Job],
    *,
    memory_bytes: int = MEMORY_BYTES,
    seconds_per_case: float = SECONDS_PER_CASE,
    prepared: Path | None = None,
) -> Iterator[CaseResult]:
    """`score_case` for each job, in order, in one reused child process with limits.

    With a folder `prepared`, references are read once and kept there in another form (see evaluation.prepared).
    Raises `EvaluationError` when a reference is unusable.
    """
    with IsolatedScorer(memory_bytes=memory_bytes, seconds_per_case=seconds_per_case, prepared=prepared) as scorer:
        for job in jobs:
            yield scorer.assess(job).result


class _Ended(_Lost):
    """The child died or did not answer in time: the file's doing, or that of a machine in trouble."""


class IsolatedScorer:
    """Keeps one child process and scores one case at a time in it; use it as a context manager."""

    def __init__(
        self,
        *,
        memory_bytes: int = MEMORY_BYTES,
        seconds_per_case: float = SECONDS_PER_CASE,
        prepared: Path | None = None,
    ) -> None:
        self._prepared = prepared
        self._memory_bytes = memory_bytes
        self._seconds = seconds_per_case
        self._child: _Child | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, if there is a child."""
        return self._child.pid if self._child is not None else None

    def close(self) -> None:
        """End the child and start no other; another thread that waits for a result gets an `EvaluationError`."""
        self._closed.set()
        self._end_child()

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def assess(self, job: Job) -> Assessment:
        """The result of one case, whatever its prediction does to the child."""
        job = replace(job, reference=self._readable(job.reference))
        try:
            return self._ask_twice(job)
        except _Lost as error:
            reason = str(error)
        if job.prediction is None:
            raise EvaluationError(f"the reference of {job.case.name} cannot be read: {reason}")
        try:
            known = self._ask(Job(job.case, job.reference, None))
        except _Lost as error:
            raise EvaluationError(f"the reference of {job.case.name} cannot be read: {error}") from error
        counts = [finding["n_reference"] for finding in known.result["findings"]]
        return Assessment(lost_case(job.case, counts, "invalid", reason), known.reference_voxels)

    def _readable(self, reference: Path) -> Path:
        """What the child is to read: the prepared form, made here because the child may not write, or the mask."""
        if self._prepared is None:
            return reference
        try:
            return prepare(reference, self._prepared)
        except OSError as error:
            logger.warning("cannot prepare %s: %s", reference.name, error)
        except InvalidMask:
            pass  # the child says so
        return reference

    def fit(self, job: Job) -> Fit | None:
        """How the case would have scored had its mask been saved in other ways; None if that cannot be found out."""
        try:
            answer = self._exchange(_message(job, task="fit"), FIT_SECONDS)
        except (_Lost, EvaluationError):
            answer = {}
        if "fit" not in answer:
            self._end_child()
            return None
        return Fit(**answer["fit"]) if answer["fit"] is not None else None

    def _ask_twice(self, job: Job) -> Assessment:
        """Ask, and once more in a fresh child when the first one was killed or too slow: that may have been us."""
        try:
            return self._ask(job)
        except _Ended:
            return self._ask(job)

    def _ask(self, job: Job) -> Assessment:
        try:
            return self._interpret(job, self._exchange(_message(job), self._seconds))
        except _Lost:
            self._end_child()
            raise

    def _exchange(self, message: bytes, seconds: float) -> dict[str, Any]:
        """A message to the child, which is started if need be, and its answer."""
        if self._closed.is_set():
            raise EvaluationError("the evaluation was stopped")
        child = self._child
        if child is None or not child.alive():
            self._end_child()
            child = self._child = _Child(self._memory_bytes, self._seconds)
            if self._closed.is_set():  # meanwhile, by another thread, which found no child to end
                self._end_child()
                raise EvaluationError("the evaluation was stopped")
        return child.ask(message, seconds)

    def _interpret(self, job: Job, answer: dict[str, Any]) -> Assessment:
        if "unusable_reference" in answer:
            raise EvaluationError(answer["unusable_reference"])
        if "out_of_memory" in answer:
            raise _Lost(f"scoring it takes more than {self._memory_bytes / 2**30:.1f} GiB of memory; is it noise?")
        if "crash" in answer:
            logger.error("scoring %s failed unexpectedly:\n%s", job.case.name, answer["crash"])
            raise _Lost("scoring it failed unexpectedly; please report this file to the organisers")
        result = answer["result"]
        if result["name"] != job.case.name or len(result["findings"]) != len(job.case.findings):
            raise _Lost("scoring it failed unexpectedly; please report this file to the organisers")
        return Assessment(result, tuple(answer["reference_voxels"]))


def _message(job: Job, task: str = "score") -> bytes:
    prediction = str(job.prediction.absolute()) if job.prediction is not None else None
    case = {**asdict(job.case), "categories": dict(job.case.categories)}
    message = {"task": task, "case": case, "reference": str(job.reference.absolute()), "prediction": prediction}
    return json.dumps(message).encode() + b"\n"


class _Child:
    """One worker process and the two pipes to it."""

    def __init__(self, memory_bytes: int, seconds_per_case: float) -> None:
        here = str(Path(__file__).resolve().parent.parent)
        paths = [here, *(str(Path(path).absolute()) for path in sys.path if path != here)]
        environment = dict(_ENVIRONMENT)
        if "LD_LIBRARY_PATH" in os.environ:  # without it, some Python builds do not start
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _BOOT, json.dumps(paths), str(memory_bytes), str(seconds_per_case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        self._jobs, self._answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            self._read_line(time.monotonic() + START_SECONDS)
        except _Lost as error:
            self.kill()
            raise EvaluationError(f"the scoring process does not start: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, message: bytes, seconds: float) -> dict[str, Any]:
        """Send a job and wait for its answer; raises `_Lost` if there is none in time."""
        with suppress(BrokenPipeError):  # it died meanwhile; reading says how
            self._jobs.write(message)
        answer: dict[str, Any] = json.loads(self._read_line(time.monotonic() + seconds))
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._jobs.close()
        self._answers.close()

    def _read_line(self, deadline: float) -> bytes:
        poll = select.poll()
        poll.register(self._answers, select.POLLIN | select.POLLHUP)
        line = bytearray()
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise _Ended("scoring it takes too long; is it noise? Remove small fragments before saving")
            piece = os.read(self._answers.fileno(), 1 << 20)
            line += piece
            if not piece or len(line) > MAX_ANSWER_BYTES:
                self._process.kill()
                raise _Ended(_how_it_ended(self._process.wait()))
        return bytes(line)


def _how_it_ended(code: int) -> str:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"scoring it ended abnormally ({how}); is the file damaged?"
