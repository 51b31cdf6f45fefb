"""The leaderboard page: the order, the filters and the opened row are in the address."""

import csv
import hashlib
import io
from datetime import timedelta

import pytest

from leaderboard.board import versions
from leaderboard.board.references import references_of
from leaderboard.challenge.reference_rows import Table, import_table, published
from leaderboard.core import clock
from leaderboard.models import AuditEntry, CaseSet, Phase, ReferenceRow, Team
from tests.leaderboard import cast
from tests.leaderboard.web.scene import HOSTILE, page, scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def phase(people) -> Phase:
    """An open phase with a row of each team, the rivals ahead."""
    made = cast.phase(slug="dev")
    scored(people.team, made, dice=0.4, lost=2)
    scored(people.rivals, made, dice=0.5)
    return made


def test_the_leaderboard_leads_to_the_newest_phase_with_the_choices_kept(client, phase):
    now = clock.now()
    cast.phase(phase.case_set, slug="old", opens_at=now - timedelta(days=9), closes_at=now - timedelta(days=8))
    assert client.get("/leaderboard/")["Location"] == "/leaderboard/dev/"
    assert client.get("/leaderboard/?phase=old&track=overall")["Location"] == "/leaderboard/old/?track=overall"
    assert client.get("/leaderboard/?phase=nope").status_code == 404


def test_without_a_phase_the_leaderboard_says_so(client):
    assert "not set up a phase yet" in page(client.get("/leaderboard/")).text


def test_rows_carry_rank_intervals_and_lost_cases_in_words(client, phase):
    text = page(client.get("/leaderboard/dev/")).text
    assert text.index("Rivals") < text.index("Alice and Bob")
    assert "0.370–0.430" in text
    assert "2 cases lost" in text


def test_every_row_draws_its_interval_from_zero(client, phase):
    drawn = page(client.get("/leaderboard/dev/")).all("line", class_="iv")
    assert [(line["x1"], line["x2"]) for line in drawn] == [("78.33%", "88.33%"), ("61.67%", "71.67%")]


def test_a_team_finds_its_own_row_marked(client, phase, people):
    assert "you" in page(people.browser["Bob"].get("/leaderboard/dev/")).text.split()
    assert "you" not in page(client.get("/leaderboard/dev/")).text.split()


def test_the_address_sorts(client, phase):
    text = page(client.get("/leaderboard/dev/?sort=team")).text
    assert text.index("Alice and Bob") < text.index("Rivals")
    assert page(client.get("/leaderboard/dev/?sort=team")).all("th", aria_sort="ascending")


def test_the_address_opens_a_row(client, phase):
    closed, opened = page(client.get("/leaderboard/dev/")), page(client.get("/leaderboard/dev/?open=rivals"))
    assert [one["aria-expanded"] for one in closed.all("a", class_="team")] == ["false", "false"]
    assert [one["aria-expanded"] for one in opened.all("a", class_="team")] == ["true", "false"]
    assert "cross-attention" in opened.text
    assert "cross-attention" not in closed.text
    assert "Nodules and masses" in opened.text


def test_a_small_group_is_marked_as_few_once_it_is_shown(client, phase):
    assert "Pneumothorax" not in page(client.get("/leaderboard/dev/?open=rivals")).text
    Phase.objects.filter(pk=phase.pk).update(revealed_at=clock.now())
    assert "4 few" in page(client.get("/leaderboard/dev/?open=rivals")).text


def test_an_opened_row_of_the_own_team_leads_to_its_run(people, phase):
    own = page(people.browser["Alice"].get("/leaderboard/dev/?open=alice-and-bob"))
    rival = page(people.browser["Alice"].get("/leaderboard/dev/?open=rivals"))
    assert "Open this run" in own.text
    assert "Open this run" not in rival.text


@pytest.mark.parametrize("query", ["track=third", "group=9z", "sort=shoe-size"])
def test_an_address_that_makes_no_sense_is_not_found(client, phase, query):
    assert client.get(f"/leaderboard/dev/?{query}").status_code == 404


def test_a_visitor_who_has_the_board_is_told_so_until_it_changes(client, phase, people):
    versions.make(phase.pk)
    asks = {"headers": {"If-None-Match": client.get("/leaderboard/dev/")["ETag"]}}
    again = client.get("/leaderboard/dev/", **asks)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/leaderboard/dev/?sort=team", **asks).status_code == 200
    client.post("/theme/", {"theme": "dark"})
    assert client.get("/leaderboard/dev/", **asks).status_code == 200
    assert "ETag" not in people.browser["Bob"].get("/leaderboard/dev/")


def test_a_changed_board_is_sent_to_who_has_the_one_before(client, phase, people):
    Phase.objects.update(cases_are_public=True)
    versions.make(phase.pk)
    tag = client.get("/leaderboard/dev/")["ETag"]
    scored(people.team, phase, dice=0.7)
    versions.make(phase.pk)
    assert "0.700" in client.get("/leaderboard/dev/", headers={"If-None-Match": tag}).content.decode()


def test_a_page_beyond_the_last_one_shows_the_last_one(client, phase):
    assert "Rivals" in page(client.get("/leaderboard/dev/?page=99")).text


def test_twenty_five_rows_then_pages(client, people):
    phase = cast.phase(slug="dev")
    for number in range(26):
        scored(cast.team_of(cast.person(f"P{number}"), name=f"Team {number}"), phase, dice=0.5 - number / 100)
    first, second = page(client.get("/leaderboard/dev/")), page(client.get("/leaderboard/dev/?page=2"))
    assert len(first.all("a", class_="team")) == 25
    assert len(second.all("a", class_="team")) == 1


def test_half_a_phase_says_which_cases_feed_its_numbers(client, people):
    scored(people.team, cast.phase(publication="half"), dice=0.4)
    text = page(client.get("/leaderboard/test/")).text
    assert "cases feed these numbers" in text
    assert "0.300" in text
    assert "0.400" not in text


def test_while_nothing_is_published_the_board_is_empty_and_says_why(client, people):
    scored(people.team, cast.phase(publication="nothing"), dice=0.4)
    text = page(client.get("/leaderboard/test/?open=alice-and-bob")).text
    assert "withheld until the organisers reveal" in text
    assert "0.4" not in text
    assert "Alice and Bob" not in text


def test_a_board_says_where_its_phase_stands_and_leaves_as_a_table_of_what_it_shows(client, people):
    phase = cast.phase(slug="dev")
    scored(people.team, phase, dice=0.40049, algorithm="=HYPERLINK(1)", at=clock.now() - timedelta(minutes=9))
    assert "Open until" in page(client.get("/leaderboard/dev/")).text
    before = clock.now() - timedelta(minutes=2)
    Phase.objects.filter(pk=phase.pk).update(closes_at=before)
    shown = page(client.get("/leaderboard/dev/"))
    assert "Ranks are preliminary" in shown.text
    assert shown.all("a", href="/leaderboard/dev/board.csv")
    answer = client.get("/leaderboard/dev/board.csv")
    [row] = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (row["rank"], row["dice"], row["algorithm"]) == ("1", "0.400", "'=HYPERLINK(1)")
    Phase.objects.filter(pk=phase.pk).update(revealed_at=before)
    assert "The full result was revealed on" in page(client.get("/leaderboard/dev/")).text
    assert client.get("/leaderboard/dev/board.csv?group=9z").status_code == 404


# --- the public half --------------------------------------------------------------------------------------------------


def test_the_commitment_to_the_half_is_on_its_board_before_there_is_a_row(client):
    cases = cast.draw_half(cast.case_set(4))
    cast.phase(cases, slug="half", publication="half")
    cast.phase(cases, slug="all", publication="everything")
    assert cases.half_commitment in page(client.get("/leaderboard/half/")).text
    assert "commitment" not in page(client.get("/leaderboard/all/")).text
    assert client.get("/leaderboard/half/half.txt").status_code == 404


def test_the_commitment_is_there_before_the_phase_opens(client):
    cases = cast.draw_half(cast.case_set(4))
    cast.phase(cases, publication="half", opens_at=clock.now() + timedelta(hours=1))
    assert cases.half_commitment in page(client.get("/leaderboard/test/")).text


def test_at_the_reveal_everybody_can_check_it_and_reads_no_name(client):
    cases = cast.draw_half(cast.case_set(4))
    phase = cast.phase(cases, publication="half")
    before = page(client.get("/leaderboard/test/")).text
    assert not page(client.get("/leaderboard/test/")).all("a", href="/leaderboard/test/half.txt")
    earlier = clock.now() - timedelta(minutes=1)
    Phase.objects.filter(pk=phase.pk).update(closes_at=earlier, revealed_at=earlier)
    assert page(client.get("/leaderboard/test/")).all("a", href="/leaderboard/test/half.txt")
    answer = client.get("/leaderboard/test/half.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" in before
    assert answer.content.count(b" public\n") == answer.content.count(b" withheld\n") == 2
    assert b"case_0" not in answer.content
    assert cases.half_secret.secret.encode() not in answer.content


@pytest.mark.parametrize("revealed", [False, True])
def test_of_a_half_that_was_drawn_before_there_were_commitments_nothing_is_said(client, revealed):
    earlier = clock.now() - timedelta(minutes=1)
    phase = cast.phase(publication="half")
    if revealed:
        Phase.objects.filter(pk=phase.pk).update(closes_at=earlier, revealed_at=earlier)
    assert "commitment" not in page(client.get("/leaderboard/test/")).text
    assert client.get("/leaderboard/test/half.txt").status_code == 404


def test_programs_read_the_commitment_with_the_phase(client):
    cases = cast.draw_half(cast.case_set(4))
    cast.phase(cases, slug="half", publication="half")
    cast.phase(cases, slug="all")
    told = {one["slug"]: one["half_commitment"] for one in client.get("/api/v1/phases").json()}
    assert told == {"half": cases.half_commitment, "all": ""}
    assert client.get("/api/v1/phases/half").json()["half_commitment"] == cases.half_commitment


def test_the_administration_shows_how_even_it_is_and_names_its_cases_from_the_reveal_on(people):
    cases = cast.draw_half(cast.case_set(4))
    cast.phase(cases, publication="half")
    people.olga.is_superuser = True
    people.olga.save()
    address, secret = f"/admin/leaderboard/caseset/{cases.pk}/change/", cases.half_secret.secret
    shown = people.browser["Olga"].get(address).content.decode()
    assert (
        "2 cases feed what is shown before the reveal, 2 are withheld" in page(people.browser["Olga"].get(address)).text
    )
    assert "Nodules and masses" in shown
    assert ("case_000" in shown, secret in shown) == (False, False)
    earlier = clock.now() - timedelta(minutes=1)
    Phase.objects.update(closes_at=earlier, revealed_at=earlier)
    shown = people.browser["Olga"].get(address).content.decode()
    assert ("case_000" in shown, secret in shown) == (True, True)
    CaseSet.objects.update(half_commitment="sha256:" + "0" * 64)
    assert "not the one that was drawn" in people.browser["Olga"].get(address).content.decode()


# --- what is not ranked -----------------------------------------------------------------------------------------------


class TestReferenceRows:
    @pytest.fixture
    def references(self, phase):
        """The published tables beside the board."""
        for name, table in published().items():
            import_table(phase, name, table, by=cast.OPERATOR)
        return references_of(phase)

    def test_each_says_what_makes_it_not_comparable_and_names_its_source(self, client, references):
        found = page(client.get("/leaderboard/dev/"))
        assert len(found.all("tbody", class_="ref")) == 17
        for one in references:
            assert one.row.not_comparable in found.text
            assert one.row.source in found.text
        assert {link["href"] for link in found.all("a") if (link["href"] or "").startswith("#source-")} == {
            "#source-1",
            "#source-2",
        }
        assert found.all("li", id="source-1")

    def test_they_are_hollow_on_the_axis_of_the_teams_which_reaches_as_far_as_they_do(self, client, phase, references):
        import_table(phase, "far", one_row(0.93), by=cast.OPERATOR)
        found = page(client.get("/leaderboard/dev/"))
        assert len(found.all("path", class_="hollow")) == 18
        [first, *_] = found.all("svg", class_="at")
        assert first["x"] == "93.00%", "of an axis that ends at 1"
        assert found.all("circle", class_="pt")[0]["cx"] == "50.00%", "where the best team has 0.5"

    def test_the_address_opens_one_with_its_categories(self, client, references):
        closed = page(client.get("/leaderboard/dev/"))
        assert "Bronchiectasis" not in closed.text.partition("Reference rows")[2]
        opened = page(client.get(f"/leaderboard/dev/?open={references[0].key}"))
        said = opened.text.partition("Reference rows")[2]
        assert "Published on Jul 13, 2026" in said
        assert "1b Bronchiectasis 4 few" in said
        assert opened.all("tr", class_="opened", id=f"row-{references[0].key}")

    def test_a_group_shows_those_that_have_it(self, client, references):
        found = page(client.get("/leaderboard/dev/?group=2d"))
        assert len(found.all("tbody", class_="ref")) == 7

    def test_their_words_are_text(self, client, phase, references):
        hostile = ReferenceRow.objects.filter(pk=references[0].row.pk)
        hostile.update(**dict.fromkeys(("algorithm", "not_comparable", "institution", "source"), HOSTILE))
        html = client.get("/leaderboard/dev/").content.decode()
        assert "<script>alert" not in html
        assert "\u202e" not in html

    def test_a_version_that_was_published_stays_as_it_was(self, client, phase, references):
        versions.make(phase.pk)
        assert "Reference rows" not in page(client.get("/leaderboard/dev/main/versions/1/")).text

    def test_without_any_there_is_no_section(self, client, phase):
        assert "Reference rows" not in page(client.get("/leaderboard/dev/")).text


def one_row(dice: float) -> Table:
    """A table of one row."""
    row = {"algorithm": "Far", "numbers": {"all": {"dice": dice}}}
    return Table.model_validate({"source": "A paper", "not_comparable": "Another case set.", "rows": [row]})


def test_a_team_of_the_organisers_is_marked_and_has_a_dash_for_a_rank(client, phase, people):
    Team.objects.filter(pk=people.rivals.pk).update(is_of_organisers=True)
    found = page(client.get("/leaderboard/dev/?open=rivals"))
    assert "–no rank Rivals organisers" in found.text
    assert "A team of the organisers: not ranked, no award." in found.text
    assert "1 Alice and Bob" in found.text
    assert "– Rivals organisers" in page(client.get("/")).text


def test_organisers_set_it_in_the_administration_and_the_board_follows(admin_client, client, phase, people):
    change = f"/admin/leaderboard/team/{people.rivals.pk}/change/"
    told = {"name": "Rivals", "slug": people.rivals.slug, "is_of_organisers": "on", "why": "Ours"}
    inline = {f"memberships-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}
    assert admin_client.post(change, {**told, **inline}).status_code == 302
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.why, entry.after["is_of_organisers"]) == ("change team", "Ours", True)
    assert "no rank Rivals" in page(client.get("/leaderboard/dev/")).text
