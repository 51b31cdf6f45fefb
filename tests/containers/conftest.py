"""A real engine, a small Python image, and an instance label of its own for every test."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.host.agent import Agent
from containers.host.config import Settings
from containers.host.image_cache import ImageCacheLimits
from containers.intake import CheckedImage, check_archive
from containers.protocol.orders import Order, OrderCase, parse_order
from containers.protocol.reports import CaseReport, Report
from containers.sandbox.engine import Engine
from containers.sandbox.gpus import Gpus
from containers.sandbox.images import load_image
from containers.sandbox.run import ContainerRun
from containers.sandbox.spec import LABEL_INSTANCE, SandboxSettings, Slot
from containers.sandbox.staging import BatchFolder
from tests.containers import baseimage, pytorch_image
from tests.containers.fakeserver import TOKEN, FakeServer

UID = 60600
NOTHING = "sha256:" + "0" * 64
LIMITS: dict[str, Any] = {
    "case_seconds": 20,
    "startup_seconds": 20,
    "memory_bytes": 256 << 20,
    "shm_bytes": 16 << 20,
    "tmp_bytes": 16 << 20,
    "output_bytes": 4 << 20,
    "cpus": 2,
    "pids": 64,
    "log_bytes": 4096,
}


def order_json(*programs: str | None, image: str = NOTHING, gpus: int = 0, **limits: float) -> dict[str, Any]:
    """An order with one case per program; None is the image's usual behaviour."""
    names = [f"case{i}.nii.gz" for i in range(len(programs))]
    entries = [{"name": n} if do is None else {"name": n, "do": do} for n, do in zip(names, programs, strict=True)]
    return {
        "batch": str(uuid.uuid4()),
        "fence": 1,
        "run": "run",
        "lease_seconds": 4,
        "image": {"blob": NOTHING, "size": 1, "id": image},
        "limits": LIMITS | limits,
        "gpus": gpus,
        "cases": [
            {"name": name, "blob": NOTHING, "size": 5, "entry": entry}
            for name, entry in zip(names, entries, strict=True)
        ],
    }


def statuses(report: Report) -> list[tuple[str, str | None]]:
    """Status and reason of every case."""
    return [(case.status, case.reason) for case in report.cases]


def case(report: Report, index: int = 0) -> CaseReport:
    """One case of a report."""
    return report.cases[index]


def remove_images(docker_client: docker.APIClient, instance: str) -> None:
    """Remove the images that an instance has tagged."""
    repository = f"rexgrounding-{instance}/"
    for image in docker_client.images():
        for tag in image["RepoTags"] or ():
            if tag.startswith(repository):
                docker_client.remove_image(tag)


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.APIClient]:
    """The client of `engine`: for what only tests ask of an engine, and to let it fail."""
    client = docker.from_env(timeout=600)
    yield client.api
    client.close()


@pytest.fixture(scope="session")
def engine(docker_client: docker.APIClient) -> Engine:
    return Engine(docker_client, retry_seconds=20)


@pytest.fixture(scope="session")
def python_image(docker_client: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tag = f"session-{uuid.uuid4().hex[:12]}"
    yield baseimage.shared(docker_client, tag, tmp_path_factory.getbasetemp())
    docker_client.remove_image(f"{baseimage.REPOSITORY}:{tag}", force=True)


@pytest.fixture(scope="session")
def pytorch_archive() -> Path:
    """A real PyTorch image in a docker-archive; see tests/containers/pytorch_image.py."""
    try:
        return pytorch_image.archive()
    except pytorch_image.NoWheel:
        pytest.skip("pip has no CPU wheel of PyTorch for this Python")


@pytest.fixture(scope="session")
def pytorch_checked(
    engine: Engine, pytorch_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CheckedImage]:
    """That image as it is run: checked, rebuilt, and loaded into the engine under its `image_id`."""
    rebuilt = tmp_path_factory.mktemp("pytorch") / "rebuilt.tar"
    checked = check_archive(pytorch_archive, rebuilt)
    tag = f"rexgrounding-tests/pytorch:session-{uuid.uuid4().hex[:12]}"
    load_image(engine, rebuilt, expected_id=checked.image_id, tag=tag)
    rebuilt.unlink()
    yield checked
    engine.remove_image(tag)


@pytest.fixture
def derived_image(docker_client: docker.APIClient, python_image: str) -> Iterator[Callable[..., str]]:
    """Makes an image from the Python image, a tar with files, and further Dockerfile lines."""
    tags: list[str] = []

    def derive(dockerfile: str, layer: bytes = b"") -> str:
        tags.append(f"derived-{uuid.uuid4().hex[:12]}")
        return baseimage.derive(docker_client, python_image, dockerfile, tags[-1], layer)

    yield derive
    for tag in tags:
        docker_client.remove_image(f"{baseimage.REPOSITORY}:{tag}", force=True)


@pytest.fixture
def instance(engine: Engine, docker_client: docker.APIClient) -> Iterator[str]:
    """An instance label; whatever a test leaves under it fails the test."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    left = engine.labelled(f"{LABEL_INSTANCE}={name}")
    for container in left[0]:
        docker_client.remove_container(container["Id"], force=True, v=True)
    for volume in left[1]:
        docker_client.remove_volume(volume["Name"], force=True)
    remove_images(docker_client, name)
    assert left == ([], []), "something was left in the engine"


@pytest.fixture
def sandbox_settings(instance: str) -> SandboxSettings:
    return SandboxSettings(instance=instance, holder_uid=UID)


@pytest.fixture
def slot() -> Slot:
    return Slot("cpu0", UID + 1)


class Sandbox:
    """Runs orders on the real engine, each in a folder of its own, and cleans up after itself."""

    def __init__(self, engine: Engine, settings: SandboxSettings, slot: Slot, folder: Path, image: str) -> None:
        self.engine, self.settings, self.slot, self.image = engine, settings, slot, image
        self.gpus: Gpus | None = None
        self._folder = folder
        self._runs: list[ContainerRun] = []

    def prepare(self, order: Order, slot: Slot | None = None) -> ContainerRun:
        folder = BatchFolder(self._folder, order.batch, order.fence)
        run = ContainerRun(self.engine, order, slot or self.slot, self.settings, folder, gpus=self.gpus)
        self._runs.append(run)
        return self._runs[-1]

    def stage(self, run: ContainerRun) -> Path:
        def write(_case: OrderCase, target: Path) -> None:
            target.write_bytes(b"input")
            target.chmod(0o444)

        return run.folder.stage(run.order, write)

    def order(self, *programs: str | None, **fields: Any) -> Order:
        return parse_order(order_json(*programs, **({"image": self.image} | fields)))

    def run(self, *programs: str | None, **fields: Any) -> Report:
        """Carry out an order with one case per program."""
        run = self.prepare(self.order(*programs, **fields))
        return run.carry_out(self.stage(run))

    def output(self, report: Report, index: int = 0) -> bytes:
        """The content of a harvested file of the latest run."""
        return (self._runs[-1].folder.output / report.cases[index].name).read_bytes()

    def ask(self, program: str, **fields: Any) -> str:
        """Run a program that sets `answer`, and return it."""
        report = self.run(f"{program}\nfinish(name, str(answer).encode())", **fields)
        assert statuses(report) == [("finished", None)], report.log
        return self.output(report).decode()

    def clean_up(self) -> None:
        for run in self._runs:
            run.clean_up()


@pytest.fixture
def sandbox(
    engine: Engine, sandbox_settings: SandboxSettings, slot: Slot, tmp_path: Path, python_image: str
) -> Iterator[Sandbox]:
    value = Sandbox(engine, sandbox_settings, slot, tmp_path, python_image)
    yield value
    value.clean_up()


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for something that another thread or process will do."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.02)


# --- Workers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[FakeServer]:
    value = FakeServer()
    yield value
    value.close()


@pytest.fixture
def host_settings(server: FakeServer, instance: str, tmp_path: Path) -> Settings:
    return Settings(
        server_url=server.url,
        token=TOKEN,
        redis_url="redis://127.0.0.1",
        state_dir=tmp_path / "state",
        slots=(Slot("cpu0", UID + 1),),
        cache_bytes=1 << 30,
        sandbox=SandboxSettings(instance=instance, holder_uid=UID),
        docker_root=None,
        images=ImageCacheLimits(count=50, days=30, free_bytes=1 << 20),
    )


@pytest.fixture
def new_agent(host_settings: Settings, engine: Engine) -> Iterator[Callable[..., Agent]]:
    """Starts workers on one and the same state, one after the other; in the end no batch may be left in it."""
    agents: list[Agent] = []

    def start(**changes: Any) -> Agent:
        for agent in agents:
            shut(agent)
        agents.append(Agent(replace(host_settings, **changes), engine))
        agents[-1].start()
        return agents[-1]

    yield start
    for agent in agents:
        wait_until(lambda: not leftovers(host_settings))
        shut(agent)


def shut(agent: Agent) -> None:
    """Shut a worker down as its process's end would."""
    agent.shut_down()
    wait_until(lambda: not agent.batches and not agent.held)
    agent.close()


@pytest.fixture
def offer(server: FakeServer, python_image: str) -> Callable[..., str]:
    """Makes an order for these programs claimable and returns the batch's id."""

    def offer(*programs: str | None, **fields: Any) -> str:
        return server.offer(order_json(*programs, **({"image": python_image} | fields)))

    return offer


def leftovers(settings: Settings) -> list[Path]:
    """Journal entries, staged input and results that are still in a worker's state."""
    return [*settings.state_dir.glob("journal/*"), *settings.state_dir.glob("batches/*")]


def outcomes(report: dict[str, Any]) -> list[str]:
    """Of every case of a report, the reason or else the status."""
    return [case["reason"] or case["status"] for case in report["cases"]]
