"""What else hostile teams try: images that bring tools along, containers side by side, and what all of them share."""

import contextlib
import io
import json
import socket
import sys
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from containers.sandbox.spec import VOLUME_BYTES, Slot
from containers.sandbox.watch import Stopped
from tests.containers import baseimage
from tests.containers.conftest import UID, Sandbox, wait_until
from tests.containers.intake.build import entry, layer_of

pytestmark = pytest.mark.engine

# --- Images that bring their tools along ------------------------------------------------------------------------------


@pytest.fixture
def armed_image(docker_client: docker.APIClient, python_image: str) -> Iterator[str]:
    """An image with device nodes that everybody may open, and an interpreter that runs as root, with capabilities."""
    tag = f"{baseimage.REPOSITORY}:armed-{uuid.uuid4().hex[:12]}"
    nodes = layer_of(
        entry("mem", tarfile.CHRTYPE, devmajor=1, devminor=1, mode=0o666),
        entry("kmsg", tarfile.CHRTYPE, devmajor=1, devminor=11, mode=0o666),
        entry("fuse", tarfile.CHRTYPE, devmajor=10, devminor=229, mode=0o666),
        entry("disk", tarfile.BLKTYPE, devmajor=254, devminor=0, mode=0o666),
        entry("loop", tarfile.BLKTYPE, devmajor=7, devminor=0, mode=0o666),
    )
    context = io.BytesIO()
    lines = [
        f"FROM {python_image}",
        "ADD nodes.tar /",
        "COPY python3 /usr/local/bin/rootly",
    ]
    python = Path(sys.executable).resolve().read_bytes()
    context.write(
        layer_of(
            entry("Dockerfile", data="\n".join(lines).encode()),
            entry("nodes.tar", data=nodes),
            entry("python3", data=python, mode=0o6755),
        )
    )
    context.seek(0)
    for line in docker_client.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, decode=True):
        assert "error" not in line, line
    yield str(docker_client.inspect_image(tag)["Id"])
    docker_client.remove_image(tag, force=True)


def test_device_nodes_of_the_image_cannot_be_opened(sandbox: Sandbox, armed_image: str) -> None:
    answer = sandbox.ask(
        """
import errno
def tried(path):
    try:
        os.close(os.open(path, os.O_RDONLY)); return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
answer = json.dumps({path: tried("/" + path) for path in ("mem", "kmsg", "fuse", "disk", "loop")})
""",
        image=armed_image,
    )
    assert set(json.loads(answer).values()) <= {"EPERM", "EACCES", "ENXIO"}


def test_a_set_uid_program_of_the_image_gains_nothing(sandbox: Sandbox, armed_image: str) -> None:
    answer = sandbox.ask(
        """
import subprocess
code = "import os; print(os.getresuid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
answer = subprocess.run(["/usr/local/bin/rootly", "-c", code], capture_output=True, text=True).stdout.strip()
""",
        image=armed_image,
    )
    assert answer == f"({UID + 1}, {UID + 1}, {UID + 1}) {0:016x}"


def test_the_kernel_tells_nothing_of_the_host_or_of_others(sandbox: Sandbox) -> None:
    host = socket.gethostname()
    answer = json.loads(
        sandbox.ask(
            """
def text(path):
    try:
        return open(path, errors="replace").read()
    except OSError as error:
        return ""
paths = ["/proc/sys/kernel/hostname", "/proc/self/cgroup", "/proc/keys", "/proc/key-users", "/proc/kmsg",
         "/proc/sched_debug", "/proc/net/tcp", "/proc/net/unix", "/proc/net/dev", "/etc/hosts", "/etc/resolv.conf",
         "/proc/self/environ", "/proc/1/environ", "/proc/sysvipc/shm"]
answer = json.dumps({path: text(path) for path in paths})
"""
        )
    )
    assert all(host not in value for path, value in answer.items() if len(host) > 3)
    for path in ("/proc/keys", "/proc/kmsg", "/proc/sched_debug"):
        assert answer[path] == ""
    assert len(answer["/proc/net/tcp"].splitlines()) == 1  # the heading
    assert len(answer["/proc/sysvipc/shm"].splitlines()) == 1
    assert "docker" not in answer["/proc/net/unix"]


# --- Neighbours, and what is shared by all ----------------------------------------------------------------------------

PUT_UP = """
import ctypes, socket, time
s = socket.socket(socket.AF_UNIX); s.bind("\\0here"); s.listen()
t = socket.create_server(("127.0.0.1", 4711))
libc = ctypes.CDLL(None)
assert libc.shmget(4711, 4096, 0o1666) >= 0 and libc.msgget(4711, 0o1666) >= 0
open("/dev/shm/here", "w").close(); open("/tmp/here", "w").close()
finish(name)
while True: time.sleep(1)
"""
LOOK = """
import ctypes, errno, socket
def outcome(action):
    try:
        action(); return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
libc = ctypes.CDLL(None)
answer = json.dumps([
    outcome(lambda: socket.socket(socket.AF_UNIX).connect("\\0here")),
    outcome(lambda: socket.create_connection(("127.0.0.1", 4711), 2)),
    libc.shmget(4711, 4096, 0), libc.msgget(4711, 0), os.listdir("/dev/shm"), os.listdir("/tmp"),
    len([p for p in os.listdir("/proc") if p.isdigit()])])
"""


def test_two_containers_at_the_same_time_share_nothing(sandbox: Sandbox) -> None:
    first = sandbox.prepare(sandbox.order(PUT_UP, PUT_UP))
    staged = sandbox.stage(first)
    ended = threading.Event()

    def carry_out() -> None:
        with contextlib.suppress(Stopped):
            first.carry_out(staged)
        ended.set()

    threading.Thread(target=carry_out).start()
    wait_until(lambda: first.watcher.clock.case == 1, 60)
    sandbox.slot = Slot("cpu1", UID + 2)
    try:
        answer = json.loads(sandbox.ask(LOOK))
    finally:
        first.stop("drop")
        assert ended.wait(60)
    assert answer == ["ECONNREFUSED", "ECONNREFUSED", -1, -1, [], ["home"], 2]


def test_processor_time_is_bounded_for_all_its_processes_together(sandbox: Sandbox) -> None:
    burn = """
import time
until = time.monotonic() + 1.5
if os.fork():
    while time.monotonic() < until: pass
    os.wait()
    times = os.times()
    answer = times.user + times.system + times.children_user + times.children_system
else:
    while time.monotonic() < until: pass
    os._exit(0)
"""
    assert float(sandbox.ask(burn, cpus=0.5)) < 1.1  # of 3 without a limit


def test_a_volume_of_the_image_cannot_be_filled_beyond_its_size(
    sandbox: Sandbox, derived_image: Callable[[str], str]
) -> None:
    fill = """
size = 0
try:
    with open("/data/x", "wb", buffering=0) as file:
        while True: size += file.write(bytes(1 << 20))
except OSError: pass
answer = size
"""
    assert int(sandbox.ask(fill, image=derived_image("VOLUME /data"))) == VOLUME_BYTES
