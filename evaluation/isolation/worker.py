"""What a child of the fork server does: read a request, do it, answer (see evaluation.isolation.messages).

Whatever a file makes Python raise is an answer. Any other end of the process is for `evaluation.isolation.scorer` to
interpret.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from evaluation import system
from evaluation.errors import EvaluationError, InvalidMask
from evaluation.isolation.messages import (
    READY,
    Cause,
    Checked,
    Failure,
    Request,
    Task,
    decode_request,
    encode_answer,
)
from evaluation.masks.prepared import Damaged, Reference, open_prepared, open_reference
from evaluation.masks.reading import read_prediction
from evaluation.masks.run_lengths import Channel
from evaluation.metrics.cases import Assessment
from evaluation.metrics.fit import Fit, fit
from evaluation.metrics.scoring import assess

# The (prediction, reference) of each finding of the case that was scored last, by its files: a fit is asked for next.
_at_hand: dict[tuple[Path, Path | None], dict[str, tuple[Channel, Channel]]] = {}


def main(requests: BinaryIO, answers: BinaryIO, memory_bytes: int) -> None:
    """Serve requests until there are no more."""
    system.limit(memory_bytes)
    answers.write(READY)
    for line in requests:
        request = decode_request(line)
        system.limit_processor_time(request.seconds)
        answers.write(encode_answer(answer(request)))


def answer(request: Request) -> Assessment | Checked | Fit | Failure | None:
    """What is said to a request, whatever comes of it."""
    try:
        return _WORK[request.task](request)
    except EvaluationError as error:
        return Failure(Cause.UNUSABLE_REFERENCE, str(error))
    except Damaged:
        return Failure(Cause.DAMAGED_PREPARED)
    except MemoryError:
        return Failure(Cause.OUT_OF_MEMORY)
    except Exception:  # noqa: BLE001  (whatever a hostile file provokes costs its own case, not the others)
        return Failure(Cause.EXCEPTION, traceback.format_exc())


def _assess(request: Request) -> Assessment:
    _at_hand.clear()
    compared: dict[str, tuple[Channel, Channel]] = {}
    arguments = (request.prediction, request.correction, compared)
    if request.prepared:
        loaded = open_prepared(request.reference)
        assessment = assess(request.case, lambda: loaded, *arguments)
    else:
        assessment = assess(request.case, lambda: open_reference(request.reference), *arguments)
    if request.correction is None:
        _at_hand[_files(request)] = compared
    return assessment


def _files(request: Request) -> tuple[Path, Path | None]:
    return request.reference, request.prediction


def _check(request: Request) -> Checked:
    shape = _opened(request).shape
    if request.prediction is None:
        return Checked("no file of this name was found")
    try:
        for _ in read_prediction(request.prediction, shape):
            pass
    except InvalidMask as error:
        return Checked(str(error))
    return Checked(None)


def _opened(request: Request) -> Reference:
    return open_prepared(request.reference) if request.prepared else open_reference(request.reference)


def _fit(request: Request) -> Fit | None:
    if request.prediction is None:
        return None
    opened = _opened(request)
    known = _at_hand.get(_files(request))
    if known is None:
        wanted = [finding.runs for finding in opened.findings]
        pairs = list(zip(read_prediction(request.prediction, opened.shape), wanted, strict=True))
        known = {key: pairs[int(key)] for key in request.case.findings}
    return fit(known, channels=opened.shape[0])


_WORK: dict[Task, Callable[[Request], Assessment | Checked | Fit | None]] = {
    Task.SCORE: _assess,
    Task.CHECK: _check,
    Task.FIT: _fit,
}
