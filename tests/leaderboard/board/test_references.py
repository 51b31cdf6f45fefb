"""Reference rows beside a board: apart, in the order of their Dice, never ranked, and in no version."""

import csv
import io

import pytest

from leaderboard.board import exports, versions
from leaderboard.board.references import references_of, sources_of
from leaderboard.challenge.reference_rows import import_table, published
from leaderboard.models import ReferenceRow
from tests.leaderboard import cast, seen
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db
JULY = ["DVSM", "MedCompose-CT", "VoxTell", "DAGG", "SAT-FT", "VoxTell-FT", "BiomedParseV2"]


@pytest.fixture
def phase():
    """A phase with ReXrank's page of July 2026 beside its boards, and one team that is far worse."""
    phase = cast.phase(cases_are_public=True)
    import_table(phase, "rexrank_100", published()["rexrank_100"], by=cast.OPERATOR)
    scored(cast.team_of(cast.person("Alice")), phase, dice=0.1)
    return phase


def take(phase, table: str) -> None:
    import_table(phase, table, published()[table], by=cast.OPERATOR)


def test_they_stand_in_the_order_of_the_live_board_of_july(phase):
    assert [one.row.name for one in references_of(phase)] == JULY


def test_they_move_nobody_and_no_version_holds_them(phase):
    board = seen.board_by_public(phase)
    assert [row.rank for row in board.rows] == [1]
    made = board.version
    take(phase, "paper_table4_200")
    versions.make(phase.pk)
    board = seen.board_by_public(phase)
    assert (board.version, len(board.references), len(board.everything)) == (made, 17, 1)


def test_a_group_is_shown_of_the_rows_that_have_it_in_the_order_of_its_dice(phase):
    take(phase, "paper_table4_200")
    focal = seen.board_by_public(phase, group="focal").references
    assert [(one.row.name, one.numbers.dice) for one in focal[:3]] == [
        ("MedSAM2, boxes as prompts", 0.261),
        ("SAM2, boxes as prompts", 0.218),
        ("SAT, fine-tuned", 0.173),
    ]
    nodules = references_of(phase, "2d")
    assert {one.row.table for one in nodules} == {"rexrank_100"}
    assert [one.numbers.dice for one in nodules] == sorted((one.numbers.dice for one in nodules), reverse=True)
    assert nodules[0].numbers.n == 58


def test_a_row_opens_into_its_categories_in_the_usual_order_with_n(phase):
    [first, *_] = references_of(phase)
    assert [line.code for line in first.lines][:3] == ["1a", "1b", "1c"]
    assert [line.n for line in first.lines][:3] == [1, 4, 17]


def test_each_source_is_told_once_with_its_date_and_its_cases(phase):
    take(phase, "paper_table4_200")
    found = sources_of(references_of(phase))
    assert [one.facts for one in found] == ["As of Jul 22, 2026. Over 100 cases with 226 findings.", "Over 200 cases."]


def test_the_table_for_spreadsheets_ends_with_them_and_says_what_keeps_them_apart(phase):
    lines = list(csv.DictReader(io.StringIO(exports.as_csv(seen.board_by_public(phase)))))
    assert [line["listed"] for line in lines] == ["ranked"] + ["reference, not ranked"] * 7
    first = lines[1]
    assert (first["rank"], first["team"], first["algorithm"], first["dice"], first["dice_low"]) == (
        *("", "", "DVSM", "0.322", ""),
    )
    assert (first["cases"], first["evaluation_version"], first["submitted"]) == ("100", "", "2026-07-13")
    assert first["not_comparable"].startswith("Another case set")
    assert lines[0]["not_comparable"] == ""


def test_words_of_a_file_are_no_formula_in_a_spreadsheet(phase):
    ReferenceRow.objects.filter(algorithm="DVSM").update(algorithm="=HYPERLINK(1)")
    lines = csv.DictReader(io.StringIO(exports.as_csv(seen.board_by_public(phase))))
    assert [line["algorithm"] for line in lines][1] == "'=HYPERLINK(1)"


def test_scripts_and_terminals_read_them_in_a_list_of_their_own(phase):
    board = seen.board_by_public(phase)
    told = exports.as_json(board)
    assert [one["name"] for one in told["references"]] == JULY
    assert told["references"][0]["numbers"]["2d"] == {"n": 58, "dice": 0.358, "hit_rate": 0.759}
    assert len(told["rows"]) == 1
    _, _, apart = exports.as_table(board).partition("Reference rows, not ranked:\n")
    assert apart.splitlines()[0].split()[:3] == ["–", "DVSM", "0.322"]


def test_the_api_lists_them_apart_from_the_board(client, phase):
    found = client.get("/api/v1/phases/test/references").json()
    assert [one["name"] for one in found] == JULY
    assert (found[0]["numbers"]["all"]["dice"], found[0]["numbers"]["all"]["dice_ci"]) == (0.322, None)
    take(phase, "paper_table4_200")
    [boxes] = (one for one in client.get("/api/v1/phases/test/references").json() if one["algorithm"] == "MedSAM2")
    assert boxes["numbers"]["all"]["dice_ci"] == [0.237, 0.278]
    assert client.get("/api/v1/phases/test/board").json()["total"] == 1
