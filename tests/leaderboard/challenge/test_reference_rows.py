"""Reference rows: what a file may say, what an import does, and what organisers can change by hand."""

import json
from copy import deepcopy
from typing import Any

import pytest

from leaderboard.challenge.categories import ALL
from leaderboard.challenge.reference_rows import ReferenceProblems, import_table, published, read_tables, schema
from leaderboard.models import AuditEntry, ReferenceRow
from tests.leaderboard import cast

FILE: dict[str, Any] = {
    "baselines": {
        "source": "Baselines of the organisers",
        "source_date": "2026-08-01",
        "cases": 200,
        "not_comparable": "Another case set.",
        "rows": [
            {"algorithm": "SAT", "training": "zero-shot", "numbers": {"all": {"dice": 0.0}}},
            {
                "algorithm": "SAT",
                "training": "fine-tuned",
                "not_comparable": "Box prompts.",
                "numbers": {"all": {"dice": 0.2, "dice_ci": [0.1, 0.3]}, "2d": {"n": 58, "dice": 0.25}},
            },
        ],
    }
}


def changed(*path: str | int, to: object) -> str:
    """The file's text with one thing in it changed; None takes it out."""
    file = deepcopy(FILE)
    place: Any = file
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return json.dumps(file)


def row(number: int, *path: str | int) -> tuple[str | int, ...]:
    return ("baselines", "rows", number, *path)


class TestTheFile:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "The file: Invalid JSON"),
            ("{}", "The file: Dictionary should have at least 1 item"),
            (changed("baselines", "source", to=None), "baselines, source: Field required"),
            (
                changed("baselines", "not_comparable", to=" \u0000"),
                "baselines, not_comparable: there are no words in it",
            ),
            (changed("baselines", "rows", to=[]), "baselines, rows: List should have at least 1 item"),
            (changed(*row(1, "algorithm"), to=None), "baselines, row 2, algorithm: Field required"),
            (
                changed(*row(1, "prompt"), to="scribble"),
                "baselines, row 2 (SAT), prompt: Input should be 'text' or 'box'",
            ),
            (changed(*row(0, "dice"), to=0.5), "baselines, row 1 (SAT), dice: Extra inputs are not permitted"),
            (changed(*row(0, "link"), to="javascript:alert(1)"), "baselines, row 1 (SAT), link: String should match"),
            (
                changed(*row(1, "published_on"), to="July"),
                "baselines, row 2 (SAT), published_on: Input should be a valid",
            ),
            (
                changed(*row(1, "numbers", "2d", "dice"), to=1.2),
                "row 2 (SAT), numbers.2d.dice: Input should be less than",
            ),
            (changed(*row(1, "numbers", "2d", "dice"), to="0.2"), "numbers.2d.dice: Input should be a valid number"),
            (
                changed(*row(1, "numbers", "9z"), to={"dice": 0.1}),
                "numbers.9z: unknown group of findings; known are all,",
            ),
            (changed(*row(1, "numbers", "all", "dice"), to=0.4), "numbers.all: dice_ci does not hold dice"),
            (changed(*row(1, "numbers", "all"), to=None), "row 2 (SAT): numbers has no “all”"),
            (changed(*row(0, "training"), to="fine-tuned"), "baselines: row 2 (SAT) stands there twice"),
        ],
    )
    def test_a_problem_names_the_row_and_the_field(self, text, said):
        with pytest.raises(ReferenceProblems) as caught:
            read_tables(text)
        assert said in caught.value.sentences[0], caught.value.sentences

    def test_all_problems_are_told_at_once(self):
        file = json.loads(changed(*row(0, "algorithm"), to=None))
        file["baselines"]["rows"][1]["numbers"]["2d"]["n"] = 0
        with pytest.raises(ReferenceProblems) as caught:
            read_tables(json.dumps(file))
        assert [one.partition(":")[0] for one in caught.value.sentences] == [
            "baselines, row 1, algorithm",
            "baselines, row 2 (SAT), numbers.2d.n",
        ]

    def test_its_schema_names_each_field_that_a_row_may_have(self):
        rows = schema()["$defs"]["Row"]["properties"]
        assert set(rows) >= {"algorithm", "prompt", "training", "not_comparable", "link", "published_on", "numbers"}


class TestThePublishedTables:
    def test_rexrank_stands_in_the_order_of_its_page_of_july_2026(self):
        rows = published()["rexrank_100"].rows
        assert [(one.algorithm, one.numbers[ALL].dice) for one in rows] == [
            ("DVSM", 0.322),
            ("MedCompose-CT", 0.297),
            ("VoxTell", 0.285),
            ("DAGG", 0.253),
            ("SAT-FT", 0.205),
            ("VoxTell-FT", 0.162),
            ("BiomedParseV2", 0.025),
        ]

    def test_the_categories_of_each_row_have_the_findings_of_the_case_set_together(self):
        table = published()["rexrank_100"]
        for one in table.rows:
            assert sum(numbers.n or 0 for code, numbers in one.numbers.items() if code != ALL) == table.findings == 226

    def test_the_paper_s_table_has_its_intervals_and_both_hit_rates(self):
        [one] = (each for each in published()["paper_table4_200"].rows if each.algorithm == "MedSAM2")
        overall = one.numbers[ALL]
        assert (overall.dice, overall.dice_ci) == (0.257, (0.237, 0.278))
        assert (overall.hit_rate_05, overall.hit_rate, overall.hit_rate_ci) == (0.733, 0.635, (0.591, 0.678))
        assert (one.numbers["focal"].dice_ci, one.numbers["non_focal"].dice) == ((0.237, 0.284), 0.239)

    def test_box_prompts_and_zero_shot_are_said_in_the_row(self):
        table = published()["paper_table4_200"]
        said = {(one.prompt, one.training): one.not_comparable or table.not_comparable for one in table.rows}
        assert "box" in said["box", None]
        assert "zero-shot" in said["text", "zero-shot"]
        assert "200 cases" in said["text", "fine-tuned"]


@pytest.mark.django_db
class TestTheImport:
    @pytest.fixture
    def phase(self):
        return cast.phase()

    def take(self, phase, text: str = json.dumps(FILE), **options: Any):
        [(name, table)] = read_tables(text).items()
        return import_table(phase, name, table, by=cast.OPERATOR, why="So", **options)

    def test_a_row_has_what_its_table_says_unless_it_says_otherwise(self, phase):
        self.take(phase)
        rows = ReferenceRow.objects.in_bulk(field_name="pk").values()
        assert [(one.name, one.not_comparable, one.cases, f"{one.source_date}") for one in rows] == [
            ("SAT, zero-shot", "Another case set.", 200, "2026-08-01"),
            ("SAT, fine-tuned", "Box prompts.", 200, "2026-08-01"),
        ]
        assert rows.__iter__().__next__().numbers == {"all": {"dice": 0.0}}, "what is not known is left out"

    def test_again_it_changes_nothing(self, phase):
        self.take(phase)
        before = list(ReferenceRow.objects.values())
        changes = self.take(phase)
        assert (changes.unchanged, changes.changed) == (["SAT, zero-shot", "SAT, fine-tuned"], [])
        assert list(ReferenceRow.objects.values()) == before
        assert AuditEntry.objects.filter(target_type="referencerow").count() == 2

    def test_a_table_is_then_what_the_file_says_and_the_record_says_who_changed_what(self, phase):
        self.take(phase)
        kept = ReferenceRow.objects.get(training="fine-tuned").pk
        file = json.loads(changed(*row(1, "numbers", "all", "dice"), to=0.3))
        del file["baselines"]["rows"][0]
        changes = self.take(phase, json.dumps(file))
        assert (changes.removed, changes.changed) == (["SAT, zero-shot"], ["SAT, fine-tuned"])
        assert ReferenceRow.objects.get().pk == kept
        done = AuditEntry.objects.filter(target_type="referencerow").order_by("pk").values_list("action", "why")
        assert [*done][2:] == [("change reference row", "So"), ("delete reference row", "So")]

    def test_other_tables_and_other_phases_stay_as_they_are(self, phase):
        other = cast.phase(phase.case_set, slug="other")
        self.take(phase)
        self.take(other)
        self.take(phase, changed(*row(0, "numbers", "all", "dice"), to=0.9).replace("baselines", "others"))
        assert ReferenceRow.objects.filter(table="baselines").count() == 4

    def test_a_dry_run_says_what_it_would_do_and_does_nothing(self, phase):
        assert self.take(phase, dry_run=True).added == ["SAT, zero-shot", "SAT, fine-tuned"]
        assert not ReferenceRow.objects.exists()
        assert not AuditEntry.objects.filter(target_type="referencerow").exists()


@pytest.mark.django_db
class TestByHand:
    @pytest.fixture
    def reference(self):
        [(name, table)] = read_tables(json.dumps(FILE)).items()
        import_table(cast.phase(), name, table, by=cast.OPERATOR)
        return ReferenceRow.objects.get(training="fine-tuned")

    def send(self, client, reference, numbers: object):
        told = {"phase": reference.phase_id, "table": "baselines", "algorithm": "SAT", "training": "fine-tuned"}
        told |= {"not_comparable": "Box prompts.", "source": "A paper", "numbers": json.dumps(numbers), "why": "A typo"}
        return client.post(f"/admin/leaderboard/referencerow/{reference.pk}/change/", told)

    def test_an_organiser_changes_a_row_and_the_record_says_why(self, admin_client, reference):
        assert self.send(admin_client, reference, {"all": {"dice": 0.21}}).status_code == 302
        reference.refresh_from_db()
        assert reference.numbers == {"all": {"dice": 0.21}}
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.why, entry.after["numbers"]) == (
            "change reference row",
            "A typo",
            {"all": {"dice": 0.21}},
        )

    @pytest.mark.parametrize(
        ("numbers", "said"),
        [({"all": {"dice": 2}}, "all.dice: Input should be less than"), ({"2d": {"dice": 0.2}}, "no numbers of “all”")],
    )
    def test_its_numbers_are_checked_like_those_of_a_file(self, admin_client, reference, numbers, said):
        assert said in self.send(admin_client, reference, numbers).content.decode()
        reference.refresh_from_db()
        assert reference.numbers["all"]["dice"] == 0.2
