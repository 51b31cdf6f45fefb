"""Real GPUs, a real engine with NVIDIA's toolkit, and an image whose program calls the CUDA driver."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.sandbox import capabilities
from containers.sandbox.engine import Engine
from containers.sandbox.gpus import Gpus
from containers.sandbox.nvidia_smi import GpuTrouble, NvidiaSmi
from containers.sandbox.spec import LABEL_INSTANCE, Handover, SandboxSettings, Slot
from tests.containers import baseimage
from tests.containers.conftest import (  # noqa: F401 - fixtures
    UID,
    Sandbox,
    docker_client,
    engine,
    host_settings,
    instance,
    remove_images,
    server,
)
from tests.gpu import pytorch

CUDA = Path(__file__).parent / "cuda.py"
#: What nvidia-smi and libcuda need beside libc; a part of libc in newer systems, and still asked for by name.
LIBRARIES = ("libdl.so.2", "libpthread.so.0", "librt.so.1", "libm.so.6")
CPP_LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1")  # what PyTorch needs beside those


def _why_not() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA driver here (nvidia-smi is not on PATH)"
    try:
        return "" if NvidiaSmi().list_all() else "nvidia-smi lists no GPU"
    except GpuTrouble as trouble:
        return str(trouble)


WHY_NOT = _why_not()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a GPU nothing here is begun, not even an engine's image."""
    if WHY_NOT:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=WHY_NOT))


@pytest.fixture(scope="session")
def uuids() -> list[str]:
    """The GPUs of this machine that are not divided by MIG, in the order of their numbers."""
    listed = NvidiaSmi().list_all()
    divided = {one.gpu_uuid for one in listed if one.part is not None}
    whole = [one.uuid for one in listed if one.part is None and one.uuid not in divided]
    if not whole:
        pytest.skip("every GPU here is divided by MIG")
    return whole


@pytest.fixture(scope="session")
def gpus() -> Gpus:
    """The worker's eyes, as they are set without any setting."""
    return Gpus(NvidiaSmi(), baseline_bytes=1 << 30)


@pytest.fixture(scope="session")
def cuda_image(docker_client: docker.APIClient) -> Iterator[str]:  # noqa: F811
    """An image as the tests' own, with the libraries that the driver's programs ask for."""
    tag = f"cuda-{uuid.uuid4().hex[:12]}"
    yield baseimage.build(docker_client, tag, _libraries(LIBRARIES))
    docker_client.remove_image(f"{baseimage.REPOSITORY}:{tag}", force=True)


@pytest.fixture(scope="session")
def pytorch_image(docker_client: docker.APIClient) -> Iterator[str]:  # noqa: F811
    """An image with this Python's own PyTorch."""
    if reason := pytorch.why_not():
        pytest.skip(reason)
    tag = f"pytorch-{uuid.uuid4().hex[:12]}"
    yield pytorch.build(docker_client, tag, _libraries(LIBRARIES + CPP_LIBRARIES))
    docker_client.remove_image(f"{baseimage.REPOSITORY}:{tag}", force=True)


def _libraries(names: tuple[str, ...]) -> list[Path]:
    folders = [Path("/lib/x86_64-linux-gnu"), Path("/usr/lib64"), Path("/lib64")]
    return [folder / name for name in names for folder in folders if (folder / name).exists()]


@pytest.fixture(params=["runtime", "cdi"])
def handover(request: pytest.FixtureRequest) -> Handover:
    """Both ways, where this machine has them."""
    way: Handover = request.param
    return way


@pytest.fixture
def sandbox(
    engine: Engine,  # noqa: F811
    docker_client: docker.APIClient,  # noqa: F811
    instance: str,  # noqa: F811
    handover: Handover,
    uuids: list[str],
    gpus: Gpus,
    cuda_image: str,
    tmp_path: Path,
) -> Iterator[Sandbox]:
    settings = SandboxSettings(instance, UID, gpu_handover=handover)
    if missing := capabilities.missing_capability(engine, settings):
        pytest.skip(missing)
    slot = Slot("gpu0", UID + 1, (uuids[0],))
    if refusal := capabilities.probe_slot(engine, settings, slot, slot.gpus):
        remove_images(docker_client, instance)
        pytest.skip(f"this engine hands no GPU over by {handover}: {refusal}")
    value = Sandbox(engine, settings, slot, tmp_path, cuda_image)
    value.gpus = gpus
    yield value
    value.clean_up()
    remove_images(docker_client, instance)
    assert engine.labelled(f"{LABEL_INSTANCE}={instance}") == ([], [])


@pytest.fixture
def held() -> Callable[..., Any]:
    """Somebody else's program on the first GPU of this machine, for the length of a block."""

    @contextmanager
    def hold(mebibytes: int) -> Iterator[None]:
        program = f"{CUDA.read_text()}\nhold({mebibytes}, 600)"
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "holding\n", "no CUDA driver on this machine itself"
                yield
            finally:
                process.kill()

    return hold
