"""The settings of a worker, on an engine of another kind: user ids are mapped, and there is another OCI runtime."""

import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from containers.host.agent import Agent
from containers.host.config import ConfigurationError, Settings
from containers.host.kernel_cover import KernelCover
from containers.sandbox import capabilities
from containers.sandbox.engine import Engine
from containers.sandbox.spec import LABEL_INSTANCE, SandboxSettings, Slot
from containers.sandbox.staging import BatchFolder
from tests.containers import baseimage, otherengine
from tests.containers.conftest import UID, Sandbox, order_json, outcomes, shut, statuses
from tests.containers.fakeserver import FakeServer

pytestmark = pytest.mark.engine

SLOT = Slot("cpu0", UID + 1)


# --- What an engine cannot do is found at the start -------------------------------------------------------------------


def test_the_engine_of_these_tests_can_do_what_the_sandbox_needs(engine: Engine) -> None:
    assert capabilities.missing_capability(engine, SandboxSettings("x", UID)) is None


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"runtime": "runsc-9"}, 'REX_SANDBOX_RUNTIME: the engine has no OCI runtime "runsc-9", only '),
        ({"apparmor": "rexgrounding"}, "REX_SANDBOX_APPARMOR: the engine's host has no AppArmor."),
        ({"userns": True}, "REX_SANDBOX_USERNS: the engine does not map user ids"),
        ({"gpu_handover": "cdi"}, "REX_GPU_HANDOVER: the engine knows no CDI devices. That takes Docker 25 or newer"),
    ],
)
def test_a_setting_that_the_engine_would_ignore_or_refuse_stops_the_start(
    host_settings: Settings, engine: Engine, setting: dict[str, Any], sentence: str
) -> None:
    info = engine.info()
    options = [*info["SecurityOptions"], *(["name=gpu_handover"] if info.get("CDISpecDirs") else [])]
    if any(f"name={name}" in option for name in setting for option in options):
        pytest.skip("this engine can do it")
    agent = Agent(replace(host_settings, sandbox=replace(host_settings.sandbox, **setting)), engine)
    with pytest.raises(ConfigurationError) as refused:
        agent.start()
    agent.close()
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("key", ["MemoryLimit", "PidsLimit", "CpuCfsQuota"])
def test_an_engine_that_would_drop_a_limit_is_refused(
    engine: Engine, docker_client: docker.APIClient, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    info = engine.info() | {key: False}
    monkeypatch.setattr(docker_client, "info", lambda: info)
    assert "cannot limit" in (capabilities.missing_capability(engine, SandboxSettings("x", UID)) or "")


def test_what_an_engine_could_do_at_the_start_only_ends_the_work_when_it_is_gone(
    new_agent: Callable[[], Agent], server: FakeServer, offer: Callable[..., str], docker_client: Any, monkeypatch: Any
) -> None:
    agent, batch, info = new_agent(), offer(None), docker_client.info()
    monkeypatch.setattr(docker_client, "info", lambda: info | {"SecurityOptions": []})
    agent.run_batch(batch)
    assert server.claims == {}
    monkeypatch.undo()
    agent.run_batch(batch)
    assert [outcomes(report) for report in server.reports] == [["finished"]]


def test_a_slots_probe_is_refused_in_the_engines_words(engine: Engine, sandbox_settings: SandboxSettings) -> None:
    assert capabilities.probe_slot(engine, sandbox_settings, SLOT, ()) is None
    assert "could not select device driver" in (capabilities.probe_slot(engine, sandbox_settings, SLOT, ("0",)) or "")


@pytest.mark.parametrize(("pattern", "does"), [("core\n", False), ("|/usr/share/apport/apport %p\n", True)])
def test_a_kernel_that_hands_crashes_to_a_program_of_the_host_is_recognised(
    tmp_path: Path, pattern: str, does: bool
) -> None:
    (tmp_path / "core_pattern").write_text(pattern)
    assert capabilities.pipes_core_dumps(tmp_path / "core_pattern") is does


# --- An engine that maps user ids, and has crun -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def other_client() -> Iterator[docker.APIClient]:
    """A client of the other engine."""
    if reason := otherengine.why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="rexg-"))
    folder.chmod(0o711)
    try:
        with otherengine.other_engine(folder) as client:
            yield client.api
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def other(other_client: docker.APIClient) -> Engine:
    """The other engine."""
    return Engine(other_client, retry_seconds=20)


@pytest.fixture(scope="module")
def other_image(other_client: docker.APIClient, docker_client: docker.APIClient, python_image: str) -> str:
    """The Python image there."""
    for _ in other_client.load_image(docker_client.get_image(python_image)):
        pass
    return python_image


@pytest.fixture
def on_other(other: Engine, other_image: str, tmp_path: Path) -> Iterator[Callable[[str | None], Sandbox]]:
    """Makes a sandbox there with this OCI runtime. The worker's state is closed to others."""
    made: list[Sandbox] = []
    tmp_path.chmod(0o700)

    def make(runtime: str | None) -> Sandbox:
        settings = SandboxSettings(f"test-{uuid.uuid4().hex[:12]}", UID, runtime=runtime, userns=True)
        assert capabilities.missing_capability(other, settings) is None
        made.append(Sandbox(other, settings, SLOT, tmp_path, other_image))
        return made[-1]

    yield make
    for one in made:
        one.clean_up()
        assert other.labelled(f"{LABEL_INSTANCE}={one.settings.instance}") == ([], [])


LOOK_AROUND = """
facts = {"uid": os.getuid(), "map": open("/proc/self/uid_map").read().split(),
         "owner": os.stat("/input/cases.json").st_uid, "filtered": "Seccomp:\\t2" in open("/proc/self/status").read()}
finish(name, json.dumps(facts).encode())
import time; time.sleep(0.3)
"""


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_whole_run_passes_where_user_ids_are_mapped_under_each_runtime(
    on_other: Callable[[str], Sandbox], other_client: docker.APIClient, runtime: str
) -> None:
    sandbox = on_other(runtime)
    run = sandbox.prepare(sandbox.order(LOOK_AROUND, None, "raise SystemExit(3)", None))
    report = run.carry_out(sandbox.stage(run))
    assert [reason or status for status, reason in statuses(report)] == ["finished", "finished", "crashed", "untouched"]
    facts = json.loads(sandbox.output(report))
    assert facts["uid"] == UID + 1
    assert facts["map"] == ["0", str(otherengine.FIRST_ID), str(otherengine.COUNT)]
    assert facts["owner"] == 65534  # root of the host is nobody in there
    assert facts["filtered"]
    assert sandbox.output(report, 1) == b"mask of input"
    inspect = other_client.inspect_container
    assert inspect(run.names.algorithm)["HostConfig"]["Runtime"] == runtime
    assert inspect(run.names.algorithm)["HostConfig"]["UsernsMode"] == ""
    assert inspect(run.names.holder)["HostConfig"]["Runtime"] == "runc"


@pytest.mark.parametrize(
    ("runtime", "covers"), [("io.containerd.runc.v2", True), ("crun", True), ("strict", False), ("careless", False)]
)
def test_a_runtime_that_cannot_cover_the_kernels_files_runs_without_and_says_so(
    on_other: Callable[[str], Sandbox], tmp_path: Path, caplog: pytest.LogCaptureFixture, runtime: str, covers: bool
) -> None:
    sandbox = on_other(runtime)
    sandbox.settings = KernelCover(sandbox.engine, sandbox.settings, tmp_path).settings(SLOT)
    assert sandbox.settings.hides_kernel is covers
    assert ("Let it serve phases of public or of hidden cases, not both." in caplog.text) is not covers
    assert list(tmp_path.iterdir()) == []
    seen = json.loads(sandbox.ask("answer = json.dumps([open(f'/proc/{n}').read() for n in ('loadavg', 'vmstat')])"))
    assert (seen == ["0.00 0.00 0.00 1/1 1\n", ""]) is covers


def test_a_runtime_of_another_name_is_tried_and_may_cover_them(
    on_other: Callable[[str], Sandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "_COVERING_RUNTIMES", frozenset())
    sandbox = on_other("crun")
    assert capabilities.shows_kernel(sandbox.engine, sandbox.settings, SLOT, BatchFolder(tmp_path, "x", 0)) is None


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("x = bytearray(400 << 20)", "out_of_memory"),
        ("(OUTPUT / 'x').write_bytes(bytes(4 << 20)); (OUTPUT / 'y').write_bytes(b'y')", "output_full"),
    ],
)
def test_limits_hold_under_the_other_runtime(on_other: Callable[[str], Sandbox], program: str, reason: str) -> None:
    assert statuses(on_other("crun").run(program, memory_bytes=64 << 20)) == [("failed", reason)]


def test_an_image_whose_program_is_not_there_is_blamed_under_the_other_runtime(
    on_other: Callable[[str], Sandbox], other_client: docker.APIClient
) -> None:
    sandbox, tag = on_other("crun"), f"none-{uuid.uuid4().hex[:8]}"
    image = baseimage.derive(other_client, sandbox.image, 'ENTRYPOINT ["/no/such/program"]', tag)
    assert statuses(sandbox.run(None, image=image)) == [("failed", "could_not_start")]


def test_the_disk_of_an_engine_that_maps_user_ids_is_measured_in_a_folder_that_anybody_sees(other: Engine) -> None:
    folder = other.data_folder()
    assert (folder / f"{otherengine.FIRST_ID}.{otherengine.FIRST_ID}").is_dir()


def test_a_worker_with_that_engine_tries_its_slots_and_does_batches(
    other: Engine, other_image: str, host_settings: Settings, server: FakeServer
) -> None:
    sandbox = replace(host_settings.sandbox, runtime="crun", userns=True)
    agent = Agent(replace(host_settings, sandbox=sandbox), other)
    agent.start()
    agent.run_batch(server.offer(order_json(None, "raise SystemExit(1)", image=other_image)))
    shut(agent)
    assert [outcomes(report) for report in server.reports] == [["finished", "crashed"]]
    assert other.labelled(f"{LABEL_INSTANCE}={sandbox.instance}") == ([], [])
