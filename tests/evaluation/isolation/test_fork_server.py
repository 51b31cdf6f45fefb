"""The fork server: who dies with whom, who sees what, and what a batch costs."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from evaluation import EvaluationError, Job, assess_isolated
from evaluation.isolation import child
from evaluation.isolation import fork_server as fork_servers
from evaluation.isolation.fork_server import ENVIRONMENT, ForkServer
from evaluation.isolation.scorer import IsolatedScorer
from tests.evaluation import builders
from tests.evaluation.isolation import scripted

SHAPE = (2, 8, 8, 8)
MEMORY = 2 << 30
ANSWER, STALLED = "say(answer)", "time.sleep(60)"


@pytest.fixture(scope="module")
def server():
    """One that is running."""
    with ForkServer() as server:
        server.fork(MEMORY).kill()
        yield server


@pytest.fixture
def job(tmp_path):
    """A good job by name; its mask has the name in its header, and a number of its own in each of its voxels."""
    reference = np.zeros(SHAPE, np.uint8)
    reference[:, :4] = 1

    def make(name="case", values=None):
        prediction = reference if values is None else reference * values
        case = builders.a_case(SHAPE, ["1a", "2a"], (1.0, 1.0, 2.5), name=f"{name}.nii")
        return Job(
            case,
            builders.mask_file(tmp_path / f"{name}-reference.nii", reference),
            builders.mask_file(tmp_path / f"{name}-prediction.nii", prediction),
        )

    return make


def scorer_of(server):
    return IsolatedScorer(fork_server=server)


def is_alive(pid):
    """Whether the process runs; one that has ended and is not yet waited for does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def open_files(pid):
    """What a process has open, by descriptor."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found[int(link.name)] = str(link.readlink())
    return found


def holds(pid, marker):
    """Whether the bytes are anywhere in the memory of a process."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, access = line.split()[:2]
            start, end = (int(number, 16) for number in span.split("-"))
            if access.startswith("rw"):
                memory.seek(start)
                with suppress(OSError):  # a mapping that cannot be read
                    if marker in memory.read(end - start):
                        return True
    return False


class TestTheServer:
    def test_it_serves_one_batch_after_the_other_and_each_in_a_process_of_its_own(self, server, job):
        children = []
        for _ in range(3):
            with scorer_of(server) as scorer:
                assert scorer.assess(job()).result["status"] == "scored"
                assert parent_of(scorer.pid) == server.pid
                children.append(scorer.pid)
        assert len(set(children)) == 3

    def test_it_has_one_thread_and_nothing_open_but_its_socket(self, server, job):
        score_in(server, [job()])
        wait_until(lambda: len(open_files(server.pid)) == 4)  # the child's are closed just after its end
        opened = open_files(server.pid)
        assert [opened.pop(descriptor) for descriptor in (0, 1, 2)] == ["/dev/null"] * 3
        assert [re.sub(r"\d+", "", link) for link in opened.values()] == ["socket:[]"]
        assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1

    def test_it_inherits_no_secrets_and_no_files(self, monkeypatch):
        monkeypatch.setenv("SECRET_THING", "hidden")
        with Path("/dev/zero").open("rb") as file, ForkServer("import time; time.sleep(60)") as own:
            os.set_inheritable(file.fileno(), True)
            own.start()
            process = Path(f"/proc/{own.pid}")
            wait_until(lambda: b"sleep" in (process / "cmdline").read_bytes())
            names = {entry.split("=")[0] for entry in (process / "environ").read_text().split("\0") if entry}
            assert names <= {*ENVIRONMENT, "LD_LIBRARY_PATH"}
            assert str((process / "cwd").readlink()) == "/"
            assert "/dev/zero" not in open_files(own.pid).values()

    def test_it_forgets_children_that_have_ended(self, server, job):
        with scorer_of(server) as scorer:
            scorer.assess(job())
            assert children_of(server.pid) == [scorer.pid]
            os.kill(scorer.pid, signal.SIGKILL)
            wait_until(lambda: not children_of(server.pid))  # not even a zombie
        wait_until(lambda: len(open_files(server.pid)) == 4)

    def test_the_next_batch_costs_no_imports(self, server, job):
        def processor_seconds():
            fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
            return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")

        before = processor_seconds()
        for _ in range(5):
            assert list(score_in(server, [job()])) != []
        assert (processor_seconds() - before) / 5 < 0.2  # an interpreter with the imports takes about a second

    def test_it_does_not_fork_once_it_has_threads(self, monkeypatch):
        monkeypatch.setattr(fork_servers, "TRIES", 1)
        program = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); "
        with ForkServer(program + fork_servers.PROGRAM) as own, pytest.raises(EvaluationError, match="exit code 1"):
            own.fork(MEMORY)

    @pytest.mark.parametrize("program", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)", "0"])
    def test_one_that_does_not_start_is_an_error(self, program):
        with ForkServer(program) as own, pytest.raises(EvaluationError, match="does not start"):
            own.fork(MEMORY)

    def test_one_that_cannot_fork_says_why(self):
        refuse = "import os\ndef refuse(): raise BlockingIOError('no process left')\nos.fork = refuse\n"
        with ForkServer(refuse + fork_servers.PROGRAM) as own:
            for _ in range(2):
                with pytest.raises(EvaluationError, match="no process left"):
                    own.fork(MEMORY)
            wait_until(lambda: len(open_files(own.pid)) == 4)

    def test_there_is_one_for_all_that_a_process_scores(self, job):
        list(assess_isolated([job()]))
        first = fork_servers.shared.pid
        list(assess_isolated([job()]))
        assert fork_servers.shared.pid == first is not None


def score_in(server, jobs):
    with scorer_of(server) as scorer:
        return [scorer.assess(job).result for job in jobs]


class TestTwoBatches:
    """Nothing of one is in reach of the other."""

    @pytest.fixture
    def pair(self, server, job):
        """Two children at work on batches of two teams, each with something that only its own batch has."""
        markers = [os.urandom(24).hex() for _ in range(2)]
        with scorer_of(server) as one, scorer_of(server) as other:
            for scorer, marker in zip((one, other), markers, strict=True):
                assert scorer.assess(job(marker)).result["name"] == f"{marker}.nii"
            yield (one.pid, other.pid), [marker.encode() for marker in markers]

    def test_no_child_has_a_descriptor_of_another_or_of_the_server(self, server, pair):
        (one, other), _ = pair
        pipes = [set(open_files(pid).values()) - {"/dev/null"} for pid in (one, other)]
        assert [sorted(open_files(pid)) for pid in (one, other)] == [[0, 1, 2, 3]] * 2
        assert not pipes[0] & pipes[1]
        assert not (pipes[0] | pipes[1]) & set(open_files(server.pid).values())

    def test_what_one_has_read_is_in_no_other_process(self, server, pair):
        (one, other), (first, second) = pair
        assert [holds(pid, first) for pid in (one, other, server.pid)] == [True, False, False]
        assert [holds(pid, second) for pid in (one, other, server.pid)] == [False, True, False]

    def test_the_voxels_of_one_are_in_no_process_that_is_forked_later(self, server, job):
        marker = np.frombuffer(os.urandom(8 * 8 * 8), np.uint8).reshape(1, 8, 8, 8) | 1
        marked = job("marked", marker)
        voxels = marked.prediction.read_bytes()[352 + 2 * 8 * 10 :][:64]
        with scorer_of(server) as earlier:
            assert earlier.assess(marked).result["status"] == "scored"
            with scorer_of(server) as later:
                later.assess(job("later"))
                assert holds(os.getpid(), voxels)
                assert not holds(server.pid, voxels)
                assert not holds(later.pid, voxels)

    def test_both_are_scored_at_the_same_time(self, server, job):
        results = {}

        def score(name):
            results[name] = score_in(server, [job(f"{name}-{number}") for number in range(10)])

        threads = [threading.Thread(target=score, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all([case["dice"] for case in results[name]] == [1.0] * 10 for name in "abcd")
        assert children_of(server.pid) == []

    def test_the_end_of_one_child_does_not_concern_the_other(self, server, job):
        with scorer_of(server) as one, scorer_of(server) as other:
            one.assess(job())
            other.assess(job())
            untouched = other.pid
            os.kill(one.pid, signal.SIGKILL)
            assert other.assess(job()).result["status"] == "scored"
            assert other.pid == untouched


class TestWhenTheServerIsLost:
    """It costs no case: there is another one."""

    @pytest.fixture
    def own(self, monkeypatch):
        """A server, to be lost, whose children follow a plan."""
        monkeypatch.setattr(fork_servers, "FORK_SECONDS", 1.0)
        monkeypatch.setattr(child, "END_SECONDS", 1.0)
        with ForkServer(scripted.PROGRAM) as own:
            own.fork(MEMORY).kill()
            yield own

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
    def test_between_two_batches(self, own, job, how):
        scripted.write_plan(job(), ANSWER, ANSWER)
        first = own.pid
        assert len(score_in(own, [job()])) == 1
        os.kill(first, how)
        assert score_in(own, [job()])[0]["status"] == "scored"
        assert own.pid != first
        assert not is_alive(first)

    def test_with_a_child_at_work_which_dies_with_it(self, own, job, caplog):
        plan = scripted.write_plan(job(), STALLED, ANSWER)
        with scorer_of(own) as scorer:
            lost = own.fork(MEMORY)
            thread = threading.Timer(0.5, os.kill, (own.pid, signal.SIGKILL))
            thread.start()
            assert scorer.assess(job()).result["status"] == "scored"
            thread.join()
        assert "the scoring process was killed" in caplog.text
        wait_until(lambda: not is_alive(lost.pid))
        lost.kill()
        assert plan.read_text() == ""

    def test_so_stuck_that_it_does_not_tell_how_its_child_ended(self, own, job):
        plan = scripted.write_plan(job(), "os.kill(os.getppid(), signal.SIGSTOP); die(signal.SIGSEGV)", ANSWER)
        first = own.pid
        assert score_in(own, [job()])[0]["status"] == "scored"
        assert own.pid != first
        assert plan.read_text() == ""


class Interrupted(Exception):
    """As Celery's time limit interrupts a task, or Ctrl-C the command line."""


def test_a_reply_for_which_nobody_waits_any_more_answers_no_other_order(monkeypatch):
    def interrupt(*_):
        raise Interrupted

    slow = "import os, time\nfork = os.fork\ndef slow(): time.sleep(1); return fork()\nos.fork = slow\n"
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with ForkServer(slow + fork_servers.PROGRAM) as own:
            own.fork(MEMORY).kill()
            first = own.pid
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            with pytest.raises(Interrupted):
                own.fork(MEMORY)
            answered = own.fork(MEMORY)
            assert parent_of(answered.pid) == own.pid != first
            answered.kill()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_closed_one_is_not_started_again():
    server = ForkServer()
    server.start()
    process = server.pid
    server.close()
    assert not is_alive(process)
    with pytest.raises(EvaluationError, match="stopped"):
        server.fork(MEMORY)
    with pytest.raises(EvaluationError, match="stopped"):
        server.start()


def test_closing_one_does_not_wait_for_its_start():
    server = ForkServer("import time; time.sleep(60)")
    closing = threading.Timer(0.3, server.close)
    closing.start()
    began = time.monotonic()
    with pytest.raises(EvaluationError, match="stopped"):
        server.fork(MEMORY)
    closing.join()
    assert time.monotonic() - began < 10


STARTER = """
import os, sys, time
from evaluation.isolation.fork_server import ForkServer
server = ForkServer('''
import time
from evaluation.isolation.forking import main
def work(requests, answers, memory_bytes):
    answers.write(b"ready\\\\n")
    time.sleep(60)
main(orders, work)
''')
child = server.fork(1 << 30)
print(server.pid, child.pid, flush=True)
"""
COPIED = "copy = os.fork()\nif copy == 0: os.close(1); time.sleep(60)\nprint(copy, flush=True)\n"


class TestWhenItsStarterIsLost:
    """The server ends, and its children, which are at work, with it."""

    @pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "sys.exit()"])
    def test_however_that_comes_about(self, end):
        run = subprocess.run([sys.executable, "-c", STARTER + end], stdout=subprocess.PIPE, text=True, check=False)
        server, working = map(int, run.stdout.split())
        wait_until(lambda: not is_alive(server) and not is_alive(working))

    def test_though_a_copy_of_it_lives_on(self):
        code = STARTER + COPIED + "os.kill(os.getpid(), 9)"
        run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
        server, working, copy = map(int, run.stdout.split())
        try:
            wait_until(lambda: not is_alive(server) and not is_alive(working))
            assert is_alive(copy)
        finally:
            os.kill(copy, signal.SIGKILL)


POOLED = """
import os, sys
from pathlib import Path
import billiard
from evaluation import Case, Job, assess_isolated
from evaluation.isolation.fork_server import shared
reference = Path(sys.argv[1])
job = Job(Case("case.nii", ("0", "1"), {"0": "1a", "1": "2a"}, (8, 8, 8), (1.0, 1.0, 2.5)), reference, reference)
def score(number):
    (assessment,) = assess_isolated([job])
    return os.getpid(), shared.pid, assessment.result["dice"]
own = score(0)
with billiard.Pool(2) as pool:
    print(*[own, *pool.map(score, range(8), 1), score(0)], sep="\\n")
"""


def test_each_process_of_celerys_pool_has_a_server_of_its_own(job):
    """Also where the process that they are forked from has one. They are daemons, which must not have children."""
    run = subprocess.run([sys.executable, "-c", POOLED, job().reference], stdout=subprocess.PIPE, text=True, check=True)
    used = [eval(line) for line in run.stdout.splitlines()]
    assert [dice for _, _, dice in used] == [1.0] * 10
    servers = {process: {server for other, server, _ in used if other == process} for process, _, _ in used}
    assert all(len(own) == 1 for own in servers.values())
    assert len(set.union(*servers.values())) == len(servers) > 1
    wait_until(lambda: not any(is_alive(server) for own in servers.values() for server in own))
