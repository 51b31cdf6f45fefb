"""Asks the site behind its socket whether it is well, for compose: `python deploy/healthcheck.py [SOCKET]`."""

import http.client
import os
import socket
import sys
from contextlib import closing
from urllib.parse import urlsplit


def status_of_site(address: str, name: str) -> int:
    """How /healthz answers behind a socket, asked as nginx would. Raises OSError, HTTPException."""
    with closing(http.client.HTTPConnection(name, timeout=5)) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(address)
        connection.request("GET", "/healthz")
        return connection.getresponse().status


def main() -> None:
    """Ask by the site's own name."""
    address = sys.argv[1] if len(sys.argv) > 1 else f"/run/rexg/{os.environ.get('WEB_ROLE') or 'web'}.sock"
    try:
        status = status_of_site(address, urlsplit(os.environ["SITE_URL"]).hostname or "")
    except (OSError, http.client.HTTPException) as error:
        raise SystemExit(f"no answer from {address}: {error}") from error
    if status != http.client.OK:
        raise SystemExit(f"/healthz answers {status}")


if __name__ == "__main__":
    main()
