"""What the API's description says is what it does: as three people, whatever is sent (schemathesis, all its checks)."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from leaderboard.web.bodies import WholeBodies
from leaderboard.web.door import Handler
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db
# What is sent wrongly is refused to everybody alike: it is tried as one of them.
MODES = {
    "alice": (GenerationMode.POSITIVE, GenerationMode.NEGATIVE),
    "charlie": (GenerationMode.POSITIVE,),
    "nobody": (GenerationMode.POSITIVE,),
}
FEW = settings(
    max_examples=1,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("application/pdf")
def as_bytes(_context: object, value: bytes) -> bytes:
    return value


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """The test's own, in whose transaction everything happens."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


def operations() -> Iterator[Any]:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", WholeBodies(Handler()))
    schema.config.generation.update(database="none", with_security_parameters=False)
    found: Any
    for found in schema.get_all_operations():
        yield found.ok()


@pytest.mark.parametrize("who", MODES)
def test_every_operation_does_as_described(people, api, who, settings):
    settings.API_REQUESTS_PER_MINUTE = 100_000
    phase = cast.phase(slug="dev", cases_are_public=True, runs_per_day=9)
    scored(people.team, phase, user=people.alice)
    asks = api(getattr(people, who, None))
    headers = {"Authorization": f"Bearer {asks.text}"} if asks.text else {}
    found, asked = [], 0
    for operation in operations():
        for mode in MODES[who]:

            @FEW
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: Any) -> None:
                case.call_and_validate(headers=headers)

            try:
                check()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, "nothing can be wrong where nothing is sent"
            except FailureGroup as failures:
                found.append(f"{operation.label}: {failures}")
            asked += 1
    assert not found, "\n".join(found)
    assert asked >= 35 * len(MODES[who])
