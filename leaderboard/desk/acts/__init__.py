"""Every act of organisers, by its name: in addresses, and after `manage.py act`."""

from collections.abc import Mapping

from leaderboard.desk.acting import Act
from leaderboard.desk.acts import (
    cases,
    disqualifications,
    hosts,
    maintenance,
    messages,
    objections,
    people,
    phases,
    queue,
    record,
    rescorings,
    runs,
    teams,
)

_MODULES = (
    cases,
    disqualifications,
    hosts,
    maintenance,
    messages,
    objections,
    people,
    phases,
    queue,
    record,
    rescorings,
    runs,
    teams,
)
ACTS: Mapping[str, Act] = {act.name: act for module in _MODULES for act in module.ACTS}
