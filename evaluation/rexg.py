"""`rexg`: the commands of a team's kit, each by its name. `as_process` is what all of them share."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.command import cli
from evaluation.metrics.cases import VERSION

EXIT_TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Command:
    """`run` gets the arguments behind the command, and what to call it; its value is the exit code."""

    what: str
    run: Callable[[Sequence[str], str], int]


COMMANDS = {
    "score": Command("score a folder of predicted masks as the challenge server does", cli.main),
}


def main() -> int:
    """The console script; returns its exit code."""
    return as_process(lambda: run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command that comes first. Ends the process with an explanation where there is none."""
    name = str(_parser().parse_args(arguments[:1]).command)
    return COMMANDS[name].run(arguments[1:], f"rexg {name}")


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {command.what}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="rexg",
        usage="rexg COMMAND ...",
        description="What teams of the ReXGrounding Challenge need on their own machines.",
        epilog=f"commands:\n{listed}\n\n`rexg COMMAND --help` tells more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"evaluation version {VERSION}")
    return parser


def as_process(work: Callable[[], int]) -> int:
    """Do the work, so that it ends its children when this process is terminated, and can print any file name."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = work()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        return code
    # Nobody reads the output. Python would try once more at its end, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
