"""From a verdict to every case's status, and the report's way through JSON."""

import json
from typing import Any

import pytest

from containers.protocol.orders import OrderRejected
from containers.protocol.reports import (
    IN_THE_LAST_INSTANT,
    SLOW_TO_EXIT,
    Blob,
    CaseReport,
    ContainerReport,
    Fault,
    Report,
    case_reports,
    fault_report,
    older_form,
    parse_report,
    rejection_report,
)
from containers.protocol.verdicts import CASE_FAILURES, FAULTS, REJECTIONS, FailureCode, Verdict

NAMES = ("a.nii.gz", "b.nii.gz", "c.nii.gz")
FILE = Blob("sha256:" + "a" * 64, 7)
NOBODY = Verdict()
CRASH = Verdict(failure="crashed")
OURS = Verdict(fault="disk_full")


def found(text: str) -> dict[str, Blob | FailureCode]:
    """ "F-L": a file, nothing, a link."""
    values: dict[str, Blob | FailureCode | None] = {"F": FILE, "L": "not_a_regular_file", "-": None}
    return {name: value for name, letter in zip(NAMES, text, strict=True) if (value := values[letter]) is not None}


@pytest.mark.parametrize(
    ("text", "verdict", "timed_out", "expected"),
    [
        ("FFF", NOBODY, None, ["finished", "finished", "finished"]),
        ("F-F", NOBODY, None, ["finished", "missing", "finished"]),
        ("-L-", NOBODY, None, ["missing", "not_a_regular_file", "missing"]),
        ("F--", CRASH, None, ["finished", "crashed", "untouched"]),
        ("---", CRASH, None, ["crashed", "untouched", "untouched"]),
        ("L--", CRASH, None, ["not_a_regular_file", "crashed", "untouched"]),
        ("-FF", CRASH, None, ["crashed", "untouched", "untouched"]),  # out of order is not done in order
        ("FFF", CRASH, None, ["finished", "finished", "finished"]),
        ("F--", CRASH, 1, ["finished", "crashed", "untouched"]),
        ("FF-", CRASH, 1, ["finished", "finished", "untouched"]),  # it made it in the last instant
        ("F--", CRASH, 3, ["finished", "crashed", "untouched"]),  # all had appeared, and were taken away again
        ("F--", OURS, None, ["finished", "untouched", "untouched"]),
        ("---", OURS, None, ["untouched", "untouched", "untouched"]),
    ],
)
def test_a_verdict_becomes_every_cases_status(
    text: str, verdict: Verdict, timed_out: int | None, expected: list[str]
) -> None:
    cases = case_reports(NAMES, found(text), verdict, appeared_seconds=(), ended_seconds=5, timed_out_case=timed_out)
    assert [case.reason or case.status for case in cases] == expected


def test_masks_that_a_full_folder_had_no_room_for_are_told_as_that() -> None:
    cases = case_reports(NAMES, found("F--"), NOBODY, appeared_seconds=(1.0,), ended_seconds=4.0, output_full=True)
    assert [case.reason for case in cases] == [None, "output_full", "output_full"]


def test_times_are_differences_and_the_failed_case_lasts_until_the_end() -> None:
    cases = case_reports(NAMES, found("F--"), CRASH, appeared_seconds=(2.5,), ended_seconds=4.0)
    assert [case.seconds for case in cases] == [2.5, 1.5, None]


def test_a_file_that_nobody_saw_appear_lasts_until_the_end() -> None:
    cases = case_reports(NAMES, found("FFF"), NOBODY, appeared_seconds=(1.0,), ended_seconds=4.0)
    assert [case.seconds for case in cases] == [1.0, 3.0, None]


REPORT = Report(
    fence=3,
    cases=case_reports(NAMES, found("FL-"), CRASH, appeared_seconds=(1.0, 2.0), ended_seconds=4.0),
    container=ContainerReport(1, False, 4.0, ("a warning",)),
    fault=Fault("disk_full", "no room"),
    log="\ufffd\x00log",
)


def test_a_refused_image_survives_its_way_and_is_unknown_to_reports_without_one() -> None:
    refused = rejection_report(3, ["a.nii.gz"], "not_unpackable")
    assert parse_report(json.loads(json.dumps(refused.to_json()))) == refused
    assert "rejected" not in REPORT.to_json()


SLOW_BEFORE = (
    "All cases were done, but the program did not end well: The case took longer than the time limit per case."
)


@pytest.mark.parametrize(
    ("container", "badly"),
    [
        (ContainerReport(0, False, 1.0), False),
        (ContainerReport(None, False, 0.0), False),
        (ContainerReport(1, False, 1.0), True),
        (ContainerReport(137, False, 1.0), True),
        (ContainerReport(137, False, 1.0, ("Found the folder 'x'.",)), True),
        (ContainerReport(137, False, 1.0, ("Found the folder 'x'.", SLOW_TO_EXIT)), False),
        (ContainerReport(137, False, 1.0, (IN_THE_LAST_INSTANT,)), False),
        (ContainerReport(137, False, 1.0, (SLOW_BEFORE,)), False),  # what a host of before said
    ],
)
def test_who_is_only_slow_to_exit_did_not_end_badly(container: ContainerReport, badly: bool) -> None:
    assert container.ended_badly == badly


def test_a_report_survives_its_way_through_json() -> None:
    assert parse_report(json.loads(json.dumps(REPORT.to_json()))) == REPORT


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("cases", 0, "status"), "great"),
        (("cases", 0, "output"), None),
        (("cases", 0, "output", "blob"), "../x"),
        (("cases", 0, "output", "size"), -1),
        (("cases", 0, "name"), "../a.nii.gz"),
        (("cases", 0, "seconds"), -1),
        (("cases", 1, "reason"), None),
        (("cases", 1, "reason"), "bad luck"),
        (("cases", 2, "reason"), ["crashed"]),
        (("container", "warnings"), [1]),
        (("container", "exit_code"), "1"),
        (("fault", "code"), "theirs"),
        (("fence",), None),
        (("log",), 7),
        (("rejected",), "<b>ours</b>"),
        (("rejected",), ["not_unpackable"]),
        (("extra",), 7),
    ],
)
def test_an_odd_report_is_rejected(path: tuple[Any, ...], value: object) -> None:
    report = json.loads(json.dumps(REPORT.to_json()))
    place = report
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(OrderRejected):
        parse_report(report)


#: All that a server knew before there were other words for ends. Frozen: what is new needs an older word.
KNOWN_BEFORE = {
    *("crashed", "out_of_memory", "timed_out", "startup_timed_out", "output_full", "not_a_regular_file"),
    *("could_not_start", "missing", "engine_unavailable", "engine_restarted", "image_unavailable"),
    *("input_unavailable", "no_gpu_runtime", "gpu_lost", "disk_full", "order_unreadable", "internal", "not_unpackable"),
}


def reports_of(word: str) -> list[Report]:
    """All kinds of reports in which a word can stand: alone, and beside other new words."""
    if word in REJECTIONS:
        return [rejection_report(1, NAMES, word)]
    if word in FAULTS:
        fault = Fault(word, "why")  # type: ignore[arg-type]
        killed = CaseReport("b.nii.gz", "failed", "killed")
        return [fault_report(1, NAMES, fault), Report(1, (killed,), fault=fault)]
    cases = case_reports(NAMES, found("F--"), Verdict(failure=word), appeared_seconds=(), ended_seconds=5)  # type: ignore[arg-type]
    return [Report(1, cases, ContainerReport(137, False, 5.0))]


@pytest.mark.parametrize("word", [*CASE_FAILURES, *FAULTS, *REJECTIONS])
def test_a_server_of_before_gets_only_words_that_it_knows(word: str) -> None:
    for report in reports_of(word):
        told = older_form(report) or report
        words = {case.reason for case in told.cases} | {told.fault and told.fault.code, told.rejected}
        assert words - {None} <= KNOWN_BEFORE
        assert parse_report(json.loads(json.dumps(told.to_json()))) == told
        assert older_form(told) is None


@pytest.mark.parametrize(
    ("code", "before"),
    [("killed", "out_of_memory"), ("file_too_large", "output_full"), ("exit_timed_out", "timed_out")],
)
def test_a_new_reason_of_a_case_has_an_older_word_for_a_server_of_before(
    code: FailureCode, before: FailureCode
) -> None:
    cases = case_reports(NAMES, found("F--"), Verdict(failure=code), appeared_seconds=(), ended_seconds=5)
    older = older_form(Report(1, cases, ContainerReport(137, False, 5.0)))
    assert older is not None
    assert [case.reason or case.status for case in older.cases] == ["finished", before, "untouched"]
    assert older_form(older) is None
