"""What programs see of the kernel that they share: nothing that a neighbour moves, and what they need."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from containers.sandbox.kernel_view import SYS_DEVICES, kernel_view
from containers.sandbox.run import ContainerRun
from containers.sandbox.spec import Slot
from containers.sandbox.watch import Stopped
from tests.containers.conftest import LIMITS, UID, Sandbox, wait_until

# --- The view, of a kernel in a folder --------------------------------------------------------------------------------

STAT = "cpu  9 9\ncpu0 5 5\ncpu3 4 4\nintr 77\nctxt 88\nbtime 1700000000\nprocesses 99\n"
CPUINFO = "processor\t: 0\ncpu MHz\t\t: 3812.417\nbogomips\t: 5192.24\n"


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """The root of a small kernel's files."""
    files = {
        "proc/stat": STAT,
        "proc/cpuinfo": CPUINFO,
        "proc/1/stat": "",
        "proc/vmstat": "",
        "proc/newer": "",
        "proc/driver/rtc": "",
        "proc/driver/nvidia/version": "",
        "proc/sys/fs/file-nr": "",
        "proc/sys/fs/nr_open": "",
        "sys/devices/system/cpu/online": "0,3\n",
        "sys/devices/system/cpu/cpu3/topology/core_id": "3\n",
        "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "3812417\n",
        "sys/block/vda/stat": "7",
        "sys/devices/system/node/node1/cpulist": "0,3\n",
        "sys/devices/system/node/node1/numastat": "numa_hit 7",
        "sys/fs/cgroup/memory.max": "max\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_what_is_not_known_is_masked_and_what_the_engine_masks_stays_so(kernel: Path) -> None:
    masked = set(kernel_view(1 << 30, gpus=False, root=kernel).masked)
    assert {"/proc/vmstat", "/proc/newer", "/proc/sys/fs/file-nr", "/sys/block", "/proc/driver"} <= masked
    assert {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"} <= masked
    assert not masked & {"/proc/stat", "/proc/sys", "/proc/1", "/proc/sys/fs/nr_open", "/sys/fs/cgroup", "/sys/devices"}


def test_a_worker_that_sees_nothing_of_the_kernel_masks_what_is_known(tmp_path: Path) -> None:
    view = kernel_view(1 << 30, gpus=False, root=tmp_path)
    assert {"/proc/vmstat", "/proc/pressure", "/proc/sys/fs/file-nr", "/sys/block", SYS_DEVICES} <= set(view.masked)
    assert SYS_DEVICES not in view.mounted


def test_beside_a_gpu_its_drivers_files_are_seen_and_no_other_drivers(kernel: Path) -> None:
    masked = set(kernel_view(1 << 30, gpus=True, root=kernel).masked)
    assert "/proc/driver/rtc" in masked
    assert not masked & {"/proc/driver", "/proc/driver/nvidia"}


def test_files_of_ours_tell_when_the_machine_began_and_nothing_that_it_did(kernel: Path) -> None:
    view = kernel_view(3 << 30, gpus=False, root=kernel)
    stat = view.files["/proc/stat"].decode()
    assert re.findall(r"(?m)^(cpu\d*|btime) +(.*)$", stat) == [
        *((name, "0 0 0 0 0 0 0 0 0 0") for name in ("cpu", "cpu0", "cpu3")),
        ("btime", "1700000000"),
    ]
    assert not re.search("77|88|99", stat)
    assert view.files["/proc/cpuinfo"].decode() == CPUINFO.replace("3812.417", "2000.000")
    assert re.findall(r"Mem(\w+): +(\d+) kB", view.files["/proc/meminfo"].decode()) == [
        (name, str(3 << 20)) for name in ("Total", "Free", "Available")
    ]


def test_of_the_processors_only_what_never_changes_is_copied(kernel: Path) -> None:
    files = {path for path in kernel_view(1 << 30, gpus=False, root=kernel).files if path.startswith(SYS_DEVICES)}
    system = f"{SYS_DEVICES}/system"
    assert files == {
        *(f"{system}/cpu/online", f"{system}/cpu/cpu3/topology/core_id"),
        *(f"{system}/node/node1/cpulist", f"{system}/node/node1/meminfo"),
    }


# --- On a real kernel, beside a neighbour -----------------------------------------------------------------------------

#: What may change although or because a neighbour computes: path -> why it may.
EXCEPTIONS = {
    r"/sys/fs/cgroup/.*": "the container's own cgroup",
    r"/proc/1/(task/1/)?(arch_status|io|oom_score|sched|schedstat|stat|statm|status|syscall|wchan)": "its own process",
    r"/proc/1/(task/1/)?(numa_maps|pagemap|smaps|smaps_rollup)": "its own memory; STAYS OPEN: who else maps its pages",
    r"/proc/1/(task/1/)?net/(netlink|protocols|sockstat6?|softnet_stat|stat/\w+)": "STAYS OPEN: for all networks "
    "together, and no mount covers what each process has of its own",
    r"/proc/cgroups": "STAYS OPEN: how many containers there are, no more; programs find their limits by it",
    r"/proc/sys/kernel/random/uuid": "random",
}

READ = """
import hashlib, json, os
def files():
    for top in ("/proc", "/sys"):
        for folder, folders, names in os.walk(top):
            if folder == "/proc":
                folders[:] = [name for name in folders if not name.isdigit() or name == "1"]
            yield from (os.path.join(folder, name) for name in names)
found = {}
for path in files():
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        continue
    try:
        found[path] = hashlib.sha256(os.read(file, 1 << 18)).hexdigest()
    except OSError:
        pass
    os.close(file)
print(json.dumps(found))
"""
SLEEP = "import time\nfinish(name)\nwhile True: time.sleep(1)"
BURN = """
import socket, time
memory = os.urandom(1 << 20) * 64
until = time.process_time() + 0.5
while time.process_time() < until:
    pathlib.Path("/tmp/x").write_bytes(memory[: 8 << 20])
listener = socket.create_server(("127.0.0.1", 0))
pairs = [(socket.create_connection(listener.getsockname()), listener.accept()) for _ in range(30)]
for one, _ in pairs: one.sendall(bytes(1 << 15))
pipes, children = [os.pipe() for _ in range(50)], [os.fork() for _ in range(5)]
if 0 in children:
    while True: time.sleep(1)
finish(name)
while True: time.sleep(1)
"""


@contextmanager
def running(sandbox: Sandbox, slot: Slot, program: str) -> Iterator[ContainerRun]:
    """A container that has finished the first of two cases and goes on."""
    run = sandbox.prepare(sandbox.order(program, None, startup_seconds=300, case_seconds=300), slot)
    staged = sandbox.stage(run)

    def carry_out() -> None:
        with contextlib.suppress(Stopped):
            run.carry_out(staged)

    thread = threading.Thread(target=carry_out)
    thread.start()
    try:
        wait_until(lambda: run.watcher.clock.case == 1 or not thread.is_alive())
        assert thread.is_alive()
        yield run
    finally:
        run.stop("drop")
        thread.join()


@pytest.mark.engine
def test_nothing_that_counts_for_the_whole_host_can_be_read(sandbox: Sandbox) -> None:
    with running(sandbox, sandbox.slot, SLEEP) as reader:

        def read() -> dict[str, str]:
            chunks = sandbox.engine.execute(reader.names.algorithm, ["python3", "-c", READ], str(UID + 1))
            found: dict[str, str] = json.loads(b"".join(chunks))
            return found

        before = read()
        with running(sandbox, Slot("cpu1", UID + 2), BURN):
            after = read()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert len(before) > 300
    assert "/proc/1/net/sockstat" in changed  # the neighbour was there, and would have been seen
    assert [path for path in sorted(changed) if not any(re.fullmatch(known, path) for known in EXCEPTIONS)] == []


# --- What programs need -----------------------------------------------------------------------------------------------

TOOLS = {"nproc": "nproc", "free -k": "free", "uptime": "uptime", "ps -eo etimes,comm": "ps", "top -b -n1": "top"}
USE = """
import multiprocessing, os, subprocess
def said(command):
    done = subprocess.run(command.split(), capture_output=True, text=True, env={**os.environ, "TERM": "dumb"})
    return done.stdout if done.returncode == 0 else done.stderr
facts = {command: said(command) for command in COMMANDS}
with multiprocessing.Pool(2) as pool:
    facts["pool"] = pool.map(abs, [-1, -2])
facts["cpus"] = [os.cpu_count(), len(os.sched_getaffinity(0))]
ticks, began = os.sysconf("SC_CLK_TCK"), int(open("/proc/self/stat").read().rpartition(")")[2].split()[19])
stat = dict(line.split(maxsplit=1) for line in open("/proc/stat"))
facts["age"] = __import__("time").time() - int(stat["btime"]) - began / ticks
facts["cores"] = [open("/proc/cpuinfo").read().count("processor\\t"), sum(key[3:].isdigit() for key in stat)]
facts["threads"] = os.environ["OMP_NUM_THREADS"]
facts["networks"] = {name: open(f"/sys/class/net/{name}/flags").read() for name in os.listdir("/sys/class/net")}
answer = json.dumps(facts)
"""


def _layer_with(tools: list[str]) -> bytes:
    """Programs of this machine and their libraries, for an image of another system."""
    buffer = io.BytesIO()
    found = {f"usr/local/bin/{tool}": Path(shutil.which(tool) or "") for tool in tools}
    for path in list(found.values()):
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        found |= {f"usr/local/lib/{Path(one).name}": Path(one) for one in re.findall(r"=> (/\S+)", listed)}
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in found.items():
            tar.add(path.resolve(), name)
        for terminal in ("/lib/terminfo/d/dumb", "/usr/share/terminfo/d/dumb"):
            if Path(terminal).exists():
                tar.add(terminal, "lib/terminfo/d/dumb")
    return buffer.getvalue()


@pytest.mark.engine
def test_ordinary_programs_find_what_they_look_for(sandbox: Sandbox, derived_image: Callable[..., str]) -> None:
    tools = [tool for tool in TOOLS.values() if shutil.which(tool)]
    commands = [command for command, tool in TOOLS.items() if tool in tools]
    image = derived_image("", _layer_with(tools)) if tools else sandbox.image
    facts = json.loads(sandbox.ask(f"COMMANDS = {commands}\n{USE}", image=image))
    cores = facts["cpus"][0]
    assert facts["pool"] == [1, 2]
    assert facts["cores"] == [cores, cores]
    assert -2 < facts["age"] < 30
    assert facts["networks"] == {"lo": "0x9\n"}
    memory = LIMITS["memory_bytes"] >> 10
    expected = {
        "nproc": rf"{facts['threads']}\n",
        "free -k": rf"(?s).*Mem: +{memory} +0 +{memory} .*",
        "uptime": r"(?s).* up .*load average: 0[.,]00.*",
        "ps -eo etimes,comm": r"(?s).*\n +\d{1,5} docker-init\n +\d{1,5} python3\n.*",
        "top -b -n1": r"(?s).* 0 user.*docker-.*python3.*",
    }
    for command in commands:
        assert re.fullmatch(expected[command], facts[command]), (command, facts[command])
