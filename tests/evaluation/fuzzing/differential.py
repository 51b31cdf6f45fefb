"""One input: the package's answer against the oracle's."""

import json
import time
import warnings
from contextlib import ExitStack
from unittest import mock

import numpy as np

from evaluation import InvalidMask, kernel, score_case
from evaluation.masks.reading import read_prediction, read_reference
from tests.evaluation import builders
from tests.evaluation.fuzzing import oracle
from tests.evaluation.ways import WAYS, way

SECONDS_PER_INPUT = 5.0  # a hundred times what the largest takes


class Disagreement(AssertionError):
    """The package did not answer as it should; the message says how."""


class Differential:
    """Compares inputs one by one, in a folder of its own."""

    def __init__(self, folder):
        self.path = folder / "prediction.nii.gz"
        self.folder = folder
        self.references = {}
        self.slowest = 0.0

    def check(self, sample):
        """True if the file is a good prediction; raises `Disagreement`."""
        self.path.write_bytes(sample.content)
        expected = oracle.prediction(sample.content, sample.shape, sample.buffer_bytes)
        with warnings.catch_warnings(), smaller_pieces(sample):
            warnings.simplefilter("error")
            began = time.monotonic()
            self._same(expected, self._read(read_prediction, sample), "prediction")
            seconds = time.monotonic() - began
            values = oracle.reference(sample.content, sample.shape, sample.buffer_bytes)
            self._same(values, self._read(read_reference, sample), "reference")
            self._scores(sample, expected)
        self.slowest = max(self.slowest, seconds)
        if seconds > SECONDS_PER_INPUT:
            raise Disagreement(f"it took {seconds:.1f} s")
        return expected is not None

    def _read(self, reader, sample):
        """The dense volume, or None if it was refused with a fit reason; the same with the kernel and without."""
        found = []
        for name in WAYS if kernel.compiled is not None else WAYS[1:]:
            with way(name):
                found.append(self._read_one_way(reader, sample))
        if any((one is None) != (found[0] is None) or not np.array_equal(one, found[0]) for one in found):
            raise Disagreement(f"{reader.__name__} finds something else without the kernel")
        return found[0]

    def _read_one_way(self, reader, sample):
        try:
            channels = list(reader(self.path, sample.shape))
        except InvalidMask as error:
            check_reason(str(error), self.path)
            return None
        except Exception as error:
            raise Disagreement(f"{reader.__name__} raised {error!r}") from error
        return dense(channels, sample.shape)

    def _same(self, expected, found, what):
        if (expected is None) != (found is None):
            words = ("refused", "accepted")
            said = f"the oracle {words[expected is not None]}, the package {words[found is not None]}"
            raise Disagreement(f"as a {what}, {said}")
        if expected is not None and not np.array_equal(expected, found):
            raise Disagreement(f"as a {what}, {int((expected != found).sum())} voxels differ")

    def _scores(self, sample, expected):
        case = builders.a_case(sample.shape, ["1a", "2a"] * 8, (1.0, 0.7, 2.5))
        try:
            result = score_case(case, self._reference(sample.shape), self.path)
            json.dumps(result, allow_nan=False)
        except Exception as error:
            raise Disagreement(f"score_case raised {error!r}") from error
        if result["status"] != ("invalid" if expected is None else "scored"):
            raise Disagreement(f"score_case says {result['status']}: {result['reason']}")

    def _reference(self, shape):
        """A small box in each finding."""
        if shape not in self.references:
            mask = np.zeros(shape, np.uint8)
            mask[:, :5, :4, :3] = 1
            path = self.folder / f"reference_{'x'.join(map(str, shape))}.nii"
            self.references[shape] = builders.mask_file(path, mask)
        return self.references[shape]


def smaller_pieces(sample):
    """Small files are read in as many pieces as large ones."""
    together = ExitStack()
    together.enter_context(mock.patch("evaluation.masks.reading.CHUNK_BYTES", sample.piece_bytes))
    together.enter_context(mock.patch("evaluation.masks.nifti.PIECE_BYTES", sample.piece_bytes))
    together.enter_context(mock.patch("isal.igzip.READ_BUFFER_SIZE", sample.buffer_bytes))
    return together


def dense(channels, shape):
    """Runs, or valued runs, as a volume (F, H, W, D), after a check that they are what they promise to be."""
    if len(channels) != shape[0]:
        raise Disagreement(f"{len(channels)} findings instead of {shape[0]}")
    flat = np.zeros((shape[0], int(np.prod(shape[1:]))), np.int64)
    for row, channel in zip(flat, channels, strict=True):
        packed, values = (channel.runs, channel.values) if hasattr(channel, "values") else (channel, None)
        runs = packed.unpacked()
        start, stop = runs.start.astype(np.int64), runs.stop.astype(np.int64)
        good = tuple(runs.grid) == shape[1:] and (start < stop).all() and (stop[:-1] <= start[1:]).all()
        if not good or not (start // shape[1] == (stop - 1) // shape[1]).all():
            raise Disagreement("the runs are not sorted, disjoint and within their rows")
        covered = np.repeat(start - np.cumsum(stop - start) + stop - start, stop - start)
        row[covered + np.arange(len(covered))] = (
            1 if values is None else np.repeat(np.broadcast_to(values, len(start)), stop - start)
        )
    return np.stack([row.reshape(shape[1:], order="F") for row in flat])


def check_reason(reason, path):
    """A reason is one printable line that a team can be shown, without a path of ours in it."""
    if not 5 < len(reason) < 300 or not reason.isprintable() or str(path.parent) in reason:
        raise Disagreement(f"the reason is not fit to be shown: {reason!r}")
