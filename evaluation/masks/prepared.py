"""References read once: their runs, kept in a folder under the digest of the mask file they come from.

Half of the work on a case is to inflate its reference, the same one for every run on a case set. A prepared reference
is as secret as the mask itself, so its folder belongs where the masks are, with their permissions. It is a plain NumPy
archive of five arrays; nothing in it is ever executed. One that is damaged is only a reason to read the mask again.

The scoring process reads them and cannot write; its parent makes them. It reads the mask without limits for that, as
does the import of a case set: references are the organisers' own files.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluation.masks.reading import read_reference, reference_shape
from evaluation.masks.run_lengths import Runs, Shape, ValuedRuns, position_dtype

SUFFIX = ".runs-1.npz"  # the number changes whenever what is in the file does


class Reference(NamedTuple):
    """Shape (F, H, W, D) and, in order, the findings of a reference mask."""

    shape: Shape
    findings: Iterable[ValuedRuns]


class Damaged(Exception):
    """A prepared reference is not what `prepare` made, or no longer there."""


def open_reference(mask: Path) -> Reference:
    """A reference mask, its findings read while they are iterated over. Raises `InvalidMask` if it is unusable."""
    shape = reference_shape(mask)
    return Reference(shape, read_reference(mask, shape))


def prepare(mask: Path, folder: Path) -> Path:
    """The prepared form of a reference mask, made now unless `folder` has it.

    Raises `InvalidMask` if the mask is unusable, `OSError` if it cannot be read or the folder not be written.
    """
    with mask.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    target = folder / f"{digest}{SUFFIX}"
    if not target.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _save(target, open_reference(mask))
    return target


def open_prepared(path: Path) -> Reference:
    """What `prepare` made of a mask, all of it in memory. Raises `Damaged`."""
    try:
        return _load(path)
    except Exception as error:  # it is a cache: whatever is wrong with it, the mask can be read again
        raise Damaged(str(error)) from error


def _save(target: Path, reference: Reference) -> None:
    findings = [(finding.runs.unpacked(), finding.values) for finding in reference.findings]
    arrays = {
        "shape": np.array(reference.shape, np.int64),
        "counts": np.array([len(runs) for runs, _ in findings], np.int64),
        "start": np.concatenate([runs.start for runs, _ in findings]),
        "stop": np.concatenate([runs.stop for runs, _ in findings]),
        "values": np.concatenate([np.broadcast_to(values, len(runs)) for runs, values in findings]),
    }
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".incoming-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _load(path: Path) -> Reference:
    with np.load(path, allow_pickle=False) as archive:
        shape: Shape = tuple(archive["shape"].tolist())
        bounds = np.concatenate([[0], np.cumsum(archive["counts"])])
        start, stop, values = archive["start"], archive["stop"], archive["values"]
    if len(shape) != 4 or len(bounds) != shape[0] + 1 or {len(start), len(stop), len(values)} != {bounds[-1]}:
        raise ValueError("its parts do not fit together")
    if {start.dtype, stop.dtype} != {np.dtype(position_dtype(shape[1:]))}:
        raise ValueError("its numbers are of another type")
    parts = [slice(first, last) for first, last in itertools.pairwise(bounds.tolist())]
    return Reference(shape, [ValuedRuns(Runs(shape[1:], start[part], stop[part]), values[part]) for part in parts])
