"""A team is told what became of its runs: who wants it, once, no earlier and no more than the page tells."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress

from leaderboard.core import clock, refusals
from leaderboard.journey import lifecycle
from leaderboard.models import NoticeKind, OutgoingMail, PendingNotice, StateChange, Submission
from leaderboard.notices import choices, runs
from tests.leaderboard import cast
from tests.leaderboard.web import scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    alice, bob = cast.person("Alice"), cast.person("Bob")
    cast.team_of(cast.person("Charlie"))
    return cast.team_of(alice, bob)


def told() -> list[tuple[str, str]]:
    runs.write_due()
    return list(OutgoingMail.objects.order_by("pk").values_list("to", "subject"))


def end(submission: Submission, *states: str) -> None:
    run = submission.runs.get()
    for state in states:
        lifecycle.move(run, state, ended_at=clock.now() if state in {"scored", "failed"} else None)


def bodies() -> set[str]:
    return {body.partition("-- \n")[0] for body in OutgoingMail.objects.values_list("body", flat=True)}


BOTH = ["alice@example.org", "bob@example.org"]
PREFIX = "ReXGrounding Challenge: "


def test_members_are_told_once_of_a_scored_run_with_the_numbers_of_its_page(team):
    run = scene.scored(team, cast.phase(cases_are_public=True), dice=0.3129)
    PendingNotice.objects.create(change=StateChange.objects.get(run=run, to_state="scored"))
    subject = f"{PREFIX}Submission {run.submission_id} is scored"
    assert told() == [(to, subject) for to in BOTH]
    assert told() == [(to, subject) for to in BOTH]
    (text,) = bodies()
    assert "“Grounder” of Team of Alice in the Phase test" in text
    assert "Dice 0.313, hit rate 0.626, over all its cases." in text
    assert f"/runs/{run.submission_id}/" in text


@pytest.mark.parametrize(
    ("kind", "words"), [("post_challenge", "(post-challenge run) is scored"), ("try_out", "(try-out) has ended")]
)
def test_what_is_no_entry_is_named_as_what_it_is(team, kind, words):
    phase = cast.phase(cases_are_public=True)
    run = scene.scored(team, phase)
    Submission.objects.update(kind=kind, cases_of=phase if kind == "try_out" else None)
    PendingNotice.objects.create(change=StateChange.objects.get(run=run, to_state="scored"))
    assert {subject for _, subject in told()} == {f"{PREFIX}Submission {run.submission_id} {words}"}


def test_what_is_not_published_is_in_no_message(team):
    run = scene.scored(team, cast.phase(publication="nothing"), dice=0.3129)
    PendingNotice.objects.create(change=StateChange.objects.get(run=run, to_state="scored"))
    assert len(told()) == 2
    (text,) = bodies()
    assert "Dice" not in text
    assert "0.3" not in text


def test_on_hidden_cases_it_is_told_when_the_minute_is_over_and_in_the_order_of_submissions(team, monkeypatch):
    minute = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: minute + timedelta(seconds=10))
    phase = cast.phase(runs_per_day=9)
    first, second = (cast.submit_checked(team, phase) for _ in range(2))
    end(second, "canary", "failed")
    end(first, "canary", "failed")
    assert told() == []
    monkeypatch.setattr(clock, "now", lambda: minute + timedelta(seconds=59.9))
    assert told() == []
    monkeypatch.setattr(clock, "now", lambda: minute + timedelta(seconds=60))
    assert [subject for _, subject in told()] == [
        f"{PREFIX}Submission {one.pk} has failed" for one in (first, second) for _ in BOTH
    ]


def test_a_rejected_image_is_told_with_the_sentence_of_the_page(team):
    submission = cast.submit(team, cast.phase())
    lifecycle.move(submission, "validating")
    lifecycle.move(submission, "rejected", reason="There is no ENTRYPOINT.", reason_code="no_entrypoint")
    assert [to for to, _ in told()] == BOTH
    assert all("The image cannot be used. There is no ENTRYPOINT." in text for text in bodies())


def test_an_interruption_is_told_only_if_it_lasts(team, monkeypatch):
    submission = cast.submit_checked(team, cast.phase(cases_are_public=True))
    end(submission, "canary", "halted", "queued", "halted")
    assert told() == []
    later = clock.now() + runs.GRACE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert told() == [(to, f"{PREFIX}Submission {submission.pk} is interrupted by our fault") for to in BOTH]
    assert not PendingNotice.objects.exists()


def test_an_interruption_that_is_over_is_not_told(team, monkeypatch):
    submission = cast.submit_checked(team, cast.phase(cases_are_public=True))
    end(submission, "canary", "halted", "queued")
    later = clock.now() + runs.GRACE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert told() == []
    assert not PendingNotice.objects.exists()


def test_nobody_is_told_who_stopped_it_or_is_not_reached_or_is_nobody_yet(team):
    alice, bob = (membership.user for membership in team.memberships.order_by("user__email"))
    choices.stop(alice, NoticeKind.RUNS)
    refusals.note("Bob@example.org", "550 gone", clock.now())
    end(cast.submit_checked(team, cast.phase(cases_are_public=True, runs_per_day=9)), "canary", "failed")
    assert told() == []
    refusals.forgive(bob.email)
    EmailAddress.objects.filter(user=bob).update(verified=False)
    end(cast.submit_checked(team, team.submissions.get().phase), "canary", "failed")
    assert told() == []
    choices.resume(alice, NoticeKind.RUNS)
    end(cast.submit_checked(team, team.submissions.latest("pk").phase), "canary", "failed")
    assert [to for to, _ in told()] == ["alice@example.org"]


def test_what_fails_does_not_keep_others_waiting(team, monkeypatch, caplog):
    phase = cast.phase(cases_are_public=True, runs_per_day=9)
    first, second = (cast.submit_checked(team, phase) for _ in range(2))
    for one in (first, second):
        end(one, "canary", "failed")
    honest = runs.notice_of
    monkeypatch.setattr(runs, "notice_of", lambda one, shown: 1 / 0 if one == first else honest(one, shown))
    assert {subject for _, subject in told()} == {f"{PREFIX}Submission {second.pk} has failed"}
    assert "could not be written" in caplog.text
    monkeypatch.setattr(runs, "notice_of", honest)
    assert len(told()) == 4
