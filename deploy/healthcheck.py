"""Asks the site behind its socket whether it is well, for compose: `python deploy/healthcheck.py [SOCKET]`."""

import http.client
import os
import socket
import sys
from urllib.parse import urlsplit


def main() -> None:
    """Ask for /healthz as nginx would, by the site's own name."""
    address = sys.argv[1] if len(sys.argv) > 1 else "/run/rexg/web.sock"
    name = urlsplit(os.environ["SITE_URL"]).hostname or ""
    connection = http.client.HTTPConnection(name, timeout=5)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(address)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise SystemExit(f"no answer from {address}: {error}") from error
    if status != http.client.OK:
        raise SystemExit(f"/healthz answers {status}")


if __name__ == "__main__":
    main()
