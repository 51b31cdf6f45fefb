"""The page of all runs: what it says of each, in which order, of which version; and who is told whose name is shown."""

import csv
import io
from datetime import timedelta

import pytest

from leaderboard.board import all_runs, versions
from leaderboard.core import clock
from leaderboard.models import BoardVersion, Phase, Submission
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db
RUNS = "/leaderboard/dev/main/runs/"


@pytest.fixture
def phase(people) -> Phase:
    """An open phase on public cases with two runs of Alice's team, and one of the rivals."""
    made = cast.phase(slug="dev", cases_are_public=True, runs_per_day=30, runs_total=30)
    for minutes, (team, dice, user) in enumerate(
        ((people.team, 0.6, people.alice), (people.team, 0.4, people.bob), (people.rivals, 0.5, people.charlie))
    ):
        at = clock.now() - timedelta(minutes=30 - minutes)
        scored(team, made, dice=dice, user=user, algorithm=f"Run of {dice}", at=at)
    return made


def test_it_shows_runs_that_do_not_count_with_a_dash_for_a_rank(client, phase):
    text = page(client.get(RUNS)).text
    assert "3 scored runs, of which 2 count." in text
    assert text.index("Run of 0.6") < text.index("Run of 0.5") < text.index("Run of 0.4")
    first = text[text.index("Alice and Bob") - 20 : text.index("Rivals")]
    assert "–no rank" in first
    assert "an earlier run" in first


def test_its_order_is_in_the_address(client, phase):
    by_date = page(client.get(f"{RUNS}?sort=date"))
    assert by_date.text.index("Run of 0.5") < by_date.text.index("Run of 0.4") < by_date.text.index("Run of 0.6")
    [sorted_by] = [attributes for name, attributes in by_date.elements if "aria-sort" in attributes]
    assert sorted_by["aria-sort"] == "descending"
    assert by_date.all("a", id="sort-team", href="?sort=team")


def test_twenty_five_runs_then_pages_in_the_same_order(client, phase, people):
    for number in range(24):
        scored(people.rivals, phase, dice=0.3 - number / 100)
    first = page(client.get(f"{RUNS}?sort=dice"))
    assert "Runs 1 to 25." in first.text
    assert first.all("a", href="?sort=dice&page=2")
    assert len(page(client.get(f"{RUNS}?sort=dice&page=2")).all("th", scope="row")) == 2


def test_a_tab_leads_from_the_board_to_all_runs_of_the_same_track_and_back(client, phase):
    board = page(client.get("/leaderboard/dev/?track=overall"))
    assert board.all("a", href="/leaderboard/dev/overall/runs/")
    runs = page(client.get("/leaderboard/dev/overall/runs/"))
    assert runs.all("a", href="/leaderboard/dev/?track=overall")
    assert runs.all("a", href="/leaderboard/dev/overall/runs/", aria_current="page")


def test_of_a_version_all_runs_stay_as_they_were(client, phase, people):
    versions.make(phase.pk)
    address = "/leaderboard/dev/main/versions/1/runs/"
    before = page(client.get(address))
    assert "This is the present board" in before.text
    scored(people.team, phase, dice=0.9)
    versions.make(phase.pk)
    after = page(client.get(address))
    assert "3 scored runs, of which 2 count." in after.text
    assert "0.900" not in after.text
    assert "This board was shown from" in after.text
    assert page(client.get("/leaderboard/dev/main/versions/1/")).all("a", href=address)


def test_of_a_version_from_before_all_runs_were_kept_the_page_says_so(client, phase):
    versions.make(phase.pk)
    BoardVersion.objects.update(runs_listed=None)
    answer = client.get("/leaderboard/dev/main/versions/1/runs/")
    assert "only the runs that count were kept" in page(answer).text
    assert "Run of" not in page(answer).text


def test_a_team_finds_its_runs_marked_and_they_lead_to_their_pages(people, client, phase):
    own = page(people.browser["Alice"].get(RUNS))
    assert own.text.split().count("you") == 2
    for submission in Submission.objects.filter(team=people.team):
        assert own.all("a", href=f"/runs/{submission.pk}/")
    assert not any((link["href"] or "").startswith("/runs/") for link in page(client.get(RUNS)).all("a"))


def test_nobody_is_named_unless_the_phase_says_so(client, phase):
    assert "Charlie" not in page(client.get(RUNS)).text
    Phase.objects.filter(pk=phase.pk).update(show_submitters=True)
    shown = page(client.get(RUNS)).text
    assert "Submitter" in shown
    assert "Charlie" not in shown, "they were not told before they submitted"
    Submission.objects.filter(phase=phase).update(shows_submitter=True)
    assert "Charlie" in page(client.get(RUNS)).text


def test_a_team_is_told_before_it_submits_that_its_name_will_be_shown(people, phase):
    form = people.browser["Alice"].get("/submit/dev/")
    assert "Your name is shown" not in page(form).text
    Phase.objects.filter(pk=phase.pk).update(show_submitters=True)
    assert "names who submitted each beside it" in page(people.browser["Alice"].get("/submit/dev/")).text


@pytest.mark.parametrize(
    "query", ["main/runs/?sort=shoe-size", "main/runs/all.csv?sort=shoe-size", "third/runs/", "main/versions/99/runs/"]
)
def test_what_there_is_not_is_not_found(client, phase, query):
    versions.make(phase.pk)
    assert client.get(f"/leaderboard/dev/{query}").status_code == 404


def test_all_runs_leave_as_a_table_in_the_order_of_the_page(client, phase, people):
    Phase.objects.filter(pk=phase.pk).update(show_submitters=True)
    Submission.objects.filter(phase=phase).update(shows_submitter=True)
    assert page(client.get(f"{RUNS}?sort=team")).all("a", href="all.csv?sort=team")
    for order in all_runs.ORDERS:
        answer = client.get(f"{RUNS}all.csv?sort={order}")
        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
        shown = page(client.get(f"{RUNS}?sort={order}")).text
        places = [shown.index(row["algorithm"]) for row in rows]
        assert len(places) == 3
        assert places == sorted(places)
        for row in rows:
            assert all(row[name] in shown for name in ("team", "dice", "what", "submitter"))
            assert (row["phase"], row["track"], row["version"]) == (str(phase), "main", "1")


def test_a_table_of_all_runs_is_there_for_each_version(client, phase, people):
    versions.make(phase.pk)
    address = "/leaderboard/dev/main/versions/1/runs/all.csv"
    before = client.get(address).getvalue()
    scored(people.team, phase, dice=0.9)
    versions.make(phase.pk)
    assert client.get(address).getvalue() == before
    assert client.get(f"{RUNS}all.csv").getvalue() != before


def test_while_nothing_is_published_no_run_is_shown(client, people):
    scored(people.team, cast.phase(slug="dev", publication="nothing"), dice=0.4)
    text = page(client.get(RUNS)).text
    assert "once the organisers reveal the results" in text
    assert "Alice and Bob" not in text
