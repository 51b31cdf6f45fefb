"""gunicorn in production: `python -m gunicorn --config deploy/gunicorn_settings.py`.

The variable GUNICORN_CMD_ARGS overrides any of it.
"""

import subprocess
import sys
from typing import Any

wsgi_app = "leaderboard.wsgi"
# nginx's way in; under systemd the socket of rexg-web.socket takes its place.
bind = "unix:/run/rexg/web.sock"
umask = 0o007

# Threads, because an upload occupies its worker for as long as it takes. At most 12 in a process: each may hold a
# database connection, and settings.py pools 12.
worker_class = "gthread"
workers = 3
threads = 12
timeout = 120

# A reload (HUP) starts new workers at once and lets old ones finish what they are receiving, for at most so long.
graceful_timeout = 1800

worker_tmp_dir = "/dev/shm"  # noqa: S108 - heartbeat files in memory: a busy disk must not look like a dead worker
control_socket_disable = True
accesslog = None  # nginx writes one


def on_starting(_server: Any) -> None:
    """End at once when this server may not or cannot start; workers that say so would be started anew for ever."""
    command = [sys.executable, "manage.py", "check", "--deploy", "--tag", "web"]
    check = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if check.returncode:
        raise SystemExit(check.returncode)
