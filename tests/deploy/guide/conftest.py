"""A server and its GPU hosts, installed by the guide's own commands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest

from deploy.local.apt import find_program
from tests.deploy.guide import machine, text
from tests.deploy.guide.machine import Answers, Machine

PASSWORD = "a new long one 4711"
COMPOSE = "First installation, with compose"
SYSTEMD = "First installation, with systemd"
NEW_HOST = "Adding a GPU host"
# What the operator puts in place of the guide's words.
CHOSEN = {
    "broker=valkey": "broker=redis",
    # With the times of these tests' clone: what Python has compiled of its files is that of these.
    "git clone ... /opt/rexg": "git clone -q /srv/origin /opt/rexg && "
    "cp -r --attributes-only --preserve=timestamps /media/clone/{leaderboard,evaluation,containers} /opt/rexg",
    # This very installation by pip is part of tests/deploy/test_images.py; here are the packages of these tests.
    "python3 -m venv venv": "python3 -m venv --without-pip venv && ln -s /bin/true venv/bin/pip && "
    f"echo {machine.PACKAGES} >$(echo venv/lib/python*/site-packages)/here.pth",
}
AS_DEBIAN_INSTALLS = """
version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
pg_createcluster $version main --start --locale=C.UTF-8 -- --no-sync >/dev/null
install -d -m 2750 -o redis -g adm /var/log/redis
install -d /var/log/nginx
ln -s /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default
nginx
"""
ORIGIN = """
mkdir /srv/origin && cd /media/clone
tar --create --exclude=./.git --exclude=__pycache__ . | tar --extract --directory=/srv/origin
cd /srv/origin
export GIT_AUTHOR_NAME=us GIT_AUTHOR_EMAIL=us@example.org GIT_COMMITTER_NAME=us GIT_COMMITTER_EMAIL=us@example.org
git init -q . && git add --all && git commit -qm one
"""
AUTHORITY = """
cd /root
ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
openssl req -x509 $ec -subj "/CN=An authority of one's own" -keyout ca.key -out /srv/ca.pem
openssl req $ec -subj /CN=challenge.example.org -keyout privkey.pem -out request.pem
echo subjectAltName=DNS:challenge.example.org >names
openssl x509 -req -in request.pem -CA /srv/ca.pem -CAkey ca.key -days 2 -extfile names -out fullchain.pem
"""
# As Debian's own unit would, but for the network, which sandboxes have none of.
ENGINE = """
dockerd --bridge=none --iptables=false --group=docker >/var/log/dockerd.log 2>&1 &
for _ in $(seq 300); do grep -q "API listen on" /var/log/dockerd.log && exit; sleep 0.1; done
cat /var/log/dockerd.log
exit 1
"""
CERTIFICATE = """
install -m 0640 -g redis /root/privkey.pem /root/fullchain.pem /etc/rexg/tls
install -m 0644 /srv/ca.pem /etc/rexg/ca.pem
"""
ASK = """
import os, re, requests
site = requests.Session()
def ask(method, path, **options):
    return site.request(method, "https://challenge.example.org" + path, timeout=30, **options)
def token(page):
    return re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
"""
SHELL = "cd /opt/rexg && exec env REQUESTS_CA_BUNDLE=/etc/rexg/ca.pem venv/bin/python -c "


@dataclass
class Server:
    """A machine on which the guide was followed."""

    machine: Machine
    said: str = ""  # what the installation showed

    @property
    def manage(self) -> str:
        """The guide's own function."""
        return next(command for command in text.commands(SYSTEMD) if command.startswith("manage()"))

    def type(self, *commands: str, answers: Answers | None = None) -> str:
        """Type commands as the guide has them, in the clone's folder."""
        return self.machine.type(["cd /opt/rexg", self.manage, *commands], answers)

    def ask(self, program: str) -> str:
        """What a Python program says that asks the site over TLS, as `ask(method, path)`, and trusts our authority."""
        return self.machine.sh(SHELL + shlex.quote(ASK + program))

    def query(self, question: str) -> str:
        """What its database answers."""
        return self.machine.sh(f"runuser -u postgres -- psql -qAt rexg -c {shlex.quote(question)}").strip()

    def is_well(self) -> bool:
        """Whether the site answers, its database included."""
        return self.ask("print(ask('GET', '/healthz').status_code)") == "200\n"


@dataclass
class GpuHost:
    """A machine with an engine of its own and the worker."""

    name: str
    machine: Machine

    def log(self) -> str:
        """What the worker has said."""
        return self.machine.path("/var/log/units/rexg-worker.service.log").read_text()


@pytest.fixture(scope="package")
def hosts(server: Server) -> Iterator[list[GpuHost]]:
    """Two, added as the guide says, with an authority of one's own between them and the server."""
    names = ("gpu1", "gpu2")
    tokens = {
        name: server.type(text.said(NEW_HOST, "manage add_host").replace("gpu1", name)).split()[-1] for name in names
    }
    for_systemd = " " + text.said(NEW_HOST, "--file /etc/rexg")
    users = [
        text.said(NEW_HOST, "python3 deploy/broker_users.py").replace("gpu1", name) + for_systemd for name in names
    ]
    passwords = [password_in(server.type(command)) for command in users]
    server.type(chosen("broker=valkey"), text.said(NEW_HOST, "systemctl restart $broker"))
    with ExitStack() as stack:
        found = [GpuHost(name, stack.enter_context(machine.running(beside=server.machine))) for name in names]
        for host, password in zip(found, passwords, strict=True):
            set_up(host, server, tokens[host.name], password)
        yield found


def set_up(host: GpuHost, server: Server, token: str, password: str) -> None:
    """What the guide takes for granted, then its own commands."""
    for path in ("/opt/rexg", "/srv/ca.pem"):
        subprocess.run(["cp", "-a", server.machine.path(path), host.machine.path(path).parent], check=True)
    host.machine.sh("install -D -m 0644 /srv/ca.pem /etc/rexg/ca.pem")
    host.machine.sh("install -m 0600 /opt/rexg/deploy/worker.env.example /etc/rexg/worker.env")
    broker = f"rediss://{host.name}:{password}@challenge.example.org:6380/0?ssl_cert_reqs=required"
    fill_in(
        host.machine,
        "/etc/rexg/worker.env",
        {
            "REX_HOST_TOKEN": token,
            "REDIS_URL": f"{broker}&ssl_ca_certs=/etc/rexg/ca.pem",
            "REQUESTS_CA_BUNDLE": "/etc/rexg/ca.pem",
            "REX_FREE_BYTES": "1M",
        },
    )
    with host.machine.path("/etc/rexg/worker.env").open("a") as file:
        file.write("PYTHONPYCACHEPREFIX=/srv/compiled\n")
    host.machine.sh(ENGINE)
    host.machine.type(["cd /opt/rexg", *text.commands(NEW_HOST)[-2:]])


@pytest.fixture(scope="package")
def debian() -> None:
    """Where the guide's machines can be made."""
    wanted = ("dockerd", "git", "ip", "nginx", "pg_createcluster", "redis-server")
    missing = [f"no {name}" for name in wanted if find_program(name) is None]
    probe = subprocess.run([*machine.OWN, "true"], capture_output=True, text=True, check=False)
    if missing or probe.returncode or sys.pycache_prefix is None:
        pytest.skip(f"The guide is not carried out here: {', '.join(missing) or probe.stderr or 'not by ./dev'}")


@pytest.fixture(scope="package")
def server(debian: None) -> Iterator[Server]:
    """The section about systemd, command by command."""
    with machine.running() as made:
        made.sh(AS_DEBIAN_INSTALLS)
        made.sh(f"{AUTHORITY}\n{ORIGIN}")
        write_cases(made.path("/data/rexgrounding"))
        found = Server(made)
        found.said = made.type([chosen(command) for command in text.commands(SYSTEMD)], answers_of(found))
        yield found


def chosen(command: str) -> str:
    """A command with the operator's own values in place of the guide's."""
    for guides, ours in CHOSEN.items():
        command = command.replace(guides, ours)
    return command


def answers_of(server: Server) -> Answers:
    """What the operator types at each prompt of the installation."""

    def settings(shown: str) -> str:
        server.machine.sh(CERTIFICATE)
        fill_in(
            server.machine,
            "/etc/rexg/server.env",
            {
                "SECRET_KEY": "Kq3vT9wYb2LxR7mZp5NcH8sGd4JfW6aE1uXoV0tQyB",
                "DATABASE_URL": "postgres://rexg:secret@127.0.0.1/rexg",
                "REDIS_URL": f"redis://server:{password_in(shown)}@127.0.0.1:6379/0",
                "GUNICORN_CMD_ARGS": "--workers=1",  # one process for pages: the machine is small
            },
        )
        with server.machine.path("/etc/rexg/server.env").open("a") as file:
            file.write("PYTHONPYCACHEPREFIX=/srv/compiled\n")
        return "yes"

    def first_owner(_shown: str) -> str:
        server.machine.sh("runuser -u postgres -- pg_dump rexg >/srv/migrated.sql")
        return "olga"

    return {
        "Enter password for new role: ": lambda _: "secret",
        "Enter it again: ": lambda _: "secret",
        "/etc/rexg/server.env changed? ": settings,
        "Username: ": first_owner,
        "Email address: ": lambda _: "olga@example.org",
        "Password: ": lambda _: PASSWORD,
        "Password (again): ": lambda _: PASSWORD,
    }


def password_in(shown: str) -> str:
    """What deploy/broker_users.py drew last."""
    return re.findall(r"^([0-9a-f]{64})\r?$", shown, re.MULTILINE)[-1]


def fill_in(machine: Machine, path: str, values: dict[str, str]) -> None:
    """Set values in an environment file, each in its line."""
    file = machine.path(path)
    lines = file.read_text()
    for name, value in values.items():
        lines, changed = re.subn(rf"^#?{name}=.*$", f"{name}={value}", lines, count=1, flags=re.MULTILINE)
        assert changed, name
    file.write_text(lines)


def write_cases(folder: Path, cases: int = 3) -> None:
    """Small ones, in the form of the challenge."""
    mask = np.zeros((1, 16, 16, 16), np.uint8)
    mask[0, 4:9, 4:9, 4:9] = 1
    entries = []
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for case in range(cases):
        name = f"case_{case:03}.nii.gz"
        volume = np.full((16, 16, 16), case, np.int16)
        volume[0] = -1000  # air, as in every CT
        nibabel.Nifti1Image(volume, np.diag([2.0, 2.0, 3.0, 1.0])).to_filename(folder / "images" / name)
        nibabel.Nifti1Image(mask, np.eye(4)).to_filename(folder / "masks" / name)
        entries.append({"name": name, "findings": {"0": f"Nodule number {case + 1}"}, "categories": {"0": "1a"}})
    (folder / "dataset.json").write_text(json.dumps({"test": entries}))
