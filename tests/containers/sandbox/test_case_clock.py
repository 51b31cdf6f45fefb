"""Whose time is up, and when."""

from typing import Any

from containers.protocol.contract import EXIT_SECONDS
from containers.protocol.orders import parse_order
from containers.sandbox.case_clock import SLACK_SECONDS, CaseClock
from tests.containers.conftest import order_json


def clock(cases: int = 2, **limits: Any) -> CaseClock:
    return CaseClock(parse_order(order_json(None, **limits)).limits, cases)


def test_the_first_case_has_the_start_up_allowance_on_top() -> None:
    value = clock(case_seconds=10, startup_seconds=100)
    assert value.deadline == 110 + SLACK_SECONDS
    assert value.timeout.code == "startup_timed_out"


def test_the_next_clock_starts_when_the_file_before_was_noticed() -> None:
    value = clock(case_seconds=10, startup_seconds=100)
    assert value.file_appeared(0, appeared=42.0, noticed=42.3)
    assert value.deadline == 52.3 + SLACK_SECONDS
    assert value.timeout.code == "timed_out"
    assert value.appeared == [42.0]


def test_after_the_last_file_there_is_a_moment_to_exit() -> None:
    for case_seconds in (1, 1000):  # the same for all phases, as the guidelines say
        value = clock(cases=1, case_seconds=case_seconds)
        value.file_appeared(0, appeared=5, noticed=5)
        assert value.deadline == 5 + EXIT_SECONDS + SLACK_SECONDS
        assert value.timeout.code == "exit_timed_out"


def test_a_time_in_which_nobody_could_look_is_not_counted() -> None:
    value = clock(case_seconds=10, startup_seconds=100)
    value.file_appeared(0, appeared=5, noticed=5)
    value.extend(7)
    assert value.deadline == 22 + SLACK_SECONDS


def test_repeats_and_files_out_of_order_change_nothing() -> None:
    value = clock(cases=3)
    assert not value.file_appeared(1, appeared=1, noticed=1)
    assert value.file_appeared(0, appeared=2, noticed=2)
    assert not value.file_appeared(0, appeared=3, noticed=3)
    assert not value.file_appeared(7, appeared=3, noticed=3)
    assert value.appeared == [2]


def test_a_clock_that_is_set_back_makes_no_negative_time() -> None:
    value = clock()
    value.file_appeared(0, appeared=5, noticed=5)
    value.file_appeared(1, appeared=-3600, noticed=9)
    assert value.appeared == [5, 5]
