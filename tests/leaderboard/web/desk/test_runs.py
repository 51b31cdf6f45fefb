"""All runs at the desk: found, chosen for an act in bulk, and each with its full story."""

from datetime import timedelta

import pytest

from leaderboard.core import clock
from leaderboard.journey import decisions, objections, pipeline
from leaderboard.models import Attempt, Objection, Run, RunCase, Submission
from leaderboard.states import Role
from tests.leaderboard import cast, gpu_host
from tests.leaderboard.scores import runs as made
from tests.leaderboard.web import scene
from tests.leaderboard.web.scene import HOSTILE, Page, page

pytestmark = pytest.mark.django_db
RUNS = "/organisers/runs/"
BY = cast.OPERATOR


@pytest.fixture
def phase():
    return cast.phase(runs_per_day=9)


@pytest.fixture
def submission(people, phase) -> Submission:
    return cast.submit_checked(people.team, phase, algorithm=HOSTILE)


def acts(shown: Page, name: str) -> list[str]:
    """Where this act, or any, is offered on a page."""
    addresses = [one["href"] or "" for one in shown.all("a")]
    return [one for one in addresses if f"/organisers/acts/{name}" in one]


def as_viewer(people) -> None:
    people.olga.role = Role.VIEWER
    people.olga.save()


def test_runs_are_searched_and_lead_to_their_stories(people, phase, submission):
    other = cast.submit_checked(people.rivals, phase, algorithm="Segmenter")
    olga = people.browser["Olga"]
    listed = page(olga.get(RUNS))
    assert all(listed.all("a", href=f"{RUNS}{one.pk}/") for one in (submission, other))
    assert not listed.scripts
    assert "In the queue" in listed.text
    narrowed = page(olga.get(f"{RUNS}?words=segmenter&state=queued"))
    assert not narrowed.all("a", href=f"{RUNS}{submission.pk}/")
    assert narrowed.all("a", href=f"{RUNS}{other.pk}/")
    assert "No run fits" in page(olga.get(f"{RUNS}?state=scored")).text
    assert b"Segmenter" in olga.get("/organisers/runs.csv?words=segmenter").content


def test_many_are_chosen_and_lead_to_the_page_of_the_act(people, phase, submission):
    other = cast.submit_checked(people.rivals, phase)
    olga = people.browser["Olga"]
    listed = page(olga.get(f"{RUNS}?state=queued"))
    assert {one["value"] for one in listed.all("input", name="on")} == {str(submission.pk), str(other.pk)}
    [button] = listed.all("button", formaction="/organisers/acts/cancel-run/")
    address = f"{button['formaction']}?next={RUNS}&on={submission.pk}&on={other.pk}"
    asked = page(olga.get(address))
    assert "2 runs" in asked.text
    assert "The team reads it" in asked.text
    assert asked.all("input", name="next", value=RUNS)
    done = olga.post(address, {"do": "1", "next": RUNS})
    assert (done.status_code, done["Location"]) == (302, RUNS)
    assert {one.stage for one in Submission.objects.all()} == {"cancelled"}


@pytest.mark.parametrize("target", ["https://example.org/", "javascript:alert(1)", "//example.org"])
def test_an_act_leads_back_to_no_other_site(people, submission, target):
    asked = page(people.browser["Olga"].get("/organisers/acts/cancel-run/", {"on": submission.pk, "next": target}))
    assert not asked.all("a", href=target)
    assert asked.all("a", href="/organisers/")


def test_a_page_holds_twenty_five(people, phase):
    first = cast.submit_checked(people.team, phase)
    for number in range(25):
        Submission.objects.filter(pk=first.pk).update(ticket="")
        copy = Submission.objects.get(pk=first.pk)
        copy.pk, copy.algorithm = None, f"Copy {number}"
        copy.save()
    listed = page(people.browser["Olga"].get(f"{RUNS}?words=grounder+&track=main"))
    assert not listed.all("a", href="?words=grounder&track=main&page=2")
    assert page(people.browser["Olga"].get(RUNS)).all("a", href="?page=2")
    assert page(people.browser["Olga"].get(f"{RUNS}?page=2")).all("a", href=f"{RUNS}{first.pk}/")


def test_the_story_holds_attempts_hosts_logs_cases_and_the_record(people, phase, submission, host):
    run = submission.runs.get()
    pipeline.fill_slots()
    gpu_host.claim(host, gpu_host.waiting(run))
    log = "x" * 9000 + HOSTILE + "the end"
    Attempt.objects.update(log=log, container={"exit_code": 137, "warnings": [HOSTILE]}, fault="host_lost")
    decisions.disqualify(submission, by=BY, why="Copied, it seems.")
    decisions.reinstate(submission, by=BY, why="It was not.")
    olga = people.browser["Olga"]
    story = page(olga.get(f"{RUNS}{submission.pk}/"))
    assert not story.scripts
    for words in ("gpu-1", "host_lost", "137", "the end", "Copied, it seems.", "It was not.", "record: disqualify"):
        assert words in story.text, words
    assert "x" * 5000 not in story.text
    assert story.all("a", href=f"/runs/{submission.pk}/")
    assert page(olga.get(f"/runs/{submission.pk}/")).all("a", href=f"{RUNS}{submission.pk}/")


def test_everybody_of_the_desk_sees_the_numbers_of_hidden_cases_there(people):
    phase = cast.phase(cast.case_set(2))
    run = made.scored(people.team, phase, 0.5)
    RunCase.objects.filter(run=run).update(seconds=12.0)
    as_viewer(people)
    story = page(people.browser["Olga"].get(f"{RUNS}{run.submission_id}/")).text
    for words in ("case_000.nii.gz", "0.500", "All cases"):
        assert words in story, words


def test_every_run_of_it_can_be_looked_at(people, phase, submission):
    run = scene.in_state(submission.runs.get(), "failed", failure_kind="memory", ended_at=clock.now())
    decisions.run_again(submission, by=BY, why="Ours.")
    olga = people.browser["Olga"]
    assert "Run 2: in the queue" in page(olga.get(f"{RUNS}{submission.pk}/")).text
    first = page(olga.get(f"{RUNS}{submission.pk}/?run={run.number}")).text
    assert "Run 1: failed" in first
    assert "Run 2: in the queue" in page(olga.get(f"{RUNS}{submission.pk}/?run=x")).text


def test_one_that_has_no_run_yet_has_a_story_too(people, phase):
    assert "Received" in page(people.browser["Olga"].get(f"{RUNS}{cast.submit(people.team, phase).pk}/")).text
    assert people.browser["Olga"].get(f"{RUNS}999999/").status_code == 404


def test_its_team_is_disqualified_from_there_in_its_phase(people, phase, submission):
    olga = people.browser["Olga"]
    [button] = acts(page(olga.get(f"{RUNS}{submission.pk}/")), "disqualify-team")
    assert f"phase={phase.slug}" in button
    asked = page(olga.get(button))
    [chosen] = [one for one in asked.all("option") if "selected" in one]
    assert chosen["value"] == phase.slug
    olga.post(button, {"do": "1", "phase": phase.slug, "why": "Two accounts."})
    assert Submission.objects.get().disqualified_reason == "Two accounts."
    assert acts(page(olga.get(f"{RUNS}{submission.pk}/")), "reinstate-team")
    refused = page(people.browser["Alice"].get(f"/submit/{phase.slug}/")).text
    assert "Two accounts." in refused


def test_a_viewer_sees_it_all_and_is_offered_nothing(people, phase, submission):
    decisions.disqualify(submission, by=BY, why="Copied.")
    objections.object_to(submission.decisions.get(), "It is ours.", user=people.alice)
    as_viewer(people)
    viewer = people.browser["Olga"]
    for address in (RUNS, f"{RUNS}{submission.pk}/", "/organisers/"):
        shown = page(viewer.get(address))
        assert not acts(shown, ""), address
        assert not shown.all("input", name="on")
    assert viewer.get("/organisers/runs.csv").status_code == 200
    theirs = page(viewer.get(f"/runs/{submission.pk}/"))
    assert not theirs.all("form", action=f"/runs/{submission.pk}/cancel/")
    for act in ("cancel", "withdraw", "bring-back"):
        assert viewer.post(f"/runs/{submission.pk}/{act}/", {"why": "So."}).status_code == 403
    assert Submission.objects.get().withdrawn_at is None
    assert Run.objects.get().state == "queued"


def test_an_organiser_who_cancels_on_the_team_s_page_decides_as_one(people, submission):
    people.browser["Olga"].post(f"/runs/{submission.pk}/cancel/")
    assert submission.decisions.get().kind == "cancelled"


@pytest.mark.parametrize("address", [RUNS, "/organisers/runs.csv", "/organisers/rescoring/"])
def test_for_everybody_else_there_is_no_such_page(people, submission, client, address):
    assert people.browser["Alice"].get(address).status_code == 404
    assert people.browser["Alice"].get(f"{RUNS}{submission.pk}/").status_code == 404
    assert client.get(address).status_code == 302


def test_organisers_answer_an_objection(people, submission):
    decisions.disqualify(submission, by=BY, why="Copied.")
    made_ = objections.object_to(submission.decisions.get(), f"It is ours. {HOSTILE}", user=people.alice)
    olga = people.browser["Olga"]
    story = page(olga.get(f"{RUNS}{submission.pk}/"))
    [button] = acts(story, "answer-objection")
    assert not story.scripts
    missing = olga.post(button, {"do": "1"}).content.decode()
    assert "This field is required" in missing
    olga.post(button, {"do": "1", "answer": "We see."})
    assert Objection.objects.get(pk=made_.pk).answer == "We see."
    assert "We see." in page(people.browser["Alice"].get(f"/runs/{submission.pk}/")).text


def test_the_administration_tells_the_state_of_the_run(people, submission, client):
    scene.in_state(submission.runs.get(), "failed", failure_kind="memory", ended_at=clock.now() - timedelta(minutes=1))
    client.force_login(cast.person("Root", is_staff=True, is_superuser=True))
    for address in ("/admin/leaderboard/submission/", f"/admin/leaderboard/submission/{submission.pk}/change/"):
        text = client.get(address).content.decode()
        assert "Image accepted" not in text, address
        assert "Failed" in text, address
        assert f"{RUNS}{submission.pk}/" in text, address
