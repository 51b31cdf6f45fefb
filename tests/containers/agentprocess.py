"""A worker process to be killed: settings from the environment, one batch from the command line."""

import os
import sys

from containers.host.agent import Agent
from containers.host.config import from_environment
from containers.sandbox.engine import Engine

agent = Agent(from_environment(os.environ), Engine.connect())
agent.start()
agent.run_batch(sys.argv[1])
