"""The compiled kernel: which build is used, what it refuses, and that it never leaves an array."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import kernel
from evaluation.kernel import build as builder
from tests.evaluation.ways import built

CLONE = Path(__file__).parents[3]
STALE = "import types, sys; sys.modules['rexg_kernel'] = types.SimpleNamespace(SOURCE='of yesterday')\n"
FOREIGN = "import types, sys; sys.modules['rexg_kernel'] = types.ModuleType('rexg_kernel')\n"
HIDDEN = "import sys; sys.modules['rexg_kernel'] = None\n"
TELL = "from evaluation import kernel; print(kernel.compiled is None, kernel.description)"


def told(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CLONE, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_build_of_this_source_is_used():
    assert kernel.source_digest() == built().SOURCE
    assert kernel.description == "compiled kernel"


def test_a_build_of_another_source_is_not_used():
    assert told(STALE + TELL) == "True NumPy (the compiled kernel that is installed was made of another source)"


def test_another_module_of_the_name_is_not_used():
    """An empty folder is one, too."""
    assert told(FOREIGN + TELL) == "True NumPy (the compiled kernel that is installed was made of another source)"


def test_without_a_build_numpy_does_its_work():
    assert told(HIDDEN + TELL) == "True NumPy (the compiled kernel is not installed)"


def test_without_a_compiler_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(builder.CannotBuild, match="install gcc"):
        builder.build(tmp_path)


def test_a_compiler_may_be_named_with_options(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "cc -O0 -no-such-option")
    with pytest.raises(builder.CannotBuild, match="no-such-option"):
        builder.build(tmp_path)
    monkeypatch.setenv("CC", "cc -O0")
    assert builder.build(tmp_path).stat().st_size


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    with pytest.raises(builder.CannotBuild, match=r"cannot write in .*/none"):
        builder.build(tmp_path / "none")


def test_without_pythons_headers_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(builder.CannotBuild, match="python3-dev"):
        builder.build(tmp_path)


def test_a_compiler_that_fails_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(builder, "FAST", ("-no-such-option",))
    with pytest.raises(builder.CannotBuild, match="no-such-option"):
        builder.build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_build_serves_every_python(tmp_path):
    """It uses nothing but Python's limited API, whose names are listed in Python's own manual."""
    names = subprocess.run(
        ["nm", "--dynamic", "--undefined-only", str(builder.build(tmp_path))],
        capture_output=True,
        text=True,
        check=True,
    )
    used = {line.split()[-1] for line in names.stdout.splitlines() if "Py" in line}
    assert used == {
        *("_PyArg_ParseTuple_SizeT", "PyBuffer_Release", "PyErr_SetString", "PyExc_ValueError", "PyFloat_FromDouble"),
        *("PyLong_FromLong", "PyLong_FromSsize_t", "PyModuleDef_Init", "PyModule_AddStringConstant", "_Py_NoneStruct"),
    }


# Numbers of bytes for the buffers of each function, and its plain numbers: whatever they are, nothing leaves an array.
CALLS = {
    "scan": "bwwwwwwwnnn",
    "components": "bbnnw",
    "measure": "bbbnnnww",
    "joined": "bbw",
    "overlaps": "bbbbbbnw",
    "extents": "bbbnnww",
    "surface": "bbbnnbnnwww",
    "histograms": "bbbnnnw",
    "gaps": "wnnnbbw",
    "draw": "bbnnbw",
    "distances": "bbnnbwbbbbnn",
    "runs_of": "bnnnww",
}


@st.composite
def calls(draw):
    """A function and arguments that do not fit together, or do by chance."""
    name = draw(st.sampled_from(sorted(CALLS)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    arguments: list[object] = []
    size = int(rng.choice([0, 1, 2, 3, 6, 24]))
    for kind in CALLS[name]:
        if kind == "n":
            arguments.append(int(rng.choice([-1, 0, 1, 2, 3, 7, 2**31, 2**40])))
        else:
            count = size if rng.random() < 0.8 else int(rng.choice([0, 1, 5, 17]))
            high = int(rng.choice([2, 9, 100, 2**31 - 1]))
            numbers = rng.integers(-1 if rng.random() < 0.3 else 0, high, count)
            arguments.append(np.sort(numbers).astype(str(rng.choice(["u1", "i4", "i8", "f8"]))))
    return name, arguments


@settings(max_examples=600, deadline=None)
@given(calls())
def test_arguments_that_do_not_fit_together_are_refused_and_leave_no_array(called):
    name, arguments = called
    with suppress(ValueError, OverflowError):
        getattr(built(), name)(*arguments)


SANITIZED = """
from tests.evaluation.kernel.test_kernel import test_arguments_that_do_not_fit_together_are_refused_and_leave_no_array
from tests.evaluation.test_fuzzing import CORPUS, CORPUS_SHAPE, SEED
from tests.evaluation.fuzzing.differential import Differential
from tests.evaluation.fuzzing.mutations import sample
from tests.evaluation.metrics import test_against_reference, test_distances, test_nearest
from evaluation import InvalidMask, kernel
from evaluation.masks.reading import read_prediction, read_reference
from pathlib import Path
import sys, tempfile
assert kernel.compiled.__file__.startswith(sys.argv[1]), kernel.compiled
for path in CORPUS.iterdir():
    for reader in (read_prediction, read_reference):
        try:
            list(reader(path, CORPUS_SHAPE))
        except InvalidMask:
            pass
with tempfile.TemporaryDirectory() as folder:
    differential = Differential(Path(folder))
    for number in range(150):
        differential.check(sample(SEED, number))
test_arguments_that_do_not_fit_together_are_refused_and_leave_no_array()
test_against_reference.test_every_number_equals_the_slow_reference()
test_distances.test_surfaces_are_those_of_the_definition("compiled")
test_nearest.test_near_and_far_distances_are_exact("compiled")
print("clean")
"""


def test_no_access_leaves_its_array_and_nothing_undefined_is_done(tmp_path):
    """Under AddressSanitizer and UndefinedBehaviorSanitizer: files worth remembering, random ones, garbage, metrics."""
    builder.build(tmp_path, sanitize=True)
    libraries = [
        subprocess.run(["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environment = {
        "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": f"{tmp_path}:{CLONE}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "hypothesis"),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", SANITIZED, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("clean", 0), done.stderr[-3000:]
