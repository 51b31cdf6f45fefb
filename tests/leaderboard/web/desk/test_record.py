"""The desk's page of the record: searched, paged, exported; read by viewers, taken along by organisers."""

import csv
import json
from datetime import timedelta

import pytest
from django.db import connection, transaction

from leaderboard.core import audit, clock, verification
from leaderboard.core.audit import Actor
from leaderboard.hosts import registry
from leaderboard.models import AuditEntry, RecordCheck
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
PAGE = "/organisers/record/"


@pytest.fixture
def decided(people) -> None:
    """What Alice, Olga and somebody at the command line decided, beside what the cast did."""
    host = cast.host()
    registry.drain(host, by=Actor.person(people.olga), why="A new driver.")
    registry.end_draining(host, by=cast.OPERATOR)
    with transaction.atomic():
        audit.record(
            Actor.person(people.alice),
            "change profile",
            people.alice,
            before={"affiliation": "Ärzte <b>Basel</b>"},
            after={"affiliation": "Zürich"},
        )


def lines(people, query: str, browser: str = "Olga") -> list[str]:
    """The actions that a search finds."""
    answer = people.browser[browser].get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    return [entry.action for entry, _ in answer.context["entries"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("person=Olga", ["drain"]),
        ("person=command+line", ["end draining"]),
        ("action=drain&thing=host", ["end draining", "drain"]),
        ("thing=gpu-1&words=driver+new", ["drain"]),
        ("words=basel", ["change profile"]),
        ("words=Ärzte", ["change profile"]),
        ("words=100%25", []),
        ("since=2999-01-01", []),
        ("until=1999-01-01", []),
        ("action=drain&page=999", ["end draining", "drain"]),
        (f"person={'9' * 30}", []),
    ],
)
def test_entries_are_found_by_person_action_thing_words_and_days(people, decided, query, found):
    assert lines(people, query) == found


def test_a_person_is_found_by_the_number_and_a_thing_by_its_kind_and_number(people, decided):
    assert lines(people, f"person={people.olga.pk}") == ["drain"]
    assert lines(people, f"thing=person+{people.alice.pk}") == ["change profile"]


def test_the_last_day_is_searched_to_its_end(people, decided):
    today = clock.now().date()
    assert lines(people, f"since={today - timedelta(days=1)}&until={today}&action=drain") == ["end draining", "drain"]


def test_what_is_no_day_is_said(people, decided):
    answer = people.browser["Olga"].get(f"{PAGE}?since=yesterday")
    assert answer.status_code == 200
    assert "Write a day like" in page(answer).text


def test_an_entry_is_shown_with_what_was_before_and_after(people, decided):
    content = people.browser["Olga"].get(f"{PAGE}?words=basel").content.decode()
    assert "<del>Ärzte &lt;b&gt;Basel&lt;/b&gt;</del>" in content
    assert "<ins>Zürich</ins>" in content


def test_the_page_says_how_the_record_was_found_and_reads_no_chain_itself(people, decided):
    assert "Not verified yet" in page(people.browser["Olga"].get(PAGE)).text
    count = verification.verify_all().entries
    assert f"Chain unbroken {count} entries" in " ".join(page(people.browser["Olga"].get(PAGE)).text.split())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE leaderboard_auditentry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM leaderboard_auditentry WHERE number = 2")
    verification.verify_all()
    assert "Entry 2 is gone." in page(people.browser["Olga"].get(PAGE)).text


def test_it_is_paged(people):
    with transaction.atomic():
        for _ in range(35):
            audit.record(cast.OPERATOR, "look", people.team)
    assert len(lines(people, "action=look")) == 30
    assert len(lines(people, "action=look&page=2")) == 5


def test_an_export_holds_what_the_search_found_and_is_recorded(people, decided):
    answer = people.browser["Olga"].post(f"{PAGE}record.json?person=Olga")
    [entry] = json.loads(b"".join(answer.streaming_content))
    assert (entry["action"], entry["by"], entry["after"]) == ("drain", "Olga", {"draining": True})
    kept = AuditEntry.objects.latest("pk")
    assert (kept.action, kept.user_id) == ("export record", people.olga.pk)
    assert kept.after == {"form": "json", "entries": 1, "search": {"person": "Olga"}}


def test_a_table_is_for_spreadsheets_and_no_formula(people):
    with transaction.atomic():
        audit.record(cast.OPERATOR, "look", people.team, after={"a": 1}, why="=HYPERLINK(1)\nmore")
    answer = people.browser["Olga"].post(f"{PAGE}record.csv?action=look")
    [row] = csv.DictReader(b"".join(answer.streaming_content).decode().splitlines())
    assert (row["why"], row["after"]) == ("'=HYPERLINK(1) more", '{"a": 1}')
    assert answer["Content-Disposition"] == 'attachment; filename="record.csv"'


def test_viewers_read_it_and_take_nothing_along_and_others_see_nothing(people, decided):
    people.olga.role = "viewer"
    people.olga.save()
    before = AuditEntry.objects.count()
    content = people.browser["Olga"].get(PAGE).content.decode()
    assert "record.csv" not in content
    assert people.browser["Olga"].post(f"{PAGE}record.csv").status_code in (403, 404)
    assert people.browser["Alice"].get(PAGE).status_code == 404
    assert people.browser["Alice"].post(f"{PAGE}record.csv").status_code == 404
    assert AuditEntry.objects.count() == before


def test_a_file_is_not_fetched_by_a_mere_link(people):
    assert people.browser["Olga"].get(f"{PAGE}record.csv").status_code == 405


def test_an_owner_is_offered_to_acknowledge_a_break_and_nobody_else_is(people, decided):
    RecordCheck.objects.update_or_create(pk=1, defaults={"problems": ["Entry 1 is gone."], "checked_at": clock.now()})
    act = "/organisers/acts/acknowledge-break/?on=1"
    assert act not in people.browser["Olga"].get("/organisers/record/").content.decode()
    people.olga.role, people.olga.is_superuser = "owner", True
    people.olga.save()
    assert act in people.browser["Olga"].get("/organisers/record/").content.decode()
