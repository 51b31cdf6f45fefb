"""A team's runs: its notes, the filter, the picture of its scores, the table for spreadsheets, runs side by side."""

import csv
import re
from datetime import timedelta
from typing import Any

import pytest

from leaderboard.core import clock
from leaderboard.core.text import csv_cell
from leaderboard.models import Phase, Run, RunCase, Submission
from leaderboard.scores.aggregates import aggregate
from tests.evaluation import builders
from tests.leaderboard import cast
from tests.leaderboard.web.scene import GROUP_SIZES, HOSTILE, in_state, page, scored

pytestmark = pytest.mark.django_db


def note(people, who: str, submission: Submission, text: str, **fields: str):
    return people.browser[who].post(f"/runs/{submission.pk}/note/", {"note": text, **fields})


def table(response) -> list[dict[str, str]]:
    return list(csv.DictReader(response.content.decode().splitlines()))


def numbers_on(response) -> set[str]:
    return set(re.findall(r"\d\.\d{3}", response.content.decode()))


# --- notes ------------------------------------------------------------------------------------------------------------


def test_a_note_is_for_the_members_of_its_team_alone(people, client):
    run = scored(people.team, cast.phase(slug="dev", cases_are_public=True))
    back = f"/runs/?page=1#run-{run.submission_id}"
    assert note(people, "Bob", run.submission, "Wider\r\ncontext <b>", next=back)["Location"] == back
    run.submission.refresh_from_db()
    assert run.submission.note == "Wider\ncontext <b>"
    for address in ("/runs/", f"/runs/{run.submission_id}/", "/runs/my-runs.csv"):
        assert b"Wider" in people.browser["Alice"].get(address).content, address
    assert note(people, "Charlie", run.submission, "theirs").status_code == 404
    assert note(people, "Olga", run.submission, "hers").status_code == 404
    people.olga.is_superuser = True
    people.olga.save()
    seen = [
        (client, "/leaderboard/dev/?open=alice-and-bob"),
        (people.browser["Olga"], f"/runs/{run.submission_id}/"),
        (people.browser["Olga"], f"/runs/{run.submission_id}/results.json"),
        (people.browser["Olga"], f"/admin/leaderboard/submission/{run.submission_id}/change/"),
    ]
    for browser, address in seen:
        response = browser.get(address)
        assert response.status_code == 200, address
        assert b"Wider" not in response.content, address
    note(people, "Alice", run.submission, "  ")
    run.submission.refresh_from_db()
    assert run.submission.note == ""


def test_a_note_that_is_too_long_comes_back_to_be_shortened(people):
    submission = cast.submit(people.team, cast.phase(slug="dev"))
    answer = note(people, "Alice", submission, "x" * 501, next="//elsewhere.example/")
    assert answer.status_code == 422
    assert "at most 500 characters" in page(answer).text
    assert "x" * 501 in page(answer).text
    assert "elsewhere" not in answer.content.decode()
    submission.refresh_from_db()
    assert submission.note == ""
    assert note(people, "Alice", submission, "é" * 500).status_code == 302


# --- the list ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(people):
    """Runs of two phases, of each kind that a filter knows."""
    dev = cast.phase(slug="dev", name="Development", cases_are_public=True, runs_per_day=30, runs_total=30)
    late = cast.phase(dev.case_set, slug="late", name="Late", publication="nothing", runs_per_day=9)
    made = {
        "good": scored(people.team, dev, dice=0.4, algorithm="Laterality on"),
        "poor": scored(people.team, dev, dice=0.2, algorithm="Baseline", track="overall"),
        "lost": in_state(cast.submit_checked(people.team, dev, algorithm="Broken").runs.get(), "failed"),
        "hidden": scored(people.team, late, dice=0.345, algorithm="Secret"),
    }
    made["waits"] = cast.submit_checked(people.team, dev, algorithm="Queued").runs.get()
    Submission.objects.filter(pk=made["poor"].submission_id).update(note="50% of the context, LATERALITY off")
    people.runs = made
    return people


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", "Laterality on,Baseline,Broken,Secret,Queued"),
        ("?phase=late", "Secret"),
        ("?track=overall", "Baseline"),
        ("?state=scored&phase=dev", "Laterality on,Baseline"),
        ("?state=failed", "Broken"),
        ("?state=at-work", "Queued"),
        ("?words=laterality", "Laterality on,Baseline"),
        ("?words=laterality+50%25", "Baseline"),
        ("?words=_", ""),
        ("?state=nonsense&track=x", "Laterality on,Baseline,Broken,Secret,Queued"),
    ],
)
def test_the_filter_is_an_address_that_the_table_for_spreadsheets_takes_too(many, asked, names):
    wanted = set(filter(None, names.split(",")))
    answer = many.browser["Bob"].get(f"/runs/{asked}")
    text = page(answer).text
    assert {name for name in ("Laterality on", "Baseline", "Broken", "Secret", "Queued") if name in text} == wanted
    assert {row["name"] for row in table(many.browser["Bob"].get(f"/runs/my-runs.csv{asked}"))} == wanted
    assert wanted or "fits this filter" in text


def test_a_filter_is_kept_from_page_to_page(people):
    phase = cast.phase(slug="dev", runs_per_day=40, runs_total=40)
    runs = [cast.submit(people.team, phase, algorithm="Kept") for _ in range(26)]
    alice = people.browser["Alice"]
    assert page(alice.get("/runs/?words=kept")).all("a", href="?words=kept&page=2")
    last = page(alice.get("/runs/?words=kept&page=2"))
    assert last.all("a", href=f"/runs/{runs[0].pk}/")
    assert not last.all("a", href=f"/runs/{runs[1].pk}/")


def test_the_picture_shows_what_counted_and_marks_what_counts(people):
    phase = cast.phase(slug="dev", cases_are_public=True, counting="best", runs_per_day=9)
    for days, dice in ((9, 0.2), (6, 0.5), (3, 0.4)):
        scored(people.team, phase, dice=dice, at=clock.now() - timedelta(days=days))
    [best] = Submission.objects.filter(runs__standings__dice=0.5).distinct()
    html = people.browser["Alice"].get("/runs/").content.decode()
    shown = page(people.browser["Alice"].get("/runs/"))
    assert len(shown.all("svg", class_="chart", role="img")) == 1
    assert len(shown.all("circle", class_="pt")) + len(shown.all("circle", class_="pt on")) == 3 + 3  # and in the table
    assert len(shown.all("circle", class_="pt on")) == 1
    steps = shown.all("line", class_="step")
    assert len({one["y1"] for one in steps if one["y1"] == one["y2"]}) == 2, "0.2, then 0.5; never 0.4"
    assert "3 scored runs, from 0.200 on" in shown.text
    assert f"Submission {best.pk} counts, with 0.500" in shown.text
    assert re.search(rf'<tr role="row" id="run-{best.pk}"\s+class="mine"', html)


def test_the_picture_does_not_tell_which_of_two_equal_scores_is_higher(people):
    phase = cast.phase(slug="test", publication="half", counting="best", runs_per_day=9)
    scored(people.team, phase, dice=0.40001, at=clock.now() - timedelta(days=9))
    one = scored(people.team, phase, dice=0.40002, at=clock.now() - timedelta(days=6))
    seen = []
    for dice in (0.30000, 0.30004):
        one.standings.filter(scope="half").update(dice=dice)
        shown = page(people.browser["Alice"].get("/runs/"))
        seen.append([step["y1"] for step in shown.all("line", class_="step")])
    assert seen[0] == seen[1] != []


def test_scores_that_are_not_shown_are_in_no_picture_no_table_and_no_comparison(many):
    bob, hidden = many.browser["Bob"], many.runs["hidden"].submission_id
    for address in ("/runs/?phase=late", "/runs/my-runs.csv", f"/runs/compare/?run={hidden}"):
        assert not {"0.345", "0.245"} & numbers_on(bob.get(address)), address
    assert not page(bob.get("/runs/?phase=late")).all("svg", class_="chart")
    [row] = [row for row in table(bob.get("/runs/my-runs.csv")) if row["name"] == "Secret"]
    assert (row["state"], row["dice"], row["lost_cases"], row["counts"]) == ("Scored", "", "", "")


def test_a_rounded_score_is_rounded_in_the_table_for_spreadsheets(people):
    scored(people.team, cast.phase(publication="half"), dice=0.43219)
    [row] = table(people.browser["Alice"].get("/runs/my-runs.csv"))
    assert (row["dice"], row["dice_low"], row["counts"]) == ("0.332", "0.302", "counts")


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", " =1", "\u200b=1", "＝1", "\x1b[31m=1"]
)
def test_no_word_of_a_team_is_a_formula_of_a_spreadsheet(text):
    cell = csv_cell(text)
    assert cell.startswith("'")
    assert "\n" not in cell


def test_what_a_team_wrote_stays_in_its_cell(people):
    submission = cast.submit(people.team, cast.phase(slug="dev"), algorithm='a","b', user=people.alice)
    note(people, "Alice", submission, f"=HYPERLINK()\n{HOSTILE},;")
    [row] = table(people.browser["Alice"].get("/runs/my-runs.csv"))
    assert row["name"] == 'a","b'
    assert row["note"].startswith("'=HYPERLINK() <script>")


# --- side by side -----------------------------------------------------------------------------------------------------


def compared(people, who: str, *runs: Any, **asked: str):
    keys = [one.submission_id if isinstance(one, Run) else one for one in runs]
    return people.browser[who].get("/runs/compare/", {"run": keys, **asked})


@pytest.fixture
def public(people):
    """Three runs on twelve public cases: the second is better on each by 0.1, the third here and there."""
    phase = cast.phase(cast.case_set(12), slug="dev", cases_are_public=True, runs_per_day=9)
    for by in (lambda _: 0.0, lambda _: 0.1, lambda place: 0.2 if place % 2 else -0.2):
        run = scored(people.team, phase, algorithm="Grounder")
        for place, row in enumerate(run.cases.select_related("case").order_by("case__name")):
            found = builders.finding_result("2d", dice=0.3 + place / 40 + by(place), key="0")
            result = builders.case_result(row.case.name, found)
            RunCase.objects.filter(pk=row.pk).update(outcome="finished", result=result)
        aggregate(run)
    people.runs = list(Run.objects.order_by("pk"))
    return people


def test_runs_are_compared_case_by_case_where_cases_are_public(public):
    first, second, third = public.runs
    answer = compared(public, "Bob", third, second, first, base=str(first.submission_id))
    text = page(answer).text
    base = first.submission_id
    assert f"Submission {second.submission_id} is better than submission {base} by 0.100 (+0.100 to +0.100)." in text
    assert f"Submission {third.submission_id} can’t be told apart from submission {base}" in text
    assert f"Submission {second.submission_id} has 12 findings better than the base, 0 worse, and 0 the same" in text
    assert f"Submission {third.submission_id} has 6 findings better than the base, 6 worse" in text
    assert "Nodule in the right upper lobe" in text
    assert "+0.200" in text
    # The one that counts is the base, unless another is asked for.
    assert "is worse than" in page(compared(public, "Bob", third, second)).text or "told apart" in text
    hits = page(compared(public, "Bob", first, second, metric="hit_rate")).text
    assert "has the same Hit rate as" in hits


def test_on_hidden_cases_a_comparison_says_what_the_pages_of_the_runs_say(people):
    phase = cast.phase(slug="test", publication="half", runs_per_day=9)
    one, two = scored(people.team, phase, dice=0.30049), scored(people.team, phase, dice=0.50051)
    answer = compared(people, "Alice", one, two, base=str(one.submission_id))
    text = page(answer).text
    assert f"Submission {two.submission_id} is better than submission {one.submission_id} by 0.201." in text
    for exact in ("0.2004", "0.2005", "0.4005", "0.20002"):
        assert exact not in answer.content.decode()
    assert "Finding by finding" not in text
    assert "Pneumothorax" not in text, "a group of 4 findings"
    assert GROUP_SIZES["2g"] < 10
    assert " to +" not in text, "no interval but those of the scores"


def test_a_try_out_is_in_no_picture_and_compared_with_its_like_alone(people):
    public = cast.phase(cast.case_set(2, name="public"), slug="dev", cases_are_public=True)
    phase = cast.phase(slug="test", publication="everything", try_outs_on=public, runs_per_day=9)
    run, tried = scored(people.team, phase), scored(people.team, phase, kind="try_out", dice=0.91)
    text = page(compared(people, "Alice", run, tried)).text
    assert f"(submission {tried.submission_id}): a try-out, scored on" in text
    scored(people.team, phase, dice=0.4)
    listed = page(people.browser["Alice"].get("/runs/"))
    assert "2 scored runs" in listed.text
    assert "try-out" in listed.text
    assert [row["kind"] for row in table(people.browser["Alice"].get("/runs/my-runs.csv"))] == ["Run", "Try-out", "Run"]


def test_a_post_challenge_run_stays_rounded_beside_a_run_that_was_revealed(people):
    phase = cast.phase(slug="test", publication="half", runs_per_day=9, post_challenge_per_day=9)
    run = scored(people.team, phase, dice=0.50051)
    assert "By kind" not in page(people.browser["Alice"].get(f"/runs/{run.submission_id}/")).text
    before = clock.now() - timedelta(minutes=2)
    Phase.objects.filter(pk=phase.pk).update(closes_at=before, revealed_at=before, post_challenge_opens_at=before)
    phase.refresh_from_db()
    groups = page(people.browser["Alice"].get(f"/runs/{run.submission_id}/"))
    assert "By kind, size and category" in groups.text, "all of a run's groups are shown after the reveal"
    assert not groups.all("a", href=f"/runs/{run.submission_id}/findings/?category=1a")
    after = scored(people.team, phase, dice=0.60071, kind="post_challenge")
    assert "By kind" not in page(people.browser["Alice"].get(f"/runs/{after.submission_id}/")).text
    answer = compared(people, "Alice", run, after)
    text = page(answer).text
    assert "2 runs in the" in text
    assert "Pneumothorax" not in text, "a group of 4 findings"
    for exact in ("0.6007", "0.1002"):
        assert exact not in answer.content.decode()


def test_a_run_of_another_team_is_as_unknown_as_one_that_nobody_has(people, monkeypatch):
    phase = cast.phase(slug="dev", cases_are_public=True)
    own, theirs = scored(people.team, phase), scored(people.rivals, phase, algorithm="Rival")
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)  # each page says how much time is left
    answers = [compared(people, "Alice", own, key) for key in (theirs, 10**9, "nonsense", "9" * 40, "-1")]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert len({re.sub(r'value="[^"]*"', "", answer.content.decode()) for answer in answers}) == 1
    assert compared(people, "Olga", own).status_code in (302, 404)


def test_what_cannot_be_compared_is_said(many):
    good, poor, lost, hidden, waits = (many.runs[name] for name in ("good", "poor", "lost", "hidden", "waits"))
    text = page(compared(many, "Bob", good, lost, waits, poor)).text
    assert f"(submission {lost.submission_id}): no score: failed" in text
    assert f"(submission {waits.submission_id}): no score: in the queue" in text
    assert "2 runs in the Development, side by side" in text
    assert "different phases" in page(compared(many, "Bob", good, hidden)).text
    assert "Fewer than two of these runs" in page(compared(many, "Bob", good, lost)).text
    assert "its score is not shown yet" in page(compared(many, "Bob", hidden)).text
    assert "Choose two to 6 runs" in page(many.browser["Bob"].get("/runs/compare/")).text
    good.standings.update(evaluation_version="0")
    assert "by evaluation version 0" in page(compared(many, "Bob", good, poor, base=str(poor.submission_id))).text
    more = [scored(many.team, good.submission.phase) for _ in range(5)]
    assert "7 runs are more than a page can show" in page(compared(many, "Bob", good, poor, *more)).text
