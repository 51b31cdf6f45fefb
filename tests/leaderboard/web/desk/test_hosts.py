"""Hosts and the queue at the desk."""

from datetime import timedelta

import pytest
from django.test import Client

from leaderboard.challenge import maintenance
from leaderboard.core import clock
from leaderboard.hosts.registry import host_with_token
from leaderboard.journey import precedence
from leaderboard.models import Attempt, AuditEntry, Host, Maintenance, Phase, Run, Submission
from leaderboard.states import Role
from tests.leaderboard import cast, gpu_host
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db(transaction=True)
BY = cast.OPERATOR


def as_role(people, role: str) -> None:
    people.olga.role, people.olga.is_staff, people.olga.is_superuser = role, True, False
    people.olga.save()


@pytest.fixture
def at_work(people) -> Submission:
    """A host with a batch of Alice's at work, and two runs that wait."""
    host = cast.host()
    submission = cast.submit_checked(people.team, cast.phase(runs_per_day=9))
    gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    for team in (people.team, people.rivals):
        cast.submit_checked(team, submission.phase)
    return submission


def asked(people, path: str = "/organisers/hosts/", who: str = "Olga") -> str:
    return page(people.browser[who].get(path)).text


def test_it_says_what_each_host_does_and_the_queue_with_its_reasons(people, at_work):
    text = asked(people)
    assert "1 host, 2 runs in the queue" in text
    assert f"Run {at_work.pk}, batch 1, since" in text
    assert text.index("Its team has nothing at work") < text.index("Teams take turns: its team has 1 before it")
    Host.objects.update(slots=[])
    assert "No host that takes work fits it." in asked(people)


def test_a_run_that_is_put_first_says_why_here_and_nowhere_else(people, at_work):
    last = Submission.objects.filter(team=people.team).latest("pk")
    why = "It was interrupted by us three times."
    precedence.put_first(last, by=BY, why=why)
    text = asked(people)
    assert text.index("Put first by an organiser.") < text.index(why) < text.index("Its team has nothing")
    for who in ("Alice", "Charlie"):
        for submission in Submission.objects.all():
            assert why not in people.browser[who].get(f"/runs/{submission.pk}/").content.decode()


def test_a_host_has_a_page_with_its_attempts_and_faults(people, at_work):
    Attempt.objects.update(ended_at=clock.now(), fault="host_lost", detail="It spoke no more.")
    text = asked(people, "/organisers/hosts/gpu-1/")
    assert "the machine went silent" in text
    assert "It spoke no more." in text
    assert "It spoke no more." in asked(people, "/organisers/hosts/gpu-1/?faults=1")
    Attempt.objects.update(fault="")
    assert "reported" in asked(people, "/organisers/hosts/gpu-1/")
    assert "reported" not in asked(people, "/organisers/hosts/gpu-1/?faults=1")
    assert people.browser["Olga"].get("/organisers/hosts/nobody/").status_code == 404


def test_buttons_are_for_those_who_may(people, at_work):
    assert "/organisers/acts/drain-host/?on=gpu-1" in people.browser["Olga"].get("/organisers/hosts/").content.decode()
    as_role(people, Role.VIEWER)
    for path in ("/organisers/hosts/", "/organisers/hosts/gpu-1/"):
        found = people.browser["Olga"].get(path)
        assert found.status_code == 200
        assert "/organisers/acts/" not in found.content.decode()
    for path in ("/organisers/hosts/", "/organisers/hosts/gpu-1/"):
        assert people.browser["Alice"].get(path).status_code == 404


def test_a_token_is_shown_once_and_kept_nowhere(people):
    olga = people.browser["Olga"]
    address, sent = "/organisers/acts/add-host/?on=new", {"do": "1", "name": "gpu-7"}
    asked_who = olga.post(address, sent)
    assert asked_who["Location"].startswith("/account/reauthenticate/")
    assert not Host.objects.exists()
    olga.post(asked_who["Location"], {"password": "correct horse"})
    said = olga.post(address, sent)
    text = said.content.decode()
    token = text.partition('<code class="breaks">')[2].partition("</code>")[0]
    found = host_with_token(token)
    assert found is not None
    assert found.name == "gpu-7"
    assert token not in str([*AuditEntry.objects.values()])
    assert token not in olga.get("/organisers/").content.decode()


def test_a_preview_of_a_token_makes_none(people):
    shown = people.browser["Olga"].post("/organisers/acts/add-host/?on=new", {"preview": "1", "name": "gpu-7"})
    assert "Add a host" in page(shown).text
    assert not Host.objects.exists()
    refused = people.browser["Olga"].post("/organisers/acts/add-host/?on=new", {"preview": "1", "name": "GPU 7"})
    assert "small letters" in refused.content.decode()


def test_a_host_serves_what_was_chosen(people, at_work):
    people.browser["Olga"].post("/organisers/acts/serve/?on=gpu-1", {"do": "1", "which": "hidden"})
    assert Host.objects.get().serves == "hidden"
    assert AuditEntry.objects.get(action="set phases").after == {"serves": "hidden"}


class TestPauses:
    def plan(self, people) -> None:
        at = clock.now() + timedelta(hours=2)
        sent = {"begins_at": f"{at:%Y-%m-%d %H:%M}", "ends_at": f"{at + timedelta(hours=1):%Y-%m-%d %H:%M}"}
        people.browser["Olga"].post(
            "/organisers/acts/plan-pause/?on=new", {"do": "1", "words": "A larger disk <b>comes</b>.", **sent}
        )

    def test_one_that_is_planned_stands_on_every_page_and_in_the_api(self, people, at_work):
        assert Client().get("/api/v1/status").json()["pause"] is None
        self.plan(people)
        for who, path in (("Alice", "/runs/"), ("Charlie", "/"), ("Olga", "/organisers/")):
            text = page(people.browser[who].get(path)).text
            assert "Pause for maintenance from" in text
            assert "A larger disk <b>comes</b>." in text
        told = Client().get("/api/v1/status").json()
        assert told["starts_runs"] is True
        assert told["pause"]["words"] == "A larger disk <b>comes</b>."

    def test_while_it_lasts_pages_and_the_api_say_so(self, people, at_work):
        self.plan(people)
        maintenance.begin_early(Maintenance.objects.get(), by=BY, why="now")
        assert Client().get("/api/v1/status").json()["starts_runs"] is False
        html = Client().get("/").content.decode()
        assert "Paused for maintenance" in html
        assert "end-pause" in people.browser["Olga"].get("/organisers/hosts/").content.decode()
        maintenance.end(Maintenance.objects.get(), by=BY)
        assert "aintenance" not in page(Client().get("/")).text

    def test_without_any_phase_it_is_told_as_well(self, people):
        self.plan(people)
        assert "Pause for maintenance from" in page(Client().get("/")).text

    def test_times_that_can_not_be_read_are_refused(self, people):
        sent = {"preview": "1", "begins_at": "tomorrow", "ends_at": "2026-13-01 20:00", "words": "x"}
        said = people.browser["Olga"].post("/organisers/acts/plan-pause/?on=new", sent).content.decode()
        assert "is no date and time" in said
        assert not Maintenance.objects.exists()


def test_the_first_page_shows_the_hosts_and_those_that_want_somebody(people, at_work):
    Phase.objects.update(closes_at=clock.now() + timedelta(days=9))  # long after what it leaves unset is asked for
    assert "gpu-1" in asked(people, "/organisers/")
    assert "Nothing needs a person" in asked(people, "/organisers/")
    Host.objects.update(seen_at=clock.now() - timedelta(hours=1), trouble="disk errors")
    text = asked(people, "/organisers/")
    assert "gpu-1 does not answer." in text
    assert f"It had runs {at_work.pk} at work." in text
    assert "stop-host" in people.browser["Olga"].get("/organisers/").content.decode()
    run = Run.objects.filter(state="queued").first()
    assert run is not None
    maintenance.begin_now(
        Maintenance(), ends_at=clock.now() + timedelta(hours=1), words="A larger disk.", by=BY, why="It is full."
    )
    assert "does not answer" not in asked(people, "/organisers/")
