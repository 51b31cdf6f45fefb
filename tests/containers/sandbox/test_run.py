"""Whole runs of small algorithms on the real engine: what each end is called, and that nothing is left."""

import signal
import threading
import time
from collections.abc import Callable

import docker
import pytest

from containers.protocol.reports import SLOW_TO_EXIT
from containers.protocol.verdicts import describe_exit
from containers.sandbox import case_clock
from containers.sandbox.engine import Engine
from containers.sandbox.spec import Slot
from containers.sandbox.watch import Stopped
from tests.containers.conftest import UID, Sandbox, case, statuses, wait_until

pytestmark = pytest.mark.engine

FINISHED = ("finished", None)
UNTOUCHED = ("untouched", None)


def test_every_case_is_finished_and_its_file_harvested(sandbox: Sandbox) -> None:
    report = sandbox.run(None, None, None)
    assert statuses(report) == [FINISHED] * 3
    assert sandbox.output(report, 1) == b"mask of input"
    assert report.fault is None
    assert report.container is not None
    assert report.container.exit_code == 0


def test_seconds_are_counted_from_the_appearance_of_the_file_before(sandbox: Sandbox) -> None:
    report = sandbox.run(None, "import time; time.sleep(0.6); finish(name)")
    first, second = (case(report, number).seconds or 0 for number in range(2))
    assert second > 0.5
    assert report.container is not None
    assert first + second < report.container.seconds + 0.1


def test_a_crash_costs_the_case_and_leaves_the_rest_for_the_next_container(sandbox: Sandbox) -> None:
    report = sandbox.run(None, "print('about to fail'); raise SystemExit(3)", None)
    assert statuses(report) == [FINISHED, ("failed", "crashed"), UNTOUCHED]
    assert report.container is not None
    assert report.container.exit_code == 3
    assert report.log == "about to fail\n"


def test_a_hanging_case_is_ended_by_its_clock(sandbox: Sandbox) -> None:
    report = sandbox.run(None, "print('working'); import time; time.sleep(60)", None, case_seconds=0.6)
    assert statuses(report) == [FINISHED, ("failed", "timed_out"), UNTOUCHED]
    assert 0.6 < (case(report, 1).seconds or 0) < 30  # not the minute that the program would sleep
    assert report.log == "working\n"


def test_a_first_case_has_the_start_up_allowance_on_top(sandbox: Sandbox) -> None:
    slow_start = "import time; time.sleep(0.8); finish(name)"
    report = sandbox.run(slow_start, None, case_seconds=0.5, startup_seconds=5)
    assert statuses(report) == [FINISHED, FINISHED]


def test_a_program_that_never_gets_to_a_result_fails_its_first_case(sandbox: Sandbox) -> None:
    report = sandbox.run("import time; time.sleep(60)", None, case_seconds=0.3, startup_seconds=0.3)
    assert statuses(report) == [("failed", "startup_timed_out"), UNTOUCHED]


def test_a_program_that_stops_the_containers_init_is_still_ended(sandbox: Sandbox) -> None:
    stop = "import os, signal, time; os.kill(1, signal.SIGSTOP); os.kill(os.getpid(), signal.SIGSTOP)"
    report = sandbox.run(stop, case_seconds=0.3, startup_seconds=0.3)
    assert statuses(report) == [("failed", "startup_timed_out")]


def test_a_program_that_lingers_after_its_last_file_loses_nothing_and_is_told_so(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_clock, "EXIT_SECONDS", 0.7)
    report = sandbox.run(None, "finish(name); import time; time.sleep(60)", case_seconds=0.5)
    assert statuses(report) == [FINISHED, FINISHED]
    assert report.container is not None
    assert (report.container.exit_code, report.container.warnings) == (137, (SLOW_TO_EXIT,))
    assert not report.container.ended_badly


def test_after_its_last_file_a_program_has_the_time_that_the_contract_says_whatever_its_case_may_take(
    sandbox: Sandbox,
) -> None:
    report = sandbox.run(None, "finish(name); import time; time.sleep(1)", case_seconds=0.5)
    assert report.container is not None
    assert (report.container.exit_code, report.container.warnings) == (0, ())


def test_too_much_memory_is_recognised(sandbox: Sandbox) -> None:
    report = sandbox.run(None, "x = bytearray(200 << 20)", memory_bytes=64 << 20)
    assert statuses(report) == [FINISHED, ("failed", "out_of_memory")]


def test_a_program_that_kills_itself_did_not_run_out_of_memory(sandbox: Sandbox) -> None:
    report = sandbox.run(None, "print('last words'); os.kill(os.getpid(), 9)")
    assert statuses(report) == [FINISHED, ("failed", "killed")]
    assert report.log == "last words\n"
    assert report.container is not None
    assert (report.container.exit_code, report.container.oom_killed) == (137, False)


def test_a_file_that_grows_too_large_is_told_as_that_wherever_it_lies(sandbox: Sandbox) -> None:
    grow = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
for folder in ('/tmp', '/dev/shm', '/output'):
    if folder == '/output' or not (child := os.fork()):
        with open(f'{folder}/grows', 'wb') as file: file.truncate(1 << 40)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGXFSZ, folder
"""
    report = sandbox.run(None, grow)
    assert statuses(report) == [FINISHED, ("failed", "file_too_large")]
    assert report.container is not None
    assert report.container.exit_code == 153


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_another_signal_is_a_crash_with_its_exit_code(sandbox: Sandbox, number: signal.Signals) -> None:
    report = sandbox.run(f"os.kill(os.getpid(), {number:d})")
    assert statuses(report) == [("failed", "crashed")]
    assert report.container is not None
    assert number.name in describe_exit(report.container.exit_code or 0)


def test_a_full_output_folder_is_recognised(sandbox: Sandbox) -> None:
    report = sandbox.run(None, "finish(name, bytes(8 << 20))")
    assert statuses(report) == [FINISHED, ("failed", "output_full")]


def test_a_full_output_folder_is_recognised_after_the_program_tidied_up(sandbox: Sandbox) -> None:
    tidy = """
import time
try:
    (OUTPUT / "big").write_bytes(bytes(3 << 20)); (OUTPUT / "more").write_bytes(bytes(3 << 20))
except OSError:
    time.sleep(0.3)
    for path in OUTPUT.iterdir(): path.unlink()
    raise
"""
    assert statuses(sandbox.run(tidy)) == [("failed", "output_full")]


def test_too_many_files_count_as_a_full_output_folder(sandbox: Sandbox) -> None:
    report = sandbox.run("for i in range(5000): (OUTPUT / str(i)).touch()")
    assert statuses(report) == [("failed", "output_full")]


def test_a_sparse_file_cannot_claim_more_than_the_folder_holds(sandbox: Sandbox) -> None:
    report = sandbox.run("(OUTPUT / name).touch(); os.truncate(OUTPUT / name, 8 << 20)", None)
    assert statuses(report) == [("failed", "output_full"), FINISHED]


def test_sparse_files_together_cannot_either(sandbox: Sandbox) -> None:
    sparse = "(OUTPUT / name).touch(); os.truncate(OUTPUT / name, 3 << 20)"
    assert statuses(sandbox.run(sparse, sparse, None)) == [FINISHED, ("failed", "output_full"), FINISHED]


def test_links_pipes_and_folders_are_no_results(sandbox: Sandbox) -> None:
    report = sandbox.run(
        "os.symlink('/etc/passwd', OUTPUT / name)",
        "os.mkfifo(OUTPUT / name)",
        "(OUTPUT / name).mkdir()",
        "os.symlink('/nowhere', OUTPUT / name)",
        None,
        "os.link(OUTPUT / 'case4.nii.gz', OUTPUT / name)",
    )
    refused = ("failed", "not_a_regular_file")
    assert statuses(report) == [refused] * 6  # of a file with two names, neither is a result


def test_exit_0_without_a_file_is_missing_and_needs_no_further_container(sandbox: Sandbox) -> None:
    report = sandbox.run(None, "pass", None)
    assert statuses(report) == [FINISHED, ("missing", "missing"), FINISHED]


def test_extra_files_are_ignored_and_near_misses_are_named(sandbox: Sandbox) -> None:
    report = sandbox.run("(OUTPUT / 'CASE0.NII').touch(); (OUTPUT / 'notes.txt').touch()")
    assert statuses(report) == [("missing", "missing")]
    assert report.container is not None
    assert [w for w in report.container.warnings if "CASE0.NII" in w and "case0.nii.gz" in w]
    assert "notes.txt" not in str(report.container.warnings)


def test_a_deep_nest_of_folders_does_no_harm(sandbox: Sandbox) -> None:
    nest = """
os.chdir(OUTPUT)
for i in range(900):
    os.mkdir("d" * 200); os.chdir("d" * 200)
finish(name)
"""
    assert statuses(sandbox.run(nest)) == [FINISHED]


def test_the_output_folder_itself_cannot_be_closed_but_a_closed_file_is_no_result(sandbox: Sandbox) -> None:
    report = sandbox.run(
        "finish(name)", "finish(name); os.chmod(OUTPUT / name, 0)", "finish(name); os.chmod(OUTPUT, 0)"
    )
    assert statuses(report) == [FINISHED, ("failed", "not_a_regular_file"), FINISHED]
    assert report.container is not None
    assert report.container.exit_code == 1  # PermissionError


def test_only_the_end_of_a_long_log_is_kept(sandbox: Sandbox) -> None:
    report = sandbox.run("print('x' * 100_000); print('the end'); finish(name)")
    assert len(report.log) <= 4096
    assert report.log.endswith("the end\n")


def test_an_unknown_entrypoint_could_not_start(sandbox: Sandbox, derived_image: Callable[[str], str]) -> None:
    report = sandbox.run(None, None, image=derived_image('ENTRYPOINT ["/no/such/program"]'))
    assert statuses(report) == [("failed", "could_not_start"), UNTOUCHED]


def test_a_program_that_is_not_executable_could_not_start(
    sandbox: Sandbox, derived_image: Callable[[str], str]
) -> None:
    report = sandbox.run(None, image=derived_image('ENTRYPOINT ["/algorithm.py"]'))
    assert statuses(report) == [("failed", "could_not_start")]


def test_a_missing_image_is_our_fault(sandbox: Sandbox) -> None:
    report = sandbox.run(None, image="sha256:" + "1" * 64)
    assert report.fault is not None
    assert report.fault.code == "image_unavailable"
    assert statuses(report) == [UNTOUCHED]


def test_a_gpu_request_without_a_gpu_runtime_is_our_fault_and_leaves_nothing(
    sandbox: Sandbox, docker_client: docker.APIClient
) -> None:
    run = sandbox.prepare(sandbox.order(None, gpus=1), Slot("gpu0", UID + 1, ("0", "1")))
    report = run.carry_out(sandbox.stage(run))
    assert report.fault is not None
    assert report.fault.code == "no_gpu_runtime"
    assert statuses(report) == [UNTOUCHED]
    requests = docker_client.inspect_container(run.names.algorithm)["HostConfig"]["DeviceRequests"]
    assert [request["DeviceIDs"] for request in requests] == [["0"]]
    run.clean_up()
    assert sandbox.engine.inspect_container(run.names.algorithm) is None


def test_a_container_of_which_the_holder_died_is_our_fault(sandbox: Sandbox, engine: Engine) -> None:
    run = sandbox.prepare(sandbox.order(None, "import time; time.sleep(1)"))

    def end_both() -> None:
        wait_until(run.was_started)
        engine.kill_container(run.names.holder)
        engine.kill_container(run.names.algorithm)

    threading.Thread(target=end_both).start()
    report = run.carry_out(sandbox.stage(run))
    assert report.fault is not None
    assert report.fault.code == "engine_restarted"
    assert statuses(report) == [UNTOUCHED, UNTOUCHED]


def test_a_stop_ends_the_watching_at_once(sandbox: Sandbox) -> None:
    run = sandbox.prepare(sandbox.order("import time; time.sleep(60)"))
    threading.Timer(0.8, run.stop, ["drop"]).start()
    before = time.monotonic()
    with pytest.raises(Stopped):
        run.carry_out(sandbox.stage(run))
    run.clean_up()
    assert time.monotonic() - before < 30  # not the minute that the program would sleep


def test_progress_is_told_while_the_container_runs(sandbox: Sandbox) -> None:
    seen: list[int] = []
    run = sandbox.prepare(sandbox.order(*["import time; time.sleep(0.2); finish(name)"] * 3))
    run.watcher.on_progress = seen.append
    run.carry_out(sandbox.stage(run))
    assert seen == [1, 2, 3]


# --- Exceeding a limit gives the right reason, and leaves nothing -----------------------------------------------------

OOM, CRASH, FULL, LATE = "out_of_memory", "crashed", "output_full", "timed_out"
EXCESSES = {
    "memory": ("x = bytearray(400 << 20)", OOM),
    "memory of a child": (
        "import subprocess; subprocess.run(['python3', '-c', 'x = bytearray(400 << 20)'], check=True)",
        OOM,
    ),
    "shared memory, scratch, open files, and one file": (
        """
for excess in (
    lambda: open('/dev/shm/x', 'wb').write(bytes(32 << 20)),
    lambda: open('/tmp/x', 'wb').write(bytes(32 << 20)),
    lambda: [open('/dev/null') for _ in range(20_000)],
    lambda: open('/tmp/y', 'wb').truncate(1 << 40),
):
    try: excess()
    except OSError: continue
    finish(name)  # a limit that does not hold
raise SystemExit('each is an error that a program can see')
""",
        CRASH,
    ),
    "files in shared memory": (
        "i = 0\nwhile True: i += not os.close(os.open(f'/dev/shm/{i}', os.O_CREAT))",  # it has no bound of its own
        OOM,
    ),
    "processes": ("while True: os.fork() or __import__('signal').pause()", CRASH),
    "bytes of output": ("(OUTPUT / 'x').write_bytes(bytes(4 << 20)); (OUTPUT / 'y').write_bytes(b'y' * 4096)", FULL),
    "processor time": ("while True: pass", LATE),
    "log": ("while True: print('x' * 1000)", LATE),
    "a fork bomb that ignores signals": (
        """
import signal
for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
while True:
    try: os.fork()
    except OSError: pass
""",
        LATE,
    ),
}


@pytest.mark.parametrize(("program", "reason"), EXCESSES.values(), ids=EXCESSES.keys())
def test_exceeding_a_limit_gives_its_reason(sandbox: Sandbox, program: str, reason: str) -> None:
    seconds = 0.6 if reason == LATE else 20
    memory = 64 << 20 if reason == OOM else 512 << 20
    report = sandbox.run(None, program, None, case_seconds=seconds, memory_bytes=memory)
    assert statuses(report) == [FINISHED, ("failed", reason), UNTOUCHED]
    assert len(report.log) <= 4096


def test_hostile_names_are_harmless_wherever_they_are_told(sandbox: Sandbox) -> None:
    report = sandbox.run(
        r"""
for name in (b"case0.\x1b]0;x\x07", b"case0.\xff\xfe", "case0.\u202egz.iin".encode(), b"case0.\n\rE", b"case0.<b>"):
    open(b"/output/" + name, "wb").close()
os.mkdir(b"/output/\x1b[2J\xff")
"""
    )
    assert statuses(report) == [("missing", "missing")]
    assert report.container is not None
    assert len(report.container.warnings) == 6
    assert all(warning.isascii() and warning.isprintable() for warning in report.container.warnings)
