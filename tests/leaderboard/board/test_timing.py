"""Seconds a case: of which cases they are, and how they are told."""

import csv
from itertools import pairwise
from typing import Any

import pytest

from leaderboard.api.schemas.challenge import BoardRowOut
from leaderboard.board import exports
from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.core import clock
from leaderboard.models import Phase, RunCase
from tests.leaderboard import cast, seen
from tests.leaderboard.board import scored_cases

pytestmark = pytest.mark.django_db
PUBLIC: dict[str, Any] = {"cases_are_public": True}
HIDDEN: dict[str, Any] = {"cases_are_public": False}


def told(seconds: list[float], reader: Reader = Reader.PUBLIC, **fields) -> float | None:
    return Disclosure(reader, Phase(**fields), clock.now()).seconds_per_case(seconds)


@pytest.mark.parametrize("seconds", [[3.0], [9.0, 3.0, 1.0], [2.0, 4.0]])
def test_on_public_cases_it_is_the_median(seconds):
    assert told(seconds, **PUBLIC) == 3.0


@pytest.mark.parametrize(
    ("median", "step"),
    [
        (0.01, 1),
        (1.4, 1),
        (1.5, 2),
        (3.1, 2),
        (3.2, 5),
        (7.0, 5),
        (7.1, 10),
        (14, 10),
        (44, 50),
        (119, 100),
        (150, 200),
    ],
)
def test_on_hidden_cases_it_is_the_nearest_of_one_two_five_and_their_tenfolds(median, step):
    assert told([median] * 11, **HIDDEN) == step
    assert told([median] * 11, Reader.ORGANISER, **HIDDEN) == median


def test_on_hidden_cases_a_few_tell_nothing():
    assert told([3.0] * 9, **HIDDEN) is None
    assert told([3.0] * 10, **HIDDEN) == 2.0
    assert told([], **PUBLIC) is None


def test_a_row_leaves_out_the_first_case_of_each_container(team):
    phase = scored_cases.phase(12, **PUBLIC)
    scored_cases.run(team, phase, 0.5, seconds=3.217)
    board = seen.board_by_public(phase)
    assert [row.seconds_per_case for row in board.rows] == [3.22]
    assert exports.as_json(board)["rows"][0]["seconds_per_case"] == 3.22
    [line] = csv.DictReader(exports.as_csv(board).splitlines())
    assert line["seconds_per_case"] == "3.22"


def test_a_row_leaves_out_lost_cases(team):
    phase = scored_cases.phase(12, **PUBLIC)
    run = scored_cases.run(team, phase, 0.5, seconds=3.0)
    slow = [row.pk for row in run.cases.filter(seconds=3.0)[:5]]
    RunCase.objects.filter(pk__in=slow).update(seconds=120.0, outcome="failed")
    assert seen.board_by_public(phase).rows[0].seconds_per_case == 3.0


def test_with_a_public_half_it_is_of_the_half_before_the_reveal(team):
    phase = scored_cases.phase(40, publication="half")
    run = scored_cases.run(team, phase, 0.5, seconds=3.0)
    run.cases.filter(case__in_public_half=False).update(seconds=500.0)
    cast.let_a_minute_pass()
    [row] = seen.board_by_public(phase).rows
    in_half = run.cases.filter(case__in_public_half=True, seconds=3.0).count()
    assert (in_half >= 10, row.seconds_per_case) == (True, 2.0)


def test_masks_that_were_handed_in_took_no_time(team):
    phase = scored_cases.phase(12, **PUBLIC)
    scored_cases.run(team, phase, 0.5)
    [row] = seen.board_by_public(phase).rows
    assert row.seconds_per_case is None


def test_the_opened_row_and_the_api_have_it(team, client):
    phase = scored_cases.phase(12, **PUBLIC)
    scored_cases.run(team, phase, 0.5, seconds=3.0)
    page = client.get(f"/leaderboard/test/?open={team.slug}").content.decode()
    assert "Seconds a case" in page
    assert "3.0 s<small>median</small>" in page
    [item] = client.get("/api/v1/phases/test/board").json()["items"]
    assert item["seconds_per_case"] == 3.0
    assert set(item) == set(BoardRowOut.model_fields)


def test_steps_rise_by_ratio():
    steps = sorted({told([1.09**power] * 10, **HIDDEN) or 0.0 for power in range(80)})
    assert all(1.9 < later / earlier < 2.6 for earlier, later in pairwise(steps))
    assert len(steps) == 10
