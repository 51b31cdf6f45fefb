"""A CDI specification of this machine's GPUs, for a machine that has NVIDIA's driver but not its container toolkit.

    python -m tests.gpu.cdi >/etc/cdi/nvidia.json

A stand-in for `nvidia-ctk cdi generate`, for these tests alone: the same names, device nodes, variable, libraries of
the driver and nvidia-smi. What the real one does by hooks in the container (links, the loader's cache) is not needed,
because each library is mounted under all its names where a loader looks by itself. Parts made by MIG are not named.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from containers.sandbox.nvidia_smi import Listed, NvidiaSmi
from containers.sandbox.spec import CDI_KIND

COMMON_NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
LOADER_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64")
DRIVER_FOLDERS = (*LOADER_FOLDERS, "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib")
LIBRARIES = ("libcuda.so.*", "libcudadebugger.so.*", "libnvidia-*.so.*")
INSIDE_TOOL = "/usr/bin/nvidia-smi"


def specification() -> dict[str, Any]:
    """The specification, as the engine reads it. Raises GpuTrouble, and OSError where the driver is not whole."""
    tool = NvidiaSmi()
    whole = [one for one in tool.list_all() if one.part is None]
    minors = {one: (tool.describe(one.uuid).findtext("gpu/minor_number") or "").strip() for one in whole}
    devices = [_device(name, [minor]) for one, minor in minors.items() for name in (one.index, one.uuid)]
    common = {
        "env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "deviceNodes": [_node(name) for name in COMMON_NODES if Path("/dev", name).exists()],
        "mounts": [_mount(there, inside) for inside, there in sorted(_files(whole).items())],
    }
    return {
        "cdiVersion": "0.5.0",
        "kind": CDI_KIND,
        "devices": [*devices, _device("all", minors.values())],
        "containerEdits": common,
    }


def _device(name: str, minors: Iterable[str]) -> dict[str, Any]:
    return {"name": name, "containerEdits": {"deviceNodes": [_node(f"nvidia{minor}") for minor in minors]}}


def _node(name: str) -> dict[str, str]:
    return {"path": f"/dev/{name}"}


def _mount(there: Path, inside: str) -> dict[str, Any]:
    options = ["ro", "nosuid", "nodev", "rbind", "rprivate"]
    return {"hostPath": str(there), "containerPath": inside, "options": options}


def _files(gpus: list[Listed]) -> dict[str, Path]:
    """Path in the container -> file here."""
    version = (NvidiaSmi().describe(gpus[0].uuid).findtext("driver_version") or "").strip()
    folder = _driver_folder(version)
    target = next(one for one in LOADER_FOLDERS if Path(one).is_dir())
    named = [path for pattern in LIBRARIES for path in folder.glob(pattern)]
    files = {f"{target}/{path.name}": path.resolve() for path in named if path.resolve().name.endswith(version)}
    return files | {INSIDE_TOOL: Path(shutil.which("nvidia-smi") or INSIDE_TOOL).resolve(strict=True)}


def _driver_folder(version: str) -> Path:
    """Where the library of this version is: where the loader finds it, or one of the usual places."""
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    known = [Path(line.rpartition("=> ")[2]).parent for line in cache.splitlines() if "libcuda.so.1 " in line]
    for folder in [*known, *map(Path, DRIVER_FOLDERS)]:
        if (folder / f"libcuda.so.{version}").exists():
            return folder
    raise FileNotFoundError(f"libcuda.so.{version}")


if __name__ == "__main__":
    print(json.dumps(specification(), indent=2))
