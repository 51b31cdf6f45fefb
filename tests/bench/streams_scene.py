"""The rows of `./dev bench streams`: teams with a run each on public cases, and who follows it. Needs Django set up."""

from collections.abc import Callable
from dataclasses import dataclass

from django.test import Client

from leaderboard.core.audit import Actor
from leaderboard.journey import decisions
from leaderboard.models import Submission
from tests.bench.uploads_scene import make_people
from tests.leaderboard import cast


@dataclass(frozen=True)
class Scene:
    """Submissions; for each stream which one it follows, and by which session; what changes one."""

    runs: list[int]
    readers: list[tuple[int, str]]
    change: Callable[[int], object]


def make(teams: int, streams: int) -> Scene:
    """So many teams of two, whose members follow their run in turn."""
    people = make_people(2 * teams)
    phase = cast.phase(cast.case_set(1, name="streams"), slug="streams", cases_are_public=True)
    runs = [cast.submit_checked(person.membership.team, phase).pk for person in people[::2]]
    sessions = []
    for person in people:
        browser = Client()
        browser.force_login(person)
        sessions.append(browser.cookies["rexg_session"].value)
    readers = [
        (runs[number % teams], sessions[2 * (number % teams) + number // teams % 2]) for number in range(streams)
    ]
    return Scene(runs, readers, _withdraw)


def _withdraw(submission: int) -> None:
    decisions.withdraw(Submission.objects.get(pk=submission), by=Actor.command_line())
