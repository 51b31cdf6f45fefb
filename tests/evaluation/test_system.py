"""Systems that lack what Linux has: everything works there but the isolation, and that is said."""

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from evaluation import EvaluationError, system
from evaluation.isolation.child import Ended
from evaluation.isolation.plain import PlainChild, PlainChildren
from tests.evaluation import uneven

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "evaluation"
# What other systems lack, as a program removes it before anything of ours is imported.
LACKS = {
    "macOS": """
        import os, signal, socket, ctypes
        del os.pidfd_open, os.sched_getaffinity, signal.pidfd_send_signal, socket.SOCK_SEQPACKET
        class Library: pass
        ctypes.CDLL = lambda *_, **__: Library()
        """,
    "Windows": """
        import os, select, signal, socket, sys, ctypes
        sys.modules["resource"] = sys.modules["fcntl"] = None
        for name in ("fork", "forkpty", "register_at_fork", "pidfd_open", "sched_getaffinity", "sysconf", "setsid",
                     "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY"):
            delattr(os, name)
        del select.poll, select.epoll, signal.pidfd_send_signal, socket.AF_UNIX, socket.SOCK_SEQPACKET
        del socket.send_fds, socket.recv_fds
        def library(name=None, *_, **__):
            raise TypeError("bad argument")
        ctypes.CDLL = library
        """,
}
NAMED = {
    "macOS": ["SOCK_SEQPACKET", "prctl", "pidfd_open"],
    "Windows": ["fork", "poll", "SOCK_SEQPACKET", "setrlimit", "prctl", "pidfd_open"],
}
# What only that module may ask the system for; `os` and `signal` themselves are used elsewhere, too.
ONLY_THERE = {
    *("resource", "fcntl", "ctypes", "os.fork", "os.register_at_fork", "os.pidfd_open", "os.sched_getaffinity"),
    *("os.sysconf", "os.O_NONBLOCK", "os.O_CLOEXEC", "os.O_NOCTTY", "select.poll", "signal.pidfd_send_signal"),
    *("signal.SIGKILL", "signal.SIGXCPU"),
}
# Runs only where there is isolation.
ISOLATED = {"isolation/forking.py": {"os.fork"}}


def on(kind: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a program does on such a system, as far as this one can be made to look like it."""
    code = textwrap.dedent(LACKS[kind]) + textwrap.dedent(program)
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_linux_lacks_nothing():
    assert system.isolation_lacks() == []


@pytest.mark.parametrize("kind", LACKS)
def test_what_is_missing_is_named(kind):
    told = on(kind, "import evaluation; print(evaluation.isolation_lacks())")
    assert told.stdout == f"{NAMED[kind]}\n", told.stderr


@pytest.mark.parametrize("kind", LACKS)
def test_arrays_and_files_are_scored_from_python(kind, tmp_path):
    program = """
        import pathlib, sys
        import numpy
        import evaluation
        from tests.evaluation import builders
        mask = numpy.zeros((1, 9, 9, 9), numpy.uint8)
        mask[:, 2:7, 2:7, 2:7] = 1
        file = builders.mask_file(pathlib.Path(sys.argv[1]) / "case_0001.nii.gz", mask)
        assert evaluation.score(mask, mask, spacing=(1, 1, 2), categories=["2d"]).findings[0].distance_tp == 1
        assert evaluation.score(file, file).dice == evaluation.score(mask, file).dice == 1.0
        assert evaluation.score(mask, sys.argv[1]).status == "invalid"
        print("scored")
        """
    told = on(kind, program, str(tmp_path))
    assert told.stdout == "scored\n", told.stderr


@pytest.mark.parametrize("kind", LACKS)
def test_every_module_can_be_imported(kind):
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name not in ("__main__.py", "__init__.py", "forking.py")  # the last runs in the fork server alone
    ]
    told = on(kind, f"import {', '.join(names)}")
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("kind", LACKS)
def test_the_command_line_scores_without_limits_and_says_so(kind, tmp_path):
    outputs = [tmp_path / name for name in ("without.json", "with.json")]
    arguments = [*uneven.challenge(tmp_path, cases=10), "--num_workers=2"]
    program = "import sys; from evaluation.rexg import run; sys.exit(run(['score', *sys.argv[1:]]))"
    told = on(kind, program, *arguments, f"--output_json={outputs[0]}")
    assert told.returncode == 0, told.stderr
    assert (
        f"warning: this system has no {', '.join(NAMED[kind])}: scores are the same, but nothing limits" in told.stderr
    )
    usual = [sys.executable, "-m", "evaluation", *arguments, f"--output_json={outputs[1]}"]
    told = subprocess.run(usual, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "warning" not in told.stderr
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@pytest.mark.parametrize("kind", LACKS)
def test_what_the_server_scores_with_refuses_to_do_without_limits(kind, tmp_path):
    program = """
        import pathlib, sys
        import evaluation
        case = evaluation.Case("case.nii.gz", ("0",), {}, (8, 8, 8))
        job = evaluation.Job(case, pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]))
        try:
            list(evaluation.assess_isolated([job]))
        except evaluation.EvaluationError as error:
            print(error)
        """
    told = on(kind, program, str(tmp_path))
    lacks = ", ".join(NAMED[kind])
    assert told.stdout == f"masks are scored in processes with limits, and this system has no {lacks}: use Linux\n"


def test_a_system_without_proc_has_no_isolation(monkeypatch):
    monkeypatch.setattr(system, "PROC", Path("/nowhere"))
    assert system.isolation_lacks() == ["/proc"]
    assert system.processor_seconds(1) is None


def test_an_older_kernel_has_no_isolation(monkeypatch):
    def refused(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refused)
    assert system.isolation_lacks() == ["pidfd_open"]


def used(path: Path) -> set[str]:
    """What a module imports, and the attributes of modules that it uses, by their dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found


def test_one_module_asks_the_system_for_what_not_every_one_has():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path != PACKAGE / "system.py":
            where = str(path.relative_to(PACKAGE))
            assert used(path) & ONLY_THERE == ISOLATED.get(where, set()), where
            assert "/proc" not in path.read_text(), where


class TestPlainChildren:
    """Children without limits answer as those of the fork server do, and end as they should."""

    @pytest.fixture
    def child(self):
        child = PlainChildren().fork(0)
        yield child
        child.kill()

    def test_one_that_takes_too_long_is_ended(self):
        child = scripted("import time; sys.stdin.readline(); time.sleep(60)")
        with pytest.raises(Ended, match="no answer in time"):
            child.ask(b"{}\n", 0.2)
        assert not child.idle()
        child.kill()

    @pytest.mark.parametrize(
        ("does", "words"), [("sys.exit(7)", "exit code 7"), ("os.kill(os.getpid(), 11)", "signal 11")]
    )
    def test_one_that_breaks_down_says_how(self, does, words):
        child = scripted(f"import os; sys.stdin.readline(); {does}")
        with pytest.raises(Ended, match=words):
            child.ask(b"{}\n", 30)
        child.kill()

    def test_one_that_does_not_start_is_an_error(self):
        with pytest.raises(EvaluationError, match="the scoring process does not start: exit code 1"):
            PlainChild([sys.executable, "-c", "raise SystemExit(1)"])

    def test_it_answers_until_it_is_killed(self, child):
        assert child.idle()
        child.kill()
        child.kill()
        with pytest.raises(Ended):
            child.ask(b"{}\n", 1)

    def test_a_damaged_request_ends_it_and_not_the_parent(self, child):
        with pytest.raises(Ended, match="exit code 1"):
            child.ask(json.dumps({"task": "?"}).encode() + b"\n", 30)


def scripted(program):
    """A child that is ready, and then does something else."""
    return PlainChild([sys.executable, "-c", f"import sys; print('ready', flush=True); {program}"])
