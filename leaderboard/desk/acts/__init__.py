"""Every act of organisers, by its name: in addresses, and after `manage.py act`."""

from collections.abc import Mapping

from leaderboard.desk.acting import Act
from leaderboard.desk.acts import cases, disqualifications, hosts, maintenance, objections, people, phases, queue, rescorings, runs

_MODULES = (cases, disqualifications, hosts, maintenance, objections, people, phases, queue, rescorings, runs)
ACTS: Mapping[str, Act] = {act.name: act for module in _MODULES for act in module.ACTS}
