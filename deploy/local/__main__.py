"""`python -m deploy.local COMMAND`, as the script `dev` calls it."""

from __future__ import annotations

import os
import select
import signal
import sys

from deploy.local import LocalError
from deploy.local.commands import COMMANDS
from deploy.local.paths import current_state
from deploy.local.supervisor import Interrupted


def main(arguments: list[str]) -> int:
    """Run a command of `./dev`; its exit code."""
    name, *rest = arguments or [""]
    if name not in COMMANDS:
        print(f"dev: unknown command {name!r}: see ./dev help.", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](current_state(), rest)
    except LocalError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt):
        return 130


def run(arguments: list[str]) -> int:
    """`main`; it ends without a word when nobody reads what it says any more, as in `./dev status | head -1`."""
    try:
        code = main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout.fileno()):  # another pipe broke, and that is to be told
            raise
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return code


def _is_unread(descriptor: int) -> bool:
    """Whether it is a pipe whose reader is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
