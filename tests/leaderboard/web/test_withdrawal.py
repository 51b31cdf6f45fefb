"""Withdrawing a run and bringing it back: by its team until the deadline, by organisers with a reason."""

from datetime import timedelta

import pytest
from django.test import Client

from leaderboard.core import clock
from leaderboard.journey import pipeline
from leaderboard.models import AuditEntry, Phase, Submission
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(people):
    """A scored run of Alice's, in a phase on hidden cases."""
    return scored(people.team, cast.phase(runs_per_day=9), user=people.alice)


def address(run, what):
    return f"/runs/{run.submission_id}/{what}/"


def is_withdrawn(run) -> bool:
    return Submission.objects.get(pk=run.submission_id).withdrawn_at is not None


def close(run):
    Phase.objects.filter(pk=run.submission.phase_id).update(closes_at=clock.now() - timedelta(seconds=1))


def test_a_member_withdraws_and_another_brings_back_and_the_page_tells_who(people, run):
    said = page(people.browser["Bob"].post(address(run, "withdraw"), follow=True)).text
    assert "This run does not count, and is on no board." in said
    assert "Withdrawn: it does not count · Bob" in said
    assert "Alice and Bob" not in page(people.browser["Charlie"].get("/leaderboard/test/")).text
    said = page(people.browser["Alice"].post(address(run, "bring-back"), follow=True)).text
    assert "Brought back: it may count again · Alice" in said
    assert "is on no board. What it scores" not in said
    assert "Alice and Bob" in page(people.browser["Charlie"].get("/leaderboard/test/")).text


def test_from_the_list_and_without_scripts_it_leads_back_to_the_list(people, run):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.alice)
    listed = page(browser.get("/runs/"))
    assert "counts" in listed.text
    assert listed.all("form", action=address(run, "withdraw"), method="post")
    assert browser.post(address(run, "withdraw"), {"back": "runs"}).status_code == 403
    [token, *_] = listed.all("input", name="csrfmiddlewaretoken")
    sent = {"back": "runs", "csrfmiddlewaretoken": token["value"]}
    answer = browser.post(address(run, "withdraw"), sent, follow=True)
    assert answer.redirect_chain == [("/runs/", 302)]
    assert page(answer).all("form", action=address(run, "bring-back"))
    assert is_withdrawn(run)


def test_for_rivals_and_strangers_there_is_no_such_run(people, run, client):
    for what in ("withdraw", "bring-back"):
        assert people.browser["Charlie"].post(address(run, what)).status_code == 404
        assert client.post(address(run, what))["Location"].startswith("/account/login/")
        assert people.browser["Alice"].get(address(run, what)).status_code == 405
    assert not is_withdrawn(run)


def test_after_the_deadline_only_organisers_decide_and_say_why(people, run):
    close(run)
    shown = page(people.browser["Alice"].get(f"/runs/{run.submission_id}/"))
    assert not shown.all("form", action=address(run, "withdraw"))
    said = page(people.browser["Alice"].post(address(run, "withdraw"), follow=True)).text
    assert "which runs count cannot be changed any more" in said
    assert "Say why" in page(people.browser["Olga"].post(address(run, "withdraw"), follow=True)).text
    assert not is_withdrawn(run)
    people.browser["Olga"].post(address(run, "withdraw"), {"why": "The team asked by email."})
    assert is_withdrawn(run)
    assert AuditEntry.objects.latest("pk").why == "The team asked by email."
    said = page(people.browser["Alice"].get(f"/runs/{run.submission_id}/")).text
    assert "Withdrawn: it does not count · the organisers" in said
    assert "The team asked" not in said


def test_a_run_is_withdrawn_while_it_runs_and_goes_on_to_its_scores(people):
    host, phase = cast.host(), cast.phase(cast.case_set(2), cases_are_public=True)
    masks.give_references(masks.cube())
    run = cast.submit_checked(people.team, phase).runs.get()
    pipeline.fill_slots()
    people.browser["Alice"].post(address(run, "withdraw"))
    gpu_host.finish_run(host, run, masks.nifti(masks.cube()))
    assert run.state == "scored"
    assert "Alice and Bob" not in page(people.browser["Charlie"].get("/leaderboard/test/")).text
    assert "1.000" in page(people.browser["Alice"].get(f"/runs/{run.submission_id}/")).text
    people.browser["Alice"].post(address(run, "bring-back"))
    assert "Alice and Bob" in page(people.browser["Charlie"].get("/leaderboard/test/")).text


def test_what_was_rejected_offers_nothing_to_withdraw(people):
    submission = cast.submit(people.team, cast.phase())
    Submission.objects.filter(pk=submission.pk).update(state="rejected")
    found = page(people.browser["Alice"].post(f"/runs/{submission.pk}/withdraw/", follow=True))
    assert "there is nothing that could count" in found.text
    assert not found.all("form", action=f"/runs/{submission.pk}/withdraw/")


def test_the_organisers_list_tells_and_filters_by_the_state_that_matters(people):
    phase = cast.phase(slug="dev", cases_are_public=True, runs_per_day=9)
    done, waits = scored(people.team, phase), cast.submit_checked(people.team, phase)
    people.olga.is_superuser = True
    people.olga.save()
    olga = people.browser["Olga"]
    listed = page(olga.get("/admin/leaderboard/submission/"))
    assert listed.all("a", href=f"/organisers/runs/{done.submission_id}/")
    assert "Scored" in listed.text
    for stage, shown in (("run-scored", done.submission_id), ("run-queued", waits.pk)):
        found = page(olga.get("/admin/leaderboard/submission/", {"stage": stage}))
        links = [found.all("a", href=f"/organisers/runs/{pk}/") for pk in (done.submission_id, waits.pk)]
        assert [bool(link) for link in links] == [shown == done.submission_id, shown == waits.pk]
