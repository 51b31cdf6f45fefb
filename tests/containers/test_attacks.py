"""What a hostile program finds out when it tries, from inside a running container.

One container runs all probes and writes what happened to each; every test looks at one of them.
"""

import errno
import io
import json
import socket
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from containers.engine import Engine
from containers.sandbox import SandboxSettings, Slot
from containers.staging import CONSTANT_TIME
from tests.containers import baseimage
from tests.containers.conftest import LIMITS, UID, Sandbox, remove_images, statuses
from tests.containers.images.build import entry, layer_of

pytestmark = pytest.mark.engine

PROBES = r"""
import ctypes, errno, json, socket, stat, struct, subprocess, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
libc = ctypes.CDLL(None, use_errno=True)
R = {}

def outcome(action):
    try:
        value = action()
        return "ok" if value is None or not isinstance(value, (str, int)) else value
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def system_call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]

status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
R["status"] = {key: status[key].split() for key in
               ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")}

def write(path):
    return outcome(lambda: open(path, "wb").write(b"x") and None)
R["write"] = {path: write(path) for path in
    ("/file", "/etc/file", "/usr/local/bin/python3", "/algorithm.py", "/input/file", "/input/cases.json",
     "/input/images/file", f"/input/images/{name}", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
     "/sys/kernel/uevent_helper", "/dev/file", "/run/file", "/tmp/file", "/output/file", "/dev/shm/file")}
R["chmod input"] = outcome(lambda: os.chmod("/input/cases.json", 0o777))
R["remount"] = system_call(165, 0, 0, 0, 32 | 4096, 0)

def executable(folder):
    path = f"{folder}/program"
    open(path, "w").write("#!/usr/local/bin/python3\n"); os.chmod(path, 0o755)
    return outcome(lambda: subprocess.run([path], check=True) and None)
R["execute"] = {folder: executable(folder) for folder in ("/tmp", "/output", "/dev/shm")}

R["interfaces"] = [name for _, name in socket.if_nameindex()]
def connect(family, kind, address):
    with socket.socket(family, kind) as s:
        s.settimeout(2); s.connect(address); s.send(b"x")
R["connect"] = {
    "tcp4": outcome(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 443))),
    "udp4": outcome(lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("1.1.1.1", 53))),
    "tcp6": outcome(lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("2606:4700:4700::1111", 443))),
    "metadata": outcome(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))),
}
R["families"] = [f for f in range(0, 64) for k in (1, 2, 3, 5) if system_call(41, f, k, 0) == "ok"]
R["netlink"] = [p for p in range(0, 32) if system_call(41, 16, 3, p) == "ok"]
R["raw"] = system_call(41, 2, 3, 1)
R["AF_ALG with high bits"] = system_call(41, (1 << 32) | 38, 5, 0)
R["AF_ALG"] = system_call(41, 38, 5, 0)
R["AF_VSOCK"] = system_call(41, 40, 1, 0)
R["loopback"] = outcome(lambda: socket.create_server(("127.0.0.1", 0)).close())

buffer = ctypes.addressof(ctypes.create_string_buffer(4096))
CALLS = {
    "io_uring_setup": (425, 4, buffer), "io_uring_enter": (426, 0, 0, 0, 0), "io_uring_register": (427, 0, 0, 0, 0),
    "userfaultfd": (323, 1), "keyctl": (250, 0, -3, 1), "add_key": (248, buffer, buffer, buffer, 0, -3),
    "request_key": (249, buffer, buffer, 0, 0), "ptrace": (101, 16, 1, 0, 0),
    "ptrace traceme": (101, 0, 0, 0, 0), "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 1, 0, 0, 0, 0, 0), "pidfd_getfd": (438, 0, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0),
    "bpf": (321, 0, buffer, 64), "perf_event_open": (298, buffer, 0, -1, -1, 0), "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, buffer, 0), "pivot_root": (155, buffer, buffer), "chroot": (161, buffer),
    "unshare user": (272, 0x10000000), "unshare net": (272, 0x40000000), "setns": (308, 0, 0),
    "clone user": (56, 0x10000000 | 17, 0, 0, 0, 0), "clone net": (56, 0x40000000 | 17, 0, 0, 0, 0),
    "open_by_handle_at": (304, 0, buffer, 0), "name_to_handle_at": (303, -100, buffer, buffer, buffer, 0),
    "fsopen": (430, buffer, 0), "open_tree": (428, -100, buffer, 0), "move_mount": (429, 0, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0), "finit_module": (313, 0, 0, 0), "kexec_load": (246, 0, 0, 0, 0),
    "syslog": (103, 10, 0, 0), "quotactl": (179, 0, 0, 0, 0), "swapon": (167, 0, 0), "reboot": (169, 0, 0, 0, 0),
    "memfd_secret": (447, 0), "vmsplice": (278, 0, 0, 0, 0), "modify_ldt": (154, 0, buffer, 8),
    "fanotify_init": (300, 0, 0), "iopl": (172, 3), "settimeofday": (164, 0, 0), "sethostname": (170, buffer, 1),
    "acct": (163, 0), "personality": (135, 0x40000), "lookup_dcookie": (212, 0, 0, 0), "nfsservctl": (180, 0, 0, 0),
}
R["calls"] = {call: system_call(*arguments) for call, arguments in CALLS.items()}
R["clone3"] = system_call(435, buffer, 88)

R["processes"] = sorted(open(f"/proc/{p}/comm").read().strip() for p in os.listdir("/proc") if p.isdigit())
R["block devices"] = [d for d in os.listdir("/dev") if stat.S_ISBLK(os.stat(f"/dev/{d}").st_mode)]
R["make device"] = outcome(lambda: os.mknod("/tmp/mem", stat.S_IFCHR | 0o666, os.makedev(1, 1)))
R["engine socket"] = [p for p in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(p)]
R["hostname"] = socket.gethostname()
R["setuid root"] = outcome(lambda: os.setuid(0))
R["masked"] = {p: len(open(p, "rb").read(1)) for p in ("/proc/keys", "/proc/timer_list") if os.path.exists(p)}
R["times"] = sorted({int(os.stat(p).st_mtime) for p in
    ("/input", "/input/cases.json", "/input/images", f"/input/images/{name}") if "images/" not in p})
R["listing"] = {p: sorted(os.listdir(p)) for p in ("/input", "/input/images")}

def fill(folder):
    try:
        with open(f"{folder}/big", "wb") as file:
            while True: file.write(bytes(1 << 20))
    except OSError as error:
        return [errno.errorcode[error.errno], os.stat(f"{folder}/big").st_size >> 20]
    finally:
        os.unlink(f"{folder}/big")
R["fill"] = {folder: fill(folder) for folder in ("/tmp", "/dev/shm", "/output")}
R["huge sparse file"] = outcome(lambda: (open("/tmp/s", "wb").close(), os.truncate("/tmp/s", 1 << 40)) and None)

children = []
try:
    while len(children) < 500:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
except OSError as error:
    R["fork"] = [errno.errorcode[error.errno], len(children)]
for pid in children:
    os.kill(pid, 9); os.waitpid(pid, 0)

import threading
threads = [threading.Thread(target=lambda: None) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
import multiprocessing.shared_memory
block = multiprocessing.shared_memory.SharedMemory(create=True, size=1 << 20); block.buf[0] = 1; block.close()
R["ordinary work"] = subprocess.run(["python3", "-c", "print(6 * 7)"], capture_output=True, text=True).stdout.strip()
finish(name, json.dumps(R).encode())
"""


@pytest.fixture(scope="module")
def found(engine: Engine, python_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the probes found."""
    settings = SandboxSettings(instance=f"test-{uuid.uuid4().hex[:12]}", holder_uid=UID)
    sandbox = Sandbox(engine, settings, Slot("cpu0", UID + 1), tmp_path_factory.mktemp("attacks"), python_image)
    try:
        report = sandbox.run(PROBES, output_bytes=6 << 20)
        assert statuses(report) == [("finished", None)], report.log
        yield json.loads(sandbox.output(report))
    finally:
        sandbox.clean_up()
        remove_images(engine, settings.instance)


def test_it_is_nobody_in_particular(found: dict[str, Any]) -> None:
    status = found["status"]
    assert status["Uid"] == [str(UID + 1)] * 4
    assert status["Gid"] == [str(UID + 1)] * 4
    assert status["Groups"] in ([], [str(UID + 1)])
    assert found["setuid root"] == "EPERM"


@pytest.mark.parametrize("kind", ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
def test_it_has_no_capability(found: dict[str, Any], kind: str) -> None:
    assert int(found["status"][kind][0], 16) == 0


def test_it_can_gain_no_privilege_and_is_filtered(found: dict[str, Any]) -> None:
    assert found["status"]["NoNewPrivs"] == ["1"]
    assert found["status"]["Seccomp"] == ["2"]


def test_only_output_scratch_and_shared_memory_can_be_written(found: dict[str, Any]) -> None:
    writable = {path for path, result in found["write"].items() if result == "ok"}
    assert writable == {"/tmp/file", "/output/file", "/dev/shm/file"}


def test_the_input_cannot_be_tampered_with(found: dict[str, Any]) -> None:
    assert found["chmod input"] in ("EPERM", "EROFS")
    assert found["remount"] == "EPERM"


def test_the_input_holds_what_the_contract_says_and_tells_no_times(found: dict[str, Any]) -> None:
    assert found["listing"] == {"/input": ["cases.json", "images"], "/input/images": ["case0.nii.gz"]}
    assert found["times"] == [CONSTANT_TIME]


def test_programs_can_be_executed_from_scratch_only(found: dict[str, Any]) -> None:
    assert found["execute"] == {"/tmp": "ok", "/output": "EACCES", "/dev/shm": "EACCES"}


def test_there_is_only_the_loopback_interface(found: dict[str, Any]) -> None:
    assert found["interfaces"] == ["lo"]
    assert found["loopback"] == "ok"


def test_nothing_can_be_reached(found: dict[str, Any]) -> None:
    assert set(found["connect"].values()) <= {"ENETUNREACH", "EADDRNOTAVAIL"}


def test_no_other_family_of_sockets_exists(found: dict[str, Any]) -> None:
    assert set(found["families"]) == {1, 2, 10, 16}
    assert found["netlink"] == [0]
    assert found["raw"] == "EPERM"


@pytest.mark.parametrize("family", ["AF_ALG", "AF_ALG with high bits", "AF_VSOCK"])
def test_sockets_into_the_kernel_and_the_hypervisor_are_refused(found: dict[str, Any], family: str) -> None:
    assert found[family] == "EPERM"


def test_dangerous_system_calls_are_refused(found: dict[str, Any]) -> None:
    assert {call: result for call, result in found["calls"].items() if result != "EPERM"} == {}


def test_the_c_library_is_told_to_use_the_older_clone(found: dict[str, Any]) -> None:
    assert found["clone3"] == "ENOSYS"


def test_it_sees_no_process_but_its_own(found: dict[str, Any]) -> None:
    assert found["processes"] == ["docker-init", "python3"]


def test_it_has_no_devices_and_can_make_none(found: dict[str, Any]) -> None:
    assert found["block devices"] == []
    assert found["make device"] == "EPERM"


def test_it_does_not_see_the_engine_or_the_host(found: dict[str, Any]) -> None:
    assert found["engine socket"] == []
    assert found["hostname"] == "sandbox"
    assert set(found["masked"].values()) <= {0}


def test_every_folder_is_full_at_its_size(found: dict[str, Any]) -> None:
    assert found["fill"]["/tmp"][1] <= LIMITS["tmp_bytes"] >> 20
    assert found["fill"]["/dev/shm"][1] <= LIMITS["shm_bytes"] >> 20
    assert found["fill"]["/output"] == ["ENOSPC", 5]  # 6 MiB less what was there


def test_no_file_can_claim_a_huge_size(found: dict[str, Any]) -> None:
    assert found["huge sparse file"] == errno.errorcode[errno.EFBIG]


def test_processes_are_bounded(found: dict[str, Any]) -> None:
    error, count = found["fork"]
    assert error == "EAGAIN"
    assert count < LIMITS["pids"]


def test_ordinary_work_goes_on_undisturbed(found: dict[str, Any]) -> None:
    assert found["ordinary work"] == "42"


# --- Images that bring their tools along ------------------------------------------------------------------------------


@pytest.fixture
def armed_image(engine: Engine, python_image: str) -> Iterator[str]:
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
    for line in engine.client.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, decode=True):
        assert "error" not in line, line
    yield str(engine.client.inspect_image(tag)["Id"])
    engine.client.remove_image(tag, force=True)


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
