"""A machine for the length of a test: this one's files, of which it changes a copy, and a network of its own.

Its root is an overlay in memory over this machine's, so that the guide's commands run as they stand, at the very places
that they name, and leave nothing behind. Its processes have numbers of their own and end with it.
"""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.conftest import ROOT

PACKAGES = sysconfig.get_path("purelib")
PATIENCE_SECONDS = 120
OWN = ("unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--kill-child")
Answers = Mapping[str, Callable[[str], str]]
# $1: a folder of this machine's; then those that are empty on the new one.
SET_UP = """
set -euo pipefail
room=$1 root=$1/root
shift
mount -t tmpfs -o mode=711,size=3g none "$room"
mkdir "$room"/{upper,work,root,compiled,compiling}
mount -t overlay overlay -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 none "$root/tmp"
for folder; do mkdir -p "$root$folder" && mount -t tmpfs -o mode=755 none "$root$folder"; done
mkdir -p "$root/media/clone" "$root$PACKAGES" "$root/srv/compiled"
mount --bind -o ro "$CLONE" "$root/media/clone"
mount --bind -o ro "$PACKAGES" "$root$PACKAGES"
mount -t overlay overlay -o "lowerdir=$COMPILED,upperdir=$room/compiled,workdir=$room/compiling" "$root/srv/compiled"
mkdir -p "$root/srv/compiled/opt"
cp -r "$root/srv/compiled$CLONE" "$root/srv/compiled/opt/rexg"
chmod -R a+w "$root/srv/compiled/opt"
mkdir "$root/before"
pivot_root "$root" "$root/before"
cd /
umount --lazy /before
hostname challenge
ip link set lo up
ip address replace 10.77.0.1/32 dev lo
echo 10.77.0.1 challenge.example.org >>/etc/hosts
ln -sf ../proc/self/mounts /etc/mtab
for name in systemctl systemd-run sudo editor; do
    install -m 755 /media/clone/tests/deploy/guide/stand_ins.py "/usr/local/sbin/$name"
done
echo ready
while read -r _; do :; done
"""
# Empty on a new machine, as after Debian's installation.
EMPTY = (
    *("/run", "/srv", "/opt", "/data", "/backup", "/etc/rexg", "/etc/nginx/conf.d", "/etc/nginx/sites-enabled"),
    *("/etc/postgresql", "/var/lib/postgresql", "/var/lib/docker", "/var/lib/rexg", "/var/lib/rexg-dev", "/var/log"),
)


class Failed(AssertionError):
    """A command of the guide did not do what it should; with all that was said."""


@dataclass(frozen=True)
class Machine:
    """One that runs; `first` is the number of its first process, as this machine counts."""

    first: int

    def sh(self, script: str) -> str:
        """Carry out a script as root, without a terminal; what it says on stdout."""
        done = subprocess.run(
            self._command(script), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise Failed(f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout

    def type(self, commands: list[str], answers: Answers | None = None) -> str:
        """Carry out commands as root at a terminal, each only if those before went well; all that it shows.

        `answers` gives for the end of a prompt what is typed then, made of all that was shown so far.
        """
        steps = (f"echo {shlex.quote('# ' + command)}\n{{ {command}\n}} || exit 9" for command in commands)
        number, terminal = pty.fork()
        if not number:
            with suppress(OSError):
                command = self._command("\n".join(steps))
                os.execvp(command[0], command)
            os._exit(127)
        shown = _converse(terminal, answers or {})
        code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        if code:
            raise Failed(f"{code}: {shown}")
        return shown

    def path(self, path: str) -> Path:
        """Where a file of the machine's is seen from here."""
        return Path(f"/proc/{self.first}/root{path}")

    def logs(self) -> str:
        """What its services said last."""
        files = sorted(self.path("/var/log/units").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text()[-2000:]}" for file in files)

    def _command(self, script: str) -> list[str]:
        inside = ["nsenter", f"--target={self.first}", "--mount", "--pid", "--net", "--uts"]
        path = f"PATH=/usr/local/sbin:{sys.base_prefix}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        clean = ["env", "-i", path, "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "PYTHONPYCACHEPREFIX=/srv/compiled"]
        return [*inside, *clean, "bash", "-c", f"cd /root\n{script}"]


def _converse(terminal: int, answers: Answers) -> str:
    shown, answered, give_up = "", 0, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # its last process has gone
            break
        for prompt, answer in answers.items():
            if shown[answered:].endswith(prompt):
                answered = len(shown)
                os.write(terminal, f"{answer(shown)}\n".encode())
    os.close(terminal)
    return shown


@contextmanager
def running(beside: Machine | None = None) -> Iterator[Machine]:
    """A new machine, in the network of the one `beside` it. Raises Failed where this one has no room for others."""
    room = tempfile.mkdtemp(prefix="rexg-machine-")
    network = ["nsenter", f"--net=/proc/{beside.first}/ns/net"] if beside else []
    own = [part for part in OWN if not (beside and part == "--net")]
    command = [*network, *own, "bash", "-c", SET_UP]
    process = subprocess.Popen(
        [*command, "bash", room, *EMPTY],
        env={**os.environ, "CLONE": str(ROOT), "PACKAGES": PACKAGES, "COMPILED": str(sys.pycache_prefix)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stderr
        if process.stdout.readline() != "ready\n":
            raise Failed(process.stderr.read())
        yield Machine(int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()))
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(room, ignore_errors=True)
