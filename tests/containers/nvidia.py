"""A stand-in for the driver's tool: a program `nvidia-smi` whose answers a test sets.

It prints what the real one prints where it matters here: `-q -x -i GPU` in the form of nvsmi_device_v12.dtd (of drivers
since R530; `v13` are the names of R580 and later), and `-L`. It can fail as the real one does, with its words and its
exit code, and it can hang.
"""

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from containers.sandbox.gpus import Gpus
from containers.sandbox.nvidia_smi import NvidiaSmi

UUIDS = ("GPU-513536b6-7d19-9063-b049-1e69664bb298", "GPU-0a1b2c3d-1111-2222-3333-444455556666")
PARTS = ("MIG-6a5f3c1e-aaaa-5bbb-8ccc-0123456789ab", "MIG-7b6f3c1e-aaaa-5bbb-8ccc-0123456789ab")
LOST = (
    "Unable to determine the device handle for GPU0000:81:00.0: GPU is lost.  Reboot the system to recover this GPU\n",
    15,
)
NO_DEVICE = ("No devices were found\n", 6)
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that it runs.\n",
    9,
)
MISMATCH = ("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.54\n", 18)

_PROGRAM = """#!{python}
import json, sys, time
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
state = json.load(open({state!r}))
if state["hang"]:
    time.sleep(state["hang"])
if state["says"]:
    text, code = state["says"]
    sys.stdout.write(text)
    sys.exit(code)
if sys.argv[1] == "-L":
    for index, gpu in enumerate(state["gpus"]):
        print("GPU %d: %s (UUID: %s)" % (index, gpu["name"], gpu["uuid"]))
        for number, part in enumerate(gpu["parts"]):
            print("  MIG 3g.40gb     Device  %d: (UUID: %s)" % (number, part["uuid"]))
    sys.exit()
wanted = sys.argv[sys.argv.index("-i") + 1]
found = [gpu for index, gpu in enumerate(state["gpus"]) if wanted in (str(index), gpu["uuid"])]
if not found:
    print("No devices were found")
    sys.exit(6)
sys.stdout.write(found[0]["xml"])
"""

_XML = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_{version}.dtd">
<nvidia_smi_log>
\t<timestamp>Thu Nov 26 12:00:00 2026</timestamp>
\t<driver_version>{driver}</driver_version>
\t<cuda_version>{cuda}</cuda_version>
\t<attached_gpus>2</attached_gpus>
\t<gpu id="00000000:81:00.0">
\t\t<product_name>{name}</product_name>
\t\t<product_brand>NVIDIA</product_brand>
\t\t<product_architecture>Ampere</product_architecture>
\t\t<mig_mode>
\t\t\t<current_mig>{mig}</current_mig>
\t\t</mig_mode>
\t\t<mig_devices>
\t\t\t{parts}
\t\t</mig_devices>
\t\t<uuid>{uuid}</uuid>
\t\t{reset}
\t\t<fb_memory_usage>
\t\t\t<total>{total}</total>
\t\t\t<reserved>635 MiB</reserved>
\t\t\t<used>{used}</used>
\t\t</fb_memory_usage>
\t\t<ecc_errors>
\t\t\t<volatile>
\t\t\t\t<sram_correctable>7</sram_correctable>
\t\t\t\t<{sram}>0</{sram}>
\t\t\t\t<dram_correctable>7</dram_correctable>
\t\t\t\t<dram_uncorrectable>{uncorrected}</dram_uncorrectable>
\t\t\t</volatile>
\t\t\t<aggregate>
\t\t\t\t<dram_uncorrectable>99</dram_uncorrectable>
\t\t\t</aggregate>
\t\t</ecc_errors>
\t\t<remapped_rows>
\t\t\t<remapped_row_pending>Yes</remapped_row_pending>
\t\t\t<remapped_row_failure>No</remapped_row_failure>
\t\t</remapped_rows>
\t\t<processes>{processes}
\t\t</processes>
\t</gpu>
</nvidia_smi_log>
"""
_PART = """<mig_device>
\t\t\t\t<index>{index}</index>
\t\t\t\t<gpu_instance_id>{instance}</gpu_instance_id>
\t\t\t\t<compute_instance_id>0</compute_instance_id>
\t\t\t\t<fb_memory_usage>
\t\t\t\t\t<total>40448 MiB</total>
\t\t\t\t\t<used>{used}</used>
\t\t\t\t</fb_memory_usage>
\t\t\t</mig_device>"""
_PROCESS = """
\t\t\t<process_info>
\t\t\t\t<gpu_instance_id>{instance}</gpu_instance_id>
\t\t\t\t<compute_instance_id>N/A</compute_instance_id>
\t\t\t\t<pid>{pid}</pid>
\t\t\t\t<type>{kind}</type>
\t\t\t\t<process_name>{name}</process_name>
\t\t\t\t<used_memory>{used}</used_memory>
\t\t\t</process_info>"""


@dataclass
class Process:
    """A program on a GPU: "C" computes, "G" draws."""

    name: str
    kind: str = "C"
    used: str = "300 MiB"
    instance: str = "N/A"
    pid: int = 4711


@dataclass
class Part:
    """A part that MIG made."""

    uuid: str
    used: str = "12 MiB"


@dataclass
class Card:
    """What the stand-in says of one GPU."""

    uuid: str
    name: str = "NVIDIA A100-SXM4-80GB"
    used: str = "4 MiB"
    total: str = "81920 MiB"
    driver: str = "550.54.15"
    cuda: str = "12.4"
    uncorrected: int = 0
    reset: str = ""
    version: str = "v12"
    parts: list[Part] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    @property
    def xml(self) -> str:
        """The tool's answer."""
        parts = [_PART.format(index=index, instance=index + 3, used=part.used) for index, part in enumerate(self.parts)]
        return _XML.format(
            **{name: value for name, value in vars(self).items() if name not in ("parts", "processes")},
            mig="Enabled" if parts else "Disabled",
            parts="\n".join(parts) or "None",
            processes="".join(_PROCESS.format(**asdict(process)) for process in self.processes),
            sram="sram_uncorrectable" if self.version == "v12" else "sram_uncorrectable_parity",
        )


class StandIn:
    """The program, in `folder`. Change `cards`, `says` or `hang` and call `set()`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.program = folder / "nvidia-smi"
        self.cards = [Card(uuid) for uuid in UUIDS]
        self.says: tuple[str, int] | None = None
        self.hang = 0.0
        self._state, self._log = folder / "state.json", folder / "asked"
        self._log.touch()
        self.set()
        text = _PROGRAM.format(python=sys.executable, state=str(self._state), log=str(self._log))
        self.program.write_text(text)
        self.program.chmod(0o755)

    def set(self, **changes: Any) -> None:
        """Let it answer so from now on."""
        for name, value in changes.items():
            setattr(self, name, value)
        gpus = [asdict(card) | {"xml": card.xml} for card in self.cards]
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps({"gpus": gpus, "says": self.says, "hang": self.hang}))
        new.replace(self._state)

    def questions(self) -> list[str]:
        """What it was asked so far."""
        return self._log.read_text().splitlines()

    def gpus(self, *, seconds: float = 20.0, settle_seconds: float = 0.0, baseline_bytes: int = 1 << 30) -> Gpus:
        """The host's eyes, through this tool."""
        tool = NvidiaSmi(str(self.program), seconds=seconds)
        return Gpus(tool, baseline_bytes=baseline_bytes, settle_seconds=settle_seconds)
