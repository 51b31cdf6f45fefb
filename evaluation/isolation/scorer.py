"""Scoring in a child process, so that no prediction file can hurt more than its own case.

The fork server forks one child, which is used for many cases. Who is to blame when one gets no result?

* The file, at once, when it takes more processor time or memory than a case may have: our machine's load does not
  change these.
* Us, when the child was killed or said nothing for far longer than its processor time: `EvaluationError`.
* The file, when the child broke down in any other way, or gave an answer that cannot be.

Of the last two nobody can be sure, so a fresh child tries again first. The file's fault makes the case "invalid" with
the reason, and another child counts the reference's entities (so that they are all counted as missed). If even that
fails, it is the reference that is unusable: `EvaluationError`.

Hints ask the same child for `fit` and for `corrected`, in requests of their own after a case has its result. So
whatever becomes of these can cost no case; what they take is bounded by whoever asks (`evaluation.hints`), and
`spent_seconds` says how much it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from evaluation import system
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.isolation import fork_server as fork_servers
from evaluation.isolation.child import Child, Ended
from evaluation.isolation.fork_server import ForkServer
from evaluation.isolation.messages import (
    Cause,
    Checked,
    Failure,
    MalformedMessage,
    Request,
    Task,
    decode_assessment,
    decode_checked,
    decode_fit,
    encode_request,
)
from evaluation.isolation.plain import PlainChild, PlainChildren
from evaluation.masks.correction import Correction
from evaluation.masks.prepared import prepare
from evaluation.metrics.cases import Assessment, Case, lost_case
from evaluation.metrics.fit import Fit
from evaluation.results import CaseResult, CaseStatus

logger = logging.getLogger(__name__)

MEMORY_BYTES = 2 << 30
SECONDS_PER_CASE = 120.0  # of processor time
FIT_SECONDS = 60.0  # of processor time
TRIES = 2  # the second in a fresh child

TAKES_TOO_LONG = "scoring it takes too long"  # so begins the reason

Answer = TypeVar("Answer", Assessment, Checked)

# A safety net, seconds by the clock: an overloaded machine or a slow disk must not tear it.
WALL_FACTOR, WALL_ALLOWANCE = 4.0, 60.0


@dataclass(frozen=True)
class Job:
    """One case to score; without a prediction it is "missing"."""

    case: Case
    reference: Path
    prediction: Path | None


class _Lost(Exception):
    """The file costs its case; the message is the reason to show."""


class _BrokeDown(Exception):
    """The child did, in a way that a file can bring about; the message is the reason to show if it does so again."""


class _Stopped(Exception):
    """The child was killed or stalled: most likely our machine's doing."""


def assess_isolated(
    jobs: Iterable[Job],
    *,
    memory_bytes: int = MEMORY_BYTES,
    seconds_per_case: float = SECONDS_PER_CASE,
    prepared: Path | None = None,
) -> Generator[Assessment, None, None]:
    """`assess` for each job, in order, in a child process with limits that nobody else's jobs were or will be in.

    `seconds_per_case` are of processor time. With a folder `prepared`, references are read once and kept there in
    another form (see evaluation.masks.prepared). Raises `EvaluationError` when a reference is unusable, or the child is
    killed or stalls twice on a case.
    """
    with IsolatedScorer(memory_bytes=memory_bytes, seconds_per_case=seconds_per_case, prepared=prepared) as scorer:
        for job in jobs:
            yield scorer.assess(job)


class IsolatedScorer:
    """Keeps one child process and scores one case at a time in it; use it as a context manager."""

    def __init__(
        self,
        *,
        memory_bytes: int = MEMORY_BYTES,
        seconds_per_case: float = SECONDS_PER_CASE,
        prepared: Path | None = None,
        fork_server: ForkServer | PlainChildren | None = None,
    ) -> None:
        self._fork_server = fork_server or fork_servers.shared
        self._prepared = prepared
        self._memory_bytes = memory_bytes
        self._seconds = seconds_per_case
        self._child: Child | PlainChild | None = None
        self._closed = threading.Event()
        self.spent_seconds = 0.0  # of processor time, in `fit` and `corrected`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, if there is a child."""
        return self._child.pid if self._child is not None else None

    def rest(self) -> None:
        """End the child until it is needed again: meanwhile it takes no memory."""
        self._end_child()

    def close(self) -> None:
        """End the child and start no other; another thread that waits for a result gets an `EvaluationError`."""
        self._closed.set()
        self._end_child()

    def assess(self, job: Job) -> Assessment:
        """The result of one case, whatever its prediction does to the child."""
        try:
            return self._try(job, self._ask_assessment)
        except _Lost as error:
            reason = str(error)
        if job.prediction is None:
            raise EvaluationError(f"the reference of {job.case.name} cannot be read: {reason}")
        try:
            known = self._try(replace(job, prediction=None), self._ask_assessment)
        except _Lost as error:
            raise EvaluationError(f"the reference of {job.case.name} cannot be read: {error}") from error
        counts = [finding["n_reference"] for finding in known.result["findings"]]
        return Assessment(
            lost_case(job.case, counts, CaseStatus.INVALID, reason), known.reference_voxels, known.matchings
        )

    def check(self, job: Job) -> str | None:
        """What keeps the prediction of a case from being scored; None if it can be read to its last byte.

        By the rules, and in the words, of `assess`, but for what only scoring takes too long or too much memory for.
        Raises `EvaluationError` as that does.
        """
        try:
            return self._try(job, self._ask_checked).reason
        except _Lost as error:
            return str(error)

    def fit(self, job: Job, seconds: float = FIT_SECONDS) -> Fit | None:
        """How the case would have scored had its mask been saved in other ways; None if that cannot be found out."""
        request = self._about(Task.FIT, job, seconds)
        with suppress(Ended, MalformedMessage, EvaluationError):
            found = decode_fit(self._exchange_counted(request), request)
            if not isinstance(found, Failure):
                return found
        self._end_child()
        return None

    def corrected(self, job: Job, correction: Correction, seconds: float = SECONDS_PER_CASE) -> CaseResult | None:
        """The result of the case with its mask so corrected; None if that cannot be found out."""
        request = replace(self._about(Task.SCORE, job, seconds), correction=correction)
        with suppress(Ended, MalformedMessage, EvaluationError):
            found = decode_assessment(self._exchange_counted(request), request)
            if not isinstance(found, Failure):
                return found.result
        self._end_child()
        return None

    def _about(self, task: Task, job: Job, seconds: float) -> Request:
        prepared = self._prepare(job.reference)
        return Request(
            task, job.case, prepared or job.reference, job.prediction, seconds, prepared=prepared is not None
        )

    def _exchange_counted(self, request: Request) -> bytes:
        """An exchange whose processor time is counted: what a child spent that did not survive it is not known."""
        try:
            before = self._child.processor_seconds() if self._child is not None else 0.0
            answer = self._exchange(request)
        except BaseException:
            self.spent_seconds += request.seconds
            raise
        after = self._child.processor_seconds() if self._child is not None else None
        self.spent_seconds += request.seconds if after is None else max(0.0, after - (before or 0.0))
        return answer

    def _try(self, job: Job, ask: Callable[[Job], Answer]) -> Answer:
        """Ask until there is an answer, or `_Lost`, or every child has come to grief."""
        failures: list[_BrokeDown | _Stopped] = []
        for _ in range(TRIES):
            try:
                return ask(job)
            except (_BrokeDown, _Stopped) as failure:
                self._refuse_if_closed()  # which is what ended the child
                logger.warning("scoring %s: %s", job.case.name, failure)
                failures.append(failure)
        stopped = [failure for failure in failures if isinstance(failure, _Stopped)]
        if stopped:
            raise EvaluationError(f"scoring {job.case.name}: {stopped[0]}") from stopped[0]
        raise _Lost(str(failures[-1]))

    def _ask_assessment(self, job: Job) -> Assessment:
        return self._ask(Task.SCORE, job, decode_assessment)

    def _ask_checked(self, job: Job) -> Checked:
        return self._ask(Task.CHECK, job, decode_checked)

    def _ask(self, task: Task, job: Job, decode: Callable[[bytes, Request], Answer | Failure]) -> Answer:
        """The child's answer, or what its lack means; a child that came to grief over a case is not used again."""
        try:
            answer = self._answer(task, job, decode)
        except Ended as end:
            self._end_child()
            raise _meaning(end) from end
        except MalformedMessage as error:
            self._end_child()
            raise _BrokeDown(f"scoring it gave an impossible answer ({error}); is the file damaged?") from error
        if not isinstance(answer, Failure):
            return answer
        if answer.cause is Cause.UNUSABLE_REFERENCE:
            raise EvaluationError(answer.detail)
        self._end_child()
        if answer.cause is Cause.OUT_OF_MEMORY:
            raise _Lost(f"scoring it takes more than {self._memory_bytes / 2**30:.1f} GiB of memory; is it noise?")
        logger.error("scoring %s failed unexpectedly:\n%s", job.case.name, answer.detail)
        raise _BrokeDown("scoring it failed unexpectedly; please report this file to the organisers")

    def _answer(self, task: Task, job: Job, decode: Callable[[bytes, Request], Answer | Failure]) -> Answer | Failure:
        """With the prepared reference if there is a sound one, or else with the mask."""
        prepared = self._prepare(job.reference)
        if prepared is not None:
            request = Request(task, job.case, prepared, job.prediction, self._seconds, prepared=True)
            answer = decode(self._exchange(request), request)
            if not isinstance(answer, Failure) or answer.cause is not Cause.DAMAGED_PREPARED:
                return answer
            logger.warning("the prepared form of %s is damaged and will be made again", job.reference.name)
            with suppress(OSError):
                prepared.unlink()
        request = Request(task, job.case, job.reference, job.prediction, self._seconds)
        return decode(self._exchange(request), request)

    def _prepare(self, reference: Path) -> Path | None:
        """The prepared form, made here because the child may not write; None if there is none."""
        if self._prepared is None:
            return None
        try:
            return prepare(reference, self._prepared)
        except OSError as error:
            logger.warning("cannot prepare %s: %s", reference.name, error)
        except InvalidMask:
            pass  # the child says so
        return None

    def _exchange(self, request: Request) -> bytes:
        """A request to the child, which is started if need be, and its answer."""
        self._refuse_if_closed()
        child = self._child
        if child is None or not child.idle():
            self._end_child()
            child = self._child = self._fork_server.fork(self._memory_bytes)
            self._refuse_if_closed()  # meanwhile, by another thread, which found no child to end
        return child.ask(encode_request(request), WALL_FACTOR * request.seconds + WALL_ALLOWANCE)

    def _refuse_if_closed(self) -> None:
        if self._closed.is_set():
            self._end_child()
            raise EvaluationError("the evaluation was stopped")

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()


def _meaning(end: Ended) -> _Lost | _BrokeDown | _Stopped:
    if end.code == system.OUT_OF_PROCESSOR_TIME:
        return _Lost(f"{TAKES_TOO_LONG}; is it noise? Remove small fragments before saving")
    if end.code == system.KILLED:
        return _Stopped("the scoring process was killed")
    if end.code is None:
        return _Stopped("the scoring process stalled")
    return _BrokeDown(f"scoring it ended abnormally ({end}); is the file damaged?")
