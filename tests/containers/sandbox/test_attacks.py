"""What a hostile program finds out when it tries, from inside a running container.

One container runs all probes and writes what happened to each; every test looks at one of them.
"""

import errno
import json
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from containers.sandbox.engine import Engine
from containers.sandbox.spec import MAX_OPEN_FILES, SCRATCH_INODES, SPARE_INODES, SandboxSettings, Slot
from containers.sandbox.staging import FIXED_MTIME
from tests.containers.conftest import LIMITS, UID, Sandbox, remove_images, statuses

pytestmark = pytest.mark.engine

#: What the engine puts into every /dev: no device of the host but those that are harmless to all.
DEVICES = {
    *("core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"),
    *("stderr", "stdin", "stdout", "tty", "urandom", "zero"),
}

PROBES = r"""
import ctypes, errno, fcntl, json, mmap, resource, socket, stat, struct, subprocess, signal
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

def write_now(path):
    with open(path, "wb", buffering=0) as file:  # a file whose content is flushed later would hide its refusal
        file.write(b"0")
def write(path):
    return outcome(lambda: write_now(path))
R["write"] = {path: write(path) for path in
    ("/file", "/etc/file", "/usr/local/bin/python3", "/algorithm.py", "/input/file", "/input/cases.json",
     "/input/images/file", f"/input/images/{name}", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
     "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/fs/binfmt_misc/register",
     "/proc/sys/user/max_user_namespaces", "/proc/self/uid_map", "/proc/1/uid_map",
     "/sys/kernel/uevent_helper", "/sys/fs/cgroup/file", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
     "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cgroup.procs", "/dev/file",
     "/run/file", "/tmp/file", "/output/file", "/dev/shm/file")}
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
memory = ctypes.create_string_buffer(8)
pair = ctypes.addressof(memory)
R["families"] = [f for f in range(0, 64) for k in (1, 2, 3, 5) if system_call(41, f, k, 0) == "ok"]
R["netlink"] = [p for p in range(0, 32) if system_call(41, 16, 3, p) == "ok"]
R["pairs"] = [f for f in range(0, 64) for k in (1, 2, 3, 5) if system_call(53, f, k, 0, pair) == "ok"]
R["protocols"] = {f"{f} {k} {p}": system_call(41, f, k, p) for f in (2, 10)
                  for k, p in ((1, 262), (1, 132), (5, 132), (5, 0), (2, 136), (2, 1), (2, 58), (6, 33), (3, 255))}
R["raw"] = system_call(41, 2, 3, 1)
def change(kind):
    # asks netlink for a change of the network; the error number of its answer
    with socket.socket(16, 3, 0) as s:
        s.send(struct.pack("=IHHII", 32, kind, 5, 1, 0) + struct.pack("=BxHiII", 0, 0, 1, 0, 1))
        return -struct.unpack_from("=i", s.recv(4096), 16)[0]
R["network changes"] = {kind: outcome(lambda: errno.errorcode[change(kind)])
                        for kind in (16, 19, 20, 24, 28, 32, 36, 40)}
with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as s:
    memory = ctypes.create_string_buffer(b"tls")
    R["kernel tls"] = [system_call(54, s.fileno(), 6, option, ctypes.addressof(memory), 3)
                       for option in (31, (1 << 32) | 31)]
    R["options"] = {f"{level} {option}": outcome(lambda: s.setsockopt(level, option, 1))
                    for level, option in ((1, 2), (1, 9), (1, 15), (6, 1), (6, 36), (1, 64))}
R["AF_ALG with high bits"] = system_call(41, (1 << 32) | 38, 5, 0)
R["AF_ALG"] = system_call(41, 38, 5, 0)
R["AF_VSOCK"] = system_call(41, 40, 1, 0)
R["loopback"] = outcome(lambda: socket.create_server(("localhost", 0)).close())

memory = ctypes.create_string_buffer(4096)
buffer = ctypes.addressof(memory)
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
    "clock_settime": (227, 0, buffer), "adjtimex": (159, buffer), "setdomainname": (171, buffer, 1),
    "mount_setattr": (442, -100, buffer, 0, buffer, 32), "fsmount": (432, 0, 0, 0), "fspick": (433, -100, buffer, 0),
    "fsconfig": (431, 0, 0, 0, 0, 0),
    "unshare mount": (272, 0x20000), "unshare cgroup": (272, 0x2000000), "unshare time": (272, 0x80),
    "kexec_file_load": (320, 0, 0, 0, 0, 0), "delete_module": (176, buffer, 0), "quotactl_fd": (443, 0, 0, 0, 0),
    "process_madvise": (440, 0, 0, 0, 0, 0), "move_pages": (279, 0, 0, 0, 0, 0, 0), "migrate_pages": (256, 1, 1, 0, 0),
    "ioperm": (173, 0, 1, 1), "vhangup": (153,), "sync": (162,), "syncfs": (306, 0), "cachestat": (451, 0, 0, 0, 0),
    "remap_file_pages": (216, 0, 0, 0, 0, 0), "mbind": (237, 0, 0, 0, 0, 0, 0), "fanotify_mark": (301, 0, 0, 0, 0, 0),
    "acct": (163, 0), "personality": (135, 0x40000), "lookup_dcookie": (212, 0, 0, 0), "nfsservctl": (180, 0, 0, 0),
}
R["calls"] = {call: system_call(*arguments) for call, arguments in CALLS.items()}
R["clone3"] = system_call(435, buffer, 88)
R["newest calls"] = {n: system_call(n, 0, 0, 0, 0, 0, 0) for n in (*range(457, 462), *range(463, 480))}

def in_a_child(action):
    if (pid := os.fork()) == 0:
        try: action()
        finally: os._exit(0)
    end = os.waitpid(pid, 0)[1]
    return [os.WTERMSIG(end) if os.WIFSIGNALED(end) else 0, os.WCOREDUMP(end)]
def call_as_i386():
    code = mmap.mmap(-1, 4096, prot=7)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid by int 0x80
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
R["i386"] = in_a_child(call_as_i386)
R["x32"] = in_a_child(lambda: libc.syscall(ctypes.c_long(0x40000000 | 39)))
os.chdir("/tmp")
R["crash"] = in_a_child(os.abort)
R["cores"] = [f for f in os.listdir("/tmp") if f.startswith("core")]

def terminal(path):
    with open(path, "rb", buffering=0) as file:
        return [outcome(lambda: fcntl.ioctl(file, request, b"x")) for request in (0x5412, 0x541C, 0x540E)]
R["terminals"] = [outcome(lambda: fcntl.ioctl(fd, 0x5412, b"x")) for fd in (0, 1, 2)]
R["terminal of its own"] = outcome(lambda: str(terminal("/dev/tty")))
R["kill init"] = [outcome(lambda: os.kill(1, number)) for number in (9, 19)]
def raised(limit):
    try:
        resource.setrlimit(limit, (1 << 30, 1 << 30)); return "raised"
    except ValueError:
        return "refused"
R["limits"] = {name: [resource.getrlimit(limit)[1], raised(limit)]
               for name, limit in (("core", resource.RLIMIT_CORE), ("nofile", resource.RLIMIT_NOFILE))}
R["mounts"] = {fields[4]: fields[5].split(",") for fields in map(str.split, open("/proc/self/mountinfo"))}
null = os.stat("/dev/null").st_rdev
R["empty files"] = [path for path in R["mounts"] if os.path.exists(path) and os.stat(path).st_rdev == null]
R["inodes"] = {folder: os.statvfs(folder).f_files for folder in ("/tmp", "/output")}
R["dev"] = sorted(os.listdir("/dev"))
def entries(path):
    try: return len(os.listdir(path))
    except OSError: return 0
R["folders of the kernel"] = {p: entries(p) for p in ("/sys/firmware", "/proc/scsi", "/proc/acpi", "/sys/kernel/debug",
    "/sys/kernel/tracing", "/sys/fs/bpf", "/sys/kernel/security", "/proc/sys/fs/binfmt_misc")}
R["addresses"] = open("/proc/kallsyms").read(16) if os.path.exists("/proc/kallsyms") else ""

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
def found(
    engine: Engine, docker_client: docker.APIClient, python_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What the probes found."""
    settings = SandboxSettings(instance=f"test-{uuid.uuid4().hex[:12]}", holder_uid=UID)
    sandbox = Sandbox(engine, settings, Slot("cpu0", UID + 1), tmp_path_factory.mktemp("attacks"), python_image)
    try:
        report = sandbox.run(PROBES, output_bytes=6 << 20)
        assert statuses(report) == [("finished", None)], report.log
        yield json.loads(sandbox.output(report))
    finally:
        sandbox.clean_up()
        remove_images(docker_client, settings.instance)


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
    kept = writable - set(found["empty files"])  # what is masked is /dev/null, which keeps nothing
    assert kept == {"/tmp/file", "/output/file", "/dev/shm/file"}


def test_the_input_cannot_be_tampered_with(found: dict[str, Any]) -> None:
    assert found["chmod input"] in ("EPERM", "EROFS")
    assert found["remount"] == "EPERM"


def test_the_input_holds_what_the_contract_says_and_tells_no_times(found: dict[str, Any]) -> None:
    assert found["listing"] == {"/input": ["cases.json", "images"], "/input/images": ["case0.nii.gz"]}
    assert found["times"] == [FIXED_MTIME]


def test_programs_can_be_executed_from_scratch_only(found: dict[str, Any]) -> None:
    assert found["execute"] == {"/tmp": "ok", "/output": "EACCES", "/dev/shm": "EACCES"}


def test_there_is_only_the_loopback_interface(found: dict[str, Any]) -> None:
    assert found["interfaces"] == ["lo"]
    assert found["loopback"] == "ok"


def test_nothing_can_be_reached(found: dict[str, Any]) -> None:
    assert set(found["connect"].values()) <= {"ENETUNREACH", "EADDRNOTAVAIL"}


def test_no_other_family_of_sockets_exists(found: dict[str, Any]) -> None:
    assert set(found["families"]) == {1, 2, 10, 16}
    assert set(found["pairs"]) == {1}
    assert found["raw"] == "EPERM"


def test_there_is_no_other_protocol_than_tcp_and_udp(found: dict[str, Any]) -> None:
    assert set(found["protocols"].values()) == {"EPERM"}


def test_netlink_answers_questions_about_routes_and_changes_nothing(found: dict[str, Any]) -> None:
    """It has to answer: getifaddrs, by which gloo and NCCL find the loopback, fails without it (`interfaces`)."""
    assert found["netlink"] == [0]
    assert found["interfaces"] == ["lo"]
    assert set(found["network changes"].values()) == {"EPERM"}


def test_a_connection_cannot_be_handed_to_the_kernels_tls(found: dict[str, Any]) -> None:
    assert found["kernel tls"] == ["EPERM", "EPERM"]
    assert set(found["options"].values()) == {"ok"}


@pytest.mark.parametrize("family", ["AF_ALG", "AF_ALG with high bits", "AF_VSOCK"])
def test_sockets_into_the_kernel_and_the_hypervisor_are_refused(found: dict[str, Any], family: str) -> None:
    assert found[family] == "EPERM"


def test_dangerous_system_calls_are_refused(found: dict[str, Any]) -> None:
    assert {call: result for call, result in found["calls"].items() if result != "EPERM"} == {}


def test_a_call_that_is_newer_than_the_filter_does_not_exist(found: dict[str, Any]) -> None:
    assert set(found["newest calls"].values()) <= {"ENOSYS", "EPERM"}


@pytest.mark.parametrize("abi", ["i386", "x32"])
def test_there_is_no_way_round_the_filter_through_another_abi(found: dict[str, Any], abi: str) -> None:
    assert found[abi] == [signal.SIGSYS, False]


def test_a_crash_leaves_no_memory_behind(found: dict[str, Any]) -> None:
    assert found["crash"] == [signal.SIGABRT, False]
    assert found["cores"] == []


def test_it_has_no_terminal_to_type_into(found: dict[str, Any]) -> None:
    assert set(found["terminals"]) <= {"ENOTTY"}
    assert found["terminal of its own"] in ("ENXIO", "ENOENT")


def test_its_limits_cannot_be_raised(found: dict[str, Any]) -> None:
    assert found["limits"] == {"core": [1, "refused"], "nofile": [MAX_OPEN_FILES, "refused"]}


def test_the_containers_init_does_not_end_at_its_word(found: dict[str, Any]) -> None:
    assert set(found["kill init"]) <= {"ok", "EPERM"}  # and this very report was written afterwards


def test_every_folder_is_mounted_with_the_least_that_it_needs(found: dict[str, Any]) -> None:
    mounts = found["mounts"]
    assert "ro" in mounts["/"]
    assert "ro" in mounts["/input"]
    for folder in ("/tmp", "/output", "/dev/shm"):
        assert {"rw", "nosuid", "nodev"} <= set(mounts[folder])
    for folder in ("/output", "/dev/shm"):
        assert "noexec" in mounts[folder]
    kernels = [f for f in mounts if f.startswith(("/sys", "/proc/")) and "/sys/fs/cgroup" not in f]
    writable = {folder for folder in kernels if "ro" not in mounts[folder]}  # of cgroups, see what can be written
    assert writable <= set(found["empty files"])  # /dev/null itself lies over what is masked
    assert "/proc/vmstat" in writable


def test_the_numbers_of_files_are_bounded(found: dict[str, Any]) -> None:
    assert found["inodes"] == {"/tmp": SCRATCH_INODES, "/output": 1 + SPARE_INODES}


def test_the_c_library_is_told_to_use_the_older_clone(found: dict[str, Any]) -> None:
    assert found["clone3"] == "ENOSYS"


def test_it_sees_no_process_but_its_own(found: dict[str, Any]) -> None:
    assert found["processes"] == ["docker-init", "python3"]


def test_it_has_no_devices_and_can_make_none(found: dict[str, Any]) -> None:
    assert found["block devices"] == []
    assert set(found["dev"]) <= DEVICES
    assert found["make device"] == "EPERM"


def test_it_does_not_see_the_engine_or_the_host(found: dict[str, Any]) -> None:
    assert found["engine socket"] == []
    assert found["hostname"] == "sandbox"
    assert set(found["masked"].values()) <= {0}
    assert set(found["folders of the kernel"].values()) == {0}
    assert set(found["addresses"]) <= {"0"}


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
