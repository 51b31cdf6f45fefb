"""The two ways to the same numbers: the compiled kernel, and NumPy without it."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from evaluation import kernel

WAYS = ("compiled", "NumPy")


def built():
    """The kernel, which `./dev` builds for these tests."""
    assert kernel.compiled is not None, kernel.description
    return kernel.compiled


@contextmanager
def way(name: str) -> Iterator[None]:
    """One of `WAYS`, for a while."""
    with mock.patch.object(kernel, "compiled", built() if name == "compiled" else None):
        yield
