#!/usr/bin/env python3
"""Stands in for systemd where none runs (`systemctl`, `systemd-run`), for sudo, an editor and compose.

It reads real units, and starts what they name as the user, in the folder and with the environment, folders and sockets
that they say. It knows no dependencies but a target's `Wants`, starts nothing again that has ended, and none of the
walls (ProtectSystem, SystemCallFilter, ...) stands; `tests/deploy/test_systemd.py` has systemd itself read those.
Of compose it only looks whether files, services and commands are those that there are.
Plain Python: it is copied to the machine that it serves.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from grp import getgrnam
from pathlib import Path
from pwd import getpwnam
from shutil import chown

Settings = dict[str, list[str]]
UNITS = (Path("/etc/systemd/system"), Path("/lib/systemd/system"))
RUNNING = Path("/run/units")
LOGS = Path("/var/log/units")
# Debian's own scripts, whose units only call them.
DEBIAN = {"postgresql": "pg_ctlcluster $(pg_lsclusters --no-header | awk '{{print $1, $2}}') {verb}"}
DEBIAN |= {"nginx": "nginx -s {verb}"}


def unit_file(name: str) -> Path:
    """Where a unit lies; of a template the template."""
    template = re.sub(r"@.*\.", "@.", name)
    return next(path for folder in UNITS for known in (name, template) if (path := folder / known).exists())


def read(name: str) -> Settings:
    """Every setting of a unit, with all its values."""
    text = unit_file(name).read_text().replace("\\\n", " ")
    instance = name.partition("@")[2].rpartition(".")[0]
    found: Settings = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).append(re.sub("%(.)", lambda match: {"i": instance, "%": "%"}[match[1]], value))
    return found


def environment(settings: Settings) -> dict[str, str]:
    """What a process of the unit finds; files come after what the unit says, as with systemd."""
    user = getpwnam(settings.get("User", ["root"])[0])
    pairs = [pair for line in settings.get("Environment", []) for pair in shlex.split(line)]
    for file in settings.get("EnvironmentFile", []):
        lines = Path(file).read_text().splitlines()
        pairs += [line for line in lines if line and not line.startswith("#")]
    basic = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": user.pw_dir, "USER": user.pw_name, "LANG": "C.UTF-8"}
    return basic | dict(pair.split("=", 1) for pair in pairs)


def make_folders(settings: Settings) -> None:
    """The state and runtime folders, which belong to the unit's user."""
    user, group = (settings.get(name, ["root"])[0] for name in ("User", "Group"))
    for kind, home in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
        for name in " ".join(settings.get(kind, [])).split():
            folder = Path(home, name)
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(int(settings.get(f"{kind}Mode", ["755"])[0], 8))
            chown(folder, user, group)


def become(settings: Settings) -> None:
    """Of the process that calls it: the unit's user, groups, folder and mask."""
    user = getpwnam(settings.get("User", ["root"])[0])
    extra = " ".join(settings.get("SupplementaryGroups", [])).split()
    os.chdir(settings.get("WorkingDirectory", ["/"])[0])
    os.umask(int(settings.get("UMask", ["022"])[0], 8))
    if user.pw_uid:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgroups([*os.getgroups(), *(getgrnam(name).gr_gid for name in extra)])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)


def execute(line: str, settings: Settings, more: dict[str, str]) -> None:
    """Become a command of the unit."""
    values = environment(settings) | more
    words = [re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], match[0]), word) for word in shlex.split(line)]
    become(settings)
    os.execvpe(words[0], words, values)


def run(line: str, settings: Settings, **more: str) -> None:
    """Carry out a command of the unit and wait; what fails ends this program, but where it begins with `-`."""
    if not (child := os.fork()):
        execute(line.removeprefix("-"), settings, more)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code and not line.startswith("-"):
        raise SystemExit(f"{line}: {code}")


def listen(name: str) -> list[socket.socket]:
    """The unit's sockets, where it has a socket unit."""
    try:
        settings = read(name.replace(".service", ".socket"))
    except StopIteration:
        return []
    path = Path(settings["ListenStream"][0])
    path.parent.mkdir(int(settings["DirectoryMode"][0], 8), parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1024)
    path.chmod(int(settings["SocketMode"][0], 8))
    chown(path, settings["SocketUser"][0], settings["SocketGroup"][0])
    return [listener]


def start(name: str, done: set[str]) -> None:
    """Start a service and note its number. What several instances do before their start is done once."""
    if is_alive(number_of(name)):
        return
    settings = read(name)
    make_folders(settings)
    for line in settings.get("ExecStartPre", []):
        if line not in done:
            run(line, settings)
            done.add(line)
    sockets = listen(name)
    if not (child := os.fork()):
        os.setsid()
        log = os.open(LOGS / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number in (1, 2):
            os.dup2(log, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, listener in enumerate(sockets, 3):
            os.dup2(listener.fileno(), number)
            os.set_inheritable(number, True)
        passed = {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid())} if sockets else {}
        execute(settings["ExecStart"][0], settings, passed)
    (RUNNING / name).write_text(str(child))


def number_of(name: str) -> int:
    """The number of a service's main process; 0 when it was never started."""
    with suppress(FileNotFoundError):
        return int((RUNNING / name).read_text())
    return 0


def is_alive(number: int) -> bool:
    """Whether a process runs, and is not only waited for."""
    with suppress(FileNotFoundError):
        return bool(number) and Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def stop(name: str) -> None:
    """Ask it to end; who does not within its time is killed, with all its children (KillMode=mixed)."""
    number = number_of(name)
    give_up = time.monotonic() + (float(read(name).get("TimeoutStopSec", ["90"])[0]) or 90)
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGTERM) if number else None
        while is_alive(number) and time.monotonic() < give_up:
            time.sleep(0.02)
        os.killpg(number, signal.SIGKILL) if number else None
    (RUNNING / name).unlink(missing_ok=True)


def reload(name: str, done: set[str]) -> None:
    """The unit's own commands; those that do not name the process once for all instances."""
    settings = read(name)
    for line in settings["ExecReload"]:
        if "$MAINPID" in line or line not in done:
            run(line, settings, MAINPID=str(number_of(name)))
            done.add(line)


def services(name: str) -> list[str]:
    """The services that are meant by a name: a target's, a socket's, its own."""
    if name.endswith(".target"):
        wanted = " ".join(read(name)["Wants"]).split()
        return [unit for unit in wanted if unit.endswith(".service")]
    return [re.sub(r"(\.socket|\.service)?$", ".service", name, count=1)]


def systemctl(verb: str, *names: str) -> None:
    """What the guide asks for."""
    for folder in (RUNNING, LOGS):
        folder.mkdir(exist_ok=True)
    done = set[str]()
    for name in names:
        if name in DEBIAN:
            subprocess.run(DEBIAN[name].format(verb=verb), shell=True, check=True)
            continue
        for service in services(name):
            if verb in ("stop", "restart"):
                stop(service)
            if verb in ("start", "restart", "enable"):
                start(service, done)
            if verb == "reload":
                reload(service, done)


def systemd_run(*arguments: str) -> None:
    """A command as a unit of its own would have it."""
    settings, rest = Settings(), list(arguments)
    names = {"uid": "User", "gid": "Group", "working-directory": "WorkingDirectory", "setenv": "Environment"}
    while rest[0].startswith("--"):
        option, _, value = rest.pop(0).removeprefix("--").partition("=")
        name = names.get(option)
        if option == "property":
            name, _, value = value.partition("=")
        if name:
            settings.setdefault(name, []).append(value)
    make_folders(settings)
    execute(shlex.join(rest), settings, {"PATH": "/usr/bin:/bin"})


def compose(*arguments: str) -> None:
    """End with a fault where a command of compose names a file, a service or a management command that is not there."""
    words, files = list(arguments[1:]), list[Path]()
    while words[0] in ("--env-file", "-f"):
        files.append(Path(words[1]))
        del words[:2]
    text = "\n".join(file.read_text() for file in files)
    verb, rest = words[0], words[1:]
    if verb in ("exec", "run"):
        while rest[0].startswith("--"):
            del rest[: 2 if rest[0] in ("--volume", "--env") else 1]
        service, *command = rest
        if not re.search(rf"^  {service}:", text, re.MULTILINE):
            raise SystemExit(f"no such service: {service}")
        if (
            command[:2] != ["python", "manage.py"]
            or not Path(f"leaderboard/management/commands/{command[2]}.py").exists()
        ):
            raise SystemExit(f"no such command: {command}")
    elif verb != "up":
        raise SystemExit(f"compose {verb} is not known here")


def main() -> None:
    """By the name under which it was called."""
    called, *arguments = sys.argv
    match Path(called).name:
        case "systemctl":
            verb, *names = [word for word in arguments if not word.startswith("--")]
            systemctl(verb, *names)
        case "systemd-run":
            systemd_run(*arguments)
        case "docker":
            compose(*arguments)
        case "editor":  # whoever plays the operator changes the file meanwhile
            input(f"{arguments[0]} changed? ")
        case "sudo":
            os.execvp("runuser", ["runuser", "-u", arguments[1], "--", *arguments[2:]])


if __name__ == "__main__":
    main()
