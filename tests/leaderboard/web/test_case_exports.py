"""From the files of a version alone, by code that shares nothing with the server's: ranks, intervals, tests, groups.

Public cases stand in them at once; hidden ones after the reveal, by an act of an organiser, under numbers.
"""

import csv
import io
import json
import math
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from statistics import NormalDist

import jsonschema_rs
import numpy as np
import pytest
from django.db import transaction

import evaluation
from leaderboard.api.paging import Page
from leaderboard.api.schemas.case_numbers import CaseNumbersOut, FindingNumbersOut
from leaderboard.api.schemas.challenge import BoardRowOut
from leaderboard.board import versions
from leaderboard.board.reading import read_board
from leaderboard.certainty.pairs import paired_tests
from leaderboard.challenge import published_cases
from leaderboard.core import clock
from leaderboard.models import (
    BoardRow,
    BoardVersion,
    CaseNumberSecret,
    CaseSet,
    Phase,
    Rescoring,
    Run,
    RunCase,
    Submission,
)
from leaderboard.scores import aggregates
from tests.leaderboard import cast
from tests.leaderboard.board import scored_cases

pytestmark = pytest.mark.django_db
DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT = (DOCS / "exports.md").read_text()
FILES = ("cases.csv", "cases.json", "findings.csv", "findings.json", "challenger.csv", "resamples.csv")
OF_FINDINGS = ("findings.csv", "findings.json")
CASES, FEW, SKILLS = 60, 16, {"Alice": 0.4, "Charlie": 0.35, "Dora": 0.55, "Erik": 0.2}


def made(cases: int = FEW, teams: int = 2, **fields) -> Phase:
    """A phase with a run of each team, one of which lost two cases."""
    phase = scored_cases.phase(cases, **fields)
    for name, skill in [*SKILLS.items()][-teams:]:
        scored_cases.run(cast.team_of(cast.person(name)), phase, skill, lost=2 if name == "Erik" else 0)
    return phase


def public_of(*size: int) -> Phase:
    """A phase on public cases, with its board."""
    phase = made(*size, cases_are_public=True)
    versions.make(phase.pk)
    return phase


def over_of(*size: int) -> Phase:
    """A phase on hidden cases that is closed and revealed, and whose numbers of cases nobody has published."""
    phase = made(*size, publication="half")
    scored_cases.end(phase)
    versions.make(phase.pk)
    return phase


def published_of(*size: int) -> Phase:
    """Such a phase whose numbers of cases everybody may have."""
    phase = over_of(*size)
    published_cases.publish(phase, findings=True, by=cast.OPERATOR, why="For the paper.")
    return phase


#: The phases that tests share, by name.
PHASES: dict[str, Callable[[], Phase]] = {
    "few public": public_of,
    "few over": over_of,
    "few published": published_of,
    "public": lambda: public_of(CASES, 4),
    "published": lambda: published_of(CASES, 4),
}
#: By the fixture that a test asks for, which of these it is run with, one after the other.
SHARED = {
    "public": ["few public"],
    "over": ["few over"],
    "published": ["few published"],
    "shown": ["public", "published"],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of one phase follow each other, so that it is made once."""
    names = next((names for fixture, names in SHARED.items() if fixture in metafunc.fixturenames), ["none"])
    ids = names if len(names) > 1 else [pytest.HIDDEN_PARAM]
    metafunc.parametrize("shared", names, indirect=True, scope="module", ids=ids)


@pytest.fixture(scope="module", autouse=True)
def shared(request: pytest.FixtureRequest, made_once) -> Iterator[None]:
    """One of these phases, or none, in the database while tests of it are run."""
    with transaction.atomic():
        if make := PHASES.get(request.param):
            make()
        yield
        transaction.set_rollback(True)


@pytest.fixture
def shown(shared, shared_files) -> Phase:
    """A phase with many cases and four teams whose numbers of cases everybody may have."""
    return Phase.objects.get()


@pytest.fixture
def public(shared, shared_files) -> Phase:
    """One on public cases."""
    return Phase.objects.get()


@pytest.fixture
def over(shared, shared_files) -> Phase:
    """One that is over, without numbers of cases."""
    return Phase.objects.get()


@pytest.fixture
def published(shared, shared_files) -> Phase:
    """One with them."""
    return Phase.objects.get()


def present(phase: Phase) -> int:
    """The number of the present version."""
    version = read_board(phase, "main", clock.now()).version
    assert version is not None
    return version.number


def address(phase: Phase, name: str, number: int = 0) -> str:
    return f"/leaderboard/{phase.slug}/main/versions/{number or present(phase)}/{name}"


def text(client, phase: Phase, name: str) -> str:
    return sent(client, phase, name, present(phase))


def sent(client, phase: Phase, name: str, number: int) -> str:
    answer = client.get(address(phase, name, number))
    assert answer.status_code == 200, name
    return b"".join(answer.streaming_content).decode()


def table(client, phase: Phase, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text(client, phase, name), newline="")))


def scores(client, phase: Phase) -> tuple[list[str], np.ndarray]:
    """Teams in the order of the board, and the Dice of each case (teams, cases), from what challengeR takes."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in table(client, phase, "challenger.csv"):
        found[row["algorithm"]][row["case"]] = float(row["value"])
    return list(found), np.array([list(of_cases.values()) for of_cases in found.values()])


# --- what anybody can make again --------------------------------------------------------------------------------------


def test_ranks_and_dice_are_the_means_over_cases(client, shown):
    teams, dice = scores(client, shown)
    assert dice.shape == (len(SKILLS), CASES)
    means = dice.mean(axis=1)
    ranks = [1 + sum(other > one for other in means) for one in means]
    board = read_board(shown, "main", clock.now())
    assert [(row.team.slug, row.rank) for row in board.rows] == list(zip(teams, ranks, strict=True))
    assert means == pytest.approx([row.dice for row in board.rows], rel=1e-14)


def test_intervals_are_those_of_the_resamples(client, shown):
    _, dice = scores(client, shown)
    counts = np.array(
        [[int(count) for count in list(row.values())[1:]] for row in table(client, shown, "resamples.csv")]
    )
    assert counts.shape == (1000, CASES)
    assert set(counts.sum(axis=1)) == {CASES}
    low, high = np.percentile(dice @ counts.T / CASES, [2.5, 97.5], axis=1)
    board = read_board(shown, "main", clock.now())
    assert [row.dice_ci for row in board.rows] == [
        pytest.approx(ends, rel=1e-12) for ends in zip(low, high, strict=True)
    ]


def test_hit_rate_and_f1_with_their_intervals_follow_from_the_sums_of_cases(client, shown):
    told = json.loads(text(client, shown, "cases.json"))
    counts = np.array(
        [[int(count) for count in list(row.values())[1:]] for row in table(client, shown, "resamples.csv")]
    )
    drawn = np.vstack([np.ones(CASES), counts])
    board = read_board(shown, "main", clock.now())
    for said, row in zip(told["rows"], board.rows, strict=True):

        def added(name, said=said):
            return drawn @ np.array(said[name])

        def f1(before, added=added):
            tp, fp, fn = (added(before + name) for name in ("tp", "fp", "fn"))
            return 2 * tp / (2 * tp + fp + fn)

        numbers = {"hit_rate": added("hits") / added("findings"), "instance_f1": f1(""), "distance_f1": f1("distance_")}
        for name, values in numbers.items():
            assert values[0] == pytest.approx(getattr(row, name)) == pytest.approx(said[f"board_{name}"]), name
            ends = tuple(np.percentile(values[1:], [2.5, 97.5]))
            assert ends == pytest.approx(getattr(row, f"{name}_ci")), name
            assert tuple(said[f"board_{name}_ci"]) == getattr(row, f"{name}_ci"), name


def test_groups_of_findings_follow_from_the_findings(client, shown):
    lines = table(client, shown, "findings.csv")
    board = read_board(shown, "main", clock.now(), opened=True)
    checked = set()
    for row in board.rows:
        mine = [line for line in lines if line["team"] == row.team.slug]
        for group in row.opened.groups:
            of_group = [line for line in mine if group.code in codes_of(line)]
            assert len(of_group) == group.n
            assert np.mean([float(line["dice"]) for line in of_group]) == pytest.approx(group.dice)
            assert np.mean([int(line["hit"]) for line in of_group]) == pytest.approx(group.hit_rate)
            checked.add(group.code)
    assert checked == {"focal", "non_focal", "small", "medium", "large", *scored_cases.CATEGORIES}


def codes_of(line: dict[str, str]) -> set[str]:
    return {line["category"], line["size"], "non_focal" if line["category"].startswith("1") else "focal"}


def test_p_values_are_those_of_the_signed_rank_test(client, shown):
    teams, dice = scores(client, shown)
    tests = paired_tests(dice)
    assert len(teams) == len(SKILLS)
    for one, other in permutations(range(len(teams)), 2):
        assert tests.p_values[one, other] == pytest.approx(signed_rank(dice[one] - dice[other]), rel=1e-9)


def signed_rank(differences) -> float:
    """One-sided, by the normal approximation with correction for continuity and ties, as a textbook has it."""
    left = [one for one in differences if one]
    sizes = sorted(abs(one) for one in left)
    places = {size: [n for n, one in enumerate(sizes, 1) if one == size] for size in set(sizes)}
    statistic = sum(np.mean(places[abs(one)]) for one in left if one > 0)
    n = len(left)
    spread = n * (n + 1) * (2 * n + 1) / 24 - sum(len(one) ** 3 - len(one) for one in places.values()) / 48
    return NormalDist().cdf(-float(statistic - n * (n + 1) / 4 - 0.5) / math.sqrt(spread))


@pytest.mark.parametrize("language", ["python", "r"])
def test_the_code_of_the_document_makes_them_again(client, shown, tmp_path: Path, language):
    program = {"python": sys.executable, "r": shutil.which("Rscript")}[language]
    if program is None:
        pytest.skip("R is not here: Python says it")
    for name in ("challenger.csv", "resamples.csv"):
        (tmp_path / name).write_text(text(client, shown, name))
    *_, code = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.S)
    (tmp_path / "again").write_text(code)
    said = subprocess.run([program, "again"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    lines = [line.split() for line in said.stdout.splitlines()]
    board = {row.team.slug: row for row in read_board(shown, "main", clock.now()).rows}
    assert {line[0]: [float(one) for one in line[1:]] for line in lines if len(line) == 5} == {
        slug: pytest.approx([row.rank, row.dice, *(row.dice_ci or ())]) for slug, row in board.items()
    }
    teams, dice = scores(client, shown)
    p_values = paired_tests(dice).p_values
    for team, other, p in (line for line in lines if len(line) == 3):
        assert float(p) == pytest.approx(p_values[teams.index(team), teams.index(other)], rel=1e-9)
    assert sum(len(line) == 3 for line in lines) == 12


def test_numpy_draws_the_resamples_of_public_cases_from_their_seed(client, public):
    told = json.loads(text(client, public, "cases.json"))
    seed, n = int(told["bootstrap"]["seed"]), len(told["labels"])
    indices = np.random.default_rng(seed).integers(0, n, (told["bootstrap"]["resamples"], n))
    counts = [[str(count) for count in np.bincount(row, minlength=n)] for row in indices]
    assert [list(row.values())[1:] for row in table(client, public, "resamples.csv")] == counts


# --- what stands in the files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "schema"), [("cases", CaseNumbersOut), ("findings", FindingNumbersOut)])
def test_json_is_as_its_schema_says_and_the_api_has_it_too(client, shown, name, schema):
    found = text(client, shown, f"{name}.json")
    kept = json.loads((DOCS / "schemas" / f"{name}.json").read_text())
    assert kept == schema.model_json_schema()
    jsonschema_rs.Draft202012Validator(kept).validate(json.loads(found))
    answer = client.get(f"/api/v1/phases/{shown.slug}/{name}")
    assert (answer.status_code, answer.content.decode()) == (200, found)


def test_a_board_of_the_api_is_as_its_schema_says(client, public):
    kept = json.loads((DOCS / "schemas" / "board.json").read_text())
    assert kept == Page[BoardRowOut].model_json_schema()
    found = client.get(f"/api/v1/phases/{public.slug}/board").json()
    jsonschema_rs.Draft202012Validator(kept).validate(found)
    assert len(found["items"]) == 2


@pytest.mark.parametrize("name", ["cases.csv", "findings.csv", "challenger.csv"])
def test_the_document_has_every_column_of_a_table_in_order(client, public, name):
    head, *_ = text(client, public, name).splitlines()
    part = DOCUMENT.partition(f"### `{name}`")[2].partition("###")[0]
    common = DOCUMENT.partition("## Columns")[2].partition("###")[0] if name != "challenger.csv" else ""
    assert re.findall(r"^\| `(\w+)` \|", common + part, re.MULTILINE) == head.split(",")


def test_lists_of_json_are_as_long_as_what_they_are_about_and_csv_says_the_same(client, shown):
    cases, findings = (json.loads(text(client, shown, name)) for name in ("cases.json", "findings.json"))
    assert len(cases["labels"]) == cases["cases"] == CASES
    for told, about in ((cases, cases["labels"]), (findings, findings["findings"])):
        lists = [value for row in told["rows"] for name, value in row.items() if not name.startswith("board")]
        assert {len(one) for one in lists if isinstance(one, list)} == {len(about)}
    first = table(client, shown, "cases.csv")[CASES]
    assert first["team"] == cases["rows"][1]["team"]
    assert (first["case"], float(first["dice"])) == (cases["labels"][0], cases["rows"][1]["dice"][0])
    line = table(client, shown, "findings.csv")[0]
    assert {name: line[name] for name in ("case", "finding", "category", "size")} == {
        name: str(value) for name, value in findings["findings"][0].items()
    }


def test_public_cases_stand_under_their_names_with_what_became_of_them(client, public):
    rows = [row for row in table(client, public, "cases.csv") if row["team"] == "team-of-erik"]
    names = sorted(public.case_set.cases.values_list("name", flat=True))
    assert [row["case"] for row in rows] == names
    assert [row["status"] for row in rows] == ["missing"] * 2 + ["scored"] * (FEW - 2)


def test_words_of_teams_are_no_formulas(client):
    phase = scored_cases.phase(12, cases_are_public=True)
    scored_cases.run(cast.team_of(cast.person("Alice")), phase, 0.5, algorithm="=1+1")
    assert {row["algorithm"] for row in table(client, phase, "cases.csv")} == {"'=1+1"}


def test_who_is_not_ranked_is_in_all_files_but_the_one_for_challenge_r(client, public):
    team = cast.team_of(cast.person("Olga"))
    team.is_of_organisers = True
    team.save()
    scored_cases.run(team, public, 0.9)
    assert team.slug not in scores(client, public)[0]
    listed = {row["team"]: (row["listed"], row["rank"]) for row in table(client, public, "cases.csv")}
    assert listed[team.slug] == ("organisers", "")


def test_a_board_without_rows_has_no_files(client):
    phase = scored_cases.phase(12, cases_are_public=True)
    assert statuses(client, phase) == {404}
    assert "Numbers of single cases" not in client.get(f"/leaderboard/{phase.slug}/").content.decode()


# --- how they are asked for -------------------------------------------------------------------------------------------


def test_who_has_a_file_is_told_so(client, shown):
    answer = client.get(address(shown, "cases.csv"))
    assert "public" in answer["Cache-Control"]
    assert answer["Content-Disposition"].endswith(f'"{shown.slug}-main-v1-cases.csv"')
    again = client.get(address(shown, "cases.csv"), headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(address(shown, "cases.json"), headers={"If-None-Match": answer["ETag"]})
    assert other.status_code == 200


def test_a_version_keeps_its_files_when_others_follow(client, public):
    before = text(client, public, "cases.csv")
    Submission.objects.filter(team__name="Team of Dora").update(withdrawn_at=clock.now())
    assert present(public) == 2
    assert sent(client, public, "cases.csv", 1) == before
    assert "team-of-dora" not in text(client, public, "cases.csv")


def test_a_row_that_was_made_before_rows_named_their_run_has_its_numbers(client, public):
    before = text(client, public, "cases.csv")
    for row in BoardRow.objects.all():
        del row.shown["run"], row.shown["seconds_per_case"]
        row.save()
    assert sent(client, public, "cases.csv", 1) == before


def test_where_the_numbers_of_a_run_are_not_kept_there_is_no_file(client, public):
    number = present(public)
    Run.objects.get(submission__team__name="Team of Dora").scores.all().delete()
    Run.objects.get(submission__team__name="Team of Dora").cases.update(result=None)
    assert client.get(address(public, "cases.csv", number)).status_code == 404


@pytest.mark.parametrize("name", ["cases.xml", "nothing.csv", "cases"])
def test_there_is_no_other_file(client, public, name):
    assert client.get(address(public, name)).status_code == 404


def test_the_api_reads_any_version_of_a_board(client, public):
    read_board(public, "main", clock.now())
    Submission.objects.filter(team__name="Team of Dora").update(withdrawn_at=clock.now())
    read_board(public, "main", clock.now())
    path = f"/api/v1/phases/{public.slug}/board"
    first, second, present = (client.get(path + asked) for asked in ("?version=1", "?version=2", ""))
    assert [one["Board-Version"] for one in (first, second, present)] == ["1", "2", "2"]
    assert [one.json()["total"] for one in (first, second, present)] == [2, 1, 1]
    assert client.get(f"{path}?version=9").status_code == 404


# --- hidden cases -----------------------------------------------------------------------------------------------------


def statuses(client, phase: Phase, number: int = 0) -> set[int]:
    found = {client.get(address(phase, name, number)).status_code for name in FILES}
    return found | {client.get(f"/api/v1/phases/{phase.slug}/{name}").status_code for name in ("cases", "findings")}


def test_of_hidden_cases_there_is_nothing_before_an_organiser_published_them(client, over):
    assert statuses(client, over) == {404}
    assert "Numbers of single cases" not in client.get(f"/leaderboard/{over.slug}/").content.decode()


@pytest.mark.parametrize("publication", ["everything", "half", "nothing"])
def test_before_the_reveal_there_is_nothing_even_if_a_row_says_otherwise(client, publication):
    phase = made(publication=publication)
    cast.let_a_minute_pass()
    at = clock.now()
    CaseNumberSecret.objects.create(phase=phase, secret="00" * 32)
    # No way leads there but by hand, and the database wants a reveal: it lies ahead.
    Phase.objects.update(closes_at=at, revealed_at=at.replace(year=2200), cases_published_at=at.replace(year=2200))
    assert statuses(client, phase, 1) == {404}


def test_versions_of_before_the_reveal_have_no_files(client, published):
    read_board(published, "main", clock.now())
    assert statuses(client, published, 1) == {200}
    BoardVersion.objects.filter(number=1).update(is_revealed=False)
    assert {client.get(address(published, name, 1)).status_code for name in FILES} == {404}


def test_without_the_findings_only_files_of_cases_are_there(client, over):
    published_cases.publish(over, by=cast.OPERATOR, why="For the paper.")
    found = {name: client.get(address(over, name)).status_code for name in FILES}
    assert {name for name, status in found.items() if status == 404} == set(OF_FINDINGS)
    assert client.get(f"/api/v1/phases/{over.slug}/findings").status_code == 404
    assert "category" not in text(client, over, "cases.csv") + text(client, over, "cases.json")


def test_published_cases_stand_under_numbers_in_an_order_that_is_not_that_of_names(client, published):
    told = json.loads(text(client, published, "cases.json"))
    assert told["labels"] == [str(number) for number in range(1, FEW + 1)]
    run = Run.objects.get(submission__team__name="Team of Dora")
    # The last digit of a case's own Dice is rounded once, that of the arrays with each sum.
    by_name = [round(row.result["dice"], 14) for row in run.cases.order_by("case__name") if row.result]
    [dora] = (row for row in told["rows"] if row["team"] == "team-of-dora")
    shown = [round(dice, 14) for dice in dora["dice"]]
    assert shown != by_name
    assert sorted(shown) == sorted(by_name)
    rises = sum(one < two for one, two in pairwise(by_name.index(dice) for dice in shown))
    assert FEW / 4 < rises < 3 * FEW / 4


def test_nothing_in_the_files_of_hidden_cases_names_a_case_or_gives_their_order_away(client, published):
    cases = published.case_set
    secrets = [*cases.cases.values_list("name", flat=True), published.case_number_secret.secret, cases.digest]
    secrets += [str(seed_of(cases)), "A finding in case", "missing", "status"]
    for name in FILES:
        said = text(client, published, name)
        told = [one for one in secrets if one in said and not (one == "status" and "cases" in name)]
        assert told == [], name
    assert json.loads(text(client, published, "cases.json"))["bootstrap"]["seed"] is None
    [statuses] = {tuple(row["status"]) for row in json.loads(text(client, published, "cases.json"))["rows"]}
    assert set(statuses) == {None}


def seed_of(case_set) -> int:
    return evaluation.seed_from(case_set.digest)


def test_all_files_of_a_phase_have_the_same_numbers(client, published):
    findings = table(client, published, "findings.csv")
    dice = defaultdict(list)
    for line in findings:
        dice[line["team"], line["case"]].append(float(line["dice"]))
    for line in table(client, published, "cases.csv"):
        assert float(line["dice"]) == pytest.approx(np.mean(dice[line["team"], line["case"]]))
        assert int(line["findings"]) == len(dice[line["team"], line["case"]])


def test_a_re_scoring_changes_neither_files_of_before_nor_numbers_of_cases(client, published):
    before = {name: text(client, published, name) for name in FILES}
    old = published.case_set
    mended = scored_cases.phase(FEW, cases_name="mended", slug="mended").case_set
    CaseSet.objects.filter(pk=mended.pk).update(mends=old, revision=1)
    told = {"from_version": "1", "to_version": "1-r1", "from_cases": old, "to_cases": mended, "reason": "So."}
    times = {"started_at": clock.now(), "decided_at": clock.now()}
    Rescoring.objects.create(phase=published, state="applied", **told, **times)
    Phase.objects.filter(pk=published.pk).update(case_set=mended, evaluation_version="1-r1")
    for case in mended.cases.all():
        RunCase.objects.filter(case__case_set=old, case__name=case.name).update(case=case)
    assert {name: sent(client, published, name, 1) for name in FILES} == before
    for run in Run.objects.all():
        aggregates.aggregate(run)
    published.refresh_from_db()
    assert present(published) == 2
    now, then = (json.loads(said) for said in (text(client, published, "cases.json"), before["cases.json"]))
    assert now["evaluation_version"] == "1-r1"
    assert [row["dice"] for row in now["rows"]] == [row["dice"] for row in then["rows"]]


def test_post_challenge_runs_on_hidden_cases_are_in_no_file(client, over):
    late = Submission.objects.get(team__name="Team of Dora")
    Submission.objects.filter(pk=late.pk).update(kind="post_challenge", accepted_at=over.closes_at)
    times = {"post_challenge_opens_at": over.closes_at, "post_challenge_closes_at": clock.now()}
    Phase.objects.filter(pk=over.pk).update(**times)
    over.refresh_from_db()
    published_cases.publish(over, findings=True, by=cast.OPERATOR, why="For the paper.")
    board = read_board(over, "main", clock.now())
    assert [row.team.slug for row in board.after] == ["team-of-dora"]
    assert all("dora" not in text(client, over, name) for name in FILES)


def test_an_archived_phase_keeps_its_files(client, published):
    before = text(client, published, "cases.csv")
    Phase.objects.filter(pk=published.pk).update(archived_at=clock.now())
    published.refresh_from_db()
    assert text(client, published, "cases.csv") == before
