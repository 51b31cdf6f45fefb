"""A host's hello goes on, whatever the server answers."""

from typing import Any

import pytest

from containers.host import hello


@pytest.mark.parametrize(
    "answer", [{}, [], None, {"lease_seconds": "90"}, {"lease_seconds": 0}, {"lease_seconds": 1e400}]
)
def test_an_answer_without_a_lease_leaves_the_interval_of_the_beginning(answer: Any) -> None:
    assert hello._interval_seconds(answer) == hello.FIRST_INTERVAL_SECONDS


def test_hello_is_said_three_times_a_lease() -> None:
    assert hello._interval_seconds({"lease_seconds": 90}) == 30
