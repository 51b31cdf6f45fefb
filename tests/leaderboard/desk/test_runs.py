"""Organisers search all runs by everything, the state of the run first; and list them in a few questions."""

import csv
import io
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.desk.acts.runs import BRING_BACK, WITHDRAW
from leaderboard.desk.run_search import Search
from leaderboard.desk.run_table import as_csv, lines_of, with_what_is_listed
from leaderboard.journey import decisions, objections, pipeline
from leaderboard.models import Attempt, Run, Submission
from tests.leaderboard import cast, gpu_host
from tests.leaderboard.web import scene
from tests.leaderboard.web.scene import HOSTILE

pytestmark = pytest.mark.django_db


def found(**asked: str) -> list[int]:
    return [one.pk for one in Search.of(asked).rows()]


@pytest.fixture
def phase():
    return cast.phase(runs_per_day=9)


@pytest.fixture
def rivals():
    return cast.team_of(cast.person("Charlie"), name="Rivals")


@pytest.fixture
def pair(team, rivals, phase):
    """A scored run of Alice's team, and a queued one of its rivals."""
    first = scene.scored(team, phase, dice=0.31).submission
    return first.pk, cast.submit_checked(rivals, phase, algorithm="Segmenter", track="overall").pk


def test_all_of_them_the_newest_first(pair):
    first, second = pair
    assert found() == [second, first]


def test_by_words(pair):
    first, second = pair
    assert found(words=f"{first}") == found(words=f"#{first}") == [first]
    assert found(words="segmenter") == found(words="rival SEG") == found(words="charlie") == [second]
    assert found(words="alice@example") == [first]  # a member who did not hand it in
    assert found(words="rival grounder") == []
    assert found(words="9" * 40) == []


def test_by_the_state_of_the_run_not_of_its_image(pair, team, phase):
    first, second = pair
    unchecked = cast.submit(team, phase).pk
    assert found(state="scored") == [first]
    assert found(state="queued") == [second]
    assert found(state="received") == [unchecked]
    assert found(state="at-work") == [unchecked, second]
    assert found(state="accepted") == found()  # not a state that matters: nothing is asked for


def test_what_waits_for_a_person(pair):
    first, second = pair
    Run.objects.filter(submission=second).update(state="halted", retry_at=clock.now())
    assert found(state="waits") == []
    Run.objects.filter(submission=second).update(retry_at=None)
    assert found(state="waits") == [second]
    Submission.objects.filter(pk=first).update(state="halted")
    assert found(state="waits") == [second, first]


def test_by_what_it_is(pair, phase):
    first, second = pair
    assert found(track="overall") == [second]
    assert found(entry="masks") == found(kind="try_out") == found(phase="other") == []
    assert found(entry="image") == found(kind="scored") == found(phase=phase.slug) == [second, first]


def test_by_what_was_decided(pair, alice):
    first, _ = pair
    submission = Submission.objects.get(pk=first)
    decisions.disqualify(submission, by=cast.OPERATOR, why="Copied.")
    assert found(standing="disqualified") == [first]
    assert first not in found(standing="counting")
    assert found(standing="objected") == []
    made = objections.object_to(submission.decisions.get(), "No.", user=alice)
    assert found(standing="objected") == [first]
    objections.answer(made, by=cast.OPERATOR, answer="Yes.")
    assert found(standing="objected") == []
    decisions.give_back(submission, by=cast.OPERATOR, why="So.")
    assert found(standing="not-charged") == [first]
    decisions.withdraw_for_team(submission, by=cast.OPERATOR, why="So.")
    assert found(standing="withdrawn") == [first]


def test_of_an_archived_phase_nothing_is_withdrawn_since_its_boards_stay(pair, phase):
    submission = Submission.objects.select_related("phase").get(pk=pair[0])
    assert WITHDRAW.is_offered(submission)
    decisions.withdraw_for_team(submission, by=cast.OPERATOR, why="So.")
    type(phase).objects.update(archived_at=clock.now())
    with pytest.raises(Refused, match="its boards stay as they are"):
        decisions.bring_back_for_team(submission, by=cast.OPERATOR, why="So.")
    submission = Submission.objects.select_related("phase").get(pk=pair[0])
    assert submission.withdrawn_at is not None
    assert not WITHDRAW.is_offered(submission)
    assert not BRING_BACK.is_offered(submission)


def test_by_host_fault_and_reason(pair, host):
    first, second = pair
    run = Run.objects.get(submission=second)
    pipeline.fill_slots()
    gpu_host.claim(host, gpu_host.waiting(run))
    assert found(host="gpu-1") == [second]
    assert found(host="gpu") == []
    Attempt.objects.update(fault="host_lost")
    Run.objects.filter(submission=first).update(state="failed", failure_kind="memory", reason_code="canary_failed")
    assert found(code="host_lost") == [second]
    assert found(code="memory") == found(code="canary_failed") == [first]


def test_by_a_part_of_a_digest(pair):
    first, _ = pair
    Submission.objects.filter(pk=first).update(upload="sha256:feedface00")
    assert found(digest="feedface") == found(digest="sha256:feedf") == [first]
    assert found(digest="feed") == found()  # too short to mean anything


def test_by_day(pair):
    first, second = pair
    Submission.objects.filter(pk=first).update(accepted_at=clock.now() - timedelta(days=9))
    day = f"{clock.now() - timedelta(days=9):%Y-%m-%d}"
    assert found(until=day) == [first]
    assert found(since=day) == [second, first]
    assert found(since=f"{clock.now():%Y-%m-%d}") == [second]
    assert found(until="9999-12-31") == found(since="tomorrow") == [second, first]


def test_the_table_holds_what_the_page_shows_and_starts_no_formula(team, phase):
    submission = scene.scored(team, phase, dice=0.31, algorithm="=1+1").submission
    [row] = csv.DictReader(io.StringIO("".join(as_csv(Search().rows()))))
    assert row["algorithm"] == "'=1+1"
    assert (row["run"], row["state"], row["team"]) == (str(submission.pk), "scored", str(team))
    assert (row["charged"], row["disqualified"], float(row["dice"])) == ("yes", "no", 0.31)


def test_a_line_says_the_state_of_the_run(pair):
    lines = {line.submission.pk: line for line in lines_of(with_what_is_listed(Search().rows()))}
    assert [str(lines[pk].state) for pk in pair] == ["scored", "queued"]
    assert [lines[pk].dice for pk in pair] == [0.31, None]


def test_it_asks_as_many_questions_of_many_as_of_few(team, phase, rivals, django_assert_num_queries):
    scene.scored(team, phase)
    with django_assert_num_queries(6) as few:
        lines_of(with_what_is_listed(Search().rows()))
    for _ in range(3):
        scene.scored(rivals, phase, algorithm=HOSTILE)
    with django_assert_num_queries(len(few.captured_queries)):
        assert len(lines_of(with_what_is_listed(Search().rows()))) == 4


def test_the_command_line_searches_the_same(pair):
    first, _ = pair
    told = StringIO()
    call_command("runs", "--state", "scored", "--json", stdout=told)
    assert [one["run"] for one in json.loads(told.getvalue())] == [first]
    text = StringIO()
    call_command("runs", "--words", "segmenter", stdout=text)
    assert "Segmenter" in text.getvalue()
    assert "Grounder" not in text.getvalue()


def test_the_command_line_tells_the_whole_story(pair, alice):
    first, _ = pair
    submission = Submission.objects.get(pk=first)
    decisions.disqualify(submission, by=cast.OPERATOR, why="Copied.")
    objections.object_to(submission.decisions.get(), "No.", user=alice)
    told = StringIO()
    call_command("submission", str(first), "--json", stdout=told)
    said = json.loads(told.getvalue())
    assert said["decisions"][0]["reason"] == "Copied."
    assert said["decisions"][0]["objections"][0]["text"] == "No."
    assert [one["action"] for one in said["record"]] == ["disqualify", "object"]
