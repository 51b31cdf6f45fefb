"""The table of whose doing an end is."""

from typing import get_args

import pytest

from containers.protocol.verdicts import (
    CASE_FAILURES,
    FAULTS,
    Ending,
    FailureCode,
    FaultCode,
    TimeoutCode,
    Verdict,
    classify,
    classify_start_error,
    describe_exit,
    in_present_words,
    unmet_requirement,
)


def theirs(code: FailureCode) -> Verdict:
    return Verdict(failure=code)


def ours(code: FaultCode) -> Verdict:
    return Verdict(fault=code)


@pytest.mark.parametrize(
    ("ending", "verdict"),
    [
        (Ending(0), Verdict()),
        (Ending(0, oom_killed=True), Verdict()),  # a helper process died, the program coped
        (Ending(0, output_full=True), Verdict()),
        (Ending(1), theirs("crashed")),
        (Ending(139), theirs("crashed")),  # SIGSEGV
        (Ending(143), theirs("crashed")),  # SIGTERM, and the holder is alive: not the engine's shutdown
        (Ending(137), theirs("killed")),  # not by our clock, and the engine knows of no lack of memory
        (Ending(137, oom_killed=True), theirs("out_of_memory")),
        (Ending(1, oom_killed=True), theirs("out_of_memory")),  # a worker process was killed, the parent gave up
        (Ending(1, output_full=True), theirs("output_full")),
        (Ending(153), theirs("file_too_large")),  # SIGXFSZ, in whichever folder
        (Ending(153, output_full=True), theirs("file_too_large")),
        (Ending(127), theirs("could_not_start")),
        (Ending(126, seconds=4.9), theirs("could_not_start")),
        (Ending(127, seconds=5.1), theirs("crashed")),  # a shell script that did not find its second program
        (Ending(127, files=1), theirs("crashed")),
        (Ending(126, seconds=1, oom_killed=True), theirs("out_of_memory")),
        (Ending(137, timeout="exit_timed_out"), theirs("exit_timed_out")),
        (Ending(137, timeout="timed_out"), theirs("timed_out")),
        (Ending(137, timeout="startup_timed_out", oom_killed=True), theirs("startup_timed_out")),
        (Ending(137, holder_alive=False), ours("engine_restarted")),
        (Ending(255, holder_alive=False), ours("engine_restarted")),
        (Ending(0, holder_alive=False), ours("engine_restarted")),  # the results are lost with it
        (Ending(137, timeout="timed_out", holder_alive=False), ours("engine_restarted")),
        (Ending(1, gpu_fault="gpu_lost"), ours("gpu_lost")),
        (Ending(137, timeout="timed_out", gpu_fault="gpu_lost"), ours("gpu_lost")),  # it hung in its driver
        (Ending(137, gpu_fault="gpu_lost", holder_alive=False), ours("engine_restarted")),
        (Ending(1, gpu_fault="gpu_occupied"), ours("gpu_occupied")),
        (Ending(None, start_error="no such image: sha256:12"), ours("image_unavailable")),
    ],
)
def test_an_ending_is_judged(ending: Ending, verdict: Verdict) -> None:
    assert classify(ending) == verdict


UNMET = Verdict(rejected="unmet_requirement")
RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
CRUN = "failed to create shim task: OCI runtime create failed: "


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', ours("no_gpu_runtime")),
        (RUNC + "error during container init: error running hook #0: nvidia-container-cli: device error: "
         "GPU-1: unknown device: unknown", ours("gpu_lost")),
        (RUNC + "error during container init: error running hook #0: nvidia-container-cli: initialization error: "
         "nvml error: driver not loaded: unknown", ours("no_gpu_runtime")),
        (RUNC + "error running hook #0: nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9",
         UNMET),
        (RUNC + "could not apply required modification to OCI specification: requirements not met: unsatisfied "
         "condition: cuda>=12.9 (cuda=12.4): unknown", UNMET),
        (RUNC + "error running hook #0: nvidia-container-cli: detection error: nvml error: gpu is lost: unknown",
         ours("gpu_lost")),
        ('could not select device driver "cdi" with capabilities: []', ours("no_gpu_runtime")),
        ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=9", ours("no_gpu_runtime")),
        (RUNC + "error running createContainer hook #1: exit status 1, stderr: nvidia-cdi-hook: no such file: unknown",
         ours("no_gpu_runtime")),
        (RUNC + 'exec: "/x: unsatisfied condition: cuda>=9": no such file or directory', theirs("could_not_start")),
        ("error creating overlay mount: no space left on device", ours("disk_full")),
        ('invalid mount config for type "bind": bind source path does not exist: /x', ours("input_unavailable")),
        (RUNC + 'exec: "/nope": stat /nope: no such file or directory: unknown', theirs("could_not_start")),
        (RUNC + 'exec: "/no space left on device": no such file: no space left on device', theirs("could_not_start")),
        (RUNC + 'chdir to cwd ("/root/could not select device driver") set in config.json failed: permission denied: '
         "unknown", theirs("could_not_start")),
        (RUNC + "error during container init: mkdir /sys/x: read-only file system: unknown", theirs("could_not_start")),
        ("evalSymlinksInScope: too many links in /var/lib/docker/overlay2/1/merged/a/a", theirs("could_not_start")),
        ("lstat /var/lib/docker/overlay2/1/merged/program/x: not a directory", theirs("could_not_start")),
        ("lstat /var/lib/docker/overlay2/1/merged/a\nb/x: not a directory", theirs("could_not_start")),
        (f"lstat /var/lib/docker/overlay2/1/merged/{'a' * 256}: file name too long", theirs("could_not_start")),
        ("lstat /var/lib/docker/overlay2/1/merged: no such file or directory", ours("internal")),
        ("No command specified", theirs("could_not_start")),
        (RUNC + 'error during container init: error mounting "/state/input" to rootfs at "/input": mount /state/input:'
         "/input, flags: 0x5000: not a directory: unknown", theirs("could_not_start")),
        (CRUN + "openat2 `input`: Too many levels of symbolic links: unknown", theirs("could_not_start")),
        (CRUN + "mount `tmpfs` to `tmp`: Not a directory: unknown: Are you trying to", theirs("could_not_start")),
        (CRUN + "open `/engine/overlay2/5/merged/sbin/docker-init`: Not a directory: unknown",
         theirs("could_not_start")),
        (CRUN + "mount `/state/input` to `input`: No such file or directory: unknown", ours("internal")),
        ("unknown or invalid runtime name: runsc", ours("internal")),
        ("something new", ours("internal")),
        ("", ours("internal")),
    ],
)  # fmt: skip
def test_an_engines_words_are_judged(message: str, verdict: Verdict) -> None:
    assert classify_start_error(message) == verdict


@pytest.mark.parametrize(
    ("words", "condition"),
    [
        (RUNC + "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver "
         "to a newer version, or use an earlier cuda container: unknown", "cuda>=12.9"),
        ("requirements not met: unsatisfied condition: driver >= 570 (driver=550)", "driver>=570"),
        ("unsatisfied condition: cuda>=12.9.", "cuda>=12.9"),
        ("unsatisfied condition: <b>x</b>", None),
        ("nvidia-container-cli: requirement error: invalid expression", None),
    ],
)  # fmt: skip
def test_what_an_image_needs_is_read_from_what_says_so(words: str, condition: str | None) -> None:
    assert unmet_requirement(words) == condition


def test_every_code_is_described() -> None:
    assert set(CASE_FAILURES) == set(get_args(FailureCode)) >= set(get_args(TimeoutCode))
    assert set(FAULTS) == set(get_args(FaultCode))
    assert set(CASE_FAILURES) == {
        "crashed", "killed", "out_of_memory", "timed_out", "startup_timed_out", "exit_timed_out", "output_full",
        "file_too_large", "not_a_regular_file", "could_not_start", "missing",
    }  # fmt: skip
    assert set(FAULTS) == {
        "engine_unavailable", "engine_restarted", "image_unavailable", "input_unavailable", "weights_unavailable",
        "no_gpu_runtime", "gpu_lost", "gpu_occupied", "disk_full", "order_unreadable", "internal",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "exit_code", "oom_killed", "now"),
    [
        ("out_of_memory", 137, False, "killed"),
        ("out_of_memory", 137, True, "out_of_memory"),
        ("out_of_memory", 1, True, "out_of_memory"),
        ("output_full", 153, False, "file_too_large"),
        ("output_full", 1, False, "output_full"),
        ("crashed", 137, False, "crashed"),
        ("could_not_start", None, False, "could_not_start"),
    ],
)
def test_what_a_host_of_before_reports_is_told_in_the_words_of_today(
    code: FailureCode, exit_code: int | None, oom_killed: bool, now: FailureCode
) -> None:
    assert in_present_words(code, exit_code, oom_killed=oom_killed) == now


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (1, "exit code 1"),
        (2, "exit code 2"),
        (134, "exit code 134 (SIGABRT: aborted)"),
        (137, "exit code 137 (SIGKILL: killed)"),
        (139, "exit code 139 (SIGSEGV: segmentation fault)"),
        (143, "exit code 143 (SIGTERM: terminated)"),
        (153, "exit code 153 (SIGXFSZ: file size limit exceeded)"),
        (128, "exit code 128"),
        (255, "exit code 255"),
        (-1, "exit code -1"),
    ],
)
def test_an_exit_code_is_named_with_its_signal(exit_code: int, words: str) -> None:
    assert describe_exit(exit_code) == words
