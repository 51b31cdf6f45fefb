"""The Celery app of a GPU host: `python -m containers`.

One task, woken by the broker (containers/host/broker.py); everything it does is in containers/host/agent.py.
"""

import logging
import os
import sys
import warnings

from celery import Celery, signals
from celery.exceptions import SecurityWarning

from containers.host.agent import Agent
from containers.host.broker import celery_settings
from containers.host.config import ConfigurationError, Settings, from_environment
from containers.protocol.task_queue import QUEUE_NAME, TASK, survive_lost_acknowledgements
from containers.sandbox.engine import Engine, EngineUnavailable

log = logging.getLogger(__name__)


def _settings() -> Settings:
    try:
        return from_environment(os.environ)
    except ConfigurationError as error:
        raise SystemExit(f"The sandbox worker cannot start: {error}") from None


survive_lost_acknowledgements()
app = Celery("containers")
app.config_from_object(celery_settings(_settings()))
_agents: list[Agent] = []


@app.task(name=TASK)
def run_batch(batch: str) -> None:
    """There may be something to do for this batch: claim it, and do it if it is ours."""
    _agents[0].run_batch(str(batch))


@signals.worker_init.connect
def _start(**_: object) -> None:
    try:
        agent = Agent(_settings(), Engine.connect())
        agent.start()
    except (ConfigurationError, EngineUnavailable) as error:
        raise SystemExit(f"The sandbox worker cannot start: {error}") from None
    _agents.append(agent)


@signals.worker_shutting_down.connect
def _shut_down(**_: object) -> None:
    for agent in _agents:
        agent.shut_down()


def main() -> None:
    """Run the worker until it is told to stop."""
    # it warns root of pickled messages, which are not accepted here
    warnings.filterwarnings("ignore", category=SecurityWarning)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    arguments = ["worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
    app.worker_main([*arguments, "-Q", QUEUE_NAME, "-n", "sandbox@%h", *sys.argv[1:]])
