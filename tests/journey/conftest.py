"""A running stack, a phase with cases that have files, and an engine that is as clean afterwards as before."""

import uuid
from pathlib import Path

import docker
import pytest

from leaderboard.models import Phase
from tests.containers import baseimage
from tests.journey.stack import Stack
from tests.leaderboard import masks

CASES = 6


@pytest.fixture(scope="session")
def engine():
    """The engine's client."""
    client = docker.from_env(timeout=120).api
    yield client
    client.close()


@pytest.fixture(scope="session")
def base(engine):
    """An image with the interpreter of these tests."""
    tag = f"journey-{uuid.uuid4().hex[:8]}"
    yield baseimage.build(engine, tag)
    engine.remove_image(f"{baseimage.REPOSITORY}:{tag}", noprune=True)


@pytest.fixture
def phase(transactional_db) -> Phase:
    """An open phase over a few small cases, each with its own volume and the same reference."""
    return masks.small_phase(CASES, batch_size=3, case_seconds=6, startup_seconds=12, runs_per_day=20, runs_total=20)


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
