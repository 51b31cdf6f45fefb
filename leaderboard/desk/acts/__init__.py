"""Every act of organisers, by its name: in addresses, and after `manage.py act`."""

from collections.abc import Mapping
from itertools import chain

from leaderboard.desk.acting import Act
from leaderboard.desk.acts import disqualifications, hosts, objections, phases, rescorings, runs

_OF_RUNS = (*runs.ACTS, *disqualifications.ACTS, *objections.ACTS, *rescorings.ACTS)
ACTS: Mapping[str, Act] = {act.name: act for act in chain(_OF_RUNS, phases.ACTS, hosts.ACTS)}
