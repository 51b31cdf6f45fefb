"""Whose doing a container's end is, as one pure function over what the host saw.

There are three answers. *Nobody's*: the program exited with 0. *The algorithm's*: it lost the case it was
working on (a code of CASE_FAILURES). *Ours*: the machine failed (a code of FAULTS); the cases are run again
and nobody is charged. (An image that an engine cannot even unpack comes to no container: REJECTIONS.) Only
what the host itself observed decides; what the container printed never turns a failure into a fault, or a
team could have its cases run for ever.

Whether the machine stayed well is seen by the *holder*, our own container beside the algorithm's
(containers/sandbox/holder). On cgroup v1 the engine reports no memory kill, only exit code 137, and a restarted
engine leaves the same 137. A restart takes the holder down too, so 137 with a running holder is the program's, and a
holder that stopped is a restart. Whether it was memory, the engine alone can say (`oom_killed`): a program may kill
itself just as well, so that without the engine's word it is called what it is, killed.
"""

import contextlib
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from containers.protocol.contract import EXIT_SECONDS

FailureCode = Literal[
    "crashed",
    "killed",
    "out_of_memory",
    "timed_out",
    "startup_timed_out",
    "exit_timed_out",
    "output_full",
    "file_too_large",
    "not_a_regular_file",
    "could_not_start",
    "missing",
]
#: The failures of a clock that ran out.
TimeoutCode = Literal["timed_out", "startup_timed_out", "exit_timed_out"]
FaultCode = Literal[
    "engine_unavailable",
    "engine_restarted",
    "image_unavailable",
    "input_unavailable",
    "weights_unavailable",
    "no_gpu_runtime",
    "gpu_lost",
    "gpu_occupied",
    "disk_full",
    "order_unreadable",
    "internal",
]

#: Why a case was lost through the algorithm's own doing.
CASE_FAILURES: Final[Mapping[FailureCode, str]] = MappingProxyType(
    {
        "crashed": "The program ended with an error while working on the case.",
        "killed": "The program was killed (signal 9), and not by our clock.",
        "out_of_memory": "The program was ended because it needed more memory than it may use.",
        "timed_out": "The case took longer than the time limit per case.",
        "startup_timed_out": "No result appeared within the start-up allowance plus the time of one case.",
        "exit_timed_out": f"The program had not exited {EXIT_SECONDS:g} s after its last mask appeared.",
        "output_full": "The output folder was full: more was written than its size allows.",
        "file_too_large": "One file grew past the largest size that a file may have.",
        "not_a_regular_file": "The output is a link, folder or special file instead of a regular file.",
        "could_not_start": "The image's program could not be started.",
        "missing": "The program ended without an error, but wrote no file for the case.",
    }
)

#: What goes wrong on our side; the cases it touches are run again.
FAULTS: Final[Mapping[FaultCode, str]] = MappingProxyType(
    {
        "engine_unavailable": "The container engine did not answer.",
        "engine_restarted": "The container engine was restarted while the container ran.",
        "image_unavailable": "The image could not be made available on the host.",
        "input_unavailable": "The input files could not be made available on the host.",
        "weights_unavailable": "The weights could not be made available on the host.",
        "no_gpu_runtime": "The host cannot give a GPU to a container.",
        "gpu_lost": "A GPU of the host is no longer usable.",
        "gpu_occupied": "Another program holds memory of a GPU of the host.",
        "disk_full": "The host's disk is full.",
        "order_unreadable": "The host could not read its order.",
        "internal": "An unexpected error on the host.",
    }
)

#: What only a host can find out about an image that passed the intake: it is rejected, and nothing is charged.
REJECTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_unpackable": (
            "The engine cannot unpack a layer of the image. Build the image with docker build and save it again."
        ),
        "unmet_requirement": (
            "The image needs a newer GPU driver than the hosts have (its NVIDIA_REQUIRE_... variables). Build it from "
            "a CUDA base image of an earlier version and submit it again."
        ),
    }
)


@dataclass(frozen=True)
class Verdict:
    """Whose doing an end is: the algorithm's (`failure`), ours (`fault`), or nobody's (neither).

    `rejected`, for a container that did not start: a code of REJECTIONS, the image can start on no such host.
    """

    failure: FailureCode | None = None
    fault: FaultCode | None = None
    rejected: str | None = None


@dataclass(frozen=True)
class Ending:
    """What the host saw of a container's end.

    `exit_code` is None when it never started; then `start_error` holds the engine's words. `timeout` is the
    failure code of the clock that made us kill it. `holder_alive`: the holder was still running after the
    results were read. `output_full`: the output volume was out of pages or inodes during the case in
    progress. `seconds`: how long it ran; `files`: how many results appeared meanwhile.
    `gpu_fault`: after an end that was not clean the slot's GPUs were found unusable, or somebody else's; the fault.
    """

    exit_code: int | None
    oom_killed: bool = False
    timeout: TimeoutCode | None = None
    start_error: str = ""
    holder_alive: bool = True
    output_full: bool = False
    seconds: float = 0.0
    files: int = 0
    gpu_fault: FaultCode | None = None


_SIGNALLED: Final = 128  # what a shell, and the engine's init, add to the number of the signal that ended a program
KILLED: Final = _SIGNALLED + signal.SIGKILL
FILE_TOO_LARGE: Final = _SIGNALLED + signal.SIGXFSZ
#: Of whatever starts a program: it may not be executed, it is not there.
NOT_STARTED: Final = frozenset({126, 127})
#: Such an exit code after a longer time is that of a program which did start.
START_SECONDS: Final = 5.0

_COULD_NOT_START: Final = Verdict(failure="could_not_start")
#: How runc begins when it got as far as the image's own program or working directory.
_CREATE_FAILED: Final = r"(failed to create (shim )?task: )?OCI runtime create failed: (\w+ create failed: )?"
_NO_FOLDER: Final = "(not a directory|too many levels|no such file)"
#: The engine's words when a container cannot be started, first match wins. What names a path of the image is
#: recognised by how it begins, before anything else, since a path may be chosen to look like a fault of ours.
#: Whatever is not known to come from the image is ours: a needless second try costs minutes, a wrong charge
#: costs a team its place.
_START_ERRORS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), verdict)
    for pattern, verdict in (
        (rf"^{_CREATE_FAILED}[^\"]*?(exec:|chdir to cwd|container init: mkdir)", _COULD_NOT_START),
        (r"^no command specified", _COULD_NOT_START),
        (r"^unable to find (user|group) ", _COULD_NOT_START),  # where an account file should be is something else
        (r"^evalSymlinksInScope: too many links", _COULD_NOT_START),  # a working directory below hundreds of folders
        # a working directory below a file, or of names or a length that no file system takes; it may hold line breaks
        (r"^(lstat|mkdir) .*: (not a directory|file name too long)$", _COULD_NOT_START),
        (r"^could not select device driver", Verdict(fault="no_gpu_runtime")),
        # what NVIDIA's container toolkit says before the image's program: of the driver's tools (libnvidia-container),
        # and of its runtime in CDI mode, whose check of requirements ends with the same words
        (r"nvidia-container-cli: requirement error|: unsatisfied condition: ", Verdict(rejected="unmet_requirement")),
        (r"nvidia-container-cli: device error|nvml error: gpu is lost", Verdict(fault="gpu_lost")),
        (
            r"unresolvable CDI devices|CDI device injection failed|nvidia-c(ontainer|tk|di-hook)|libnvidia",
            Verdict(fault="no_gpu_runtime"),
        ),
        (r"no space left on device(: unknown)?\W*$", Verdict(fault="disk_full")),
        (r"to rootfs at \"/(\.rexgrounding/|etc/(passwd|group)\")", _COULD_NOT_START),  # something of the image there
        (r"^no such image", Verdict(fault="image_unavailable")),
        (r"bind source path does not exist", Verdict(fault="input_unavailable")),
        # a file or a link of the image where a folder has to be
        (r"to rootfs at .*(not a directory|is a directory|file exists|too many levels|inside /)", _COULD_NOT_START),
        (r"cannot mkdir|mkdir .*not a directory", _COULD_NOT_START),
        # the same from crun, whose paths in backquotes lie in the image
        (rf"^{_CREATE_FAILED}(openat2 `|mount `\w+` to `|open `[^`]*/merged/)[^`]*`: {_NO_FOLDER}", _COULD_NOT_START),
    )
)


def classify_start_error(text: str) -> Verdict:
    """Judge the engine's message for a container that could not be created or started."""
    for pattern, verdict in _START_ERRORS:
        if pattern.search(text):
            return verdict
    return Verdict(fault="internal")


#: One condition of a requirement, as NVIDIA's tools name what is not met.
_UNMET: Final = re.compile(r"unsatisfied condition: ([a-z]{1,20}) ?(=|!=|<=|>=|<|>) ?([\w.-]{1,40})", re.IGNORECASE)


def unmet_requirement(text: str) -> str | None:
    """The condition, such as "cuda>=12.9", that a message says is not met on a host; None when it names none."""
    found = _UNMET.search(text)
    return "".join(found.groups()).rstrip(".").casefold() if found else None


def classify(ending: Ending) -> Verdict:
    """Judge how a container ended."""
    if ending.exit_code is None:
        return classify_start_error(ending.start_error)
    if not ending.holder_alive:
        return Verdict(fault="engine_restarted")
    if ending.gpu_fault is not None:  # a program without its GPU, or without room on it, may end in any way, or hang
        return Verdict(fault=ending.gpu_fault)
    if ending.timeout is not None:
        return Verdict(failure=ending.timeout)
    if ending.exit_code == 0:
        return Verdict()
    return Verdict(failure=_failure(ending))


def _failure(ending: Ending) -> FailureCode:
    if ending.oom_killed:
        return "out_of_memory"
    if ending.exit_code == KILLED:
        return "killed"
    if ending.exit_code == FILE_TOO_LARGE:  # in whichever folder: the signal says more than a full volume
        return "file_too_large"
    if ending.output_full:
        return "output_full"
    if ending.exit_code in NOT_STARTED and not ending.files and ending.seconds <= START_SECONDS:
        return "could_not_start"
    return "crashed"


def in_present_words(code: FailureCode, exit_code: int | None, *, oom_killed: bool) -> FailureCode:
    """The code that a host of today gives where one of before took any kill for memory, any large file for /output."""
    if code == "out_of_memory" and exit_code == KILLED and not oom_killed:
        return "killed"
    if code == "output_full" and exit_code == FILE_TOO_LARGE:
        return "file_too_large"
    return code


def describe_exit(exit_code: int) -> str:
    """An exit code in words, with the name of the signal that it usually stands for."""
    with contextlib.suppress(ValueError):
        number = signal.Signals(exit_code - _SIGNALLED)
        return f"exit code {exit_code} ({number.name}: {(signal.strsignal(number) or '').lower()})"
    return f"exit code {exit_code}"
