"""Debian's own mail server, Exim, with settings of its own: it takes mail in earnest, and keeps it in its queue."""

from __future__ import annotations

import email
import email.policy
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from deploy.local.apt import find_program
from tests.mail_server import MailServer

CONFIGURATION = """
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/log/pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
primary_hostname = mail.example.org
domainlist taken = example.org
queue_only = true
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
keep_environment =
acl_smtp_rcpt = check_rcpt
begin acl
check_rcpt:
  deny    local_parts = gone
          message = 5.1.1 There is no such mailbox
  defer   local_parts = grey
          message = 4.2.0 Greylisted
  deny    !domains = +taken
          message = 5.7.1 Relay not permitted
  accept
begin routers
nowhere:
  driver = redirect
  data = :blackhole:
begin retry
* * F,2h,1h
"""


class Exim(MailServer):
    """The server; `start` and `stop` as often as a test likes."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        self._port = port
        self._program = find_program("exim4") or ""
        self._process: subprocess.Popen[bytes] | None = None
        self._configuration = folder / "exim.conf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder, port=port))
        self._configuration.chmod(0o644)

    def start(self) -> None:
        """Until it answers."""
        command = [self._program, "-C", str(self._configuration), "-bdf"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            assert self._process.poll() is None, "exim ended"
            time.sleep(0.02)
        raise AssertionError("exim does not answer")

    def stop(self) -> None:
        """It is gone."""
        if self._process:
            self._process.terminate()
            self._process.wait(20)

    def messages(self, to: str = "") -> list[EmailMessage]:
        """What lies in its queue."""
        names = sorted(path.name.removesuffix("-H") for path in (self.folder / "spool" / "input").glob("*-H"))
        found = [self._message(name) for name in names]
        return [message for message in found if not to or message["To"] == to]

    def _message(self, name: str) -> EmailMessage:
        view = [self._program, "-C", str(self._configuration), "-Mvc", name]
        shown = subprocess.run(view, check=True, capture_output=True).stdout
        return email.message_from_bytes(shown, EmailMessage, policy=email.policy.default)


def can_run() -> bool:
    """Exim becomes its own user, which root alone can let it."""
    return os.geteuid() == 0 and find_program("exim4") is not None


@contextmanager
def exim() -> Iterator[Exim]:
    """A server on a free port of the loopback."""
    folder = Path(tempfile.mkdtemp(prefix="rexg-exim-"))
    folder.chmod(0o755)
    for name in ("spool", "log"):
        (folder / name).mkdir()
        shutil.chown(folder / name, "Debian-exim", "Debian-exim")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Exim(folder, port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
