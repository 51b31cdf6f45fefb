"""One round: teams hand in, things fail, everybody's run ends."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from django.db import Error as DatabaseError
from django.db import close_old_connections

from leaderboard.models import Phase, Submission, Team, User
from leaderboard.states import ENDED
from leaderboard.submissions.uploads import from_disk
from tests.chaos import verdict
from tests.chaos.disturbances import KINDS, Act, Round
from tests.chaos.services import Lab
from tests.chaos.verdict import Numbers
from tests.chaos.web import Upload
from tests.containers import baseimage
from tests.journey import algorithms
from tests.leaderboard import cast, masks

T = TypeVar("T")
CASES = 6
CASE_SECONDS = 0.4
PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 0.2
UPLOAD_SECONDS = 2.0


@dataclass
class Challenge:
    """What the teams take part in, and what an undisturbed run is like."""

    phase: Phase
    image: Path
    numbers: Numbers = field(default_factory=Numbers)
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a round went. `problems` is empty when everything is as it should be."""

    submissions: list[Submission]
    seconds: float
    problems: list[str]


def prepare(lab: Lab) -> Challenge:
    """A phase, an image, and the numbers of a run that nobody disturbs."""
    phase = masks.small_phase(CASES, batch_size=2, case_seconds=30, startup_seconds=60)
    challenge = Challenge(phase, _image(lab))
    outcome = play(lab, challenge, Round(0, 1, ()))
    if outcome.problems:
        raise SystemExit(f"The undisturbed run failed: {'; '.join(outcome.problems)}")
    challenge.numbers = verdict.numbers(outcome.submissions[0])
    challenge.seconds = outcome.seconds
    return challenge


def play(lab: Lab, challenge: Challenge, plan: Round) -> Outcome:
    """Hand in for each team, disturb, wait for the end, judge, and forget the image so that the next begins cold."""
    upload = _upload(lab, challenge)
    submissions = [_hand_in(challenge) for _ in range(plan.teams - 1)]
    begun = time.monotonic()
    events = _events(plan, challenge.seconds, begun)
    ended = False
    while (_is_pending(events) or not ended) and time.monotonic() - begun < PATIENCE_SECONDS:
        lab.supervisor.tend()
        while events and time.monotonic() >= events[0][0]:
            _, act = events.pop(0)
            act(lab)
        if upload.submission and upload.submission not in submissions:
            submissions.append(upload.submission)
        ended = len(submissions) == plan.teams and bool(asked(partial(_have_ended, submissions)))
        time.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - begun
    for _, act in events:
        act(lab)
    lab.wait_until_ready()
    problems = [] if upload.submission else [f"an upload is not scored, nor accepted: {upload.answers[-3:]}"]
    problems += verdict.problems(lab, submissions, challenge.numbers)
    verdict.forget_images(lab, submissions)
    return Outcome(submissions, seconds, problems)


def _is_pending(events: list[tuple[float, Act]]) -> bool:
    """Whether something is still to happen before everybody's run has ended."""
    return any(at < math.inf for at, _ in events)


def _have_ended(submissions: list[Submission]) -> bool:
    return all(cast.stage_of(submission) in ENDED for submission in submissions)


def asked(question: Callable[[], T]) -> T | None:
    """The database's answer; None while it is away."""
    try:
        close_old_connections()
        return question()
    except DatabaseError:
        return None


def _events(plan: Round, seconds: float, begun: float) -> list[tuple[float, Act]]:
    """The beginnings and ends of the round's disturbances by their time."""
    events = []
    for one in plan.disturbances:
        kind, at = KINDS[one.name], begun + one.moment * seconds
        events += [(at, kind.begin), (at + one.seconds, kind.end)]
    return sorted(events, key=lambda event: event[0])


def _upload(lab: Lab, challenge: Challenge) -> Upload:
    """The first team hands in by the form; its upload takes its time."""
    close_old_connections()
    person, _team = _somebody()
    upload = Upload(lab.stack.address, challenge.phase.slug, person, challenge.image, UPLOAD_SECONDS)
    upload.start()
    return upload


def _hand_in(challenge: Challenge) -> Submission:
    """Further teams by the command line."""
    return cast.submit(_somebody()[1], challenge.phase, upload=from_disk(challenge.image))


def _somebody() -> tuple[User, Team]:
    person = cast.person(f"T{uuid.uuid4().hex[:8]}")
    return person, cast.team_of(person)


def _image(lab: Lab) -> Path:
    """The teams' archive; the engine keeps nothing of its making."""
    client = lab.engine()
    base = baseimage.build(client, "chaos")
    try:
        return algorithms.archive(client, base, f"time.sleep({CASE_SECONDS})", lab.state.root / "image.tar.gz")
    finally:
        client.remove_image(f"{baseimage.REPOSITORY}:chaos", force=True)
        client.close()
