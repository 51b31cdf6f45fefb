"""Every act of organisers, by its name: in addresses, and after `manage.py act`."""

from collections.abc import Mapping
from itertools import chain

from leaderboard.desk.acting import Act
from leaderboard.desk.acts import hosts, messages, people, phases, runs, teams

ACTS: Mapping[str, Act] = {
    act.name: act
    for act in chain(
        runs.ACTS,
        phases.ACTS,
        hosts.ACTS,
        teams.ACTS,
        people.ACTS,
        messages.ACTS,
    )
}
