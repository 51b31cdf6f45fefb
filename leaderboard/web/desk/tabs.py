"""How the pages of the desk lead to each other."""

from typing import NamedTuple

from django.urls import reverse

_TABS = (
    ("desk", "What needs a person"),
    ("desk_phases", "Phases"),
    ("desk_runs", "Runs"),
    ("desk_teams", "Teams"),
    ("desk_people", "People"),
    ("desk_cases", "Case sets"),
    ("desk_hosts", "Hosts and queue"),
    ("rescorings", "Results"),
    ("desk_messages", "Messages"),
    ("record", "Record"),
    ("health", "Health"),
    ("equal_entries", "Equal entries"),
)


class Tab(NamedTuple):
    """A page of the desk, by its address, with whether it is the one that is shown."""

    url: str
    words: str
    is_here: bool


def tabs(here: str) -> list[Tab]:
    """All of them; `here` is the name of the page's address."""
    return [Tab(reverse(name), words, name == here) for name, words in _TABS]
