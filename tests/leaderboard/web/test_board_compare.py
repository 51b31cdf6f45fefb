"""Rows of a board side by side: what is told of them, and what nobody can work out from it."""

import re
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import evaluation
from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.models import Finding, Phase, Rescoring, Run, RunCase, Submission, Team
from leaderboard.scores import aggregates
from tests.leaderboard import cast
from tests.leaderboard.rescoring import trial
from tests.leaderboard.scores.runs import scored
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db
CASES = 24
FINDINGS = 2 * CASES
DICE = np.linspace(0.05, 0.75, FINDINGS)
CATEGORIES = ("2d", "2d", "1c", "2d", "2g")  # of 48 findings 29, 10 and 9


def phase_of(slug: str = "test", **fields) -> Phase:
    """A phase of cases with two findings each; every other case is in the public half."""
    made = cast.phase(cast.case_set(CASES, name=slug, findings=2), slug=slug, runs_per_day=20, **fields)
    findings = list(Finding.objects.filter(case__case_set=made.case_set).order_by("case__name", "channel"))
    for place, finding in enumerate(findings):
        finding.category, finding.voxels = CATEGORIES[place % len(CATEGORIES)], 50 * 2 ** (place % 14)
    Finding.objects.bulk_update(findings, ["category", "voxels"])
    return made


def make_better(run: Run, by: float, **which) -> None:
    """The run as another evaluation of the same cases would have it: better by this in each finding of these cases."""
    for row in run.cases.filter(**which):
        assert row.result
        findings = [{**one, "dice": one["dice"] + by} for one in row.result["findings"]]
        RunCase.objects.filter(pk=row.pk).update(result={**row.result, "findings": findings})
    aggregates.aggregate(run)


def latest(phase: Phase) -> int:
    """The number of the version that shows."""
    found = versions.latest(phase, "main", clock.now())
    assert found
    return found.number


def compared(client, *keys: str, slug: str = "test", version: int | None = None, track: str = "main"):
    number = "" if version is None else f"versions/{version}/"
    return client.get(f"/leaderboard/{slug}/{track}/{number}compare/", {"with": keys})


@pytest.fixture
def public(people) -> Phase:
    """Two runs on public cases; the rivals' is better in each finding by 0.1."""
    made = phase_of(cases_are_public=True)
    scored(people.team, made, DICE, algorithm="First")
    scored(people.rivals, made, DICE + 0.1, algorithm="Second")
    return made


@pytest.fixture
def hidden(people) -> Phase:
    """The same with hidden cases, of which the public half feeds the numbers."""
    made = phase_of(publication="half", post_challenge_per_day=9)
    random = np.random.default_rng(0)
    scored(people.team, made, DICE)
    scored(people.rivals, made, np.clip(DICE + random.normal(0.05, 0.2, FINDINGS), 0, 1))
    return made


# --- what is told -----------------------------------------------------------------------------------------------------


def test_entries_are_held_against_the_first_one_of_the_address(client, public):
    text = page(compared(client, "alice-and-bob", "rivals")).text
    assert "2 entries, side by side" in text
    assert f"On the same {CASES} cases: Rivals is better than Alice and Bob by 0.100 (+0.100 to +0.100)." in text
    text = page(compared(client, "rivals", "alice-and-bob")).text
    assert "Alice and Bob is worse than Rivals by 0.100 (−0.100 to −0.100)." in text
    assert "Pneumothorax" in text, "a group of 9 findings, on public cases"
    assert "Where the difference comes from" in text
    assert "Dice by the size of a finding" in text


def test_intervals_are_those_of_the_evaluation(client, hidden, people):
    Phase.objects.update(cases_are_public=True)
    versions.make(hidden.pk)
    runs = [list(RunCase.objects.filter(run__submission__team=team)) for team in (people.team, people.rivals)]
    base, other = ([row.result for row in rows if row.result] for rows in runs)
    seed = evaluation.seed_from(hidden.case_set.digest)
    sizes = aggregates.finding_sizes(hidden.case_set)
    limits = evaluation.size_limits(list(sizes.values()))
    [found] = evaluation.paired_differences(base, [other], "dice", seed=seed, sizes=sizes, limits=limits)
    comparison = compared(client, "alice-and-bob", "rivals").context["comparison"]
    [overall] = comparison.overall
    assert (overall.value, overall.ends) == (pytest.approx(found["all"].value), found["all"].interval)
    of_groups = {row.code: row.against[0][1].ends for row in comparison.groups}
    assert of_groups == {code: one.interval for code, one in found.items() if code != "all"}


def test_without_a_choice_the_first_two_are_compared_or_ones_own_with_the_first(client, public, people):
    assert "Alice and Bob is worse than Rivals" in page(client.get("/leaderboard/test/main/compare/")).text
    own = page(people.browser["Alice"].get("/leaderboard/test/main/compare/")).text
    assert "Rivals is better than Alice and Bob" in own
    assert "you" in own


def test_the_form_keeps_takes_out_and_adds_entries(client, public):
    third = cast.team_of(cast.person("Dora"), name="Third")
    scored(third, public, DICE / 2)
    shown = page(compared(client, "rivals", "third"))
    assert [one["value"] for one in shown.all("input", name="with")] == ["rivals", "third"]
    assert [one["value"] for one in shown.all("option")] == ["", "alice-and-bob"]
    assert shown.all("a", href="?with=third&with=rivals")


def test_one_entry_too_many_and_unknown_ones_are_said(client, public):
    for number in range(6):
        scored(cast.team_of(cast.person(f"P{number}"), name=f"Team {number}"), public, DICE / 3)
    assert "Choose two to 6 entries" in page(compared(client, "rivals")).text
    keys = [f"team-{number}" for number in range(6)]
    assert "6 entries, side by side" in page(compared(client, *keys)).text
    assert "7 entries are more than a page can show" in page(compared(client, *keys, "rivals")).text
    text = page(compared(client, "rivals", "team-1", "nobody\0")).text
    assert "An entry that this address names is not on the board" in text
    assert "2 entries, side by side" in text


def test_names_and_words_of_teams_stay_text(client, public, people):
    Submission.objects.filter(team=people.team).update(algorithm=HOSTILE)
    versions.make(public.pk)
    answer = compared(client, "rivals", "alice-and-bob")
    assert "<script>alert" not in answer.content.decode()
    assert "\u202e" not in answer.content.decode()


def test_masks_that_stand_apart_do_not_stand_for_their_teams_ranked_row(client, people):
    phase = phase_of(cases_are_public=True, takes=Phase.Takes.BOTH, masks_are_ranked=False)
    scored(people.team, phase, DICE)
    masks = scored(people.team, phase, DICE / 2)
    Submission.objects.filter(pk=masks.submission_id).update(entry=Submission.Entry.MASKS)
    text = page(compared(client, "alice-and-bob", "masks.alice-and-bob")).text
    assert "Alice and Bob (masks) is worse than Alice and Bob by 0.200" in text


def test_a_version_compares_what_it_lists(client, public, people):
    versions.make(public.pk)
    scored(people.team, public, DICE + 0.2)
    assert "Rivals is worse than Alice and Bob by 0.100" in page(compared(client, "alice-and-bob", "rivals")).text
    old = page(compared(client, "alice-and-bob", "rivals", version=1))
    assert "Rivals is better than Alice and Bob by 0.100 (+0.100 to +0.100)" in old.text
    assert compared(client, "alice-and-bob", "rivals", version=9).status_code == 404


def test_scores_that_were_replaced_since_are_not_taken_for_those_of_the_version(client, public, people):
    versions.make(public.pk)
    make_better(Run.objects.get(submission__team=people.team), -0.04)
    text = page(compared(client, "alice-and-bob", "rivals", version=1)).text
    assert "As their scores are shown: Rivals is better than Alice and Bob by 0.100." in text
    assert "Dice by the size of a finding" not in text


def test_a_comparison_takes_the_same_questions_however_many_rows_there_are(client, public):
    def questions() -> int:
        number = latest(public)
        with CaptureQueriesContext(connection) as asked:
            compared(client, "rivals", "alice-and-bob", version=number)
        return len(asked)

    versions.make(public.pk)
    before = questions()
    for number in range(12):
        scored(cast.team_of(cast.person(f"P{number}"), name=f"Team {number}"), public, DICE / 3)
    versions.make(public.pk)
    assert questions() == before <= 14


# --- what nobody can work out -----------------------------------------------------------------------------------------


def without_changing(answer) -> str:
    """A page without what each answer has of its own."""
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode())


def test_hidden_cases_are_compared_over_the_public_half_rounded_and_without_small_groups(client, hidden):
    answer = compared(client, "alice-and-bob", "rivals")
    comparison, text = answer.context["comparison"], page(answer).text
    assert f"On the same {CASES // 2} cases" in text
    assert "Pneumothorax" not in text
    groups = {row.code: row.n for row in comparison.groups}
    assert groups
    assert min(groups.values()) >= 10
    numbers = [
        value for row in comparison.groups for _, one in row.against for value in (one.value, *(one.ends or ()))
    ] + [value for means in comparison.spread.means for value in means]
    assert numbers == [round(value, 3) for value in numbers]
    assert all(one.n >= 10 for one in comparison.spread.bins)
    assert all(count is None or count >= 10 for one in comparison.spread.dice for count in (one.zeros, *one.counts))
    assert "case_0" not in answer.content.decode()


def test_what_lies_in_the_withheld_half_changes_nothing(client, hidden, monkeypatch):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    before = without_changing(compared(client, "alice-and-bob", "rivals"))
    for place, run in enumerate(Run.objects.all()):
        make_better(run, 0.1 + 0.1 * place, case__in_public_half=False)
    assert without_changing(compared(client, "alice-and-bob", "rivals")) == before


def comparisons(client, *keys: str, **asked):
    found = compared(client, *keys, **asked).context["comparison"]
    return found.overall, [(row.code, row.against) for row in found.groups], found.spread


def test_differences_tell_no_more_than_the_numbers_that_are_shown(client, hidden, people):
    """Of two exact scores that are shown as the same number, no difference to anything tells which it is.

    Were differences rounded, and not what they are of, one of these would change: 0.4001 - 0.3007, and 0.4003 - 0.3007.
    """
    in_half = np.repeat(np.arange(CASES) % 2 == 0, 2)
    shape = (DICE - DICE[in_half].mean()) / 2
    for last in (0, 2, 4, 7, 9):
        scored(cast.team_of(cast.person(f"P{last}"), name=f"Team {last}"), hidden, shape * 0.8 + 0.3 + last / 10_000)
    own = scored(people.team, hidden, shape + 0.4001)

    def told():
        cast.let_a_minute_pass()
        keys = ("alice-and-bob", *(f"team-{last}" for last in (0, 2, 4, 7, 9)))
        found = compared(client, *keys).context["comparison"]
        return [(one.value, one.ends) for one in found.overall]

    before = told()
    make_better(own, 0.0002)
    assert own.standings.get(scope="half").dice == pytest.approx(0.4003)
    assert told() == before
    assert [value for value, _ in before] == [-0.1, -0.1, -0.1, -0.099, -0.099]


def test_two_runs_that_differ_in_few_findings_have_no_interval_on_hidden_cases(client, hidden, people):
    almost = DICE.copy()
    almost[[0, 1, 4, 5, 8, 9, 12, 13, 16]] += 0.2  # nine findings of the public half
    scored(people.rivals, hidden, almost)
    cast.let_a_minute_pass()
    answer = compared(client, "alice-and-bob", "rivals")
    [overall] = answer.context["comparison"].overall
    assert overall.ends is None
    assert overall.value == pytest.approx(0.075)
    assert "Rivals can’t be told apart from Alice and Bob" in page(answer).text
    almost[17] += 0.2  # a tenth one
    scored(people.rivals, hidden, almost)
    cast.let_a_minute_pass()
    [overall] = compared(client, "alice-and-bob", "rivals").context["comparison"].overall
    assert overall.ends is not None


def test_a_post_challenge_run_stays_rounded_beside_runs_that_were_revealed(client, hidden, people):
    before = clock.now() - timedelta(minutes=2)
    Submission.objects.update(accepted_at=before - timedelta(minutes=1))
    Phase.objects.update(closes_at=before, revealed_at=before, post_challenge_opens_at=before)
    hidden.refresh_from_db()
    scored(people.team, hidden, DICE / 2 + 0.00007, kind="post_challenge")
    cast.let_a_minute_pass()
    revealed = compared(client, "alice-and-bob", "rivals").context["comparison"]
    assert revealed.disclosure.shows_exact_scores
    assert any(value != round(value, 3) for value in revealed.overall[0].ends)
    assert "2g" in {row.code for row in revealed.groups}
    answer = compared(client, "rivals", "after.alice-and-bob")
    mixed = answer.context["comparison"]
    assert [one.value for one in mixed.overall] == [round(one.value, 3) for one in mixed.overall]
    assert all(value == round(value, 3) for one in mixed.overall for value in one.ends)
    assert "2g" not in {row.code for row in mixed.groups}
    assert all(count is None or count >= 10 for one in mixed.spread.dice for count in one.counts)
    assert "Alice and Bob (post-challenge)" in page(answer).text


@pytest.mark.parametrize("publication", ["half", "nothing"])
def test_cases_that_may_feed_no_numbers_any_more_are_not_read(client, people, publication):
    """A version that showed all cases stays; by other rules now, new numbers would tell of what is withheld."""
    phase = phase_of(publication="everything")
    scored(people.team, phase, DICE)
    scored(people.rivals, phase, DICE + 0.1)
    cast.let_a_minute_pass()
    number = latest(phase)
    assert compared(client, "alice-and-bob", "rivals", version=number).context["comparison"].is_paired
    Phase.objects.update(publication=publication)
    answer = compared(client, "alice-and-bob", "rivals", version=number)
    assert "As their scores are shown: Rivals is better than Alice and Bob by 0.100." in page(answer).text
    assert answer.context["comparison"].spread is None


def test_a_version_of_before_the_reveal_says_no_more_after_it(client, hidden, people):
    cast.let_a_minute_pass()
    number = latest(hidden)
    before = comparisons(client, "alice-and-bob", "rivals", version=number)
    Phase.objects.update(revealed_at=clock.now())
    versions.make(hidden.pk)
    assert str(comparisons(client, "alice-and-bob", "rivals", version=number)) == str(before)
    assert compared(client, "alice-and-bob", "rivals").context["comparison"].disclosure.shows_exact_scores


def test_a_run_that_ended_in_this_minute_is_not_compared(client, hidden, people):
    cast.let_a_minute_pass()
    before = str(comparisons(client, "alice-and-bob", "rivals"))
    run = scored(people.team, hidden, DICE + 0.2)
    run.ended_at = clock.now()
    run.save()
    assert str(comparisons(client, "alice-and-bob", "rivals")) == before


def test_where_nothing_is_published_there_is_nothing_to_compare(client, people):
    phase = phase_of(publication="nothing")
    for team in (people.team, people.rivals):
        scored(team, phase, DICE)
    cast.let_a_minute_pass()
    answer = compared(client, "alice-and-bob", "rivals")
    assert answer.context["comparison"] is None
    assert "There are not two entries on this board yet." in page(answer).text
    assert "Alice and Bob" not in page(answer).text


def test_teams_without_names_are_compared_without_names(client, people):
    phase = phase_of(publication="half", anonymous_until_reveal=True)
    scored(people.team, phase, DICE, algorithm="Tell-tale")
    scored(people.rivals, phase, DICE / 2)
    cast.let_a_minute_pass()
    for address in ("compare", "history"):
        shown = page(client.get(f"/leaderboard/test/main/{address}/")).text
        assert "Alice and Bob" not in shown
        assert "Tell-tale" not in shown
        assert "Team " in shown
    assert client.get("/leaderboard/test/main/compare/").context["comparison"].is_paired
    text = page(people.browser["Alice"].get("/leaderboard/test/main/compare/")).text
    assert "you" in text
    assert "Rivals" not in text


def test_under_an_embargo_there_is_nothing_to_compare(client, people):
    phase = phase_of(publication="half")
    for team in (people.team, people.rivals):
        scored(team, phase, DICE)
    cast.let_a_minute_pass()
    number = latest(phase)
    Phase.objects.update(embargo_until=clock.now() + timedelta(hours=1))
    versions.make(phase.pk)
    assert compared(client, "alice-and-bob", "rivals").context["comparison"] is None
    old = compared(client, "alice-and-bob", "rivals", version=number)
    assert old.status_code == 404 or not old.context["comparison"].is_paired


def test_tests_of_all_pairs_say_their_own_word(client, public, people):
    scored(cast.team_of(cast.person("Dora")), public, DICE + 0.1 * (-1.0) ** np.arange(FINDINGS))
    organisers = cast.team_of(cast.person("Emil"))
    Team.objects.filter(pk=organisers.pk).update(is_of_organisers=True)
    scored(organisers, public, DICE)
    keys = ("alice-and-bob", "rivals", "team-of-dora", "team-of-emil")
    told = [verdict for _, verdict in compared(client, *keys).context["by_tests"]]
    assert told == ["base", "better", "can’t be told apart", "not tested"]
    assert compared(client, *keys[::-1]).context["by_tests"] == []
    assert "Against the base, by tests base worse" in page(compared(client, "rivals", "alice-and-bob")).text


def test_a_version_is_compared_by_the_references_of_its_time(client, public, people):
    scored(cast.team_of(cast.person("Dora")), public, np.random.default_rng(0).uniform(0, 1, FINDINGS))
    keys = ("team-of-dora", "alice-and-bob")
    compared(client, *keys)
    number, old = latest(public), public.case_set

    def told() -> tuple[object, ...]:
        found = compared(client, *keys, version=number).context["comparison"]
        return found.is_paired, found.overall, found.groups, found.spread

    before = told()
    mended = trial.mended(old, "mended")
    Finding.objects.filter(case__case_set=mended, channel=0).update(voxels=1)
    about = {"from_version": "1", "to_version": "1-r1", "from_cases": old, "to_cases": mended, "reason": "So."}
    Rescoring.objects.create(phase=public, state="applied", started_at=clock.now(), decided_at=clock.now(), **about)
    Phase.objects.filter(pk=public.pk).update(case_set=mended, evaluation_version="1-r1")
    assert before[0]
    assert told() == before
