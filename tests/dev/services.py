"""A stand-in for `./dev`: one clone's services under a real supervisor.

`python -m tests.dev.services STATE_FOLDER` starts database and broker, prints `ready` when they answer, and keeps them
until a signal comes; `... STATE_FOLDER engine` starts an engine, prints `ready`, and stops.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.local.engine import prepare_engine
from deploy.local.paths import State
from deploy.local.stack import MANAGEMENT, describe, find_stack, start_services
from deploy.local.supervisor import Supervisor


def main(root: Path) -> None:
    state = State(clone=Path(__file__).resolve().parents[2], root=root)
    state.prepare()
    with Supervisor(state, "test", lambda line: print(line, file=sys.stderr)) as supervisor:
        stack = find_stack(state, {}, MANAGEMENT, supervisor.say)
        start_services(supervisor, stack, MANAGEMENT)
        supervisor.publish(ready=True, **describe(stack, MANAGEMENT))
        print("ready", flush=True)
        supervisor.tend_until_interrupted()


def engine(root: Path) -> None:
    state = State(clone=Path(__file__).resolve().parents[2], root=root)
    state.prepare()
    with Supervisor(state, "test", print) as supervisor:
        supervisor.start([prepare_engine(state, print)])
        print("ready", flush=True)


if __name__ == "__main__":
    (engine if sys.argv[2:] == ["engine"] else main)(Path(sys.argv[1]))
