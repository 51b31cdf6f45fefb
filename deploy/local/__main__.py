"""`python -m deploy.local COMMAND`, as the script `dev` calls it."""

from __future__ import annotations

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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
