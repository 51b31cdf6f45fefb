"""A submission's page, its live panel, and the team's list."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client

from leaderboard.core import clock, events
from leaderboard.models import Attempt, Batch, Run, RunCase, Submission
from tests.leaderboard import cast
from tests.leaderboard.web.scene import in_state, page, scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def standing(monkeypatch):
    """The clock stands still: with a new minute there is a new estimate."""
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)


def running(people, **policies):
    """A run of Alice's team: one case finished, one failed, one at work, one waiting."""
    phase = cast.phase(cast.case_set(4), **policies)
    run = in_state(cast.submit_checked(people.team, phase).runs.get(), "running")
    host = cast.host()
    now = clock.now()
    batch = Batch.objects.create(
        run=run, number=1, state="leased", host=host, lease_until=now + timedelta(minutes=1), fence=1
    )
    earlier = Batch.objects.create(run=run, number=2, state="scored")
    Attempt.objects.create(
        batch=earlier,
        fence=1,
        host=host,
        key=uuid.uuid4(),
        slot="s",
        claimed_at=now,
        ended_at=now,
        log="hello from inside",
    )
    run.cases.filter(position__gte=2).update(batch=batch)
    run.cases.filter(position__lt=2).update(batch=earlier)
    decided = {"decided_at": now - timedelta(minutes=5), "scored_at": now}
    run.cases.filter(position=0).update(outcome="finished", result={"status": "scored", "dice": 0.5}, **decided)
    run.cases.filter(position=1).update(
        outcome="failed", reason_code="timed_out", result={"status": "failed", "dice": 0.0}, **decided
    )
    return run.submission


@pytest.mark.parametrize("public", [True, False])
def test_a_file_with_almost_the_right_name_is_told_on_public_cases_only(people, public):
    submission = running(people, cases_are_public=public)
    noticed = "Found 'a.nii' where a.nii.gz was expected; it was not used."
    Attempt.objects.update(container={"exit_code": 0, "oom_killed": False, "seconds": 1.0, "warnings": [noticed]})
    address = f"/runs/{submission.pk}/"
    assert (noticed in page(people.browser["Alice"].get(address)).text) == public
    assert noticed in page(people.browser["Olga"].get(address)).text


def test_team_mates_and_organisers_see_a_run_and_nobody_else(people, client):
    submission = cast.submit(people.team, cast.phase())
    for address in (f"/runs/{submission.pk}/", f"/runs/{submission.pk}/panel/"):
        assert people.browser["Alice"].get(address).status_code == 200
        assert people.browser["Bob"].get(address).status_code == 200
        assert people.browser["Olga"].get(address).status_code == 200
        assert people.browser["Charlie"].get(address).status_code == 404
        assert client.get(address).status_code == 302


def test_a_rival_cannot_cancel_a_run(people):
    submission = cast.submit(people.team, cast.phase())
    assert people.browser["Charlie"].post(f"/runs/{submission.pk}/cancel/").status_code == 404
    submission.refresh_from_db()
    assert submission.state == "received"


def test_a_team_cancels_its_run(people):
    submission = cast.submit(people.team, cast.phase())
    response = people.browser["Bob"].post(f"/runs/{submission.pk}/cancel/", follow=True)
    assert "The run is cancelled." in page(response).text
    assert "Cancel this run" not in page(response).text


def test_cancelling_what_has_ended_says_so(people):
    run = scored(people.team, cast.phase())
    response = people.browser["Alice"].post(f"/runs/{run.submission.pk}/cancel/", follow=True)
    assert "there is nothing to cancel" in page(response).text


def test_on_public_cases_the_page_shows_every_case_and_the_log(people):
    submission = running(people, cases_are_public=True)
    found = page(people.browser["Alice"].get(f"/runs/{submission.pk}/"))
    cells = [one.get("class") for one in found.all("i")][:4]
    assert cells == ["d", "f", "r", None]
    assert "2 of 4 cases" in " ".join(found.text.split())
    assert "A case took longer than the limit" in found.text
    assert "hello from inside" in found.text


def test_on_hidden_cases_the_page_shows_neither_cells_nor_log_nor_counts(people):
    submission = running(people)
    found = page(people.browser["Alice"].get(f"/runs/{submission.pk}/"))
    assert "50 % of 4 cases" in " ".join(found.text.split())
    assert not found.all("div", role="img")
    for secret in ("hello from inside", "longer than the limit", "1 case lost", "case_00"):
        assert secret not in found.text


def test_an_organiser_sees_the_log_of_a_hidden_run(people):
    submission = running(people)
    assert "hello from inside" in page(people.browser["Olga"].get(f"/runs/{submission.pk}/")).text


@pytest.mark.usefixtures("standing")
def test_the_panel_answers_nothing_new_until_something_changes(people):
    submission = running(people, cases_are_public=True)
    alice = people.browser["Alice"]
    asked = page(alice.get(f"/runs/{submission.pk}/")).all("div", id="live")[0]["hx-get"]
    assert alice.get(asked).status_code == 204
    RunCase.objects.filter(run__submission=submission, position=2).update(
        outcome="finished", result={"status": "scored", "dice": 0.1}, decided_at=clock.now()
    )
    events._announce(submission.pk)
    response = alice.get(asked)
    assert response.status_code == 200
    assert "3 of 4 cases" in " ".join(page(response).text.split())
    assert page(response).all("p", role="status", hx_swap_oob="innerHTML")


@pytest.mark.usefixtures("standing")
def test_on_hidden_cases_an_event_that_changes_nothing_visible_leaves_no_trace(people):
    submission = running(people)
    alice = people.browser["Alice"]
    asked = page(alice.get(f"/runs/{submission.pk}/")).all("div", id="live")[0]["hx-get"]
    RunCase.objects.filter(run__submission=submission, position=2).update(decided_at=clock.now())
    events._announce(submission.pk)
    assert alice.get(asked).status_code == 204
    assert asked == page(alice.get(f"/runs/{submission.pk}/")).all("div", id="live")[0]["hx-get"]


@pytest.mark.usefixtures("standing")
def test_a_broker_that_is_away_costs_freshness_only(people, monkeypatch):
    submission = running(people, cases_are_public=True)
    monkeypatch.setattr(events, "version", lambda _: None)
    alice = people.browser["Alice"]
    asked = page(alice.get(f"/runs/{submission.pk}/")).all("div", id="live")[0]["hx-get"]
    assert alice.get(asked).status_code == 204


def test_a_finished_run_is_not_asked_about_any_more(people):
    run = scored(people.team, cast.phase(cases_are_public=True))
    found = page(people.browser["Alice"].get(f"/runs/{run.submission.pk}/"))
    assert "hx-get" not in found.all("div", id="live")[0]
    assert not found.all("meta", http_equiv="refresh")
    assert "0.300" in found.text


def test_without_a_script_a_run_that_moves_is_loaded_again(people):
    submission = cast.submit(people.team, cast.phase())
    html = people.browser["Alice"].get(f"/runs/{submission.pk}/").content.decode()
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in html


def test_a_rejected_image_says_why_and_that_it_was_not_charged(people):
    submission = cast.submit(people.team, cast.phase())
    Submission.objects.filter(pk=submission.pk).update(
        state="rejected", reason="The image is for arm64.", charged=False
    )
    text = page(people.browser["Alice"].get(f"/runs/{submission.pk}/")).text
    assert "The image is for arm64." in text
    assert "not charged" in text


def test_a_fault_of_ours_is_named_as_ours(people):
    run = in_state(cast.submit_checked(people.team, cast.phase()).runs.get(), "halted")
    text = page(people.browser["Alice"].get(f"/runs/{run.submission.pk}/")).text
    assert "Our fault" in text
    assert "nothing is charged" in text


def test_the_list_shows_a_team_its_own_runs_only(people):
    phase = cast.phase()
    scored(people.team, phase, dice=0.4, algorithm="Ours")
    scored(people.rivals, phase, dice=0.5, algorithm="Theirs")
    Run.objects.update(ended_at=clock.now() - timedelta(minutes=1))
    text = page(people.browser["Bob"].get("/runs/")).text
    assert "Ours" in text
    assert "0.400" in text
    assert "Theirs" not in text


def test_a_long_queue_does_not_slow_the_list_down(people, django_assert_max_num_queries):
    phase = cast.phase(runs_per_day=30, runs_total=30)
    for _ in range(12):
        cast.submit_checked(people.team, phase)
    with django_assert_max_num_queries(12 * 4 + 20):
        assert page(people.browser["Bob"].get("/runs/")).text.count("In the queue") >= 12


def test_the_list_withholds_scores_that_the_phase_withholds(people):
    scored(people.team, cast.phase(publication="nothing"), dice=0.4321)
    assert "0.432" not in page(people.browser["Bob"].get("/runs/")).text


def test_who_has_no_team_is_led_to_founding_one():
    client = Client()
    client.force_login(cast.person("Dora"))
    assert client.get("/runs/")["Location"] == "/team/"
