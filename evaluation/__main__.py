"""`python -m evaluation`: see evaluation.command.cli. Here is only what concerns the process as a whole."""

import contextlib
import io
import os
import signal
import sys

from evaluation.command.cli import main

EXIT_TERMINATED = 128 + signal.SIGTERM


def run() -> int:
    """The command line, so that it ends its children when it is terminated, and can print any file name."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = main()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        return code
    # Nobody reads the output. Python would try once more at its end, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.exit(run())
