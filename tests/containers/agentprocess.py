"""A worker process to be killed: settings from the environment, one batch from the command line."""

import os
import sys

from containers.agent import Agent
from containers.config import from_environment
from containers.engine import Engine, connect

agent = Agent(from_environment(os.environ), Engine(connect()))
agent.start()
agent.run_batch(sys.argv[1])
