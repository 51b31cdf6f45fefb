"""News and their feed, questions and answers, dates: what organisers write without a new version of the site."""

import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

import feedparser
import icalendar
import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.test import Client

from leaderboard.core import clock
from leaderboard.models import AuditEntry, ChallengeDate, FaqSection, NewsItem, Question
from tests.leaderboard import cast
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db

SITE = "http://127.0.0.1:8000"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def site(settings):
    settings.SITE_URL = SITE


@pytest.fixture
def olga() -> Client:
    browser = Client()
    browser.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    return browser


def news(slug: str, *, ago: timedelta | None = HOUR, **fields: Any) -> NewsItem:
    published = None if ago is None else clock.now() - ago
    words = {"title": f"About {slug}", "body": "The *validation* set is out.", "published_at": published}
    return NewsItem.objects.create(slug=slug, **{**words, **fields})


# --- news -------------------------------------------------------------------------------------------------------------


def test_organisers_write_news_in_markdown_and_it_is_public_from_its_instant_on(client, olga, monkeypatch):
    at = clock.now().replace(microsecond=0) + HOUR
    form = {
        "title": "The data is out",
        "slug": "data",
        "body": "# Where\n\nSee [the guidelines](/guidelines/).",
        "why": "",
    }
    instant = {"published_at_0": f"{at:%Y-%m-%d}", "published_at_1": f"{at:%H:%M:%S}"}
    response = olga.post("/admin/leaderboard/newsitem/add/", form | instant)
    assert response.status_code == 302, page(response).text
    assert AuditEntry.objects.get().action == "add news item"
    for path in ("/news/", "/", "/news/feed.atom"):
        assert "The data is out" not in client.get(path).content.decode()
    assert client.get("/news/data/").status_code == 404
    assert "Only organisers see it" in page(olga.get("/news/data/")).text
    monkeypatch.setattr(clock, "now", lambda: at)
    found = page(client.get("/news/data/"))
    assert found.all("a", href=f"{SITE}/guidelines/")
    assert "<h2>Where</h2>" in client.get("/news/data/").content.decode()
    for path in ("/news/", "/", "/news/feed.atom"):
        assert "The data is out" in client.get(path).content.decode()


def test_the_home_page_shows_the_newest_three(client):
    for number in range(4):
        news(f"n{number}", ago=HOUR * (number + 1))
    news("draft", ago=None)
    text = page(client.get("/")).text
    assert [name for name in ("n0", "n1", "n2", "n3", "draft") if f"About {name}" in text] == ["n0", "n1", "n2"]
    assert text.index("About n0") < text.index("About n1") < text.index("About n2")


def test_what_is_hostile_in_a_text_stays_text(client):
    news("hostile", title=HOSTILE, body=f"{HOSTILE}\n\n[a](javascript:x) [b](//evil.example/) [c](/\\evil.example)")
    for path in ("/news/hostile/", "/news/"):
        found = page(client.get(path))
        assert found.scripts == [], path
        targets = [str(one["href"]) for one in found.all("a")]
        assert all(target.startswith(("/", "#", "mailto:", f"{SITE}/")) for target in targets), targets
        assert not [target for target in targets if target.startswith(("//", "/\\"))]
    entry = feedparser.parse(client.get("/news/feed.atom").content).entries[0]
    assert "<script" not in entry.content[0].value


# --- the feed ---------------------------------------------------------------------------------------------------------


def test_the_feed_is_atom_with_whole_addresses_and_ids_that_stay(client):
    first, second = news("first", ago=2 * HOUR), news("second", body="See [the rules](/rules/).\x01")
    news("draft", ago=None)
    response = client.get("/news/feed.atom")
    assert response["Content-Type"] == "application/atom+xml; charset=utf-8"
    feed = feedparser.parse(response.content)
    assert (feed.bozo, feed.version) == (False, "atom10")
    assert [entry.id for entry in feed.entries] == [second.key.urn, first.key.urn]
    assert [entry.link for entry in feed.entries] == [f"{SITE}/news/second/", f"{SITE}/news/first/"]
    assert {link["href"] for link in feed.feed.links} == {f"{SITE}/news/", f"{SITE}/news/feed.atom"}
    assert f'href="{SITE}/rules/"' in feed.entries[0].content[0].value
    assert feed.feed.author
    NewsItem.objects.filter(pk=first.pk).update(title="Another title", slug="elsewhere")
    again = feedparser.parse(client.get("/news/feed.atom").content)
    assert [entry.id for entry in again.entries] == [second.key.urn, first.key.urn]


def test_who_has_the_feed_is_told_so_until_something_changes(client):
    item = news("first")
    response = client.get("/news/feed.atom")
    etag, changed = response["ETag"], response["Last-Modified"]
    for known in ({"HTTP_IF_NONE_MATCH": etag}, {"HTTP_IF_MODIFIED_SINCE": changed}):
        answer = client.get("/news/feed.atom", **known)
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", etag)
    item.body = "Something else."
    item.save()
    assert client.get("/news/feed.atom", HTTP_IF_NONE_MATCH=etag).status_code == 200


def test_a_feed_without_news_is_valid_and_stands_still(client):
    response = client.get("/news/feed.atom")
    feed = feedparser.parse(response.content)
    assert (feed.bozo, feed.entries, bool(feed.feed.updated)) == (False, [], True)
    assert client.get("/news/feed.atom")["ETag"] == response["ETag"]


# --- questions --------------------------------------------------------------------------------------------------------


def test_questions_stand_by_section_each_at_an_address_of_its_own(client, olga):
    data, runs = FaqSection.objects.create(name="Data", order=2), FaqSection.objects.create(name="Runs", order=1)
    now = clock.now()
    for section, slug, published in ((data, "where", now), (runs, "how-many", now), (runs, "not-yet", None)):
        words = {"question": f"Q {slug}?", "answer": f"# Long\n\nA {slug}.", "published_at": published}
        Question.objects.create(section=section, slug=slug, **words)
    FaqSection.objects.create(name="Nothing yet")
    found = page(client.get("/faq/"))
    assert found.text.index("Runs") < found.text.index("A how-many.") < found.text.index("A where.")
    assert "not-yet" not in found.text
    assert "Nothing yet" not in found.text
    assert client.get("/faq/how-many/")["Location"] == "/faq/#q-how-many"
    assert found.all("h3", id="q-how-many")
    assert [client.get(f"/faq/{slug}/").status_code for slug in ("not-yet", "nowhere")] == [404, 404]
    assert "draft" in page(olga.get("/faq/")).text


# --- dates ------------------------------------------------------------------------------------------------------------


def test_the_migration_fills_in_what_the_home_page_had_as_constants(client, monkeypatch):
    ChallengeDate.objects.all().delete()
    migration = importlib.import_module("leaderboard.migrations.0028_news")
    monkeypatch.setattr("leaderboard.models.Registration.objects.create", lambda **_: None)
    migration.write_rows(apps, None)
    rows = ChallengeDate.objects.order_by("at").values_list("at", "label", "words", "is_shown")
    assert list(rows) == [
        (datetime(2026, 3, 1, tzinfo=UTC), "Pre-registration by email begins", "spring 2026", True),
        (datetime(2026, 6, 1, tzinfo=UTC), "Registration opens; the validation set is out", "June 2026", True),
        (datetime(2026, 9, 28, tzinfo=UTC), "Results are announced at MICCAI 2026", "late September 2026", True),
    ]
    text = page(client.get("/")).text
    assert text.index("spring 2026") < text.index("June 2026") < text.index("late September 2026")


def test_a_phases_own_instants_are_lines_which_a_row_can_say_otherwise_hide_or_add(client):
    now = clock.now()
    phase = cast.phase(name="Test phase", revealed_at=now + timedelta(days=40))
    text = page(client.get("/")).text
    assert "Test phase opens" in text
    assert "Test phase closes" in text
    assert "is revealed" not in text
    ChallengeDate.objects.create(phase=phase, moment="opens_at", is_shown=False)
    ChallengeDate.objects.create(phase=phase, moment="closes_at", label="The last call")
    ChallengeDate.objects.create(phase=phase, moment="revealed_at")
    text = page(client.get("/")).text
    assert "Test phase opens" not in text
    assert "Test phase closes" not in text
    assert text.index("The last call") < text.index("Test phase is revealed")
    later = now + timedelta(days=60)
    type(phase).objects.filter(pk=phase.pk).update(closes_at=later)
    assert f"{later:%Y-%m-%dT%H:%M:%SZ}" in [one["datetime"] for one in page(client.get("/")).all("time")]


@pytest.mark.parametrize(
    "fields",
    [
        {"label": "Nothing"},
        {"label": "", "day": "2026-10-01"},
        {"label": "Both", "day": "2026-10-01", "at": "2026-10-01T00:00Z"},
        {"label": "A moment of nothing", "moment": "opens_at"},
    ],
)
def test_a_date_is_one_of_the_three_and_says_what_happens(fields):
    with pytest.raises(ValidationError):
        ChallengeDate(**fields).full_clean()


def test_the_calendar_has_what_is_known_to_the_day(client):
    ChallengeDate.objects.all().delete()
    phase = cast.phase(name="Test, phase; \\ two")
    long = "A webinar für alle, " * 6
    row = ChallengeDate.objects.create(label=long, day=datetime(2026, 10, 1, tzinfo=UTC).date())
    ChallengeDate.objects.create(label="About then", at=clock.now(), words="autumn 2026")
    response = client.get("/dates.ics")
    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    assert all(len(line) <= 75 for line in response.content.split(b"\r\n"))
    events = {str(one["UID"]): one for one in icalendar.Calendar.from_ical(response.content).walk("VEVENT")}
    host = SITE.partition("://")[2]
    assert set(events) == {
        f"{key}@{host}" for key in (f"date-{row.pk}", f"phase-{phase.pk}-opens", f"phase-{phase.pk}-closes")
    }
    closes = events[f"phase-{phase.pk}-closes@{host}"]
    assert closes.decoded("DTSTART") == phase.closes_at.replace(microsecond=0)
    assert str(closes["SUMMARY"]) == "ReXGrounding Challenge: Test, phase; \\ two closes"
    assert events[f"date-{row.pk}@{host}"].decoded("DTSTART") == row.day
    assert str(events[f"date-{row.pk}@{host}"]["SUMMARY"]).endswith(long.strip())
    assert client.get("/dates.ics", HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304


def test_a_day_is_over_when_it_ends(client, monkeypatch):
    ChallengeDate.objects.all().delete()
    ChallengeDate.objects.create(label="The workshop", day="2026-10-04")
    for hour, is_over in ((23, False), (24, True)):
        at = datetime(2026, 10, 4, tzinfo=UTC) + timedelta(hours=hour)
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        text = page(client.get("/")).text
        lines = text[text.index("Dates") : text.index("The task")]
        assert (lines.index("The workshop") < lines.index("Now")) == is_over
        assert "Oct 4, 2026" in lines
