"""The driver's own tool, asked for what it sees, with a time limit that holds.

nvidia-smi and not NVML in this process: a call into the driver hangs, and cannot be ended from outside, when a GPU has
fallen off the bus. A process can be killed; one that the kernel does not let go (it waits in the driver) is left
behind, and until it has ended it stands for every further question of its kind.
"""

import re
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, Final
from xml.etree import ElementTree

from containers.protocol.faults import HostFault

#: Without the driver's persistence mode each answer takes as long as loading it, some seconds for many GPUs.
ANSWER_SECONDS: Final = 20.0
_MAX_OUTPUT_BYTES: Final = 16 << 20
_KILL_SECONDS: Final = 2.0
_END: Final = "</nvidia_smi_log>"
_SENTENCE_CHARACTERS: Final = 300
#: What nvidia-smi documents: 6 "a query to find an object was unsuccessful", 15 "GPU has fallen off the bus or has
#: otherwise become inaccessible". 14, a damaged infoROM, comes with a whole answer.
_LOST_CODES: Final = (6, 15)
_WARNING_CODES: Final = (0, 14)
_LOST: Final = re.compile(
    r"gpu is lost|fallen off the bus|unable to determine the device handle|no devices were found|gpu requires reset",
    re.IGNORECASE,
)
_LISTED: Final = re.compile(r"^(?P<part>\s*MIG\b.*\bDevice\s+|GPU )(?P<index>\d+): .*\(UUID: (?P<uuid>[\w/-]+)\)", re.M)


class GpuTrouble(HostFault):
    """A GPU cannot be used now; the message is a sentence for organisers, the code says which fault of ours it is."""

    default_code = "gpu_lost"


@dataclass(frozen=True)
class Listed:
    """A GPU, or a part that MIG made of one (`part` is its number there), with the uuid under which it is listed."""

    index: str
    gpu_uuid: str
    uuid: str
    part: str | None = None


class NvidiaSmi:
    """Asks the tool `command` (a name on PATH or a path), each question for at most `seconds`. Safe for threads."""

    def __init__(self, command: str = "nvidia-smi", *, seconds: float | None = None) -> None:
        self.command = command
        self._seconds = ANSWER_SECONDS if seconds is None else seconds
        self._hanging: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def describe(self, gpu: str) -> ElementTree.Element:
        """All that the driver says about one GPU, by its number or uuid: the tool's XML. Raises GpuTrouble."""
        text = self._ask("-q", "-x", "-i", gpu)
        try:
            document = text[text.index("<?xml") : text.index(_END) + len(_END)]  # warnings stand around it
            return ElementTree.fromstring(document)  # noqa: S314 - the driver's own tool wrote it
        except (ValueError, ElementTree.ParseError):
            raise _trouble(f"of GPU {gpu}: {_first_line(text)}", 0, text) from None

    def list_all(self) -> list[Listed]:
        """Every GPU and every part of one. Raises GpuTrouble."""
        listed: list[Listed] = []
        for match in _LISTED.finditer(self._ask("-L")):
            whole = match["part"].startswith("GPU")
            parent = None if whole else next((one for one in reversed(listed) if one.part is None), None)
            if parent is not None:
                listed.append(Listed(parent.index, parent.gpu_uuid, match["uuid"], part=match["index"]))
            elif whole:
                listed.append(Listed(match["index"], match["uuid"], match["uuid"]))
        return listed

    def _ask(self, *question: str) -> str:
        self._refuse_while_hanging(question)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    [self.command, *question], stdin=subprocess.DEVNULL, stdout=output, stderr=errors
                )
            except OSError as error:
                raise GpuTrouble(
                    f"{self.command} cannot be run ({error.strerror}): without it nobody knows whether a GPU is well "
                    "and free. Give the worker the driver's tools, or set REX_NVIDIA_SMI (deploy/README.md).",
                    code="no_gpu_runtime",
                ) from error
            code = self._end_of(process, question)
            text, complaint = _read(output), _read(errors)
        if code not in _WARNING_CODES:
            raise _trouble(_first_line(text + "\n" + complaint) or f"exit code {code}", code, text + complaint)
        return text

    def _end_of(self, process: subprocess.Popen[bytes], question: tuple[str, ...]) -> int:
        try:
            return process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        try:
            process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            with self._lock:
                self._hanging[question] = process
        raise GpuTrouble(f"{self.command} {' '.join(question)} did not answer within {self._seconds:g} s.")

    def _refuse_while_hanging(self, question: tuple[str, ...]) -> None:
        with self._lock:
            process = self._hanging.get(question)
            if process is not None and process.poll() is None:
                raise GpuTrouble(f"{self.command} {' '.join(question)} hangs in the driver (process {process.pid}).")
            self._hanging.pop(question, None)


def _trouble(sentence: str, code: int, text: str) -> GpuTrouble:
    """What a failure of the tool means: a GPU that is away, or a driver that does not work."""
    lost = code in _LOST_CODES or _LOST.search(text)
    return GpuTrouble(f"nvidia-smi says: {sentence}", code="gpu_lost" if lost else "no_gpu_runtime")


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MAX_OUTPUT_BYTES).decode(errors="replace")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:_SENTENCE_CHARACTERS]
