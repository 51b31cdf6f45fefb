"""The CSV and the table."""

import csv
import io

import pytest

from evaluation import CaseStatus, aggregate, lost_case
from evaluation.command.report import CSV_COLUMNS, TITLES, csv_text, table
from tests.evaluation import builders

A_THIRD = 1 / 3


def rows(*results):
    return list(csv.DictReader(io.StringIO(csv_text(results), newline="")))


def case(name="case_0001.nii.gz", **fields):
    return builders.case_result(name, builders.finding_result(**fields), builders.finding_result(key="1", dice=0.0))


def test_the_csv_has_a_row_for_each_finding_in_order():
    found = rows(case("b"), case("a"))
    assert [(row["case"], row["finding"]) for row in found] == [("b", "0"), ("b", "1"), ("a", "0"), ("a", "1")]
    assert tuple(found[0]) == CSV_COLUMNS


def test_numbers_are_written_in_full():
    found = rows(case(dice=A_THIRD, distance=None))[0]
    assert (float(found["dice"]), float(found["case_dice"])) == (A_THIRD, A_THIRD / 2)
    assert (found["hit"], found["tp"], found["distance_tp"], found["reason"]) == ("1", "1", "", "")


def test_a_lost_case_has_its_reason_in_each_row():
    lost = lost_case(builders.a_case((2, 4, 4, 4)), [1, 2], CaseStatus.INVALID, 'values "0.9", and\nmore')
    found = rows(lost)
    assert [(row["status"], row["reason"], row["fn"]) for row in found] == [
        ("invalid", 'values "0.9", and more', "1"),
        ("invalid", 'values "0.9", and more', "2"),
    ]


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", " =1", "\t=1", "\r=1"])
def test_no_text_is_taken_for_a_formula(name):
    assert rows(case(name))[0]["case"] == "'" + name.strip()


def the_table(**options):
    results = [
        builders.case_result(
            f"case_{number}",
            *(
                builders.finding_result(category, key=str(key), **options)
                for key, category in enumerate(TITLES)
                if key > 1
            ),
        )
        for number in range(3)
    ]
    sizes = {(case["name"], f["finding"]): float(f["finding"]) for case in results for f in case["findings"]}
    return table(aggregate(results, seed=0, sizes=sizes, limits=(5.0, 9.0))).splitlines()


def test_the_table_fits_into_80_columns():
    assert max(map(len, the_table(dice=1.0))) < 80


def test_the_table_has_sections_in_order():
    titles = [line[:17].strip() for line in the_table()]
    sections = "\n".join(titles[2:]).split("-" * 17)
    assert sections[1].split("\n")[1] == "overall"
    assert sections[2].split("\n")[1:3] == ["focal 2a-2h", "non-focal 1a-1f"]
    assert len(sections[3].split()) > 14
    assert sections[4].split() == ["small", "medium", "large"]


def test_the_columns_are_aligned():
    lines = [line for line in the_table(distance=None) if line[:1].isdigit() or line.startswith(("overall ", "focal"))]
    assert len({len(line) for line in lines if "interval" not in line and "ranking" not in line}) == 1


def test_the_legend_says_which_number_ranks():
    text = "\n".join(the_table(dice=0.25))
    assert "overall Dice  0.2500, the ranking number: the mean over the 3 cases" in text


def test_an_unknown_category_has_a_row_too():
    results = [builders.case_result("case", builders.finding_result("a category of one's own"))]
    assert "\na category of one    1 " in table(aggregate(results, seed=0))
