"""What is looked at once more in the transaction that accepts an upload: a large one takes hours."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions
from leaderboard.models import Phase, Submission, User
from leaderboard.people import teams
from leaderboard.states import SubmissionState
from leaderboard.submissions import admission, uploads
from leaderboard.submissions.quota import refused_per_day, refused_today
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bob():
    return cast.person("Bob")


@pytest.fixture
def team(alice, bob):
    return cast.team_of(alice, bob)


@pytest.fixture
def meanwhile(monkeypatch, bob, team):
    """Lets Bob upload by the form; `act` happens while the file is on its way. Returns what he reads."""

    def upload(phase: Phase, act) -> str:
        begin = uploads.BoundedUploadHandler.new_file

        def new_file(self, *args: Any, **kwargs: Any) -> None:
            begin(self, *args, **kwargs)
            act()

        monkeypatch.setattr(uploads.BoundedUploadHandler, "new_file", new_file)
        browser = Client()
        browser.force_login(bob)
        image = SimpleUploadedFile("image.tar.gz", b"an archive")
        form = {"track": "main", "algorithm": "A", "method": cast.METHOD, "external": "none", "image": image}
        return browser.post(f"/submit/{phase.slug}/", form).content.decode()

    return upload


def test_who_was_removed_from_the_team_meanwhile_submits_nothing(meanwhile, alice, bob, team):
    said = meanwhile(cast.phase(), lambda: teams.remove_member(alice, team, bob.pk, "Left the lab."))
    assert "You are not in the team “Team of Alice” any more. Nothing was submitted." in said
    assert not Submission.objects.exists()
    assert not list(uploads.folder().iterdir())


def test_whose_account_was_closed_meanwhile_submits_nothing(meanwhile, bob):
    said = meanwhile(cast.phase(), lambda: User.objects.filter(pk=bob.pk).update(is_active=False))
    assert "Nothing was submitted" in said
    assert not Submission.objects.exists()


def test_a_phase_that_organisers_closed_meanwhile_takes_nothing(meanwhile):
    # A second ago: the last byte counts as of before the database was asked for the time, by as much as that took.
    said = meanwhile(cast.phase(), lambda: Phase.objects.update(closes_at=clock.now() - timedelta(seconds=1)))
    assert "closed on" in said
    assert not Submission.objects.exists()


def test_a_deadline_that_organisers_moved_meanwhile_holds(meanwhile):
    tomorrow = clock.now() + timedelta(days=1)
    phase = cast.phase(closes_at=clock.now() + timedelta(seconds=2))

    def extend() -> None:
        while clock.now() < phase.closes_at:
            pass
        Phase.objects.update(closes_at=tomorrow)

    meanwhile(phase, extend)
    assert Submission.objects.count() == 1


def test_an_upload_that_was_complete_before_the_deadline_counts_however_slow_we_are(meanwhile, team, monkeypatch):
    phase, keep = cast.phase(runs_per_day=9), uploads.received
    deadline = phase.closes_at

    def slowly(file):
        monkeypatch.setattr(clock, "now", lambda: deadline + timedelta(minutes=5))
        return keep(file)

    monkeypatch.setattr(uploads, "received", slowly)
    meanwhile(phase, lambda: None)
    assert Submission.objects.get().accepted_at < deadline
    with pytest.raises(Refused, match="closed on"):
        cast.submit(team, phase)


# --- uploads that come to nothing -------------------------------------------------------------------------------------


def refuse(team, phase, count: int, **fields: Any) -> None:
    for _ in range(count):
        submission = cast.submit(team, phase)
        Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.REJECTED, charged=False, **fields)


def test_so_many_uploads_of_a_day_may_come_to_nothing_and_no_more(team):
    phase = cast.phase(runs_per_day=1, closes_at=clock.now() + timedelta(days=3))
    refuse(team, phase, refused_per_day(phase) - 1)
    decisions.cancel(cast.submit(team, phase), by=cast.OPERATOR)
    tomorrow = clock.now() + timedelta(days=1)
    with pytest.raises(Refused, match=rf"20 uploads of your team came to nothing today.* {tomorrow:%b %-d, %Y} 00:00"):
        cast.submit(team, phase)
    admission.check_phase(team, phase, tomorrow)
    cast.submit(cast.team_of(cast.person("Charlie")), phase)


def test_a_run_that_was_cancelled_in_the_queue_counts_among_them_and_one_that_we_interrupted_does_not(team):
    phase, host = cast.phase(cast.case_set(1), runs_per_day=9), cast.host()
    run = cast.submit_checked(team, phase).runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "untouched", None)], fault="internal")
    assert not Submission.objects.get().charged
    assert refused_today(team, phase, clock.now()) == 0
    decisions.cancel(cast.submit_checked(team, phase), by=cast.OPERATOR)
    assert refused_today(team, phase, clock.now()) == 1


def test_the_guidelines_say_how_many(client):
    cast.phase(runs_per_day=3)
    assert "60 a day (UTC): rejected, or cancelled" in client.get("/guidelines/").content.decode()
