"""A small CUDA program without CUDA's toolkit: the driver's own library (libcuda.so.1), by ctypes.

The text of this module is also what runs inside the containers.
"""

import ctypes
import os
import subprocess
import time
from pathlib import Path
from typing import Any

MEBIBYTE = 1 << 20
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY
LIBRARY = "libcuda.so.1"


class CudaError(Exception):
    """A call failed; the argument is its number."""


def library_folder() -> str:
    """Where the driver's libraries are: the toolkit mounts them where the image's distribution has its own."""
    found = [path for folder in Path("/usr").glob("lib*") for path in folder.rglob(LIBRARY)]
    return str(found[0].parent) if found else ""


def load() -> Any:
    """The library, initialised: as the loader finds it, or else from where it lies."""
    try:
        cuda = ctypes.CDLL(LIBRARY)
    except OSError:
        cuda = ctypes.CDLL(f"{library_folder()}/{LIBRARY}")
    ask(cuda.cuInit, 0)
    return cuda


def ask(call: Any, *arguments: Any) -> None:
    """Make a call. Raises CudaError."""
    if result := call(*arguments):
        raise CudaError(result)


def devices(cuda: Any) -> list[dict[str, Any]]:
    """Name, uuid (as nvidia-smi writes it) and size of each device that can be seen, cuda:0 first."""
    count = ctypes.c_int()
    ask(cuda.cuDeviceGetCount, ctypes.byref(count))
    found = []
    for number in range(count.value):
        device, name, size = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
        uuid = (ctypes.c_ubyte * 16)()
        ask(cuda.cuDeviceGet, ctypes.byref(device), number)
        ask(cuda.cuDeviceGetName, name, 256, device)
        ask(cuda.cuDeviceTotalMem_v2, ctypes.byref(size), device)
        ask(cuda.cuDeviceGetUuid, uuid, device)
        digits = bytes(uuid).hex()
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        found.append({"name": name.value.decode(), "uuid": "GPU-" + "-".join(parts), "memory_bytes": size.value})
    return found


def use(cuda: Any, number: int = 0) -> None:
    """Make a context on a device, as every program that computes has one."""
    device, context = ctypes.c_int(), ctypes.c_void_p()
    ask(cuda.cuDeviceGet, ctypes.byref(device), number)
    ask(cuda.cuCtxCreate_v2, ctypes.byref(context), 0, device)


def allocate(cuda: Any, size: int) -> None:
    """Take memory of the device in use, write to it and keep it. Raises CudaError."""
    pointer = ctypes.c_uint64()
    ask(cuda.cuMemAlloc_v2, ctypes.byref(pointer), ctypes.c_size_t(size))
    ask(cuda.cuMemsetD8_v2, pointer, 1, ctypes.c_size_t(size))


def fill(cuda: Any) -> int:
    """Take memory until there is none left; how much it was, in MiB."""
    taken = 0
    while True:
        try:
            allocate(cuda, 256 * MEBIBYTE)
        except CudaError as error:
            if error.args[0] != OUT_OF_MEMORY:
                raise
            return taken
        taken += 256


def smi_listing() -> list[str]:
    """The lines of `nvidia-smi -L`."""
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{os.environ.get('LD_LIBRARY_PATH', '')}:{library_folder()}"}
    command = ["/usr/bin/nvidia-smi", "-L"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def hold(mebibytes: int, seconds: float) -> None:
    """Hold memory of the first device, as somebody else's program does, and say when it is there."""
    cuda = load()
    use(cuda)
    allocate(cuda, mebibytes * MEBIBYTE)
    print("holding", flush=True)
    time.sleep(seconds)
