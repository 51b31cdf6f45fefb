"""What an algorithm's container sees of the kernel that all programs of its host share.

Files below /proc and /sys count for the whole host: processor time, memory in use, interrupts. What a program that sees
hidden cases computes, allocates or writes could be read there by one that runs beside it on public cases, and whose log
its team reads. Here each of these files is covered. Over what programs need lies a file of ours, which says what
holds for the container (its memory) or stands still (processor time). All else is masked, by a list of what may be
seen, so that what a newer kernel or a driver adds is covered as well; test_kernel_view looks at what is left, beside
a busy neighbour.

Below /proc, files of ours lie where OCI runtimes let them (runc: checkProcMount). What cannot be covered from outside
is said in docs/architecture.md ("Trust boundaries"): sysinfo(2), and what each process has of its own below /proc. To
refuse sysinfo would be worse than to answer: the C library does not look whether it failed, and would tell a program of
a random amount of memory.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: What may be seen of a folder, by its whole path; a folder that is named here itself is seen as far as said there.
_VISIBLE: Final[Mapping[str, str]] = {
    # cgroups: a JVM learns from it whether it has limits. Its one number changes as containers come and go
    "/proc": "self thread-self mounts net sys sysvipc cgroups cmdline devices filesystems version "
    "cpuinfo diskstats loadavg meminfo stat swaps uptime",
    "/proc/sys": "fs kernel net user vm",
    "/proc/sys/fs": "aio-max-nr epoll file-max inotify mqueue nr_open overflowgid overflowuid pipe-max-size "
    "pipe-user-pages-hard pipe-user-pages-soft suid_dumpable",
    "/proc/sys/kernel": "auto_msgmni cap_last_cap core_pattern core_uses_pid domainname hostname io_uring_disabled "
    "kptr_restrict msgmax msgmnb msgmni ngroups_max numa_balancing osrelease ostype overflowgid overflowuid panic "
    "perf_event_paranoid pid_max random randomize_va_space sched_child_runs_first seccomp sem shm_rmid_forced shmall "
    "shmmax shmmni threads-max unprivileged_bpf_disabled unprivileged_userns_clone version yama",
    "/proc/sys/kernel/random": "boot_id poolsize uuid",
    "/proc/sys/kernel/seccomp": "actions_avail",
    "/proc/sys/vm": "hugetlb_shm_group max_map_count min_free_kbytes mmap_min_addr mmap_rnd_bits nr_hugepages "
    "nr_overcommit_hugepages overcommit_kbytes overcommit_memory overcommit_ratio page-cluster swappiness "
    "unprivileged_userfaultfd",
    "/sys": "class devices fs kernel",
    "/sys/fs": "cgroup",
    "/sys/kernel": "mm",
    "/sys/kernel/mm": "transparent_hugepage",
    "/sys/kernel/mm/transparent_hugepage": "defrag enabled hpage_pmd_size shmem_enabled use_zero_page",
}
#: What may not be seen and most kernels have: a worker may see less of /proc than the engine.
_KNOWN: Final[Mapping[str, str]] = {
    "/proc": "buddyinfo bus crypto driver execdomains fs interrupts irq key-users kpagecgroup kpagecount kpageflags "
    "locks mdstat misc modules pagetypeinfo partitions pressure schedstat slabinfo softirqs spl tty vmallocinfo vmstat "
    "zoneinfo",
    "/proc/sys": "abi debug dev sunrpc",
    "/proc/sys/fs": "aio-nr dentry-state file-nr inode-nr inode-state quota",
    "/proc/sys/kernel": "ns_last_pid perf_event_max_sample_rate pty spl",
    "/proc/sys/kernel/random": "entropy_avail",
    "/sys": "block bus dev hypervisor module power",
    "/sys/fs": "btrfs ext4 xfs",
    "/sys/kernel": "debug irq slab tracing",
    "/sys/kernel/mm": "hugepages ksm",
    "/sys/kernel/mm/transparent_hugepage": "khugepaged",
}
#: What else a container with GPUs sees: NVIDIA's libraries read below it.
_DRIVERS: Final = "/proc/driver"
_OF_NVIDIA: Final = re.compile("nvidia.*")
#: What Docker masks by itself, which a list of ours replaces.
_MASKED_BY_DOCKER: Final = (
    *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/proc/interrupts", "/sys/firmware"),
    "/sys/devices/virtual/powercap",
)

#: Where the copy of what never changes of the processors and their memory is mounted; and the one network there is.
SYS_DEVICES: Final = "/sys/devices"
SYS_CLASS: Final = "/sys/class"
_LOOPBACK: Final[Mapping[str, str]] = {
    "address": "00:00:00:00:00:00",
    "flags": "0x9",
    "ifindex": "1",
    "iflink": "1",
    "mtu": "65536",
    "operstate": "unknown",
    "type": "772",
}
_CPU_FILES: Final = "isolated kernel_max offline online possible present"
_TOPOLOGY_FILES: Final = (
    "cluster_id core_cpus core_cpus_list core_id core_siblings core_siblings_list die_cpus die_cpus_list die_id "
    "package_cpus package_cpus_list physical_package_id thread_siblings thread_siblings_list"
)
_NODES_FILES: Final = "has_cpu has_memory has_normal_memory online possible"
_NODE_FILES: Final = "cpulist cpumap distance"
#: It stands still, and ps reckons ages by it: no process of the container may seem to begin after it.
_AHEAD_SECONDS: Final = 24 * 3600
#: Instead of the present clock of each processor, which tells how busy it and its neighbours are.
_CLOCK_MHZ: Final = "2000.000"


@dataclass(frozen=True)
class KernelView:
    """What covers the kernel's own files: paths to mask, and the contents of files by their paths.

    Nothing in both: the container sees the kernel as the engine shows it.
    """

    masked: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def mounted(self) -> tuple[str, ...]:
        """The paths at which files or folders of ours are mounted."""
        return tuple(dict.fromkeys(_folder_of(path) or path for path in self.files))


def kernel_view(memory_bytes: int, *, gpus: bool, root: Path = Path("/")) -> KernelView:
    """The view of a container whose program may use `memory_bytes`, on the kernel whose files lie below `root`."""
    files = _files(memory_bytes >> 10, root)
    uncopied = () if any(_folder_of(path) == SYS_DEVICES for path in files) else (SYS_DEVICES,)
    return KernelView(tuple(sorted({*_MASKED_BY_DOCKER, *_to_mask(root, gpus=gpus), *uncopied})), files)


def _folder_of(path: str) -> str | None:
    """The folder as a part of which this file is mounted, if it is not mounted by itself."""
    return next((folder for folder in (SYS_DEVICES, SYS_CLASS) if path.startswith(f"{folder}/")), None)


def _to_mask(root: Path, *, gpus: bool) -> Iterator[str]:
    """What the kernel has now, but for what may be seen; a process has a number for a name."""
    for folder, names in _VISIBLE.items():
        visible = {*names.split(), *((_DRIVERS.rpartition("/")[2],) if gpus and folder == "/proc" else ())}
        there = {*_entries(root, folder), *_KNOWN.get(folder, "").split()}
        yield from (f"{folder}/{name}" for name in there - visible if not name.isdigit())
    if gpus:
        yield from (f"{_DRIVERS}/{name}" for name in _entries(root, _DRIVERS) if not _OF_NVIDIA.fullmatch(name))


def _entries(root: Path, folder: str) -> list[str]:
    try:
        return [entry.name for entry in (root / folder[1:]).iterdir()]
    except OSError:  # this kernel has none of it
        return []


# --- Files of ours ----------------------------------------------------------------------------------------------------


def _files(kib: int, root: Path) -> dict[str, bytes]:
    files = {
        "/proc/cpuinfo": re.sub(r"(?m)^(cpu MHz\s*: ).*", rf"\g<1>{_CLOCK_MHZ}", _read(root, "/proc/cpuinfo")),
        "/proc/diskstats": "",
        "/proc/loadavg": "0.00 0.00 0.00 1/1 1\n",
        "/proc/meminfo": _meminfo(kib),
        "/proc/stat": _stat(_read(root, "/proc/stat")),
        "/proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
        "/proc/uptime": f"{time.clock_gettime(time.CLOCK_BOOTTIME) + _AHEAD_SECONDS:.2f} 0.00\n",
        **_processors(root),
        **_nodes(root, kib),
        **{f"{SYS_CLASS}/net/lo/{name}": f"{content}\n" for name, content in _LOOPBACK.items()},
    }
    return {path: content.encode() for path, content in files.items()}


def _read(root: Path, path: str) -> str:
    try:
        return (root / path[1:]).read_text(errors="replace")
    except OSError:
        return ""


def _meminfo(kib: int) -> str:
    """The memory of the phase, all of it free: a program that wants to know what it uses asks its own cgroup."""
    amounts = dict.fromkeys(("MemTotal", "MemFree", "MemAvailable"), kib)
    amounts |= dict.fromkeys(
        [
            "Buffers",
            "Cached",
            "SwapCached",
            "Active",
            "Inactive",
            "Active(anon)",
            "Inactive(anon)",
            "Active(file)",
            "Inactive(file)",
            "Unevictable",
            "Mlocked",
            "SwapTotal",
            "SwapFree",
            "Dirty",
            "Writeback",
            "AnonPages",
            "Mapped",
            "Shmem",
            "KReclaimable",
            "Slab",
            "SReclaimable",
            "SUnreclaim",
            "KernelStack",
            "PageTables",
            "CommitLimit",
            "Committed_AS",
            "AnonHugePages",
        ],
        0,
    )
    amounts["CommitLimit"] = kib
    lines = [f"{name + ':':<16}{amount:>8} kB\n" for name, amount in amounts.items()]
    counts = [f"{name + ':':<16}{0:>8}\n" for name in ("HugePages_Total", "HugePages_Free", "HugePages_Rsvd")]
    return "".join([*lines, *counts, f"{'Hugepagesize:':<16}{2048:>8} kB\n"])


def _stat(actual: str) -> str:
    """When the machine began, which programs need for the start of a process, and processors that have done nothing."""
    began = re.search(r"(?m)^btime \d+$", actual)
    lines = [f"{name}{' ' * (name == 'cpu')} 0 0 0 0 0 0 0 0 0 0" for name in re.findall(r"(?m)^cpu\d*", actual)]
    rest = ["intr 0", "ctxt 0", began[0] if began else "btime 0", "processes 0", "procs_running 1", "procs_blocked 0"]
    return "\n".join([*lines, *rest, "softirq 0 0 0 0 0 0 0 0 0 0 0", ""])


def _copied(root: Path, folder: str, names: str) -> dict[str, str]:
    found = {f"{folder}/{name}": _read(root, f"{folder}/{name}") for name in names.split()}
    return {path: content for path, content in found.items() if content}


def _processors(root: Path) -> dict[str, str]:
    folder = f"{SYS_DEVICES}/system/cpu"
    found = _copied(root, folder, _CPU_FILES)
    for name in _entries(root, folder):
        if re.fullmatch(r"cpu\d+", name):
            found |= _copied(root, f"{folder}/{name}/topology", _TOPOLOGY_FILES)
    return found


def _nodes(root: Path, kib: int) -> dict[str, str]:
    folder = f"{SYS_DEVICES}/system/node"
    found = _copied(root, folder, _NODES_FILES)
    for name in _entries(root, folder):
        if re.fullmatch(r"node\d+", name):
            memory = "".join(f"Node {name[4:]} {what}: {kib:>14} kB\n" for what in ("MemTotal", "MemFree"))
            found |= {**_copied(root, f"{folder}/{name}", _NODE_FILES), f"{folder}/{name}/meminfo": memory}
    return found
