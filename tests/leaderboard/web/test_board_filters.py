"""Rows of a board that somebody wants to see, and its columns: the address says which, and no rank changes by it."""

import csv
import io
from types import SimpleNamespace

import pytest

from leaderboard.board import versions
from leaderboard.models import Phase, Submission
from leaderboard.web.boards.columns import COLUMNS, USUAL
from tests.leaderboard import cast
from tests.leaderboard.web.conftest import four_people, of_now
from tests.leaderboard.web.scene import Page, page, scored

pytestmark = pytest.mark.django_db
NAMES = ("Alice and Bob", "Rivals", "Pleura", "Septum")


@pytest.fixture(scope="module")
def made(made_once) -> SimpleNamespace:
    """Four teams, best first: no word of open source, a link to code, a commitment, and masks."""
    people = four_people()
    phase = cast.phase(slug="dev", cases_are_public=True, takes="both")
    teams = [people.team, people.rivals, *(cast.team_of(cast.person(name), name=name) for name in NAMES[2:])]
    runs = [scored(team, phase, dice=0.6 - number / 10) for number, team in enumerate(teams)]
    for run, change in zip(
        runs[1:],
        ({"code_url": "https://code.example"}, {"commitment": "We will publish."}, {"entry": "masks"}),
        strict=True,
    ):
        Submission.objects.filter(pk=run.submission_id).update(**change)
    return people


@pytest.fixture
def people(made) -> SimpleNamespace:
    return of_now(made)


@pytest.fixture
def phase(made) -> Phase:
    """That in which they are."""
    return Phase.objects.get()


def shown(answer: Page) -> list[tuple[str, str]]:
    """The ranks and teams of the table, as they stand there."""
    words = answer.text
    rows = [(words.rfind(name, 0, words.find("How the ranks are made")), name) for name in NAMES]
    return [(words[:at].split()[-1], name) for at, name in sorted(rows) if at >= 0]


def heads(answer: Page) -> list[str]:
    """What the columns after Dice are called."""
    _, _, text = answer.text.partition("Dice with its 95 % interval, drawn")
    of_table = text[: min(at for name in NAMES if (at := text.find(name)) >= 0)]
    known = (
        "Hit rate",
        "Instance F1",
        "Inst. precision",
        "Distance F1",
        "Dist. precision",
        "Seconds a case",
        "Runs",
        "Date",
        "Links",
    )
    return [label for label in known if label in of_table]


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ("", [("1", "Alice and Bob"), ("2", "Rivals"), ("3", "Pleura"), ("4", "Septum")]),
        ("?source=open", [("2", "Rivals"), ("3", "Pleura")]),
        ("?entry=masks", [("4", "Septum")]),
        ("?entry=image&source=open", [("2", "Rivals"), ("3", "Pleura")]),
        ("?source=open&sort=team", [("3", "Pleura"), ("2", "Rivals")]),
        ("?source=open&group=focal", [("2", "Rivals"), ("3", "Pleura")]),
    ],
)
def test_rows_are_filtered_and_keep_the_ranks_of_the_whole_board(client, phase, asked, rows):
    assert shown(page(client.get(f"/leaderboard/dev/{asked}"))) == rows


def test_the_table_says_that_it_is_not_the_whole_board(client, phase):
    text = page(client.get("/leaderboard/dev/?source=open")).text
    assert "2 of 4 teams on the Main track. Ranks are those of the whole board." in text
    assert "whole board" not in page(client.get("/leaderboard/dev/")).text


def test_where_no_row_is_left_the_page_says_so_and_leads_back_to_all(client, phase):
    Submission.objects.update(code_url="", commitment="")
    answer = page(client.get("/leaderboard/dev/?source=open&sort=team"))
    assert "No row is like that" in answer.text
    assert answer.all("a", href="/leaderboard/dev/?sort=team")


def test_masks_that_stand_apart_are_filtered_too(client, phase):
    Phase.objects.filter(pk=phase.pk).update(masks_are_ranked=False)
    assert "Masks, not ranked" in page(client.get("/leaderboard/dev/")).text
    assert "Masks, not ranked" not in page(client.get("/leaderboard/dev/?entry=image")).text


def test_a_phase_that_takes_no_masks_offers_no_choice_of_entries(client, phase):
    Phase.objects.filter(pk=phase.pk).update(takes="images")
    assert not page(client.get("/leaderboard/dev/")).all("select", name="entry")
    assert page(client.get("/leaderboard/dev/?entry=masks")).all("select", name="entry"), "it can be undone"


def test_a_version_is_filtered_at_its_address(client, phase):
    versions.make(phase.pk)
    answer = page(client.get("/leaderboard/dev/main/versions/1/?source=open&columns=none"))
    assert shown(answer) == [("2", "Rivals"), ("3", "Pleura")]
    assert heads(answer) == []


def test_the_csv_has_the_filtered_rows_with_their_ranks_and_all_columns(client, phase):
    link = "/leaderboard/dev/board.csv?source=open"
    assert page(client.get("/leaderboard/dev/?source=open&columns=none")).all("a", href=link)
    whole, some = (
        list(csv.DictReader(io.StringIO(client.get(address).content.decode())))
        for address in ("/leaderboard/dev/board.csv", link)
    )
    assert [(row["rank"], row["team"]) for row in some] == [("2", "Rivals"), ("3", "Pleura")]
    assert some == whole[1:3]


def test_the_usual_columns_are_shown_unless_others_are_asked_for(client, phase):
    usual = ["Hit rate", "Instance F1", "Distance F1", "Runs", "Date"]
    assert heads(page(client.get("/leaderboard/dev/"))) == usual
    asked = page(client.get("/leaderboard/dev/?columns=instance_pr,seconds,links"))
    assert heads(asked) == ["Inst. precision", "Seconds a case", "Links"]
    assert asked.all("a", href="https://code.example")
    assert heads(page(client.get("/leaderboard/dev/?columns=none"))) == []


def test_institutions_are_a_column_that_can_be_left_out(client, phase, people):
    type(people.team).objects.filter(pk=people.team.pk).update(affiliation="Hall of Lungs")
    assert "Hall of Lungs" in page(client.get("/leaderboard/dev/")).text
    assert "Hall of Lungs" not in page(client.get("/leaderboard/dev/?columns=date")).text


def test_the_column_by_which_the_board_is_sorted_is_shown_in_any_case(client, phase):
    assert heads(page(client.get("/leaderboard/dev/?columns=date&sort=hit_rate"))) == ["Hit rate", "Date"]


def test_a_forms_boxes_become_one_short_address(client, phase):
    """It sends each box for itself, and “none”, so that no box at all is not taken for the usual ones."""
    form = "/leaderboard/?phase=dev&track=main&group=all&sort=rank&source=&entry=&columns=none"
    usual = "".join(f"&columns={name}" for name in USUAL)
    ticked = {"": "?columns=none", "&columns=date&columns=hit_rate": "?columns=hit_rate,date", usual: ""}
    for boxes, address in ticked.items():
        assert client.get(form + boxes)["Location"] == f"/leaderboard/dev/{address}"


def test_every_choice_stays_in_the_addresses_of_the_page(client, phase):
    answer = page(client.get("/leaderboard/dev/?source=open&columns=hit_rate,links"))
    kept = "source=open&columns=hit_rate,links"
    for link in ("sort=team&" + kept, "track=overall&" + kept, kept + "&open=rivals#team-rivals"):
        assert answer.all("a", href=f"/leaderboard/dev/?{link}"), link
    assert answer.all("a", href="/leaderboard/dev/?source=open"), "back to the usual columns"


def test_the_form_shows_what_was_chosen(client, phase):
    answer = page(client.get("/leaderboard/dev/?source=open&columns=hit_rate,links"))
    ticked = [box["value"] for box in answer.all("input", name="columns", type="checkbox") if "checked" in box]
    assert ticked == ["hit_rate", "links"]
    assert [one["value"] for one in answer.all("option", value="open") if "selected" in one] == ["open"]
    boxes = page(client.get("/leaderboard/dev/")).all("input", name="columns", type="checkbox")
    assert [box["value"] for box in boxes] == list(COLUMNS)


@pytest.mark.parametrize("query", ["source=closed", "entry=paper", "columns=shoe_size", "columns=date,shoe_size"])
def test_a_choice_that_there_is_not_is_not_found(client, phase, query):
    assert client.get(f"/leaderboard/dev/?{query}").status_code == 404
    assert client.get(f"/leaderboard/dev/board.csv?{query}").status_code == 404


@pytest.mark.parametrize(("columns", "span"), [("none", 4), ("institutions,date", 5), (",".join(COLUMNS), 13)])
def test_an_opened_row_spans_the_columns_that_are_shown(client, phase, columns, span):
    answer = page(client.get(f"/leaderboard/dev/?columns={columns}&open=rivals"))
    [opened] = [cell for cell in answer.all("td") if "colspan" in cell]
    table = [
        name for name, _ in answer.elements[answer.elements.index(("table", answer.all("table", role="table")[0])) :]
    ]
    heads_of_table = table[: table.index("tbody")].count("th")
    assert (opened["colspan"], heads_of_table) == (str(span), span)
