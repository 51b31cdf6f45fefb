"""The organisers' page of equal entries: theirs alone, and what they note stays."""

import pytest

from leaderboard.models import AuditEntry, EqualEntry, Equality, Phase, Submission
from leaderboard.operations import equal_entries
from leaderboard.states import SubmissionState
from leaderboard.web.desk import equal_entries as views
from tests.leaderboard import cast
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db
ADDRESS = "/organisers/equal-entries/"


@pytest.fixture
def found(people):
    """An upload that two teams handed in."""
    phase = cast.phase(runs_per_day=9)
    pair = [cast.submit(team, phase, algorithm=HOSTILE) for team in (people.team, people.rivals)]
    Submission.objects.update(state=SubmissionState.REJECTED)
    for one in equal_entries.submissions():
        equal_entries.compare_submission(one)
    return Equality.objects.get(), pair


def test_organisers_are_led_to_both_and_note_that_they_looked(people, found):
    equality, pair = found
    shown = page(people.browser["Olga"].get(ADDRESS))
    assert "The same upload" in shown.text
    assert "To be looked at" in shown.text
    assert all(shown.all("a", href=f"/organisers/runs/{one.pk}/") for one in pair)
    assert not shown.scripts
    [seen] = shown.all("input", name="last_seen")
    sent = {"note": "One laboratory, two teams.", "last_seen": seen["value"]}
    again = page(people.browser["Olga"].post(f"{ADDRESS}{equality.pk}/", sent, follow=True)).text
    assert "To be looked at" not in again
    assert "One laboratory, two teams." in again
    assert AuditEntry.objects.latest("pk").why == "One laboratory, two teams."


def test_of_many_entries_the_last_few_stand_in_the_list_and_all_on_pages_of_their_own(people, found, monkeypatch):
    equality, _ = found
    phase, olga = Phase.objects.get(), people.browser["Olga"]
    more = [cast.submit(people.team, phase) for _ in range(4)]
    EqualEntry.objects.bulk_create(
        EqualEntry(equality=equality, submission=one, added_at=equality.found_at) for one in more
    )
    listed = page(olga.get(ADDRESS))
    leads_to = [listed.all("a", href=f"/organisers/runs/{one.pk}/") != [] for one in _entries(equality)]
    assert leads_to == [False] * 2 + [True] * 4
    assert "All 6 entries, of 2 teams," in listed.text
    [way] = listed.all("a", href=f"{ADDRESS}{equality.pk}/")
    monkeypatch.setattr(views, "ENTRIES_PER_PAGE", 4)
    pages = [page(olga.get(f"{way['href']}?page={number}")) for number in (1, 2)]
    links = [f"/organisers/runs/{one.pk}/" for one in reversed(_entries(equality))]
    assert [[one["href"] for one in each.all("a") if one["href"] in links] for each in pages] == [links[:4], links[4:]]
    [seen] = pages[1].all("input", name="last_seen")
    olga.post(way["href"], {"last_seen": seen["value"], "note": "Six."})
    assert "To be looked at" not in page(olga.get(way["href"])).text


def _entries(equality):
    return list(Submission.objects.filter(equal_entries__equality=equality).order_by("equal_entries"))


@pytest.mark.parametrize("seen", ["", "x", "-1", "9" * 30, "²"])
def test_what_is_not_said_to_be_seen_stays_open(people, found, seen):
    equality, _ = found
    assert people.browser["Olga"].post(f"{ADDRESS}{equality.pk}/", {"last_seen": seen}).status_code == 302
    assert "To be looked at" in page(people.browser["Olga"].get(ADDRESS)).text


def test_for_teams_there_is_no_such_page_and_strangers_sign_in(people, found, client):
    equality, pair = found
    assert people.browser["Alice"].get(ADDRESS).status_code == 404
    assert people.browser["Alice"].get(f"{ADDRESS}{equality.pk}/").status_code == 404
    assert people.browser["Alice"].post(f"{ADDRESS}{equality.pk}/", {"note": "ours"}).status_code == 404
    assert client.get(ADDRESS)["Location"].startswith("/account/login/")
    assert "qual" not in page(people.browser["Alice"].get(f"/runs/{pair[0].pk}/")).text
    equality.refresh_from_db()
    assert equality.looked_at is None
