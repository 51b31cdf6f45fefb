"""From what was found after a container's end to the report, where a whole run would be too coarse a test."""

from dataclasses import replace

import pytest

from containers.protocol.orders import parse_order
from containers.protocol.reports import IN_THE_LAST_INSTANT, SLOW_TO_EXIT, Blob, Fault
from containers.sandbox.case_clock import Timeout
from containers.sandbox.engine import ContainerState
from containers.sandbox.harvest import Harvest
from containers.sandbox.judge import ContainerOutcome, judge, judge_start_error
from tests.containers.conftest import NOTHING, order_json, statuses

ORDER = parse_order(order_json(None, None))
MASK = Blob(NOTHING, 5)
CLEAN = ContainerOutcome(
    state=ContainerState(running=False, exit_code=0, oom_killed=False, started=1000.0, finished=1004.0),
    timeout=None,
    appeared_seconds=(1.5, 3.0),
    output_full=False,
    holder_alive=True,
    harvest=Harvest(found=dict.fromkeys(ORDER.names, MASK)),
    log=b"the end\xff",
)
CRASHED = replace(CLEAN, state=replace(CLEAN.state, exit_code=1))


def test_a_clean_end_is_reported_with_its_times_and_its_log() -> None:
    report = judge(ORDER, CLEAN)
    assert statuses(report) == [("finished", None)] * 2
    assert [case.seconds for case in report.cases] == [1.5, 1.5]
    assert report.container is not None
    assert (report.container.exit_code, report.container.seconds, report.container.warnings) == (0, 4.0, ())
    assert (report.fault, report.log) == (None, "the end\ufffd")


def test_a_bad_end_after_the_last_file_costs_nothing_but_a_warning_with_the_exit_code() -> None:
    report = judge(ORDER, replace(CRASHED, state=replace(CLEAN.state, exit_code=139)))
    assert statuses(report) == [("finished", None)] * 2
    assert report.container is not None
    assert "did not end well" in report.container.warnings[0]
    assert "exit code 139 (SIGSEGV: segmentation fault)" in report.container.warnings[0]


def test_who_does_not_exit_in_time_is_told_that_and_that_the_masks_count() -> None:
    killed = replace(CLEAN, state=replace(CLEAN.state, exit_code=137), timeout=Timeout("exit_timed_out", 2))
    report = judge(ORDER, killed)
    assert statuses(report) == [("finished", None)] * 2
    assert report.container is not None
    assert report.container.warnings == (SLOW_TO_EXIT,)
    assert not report.container.ended_badly


def test_a_last_mask_in_the_last_instant_counts() -> None:
    killed = replace(CLEAN, state=replace(CLEAN.state, exit_code=137), timeout=Timeout("timed_out", 1))
    report = judge(ORDER, killed)
    assert statuses(report) == [("finished", None)] * 2
    assert report.container is not None
    assert report.container.warnings == (IN_THE_LAST_INSTANT,)
    assert not report.container.ended_badly


def test_who_takes_its_masks_away_and_then_hangs_has_lost_a_case() -> None:
    """Or else nothing were decided, which is our fault: the run would go round, uncharged."""
    gone = replace(CLEAN, timeout=Timeout("exit_timed_out", 2), harvest=Harvest())
    report = judge(ORDER, replace(gone, state=replace(CLEAN.state, exit_code=137)))
    assert statuses(report) == [("failed", "exit_timed_out"), ("untouched", None)]


def test_nothing_is_said_of_all_cases_when_the_clock_was_beaten_in_the_last_instant() -> None:
    late = replace(CLEAN, timeout=Timeout("startup_timed_out", 0), harvest=Harvest(found={ORDER.names[0]: MASK}))
    report = judge(ORDER, replace(late, state=replace(CLEAN.state, exit_code=137)))
    assert statuses(report) == [("finished", None), ("untouched", None)]
    assert report.container is not None
    assert report.container.warnings == ()


@pytest.mark.parametrize("code", [126, 127])
def test_a_program_that_could_not_be_started_is_known_by_its_exit_code_and_not_by_its_words(code: int) -> None:
    nothing = replace(
        CRASHED,
        state=replace(CLEAN.state, exit_code=code),
        log=b"[FATAL tini (7)] exec",
        harvest=Harvest(),
        appeared_seconds=(),
    )
    assert statuses(judge(ORDER, nothing))[0] == ("failed", "could_not_start")
    assert statuses(judge(ORDER, replace(nothing, log=b"")))[0] == ("failed", "could_not_start")
    assert statuses(judge(ORDER, replace(nothing, appeared_seconds=(1.0,))))[0] == ("failed", "crashed")
    late = replace(nothing, state=replace(nothing.state, finished=1060.0))
    assert statuses(judge(ORDER, late))[0] == ("failed", "crashed")
    other = replace(nothing, state=replace(nothing.state, exit_code=1))
    assert statuses(judge(ORDER, other))[0] == ("failed", "crashed")


def test_an_end_without_a_holder_is_a_fault_of_ours_with_the_exit_code() -> None:
    report = judge(ORDER, replace(CRASHED, holder_alive=False, harvest=Harvest()))
    assert report.fault == Fault(
        "engine_restarted", "The container engine was restarted while the container ran. Exit code 1."
    )
    assert statuses(report) == [("untouched", None)] * 2


def test_a_start_error_is_the_images_or_ours() -> None:
    theirs = judge_start_error(ORDER, "No command specified")
    assert (statuses(theirs)[0], theirs.fault, theirs.log) == (
        ("failed", "could_not_start"),
        None,
        "No command specified",
    )
    assert theirs.container is not None
    assert theirs.container.exit_code is None
    ours = judge_start_error(ORDER, "x: no space left on device")
    assert ours.fault == Fault("disk_full", "x: no space left on device")


def test_a_container_that_never_started_or_whose_clock_was_set_back_took_no_time() -> None:
    assert replace(CLEAN.state, started=None).seconds == 0
    assert replace(CLEAN.state, finished=None).seconds == 0
    assert replace(CLEAN.state, finished=0.0).seconds == 0
