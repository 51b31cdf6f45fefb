#!/usr/bin/env python
"""Django's command line for the challenge server."""

import gc
import os
import select
import signal
import sys

gc.disable()  # until all is imported (leaderboard/apps.py): it stays, and to look through it takes a seventh of a start

from django.core.management import execute_from_command_line  # noqa: E402


def main() -> int:
    """Run a command; it ends without a word when nobody reads what it says any more, as in `... standings | head`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    try:
        "".join(sys.argv).encode()  # the door by which an operator's words come in
    except UnicodeEncodeError:
        sys.exit("manage.py: an argument is not written in UTF-8.")
    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout.fileno()):  # another pipe broke, and that is to be told
            raise
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


def _is_unread(descriptor: int) -> bool:
    """Whether it is a pipe whose reader is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


if __name__ == "__main__":
    sys.exit(main())
