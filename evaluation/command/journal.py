"""What a run has scored so far, kept beside its output until it is finished, so that `--resume` can go on from there.

One line for each case, written when the case is scored: a key, and the assessment as the scoring process sent it. The
key is a digest of all that the assessment depends on: the evaluation version, the case, and which files were read, as
they were then (path, size, times of their last changes). So a line is right or found by nobody, whatever was changed
in between. A line that was cut off is passed over, and one that is read is believed no more than the scoring process.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from evaluation.command.files import beside
from evaluation.command.progress import tell
from evaluation.isolation.messages import (
    Failure,
    MalformedMessage,
    Request,
    Task,
    decode_assessment,
    encode_answer,
)
from evaluation.isolation.scorer import Job
from evaluation.metrics.cases import VERSION, Assessment
from evaluation.system import APPEND

SUFFIX = ".partial"
FORM = 1  # of a line; the number changes whenever what is in it does


class Journal:
    """The lines about some jobs; several threads may add to it.

    Those of an earlier run are `known` if it is to `resume` that run; otherwise the first new line replaces them.
    """

    def __init__(self, output: Path, jobs: Sequence[Job], *, resume: bool) -> None:
        self.path = beside(output, SUFFIX)
        self._keys = {job.case.name: _key(job) for job in jobs}
        self._total = len(jobs)
        self._adding = threading.Lock()
        self._descriptor: int | None = None
        self._is_usable = self.path is not None
        self._starts_again = not resume
        lines = _lines(self.path)
        found = {job.case.name: _assessment(lines.get(self._keys[job.case.name]), job) for job in jobs}
        fitting = {name: assessment for name, assessment in found.items() if assessment is not None}
        self.known: Mapping[str, Assessment] = fitting if resume else {}
        self._count = len(self.known)
        self._say_what_was_there(len(fitting), len(lines) - len(fitting))

    def _say_what_was_there(self, fitting: int, others: int) -> None:
        if self._starts_again:
            if fitting:
                tell(
                    f"warning: {fitting} of {self._total} cases were scored by a run that was interrupted "
                    f"({self.path}); they are scored again, since --resume is not given"
                )
            return
        changed = f"; {others} kept results are of other files or options and are not used" if others else ""
        tell(f"resumed: {fitting} of {self._total} cases were scored before{changed}")

    def add(self, job: Job, assessment: Assessment) -> None:
        """Keep one more. That it cannot be kept is said once, and stops no work."""
        line = f"{self._keys[job.case.name]} ".encode() + encode_answer(assessment)
        with self._adding:
            if not self._is_usable:
                return
            try:
                self._write(line)
                self._count += 1
            except OSError as error:
                self._is_usable = False
                tell(f"warning: {self.path} cannot be written ({error.strerror}): no --resume from here on")

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = self._opened()
        while line:
            line = line[os.write(self._descriptor, line) :]

    def _opened(self) -> int:
        assert self.path is not None
        mode = os.O_TRUNC if self._starts_again else 0
        descriptor = os.open(self.path, APPEND | mode, 0o666)
        if os.fstat(descriptor).st_size:
            os.lseek(descriptor, -1, os.SEEK_END)
            if os.read(descriptor, 1) != b"\n":  # whoever wrote the last line did not get to its end
                os.write(descriptor, b"\n")
        return descriptor

    def how_to_go_on(self) -> str:
        """What a person is told when the run ends early."""
        if not self._count:
            return "no case was scored: nothing was written"
        return (
            f"{self._count} of {self._total} cases are scored and kept in {self.path}; "
            "the same command with --resume goes on from there"
        )

    def close(self) -> None:
        """Nothing is added any more."""
        with self._adding:
            self._is_usable = False
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def remove(self) -> None:
        """The run is finished, and its results are where they belong."""
        self.close()
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()


def _key(job: Job) -> str:
    """A digest of all that the assessment of a job depends on."""
    case = {**vars(job.case), "categories": sorted(job.case.categories.items())}
    files = [_state(job.reference), _state(job.prediction)]
    return hashlib.sha256(json.dumps([FORM, VERSION, case, files]).encode()).hexdigest()


def _state(path: Path | None) -> list[str | int] | None:
    """Which file it is and what tells its content from an earlier one; reading it all would take as long as scoring."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError as error:
        return [os.path.realpath(path), str(error.strerror)]
    return [os.path.realpath(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _lines(path: Path | None) -> dict[str, bytes]:
    """By key, what is behind it; of several with one key the last."""
    try:
        content = path.read_bytes() if path is not None else b""
    except OSError:
        return {}
    parts = (line.partition(b" ") for line in content.split(b"\n"))
    return {key.decode("ascii", "replace"): answer for key, _, answer in parts if answer}


def _assessment(answer: bytes | None, job: Job) -> Assessment | None:
    """What a line says of a job; None if there is none, or it cannot be true."""
    if answer is None:
        return None
    request = Request(Task.SCORE, job.case, job.reference, job.prediction, seconds=0.0)
    try:
        found = decode_assessment(answer + b"\n", request)
    except MalformedMessage:
        return None
    return None if isinstance(found, Failure) else found
