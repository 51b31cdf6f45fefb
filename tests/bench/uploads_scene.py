"""The rows of the benchmarks of uploads: people, and a GPU host's batches. Needs Django set up."""

import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime

from django.test import Client, override_settings

from leaderboard.core import blobs
from leaderboard.journey import pipeline
from leaderboard.models import Batch, Host, Phase, User
from leaderboard.states import BatchState
from tests.leaderboard import cast


@dataclass(frozen=True)
class Scene:
    """A phase's address, a session for each person, and the batches that wait."""

    path: str
    token: str
    sessions: list[str]
    batches: list[str]
    teams: list[str]

    def image(self, size: int) -> bytes:
        """What begins as an image archive does."""
        return tarfile.TarInfo("layer.tar").tobuf() + bytes(size)


def make_people(count: int) -> list[User]:
    """Two in each team, of whom each may have two uploads under way."""
    blobs.prepare()
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):  # nobody signs in
        people = [cast.person(f"uploader{number}") for number in range(count)]
    for captain, other in zip(people[::2], people[1::2], strict=True):
        cast.team_of(captain, other)
    return people


def make(name: str, people: list[User], *, batches: int) -> Scene:
    """A phase, a browser of each person, and runs that wait for the host."""
    phase = cast.phase(cast.case_set(1, name=name), slug=name, runs_per_day=50, runs_total=50)
    sessions = []
    for person in people:
        browser = Client()
        browser.force_login(person)
        sessions.append(browser.cookies["rexg_session"].value)
    Host.objects.update(draining=True)
    cast.host(name, slots=batches, token=name)
    for person in people[: 2 * batches : 2]:
        cast.submit_checked(person.membership.team, phase)
    pipeline.fill_slots()
    teams = [person.membership.team.name for person in people[::2]]
    waiting = Batch.objects.filter(run__submission__phase=phase, state=BatchState.WAITING)
    return Scene(f"/submit/{name}/", name, sessions, [str(batch.pk) for batch in waiting], teams)


def close(name: str, at: float) -> None:
    """The phase closes at this instant, in seconds since 1970."""
    Phase.objects.filter(slug=name).update(closes_at=datetime.fromtimestamp(at, UTC))
