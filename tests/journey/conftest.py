"""A running stack, a phase with cases that have files, and an engine that is as clean afterwards as before."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from django.test import override_settings

from leaderboard.core import blobs
from leaderboard.models import Phase, Team
from tests import databases
from tests.containers import baseimage
from tests.journey.stack import Stack
from tests.leaderboard import cast, masks

CASES = 6


@pytest.fixture(scope="session")
def engine():
    """The engine's client."""
    client = docker.from_env(timeout=120).api
    yield client
    client.close()


@pytest.fixture(scope="session")
def base(engine, tmp_path_factory):
    """An image with the interpreter of these tests."""
    tag = f"journey-{uuid.uuid4().hex[:8]}"
    yield baseimage.shared(engine, tag, tmp_path_factory.getbasetemp())
    engine.remove_image(f"{baseimage.REPOSITORY}:{tag}", noprune=True)


@pytest.fixture
def phase(transactional_db) -> Phase:
    """An open phase over a few small cases, each with its own volume and the same reference."""
    return small_phase()


def small_phase() -> Phase:
    """An open phase that ends what hangs within seconds."""
    return masks.small_phase(CASES, batch_size=3, case_seconds=6, startup_seconds=12, runs_per_day=20, runs_total=20)


@dataclass(frozen=True)
class World:
    """A stack at work, with a phase and a team that may submit, for all tests of a module."""

    stack: Stack
    phase: Phase
    team: Team
    store: Path


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, tmp_path_factory, engine) -> Iterator[World]:
    """One for a module: a stack takes as long to start as most of what is asked of it."""
    folder = tmp_path_factory.mktemp("world")
    with django_db_blocker.unblock(), databases.kept(), override_settings(STORE_DIR=folder / "store"):
        (folder / "store").mkdir()
        blobs.prepare()
        stack = Stack(folder)
        try:
            phase, team = small_phase(), cast.team_of(cast.person("Alice"))
            stack.start()
            yield World(stack, phase, team, folder / "store")
        finally:
            stack.stop()
            _remove_what_is_left(engine, stack.instance)


@pytest.fixture
def stack(phase, tmp_path: Path, engine):
    """All processes of the server."""
    stack = Stack(tmp_path)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        _remove_what_is_left(engine, stack.instance)


def _remove_what_is_left(engine: docker.APIClient, instance: str) -> None:
    """Take the stack's own images away; containers and volumes must be gone by themselves."""
    repository = f"rexgrounding-{instance}/"
    for image in engine.images():
        for tag in image["RepoTags"] or []:
            if tag.startswith(repository):
                engine.remove_image(tag, force=True)
