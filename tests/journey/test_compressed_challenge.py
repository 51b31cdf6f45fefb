"""A whole challenge, from its first draft to its archive, in less than a minute.

Only the clock is set forward. Organisers do everything at the desk or by `manage.py act`, teams on their pages, hosts
by their requests; what happens at its time happens because the sweeper looked.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.test import Client

from leaderboard.board import reading, versions
from leaderboard.core import blobs, outbox
from leaderboard.models import (
    Announcement,
    Attempt,
    AuditEntry,
    Phase,
    Registration,
    Rescoring,
    RunCase,
    Standing,
    Submission,
    TeamApproval,
    User,
)
from leaderboard.operations import retention
from leaderboard.people import addresses
from tests.journey.compressed import cases
from tests.journey.compressed.clock import Ahead
from tests.journey.compressed.people import (
    Entrant,
    Organiser,
    by_command,
    instant,
    is_refused_by_command,
)
from tests.journey.compressed.workers import GpuHost, Workers
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db(transaction=True)

SLUG, NAME = "final", "Final phase"
OPENS, LAST_EVENING, CLOSES, REVEALED, ARCHIVED = 14, 41, 42, 49, 90  # days after the beginning
SEES = {"Alpha": cases.RIGHT + 1, "Beta": cases.WRONG - 1, "Gamma": cases.RIGHT + 2}
"""Where each team's program sees findings begin: Alpha next to where they are, Beta where the first references say."""
WHY_DISQUALIFIED = "Its method says that it was trained on the test cases."
SECONDS = timedelta(seconds=90)
COMMAND = "command line"
RECORD = [
    (COMMAND, "import case set"),
    ("Olga", "add phase"),
    ("Olga", "change phase"),
    ("Olga", "change registration"),
    ("Olga", "change phase"),
    *((team, action) for team in SEES for action in ("create team", "ask for approval")),
    ("Olga", "approve team"),
    ("Olga", "approve team"),
    (COMMAND, "approve team"),
    ("Olga", "send announcement"),
    ("Olga", "add host"),
    ("Olga", "add host"),
    ("Olga", "drain"),
    ("Olga", "change phase"),
    (COMMAND, "end draining"),
    (COMMAND, "import case set"),
    ("Olga", "start re-scoring"),
    ("Olga", "apply re-scoring"),
    ("Olga", "disqualify"),
    ("Gamma", "object"),
    (COMMAND, "reinstate"),
    ("Olga", "answer objection"),
    ("Olga", "revoke token"),
    ("Olga", "archive"),
]
"""All that people decide in it, and nothing else: what was refused or only previewed, or happens by itself, is none."""


@dataclass
class Challenge:
    """Everything that takes part in it."""

    clock: Ahead
    workers: Workers
    organiser: Organiser
    files: Path
    mails: list[EmailMessage]
    entrants: dict[str, Entrant] = field(default_factory=dict)
    runs: dict[str, list[Submission]] = field(default_factory=dict)

    @property
    def phase(self) -> Phase:
        """As it is now."""
        return Phase.objects.select_related("case_set").get(slug=SLUG)

    def passes_until(self, at: datetime) -> None:
        """The time passes until then; what is due happens."""
        self.clock.set_to(at)
        self.workers.work()

    def passes(self, time: timedelta = SECONDS) -> None:
        """So much time passes. After more than a minute, all that ended is told to everybody."""
        self.passes_until(self.clock.now() + time)

    def told(self, to: str) -> list[str]:
        """The subjects of the mails that an address got."""
        outbox.send_due()
        return [str(mail.subject) for mail in self.mails if to in mail.to]

    def last_mail(self, to: str) -> str:
        """What the last mail to an address says."""
        self.told(to)
        return [str(mail.body) for mail in self.mails if to in mail.to][-1]

    def hands_in(self, team: str) -> Submission:
        """The team hands in what its program is."""
        made = self.entrants[team].hands_in(SLUG, SEES[team])
        self.runs.setdefault(team, []).append(made)
        return made

    def board(self) -> list[str]:
        """The teams in the order of their ranks, as everybody reads it."""
        listed = Client().get(f"/api/v1/phases/{SLUG}/board").json()["items"]
        return [one["team"] for one in sorted(listed, key=lambda one: one["rank"] or 99) if one["rank"]]

    def outsiders_read(self) -> Iterator[tuple[str, str]]:
        """What strangers read of phases and boards, and a rival of runs."""
        board = f"/leaderboard/{SLUG}/"
        of_board = ["", "board.csv", "main/runs/", "main/runs/all.csv", "main/history/"]
        of_api = [f"/api/v1/phases{path}" for path in ("", f"/{SLUG}", f"/{SLUG}/board")]
        site = ["/", "/leaderboard/", "/guidelines/", "/dates.ics", "/news/"]
        yield from _read(Client(), [*site, *of_api, *(board + one for one in of_board)])
        if rival := self.entrants.get("Gamma"):
            runs = [f"/runs/{one.pk}/" for some in self.runs.values() for one in some[:1]]
            yield from _read(rival.browser, [board, "/runs/", f"/submit/{SLUG}/", *runs])


@pytest.fixture
def challenge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mailoutbox) -> Challenge:
    monkeypatch.setattr(reading, "latest", versions.latest)  # here workers make boards
    clock, workers = Ahead(monkeypatch), Workers(monkeypatch)
    workers.forget_messages()
    Registration.objects.get_or_create(pk=1)
    cast.person("Olga", is_staff=True, is_superuser=True, role="owner")
    organiser = Organiser(Client())
    organiser.signs_in()
    return Challenge(clock, workers, organiser, tmp_path, mailoutbox)


def test_a_whole_challenge_in_compressed_time(challenge: Challenge) -> None:
    a_phase_is_drafted_and_nobody_sees_it(challenge)
    people_preregister_and_register_when_it_opens(challenge)
    it_is_announced_and_teams_are_approved(challenge)
    it_opens_by_itself(challenge)
    teams_are_scored_on_half_of_the_hidden_cases(challenge)
    a_limit_is_lowered_while_a_run_waits(challenge)
    wrong_references_are_mended_and_all_runs_scored_anew(challenge)
    a_run_is_disqualified_objected_to_and_reinstated(challenge)
    a_host_is_lost_on_the_last_evening(challenge)
    it_closes_by_itself(challenge)
    it_is_revealed_at_its_time(challenge)
    it_is_archived_at_a_press_alone(challenge)
    the_record_has_every_act_and_is_whole(challenge)


def a_phase_is_drafted_and_nobody_sees_it(challenge: Challenge) -> None:
    olga, clock = challenge.organiser, challenge.clock
    _import(cases.write(challenge.files / "first", start=cases.WRONG), "test-4")
    about = {"made_of": "template:test", "name": NAME, "slug": SLUG, "cases": "test-4"}
    olga.browser.post("/organisers/phases/new/", about)
    assert challenge.phase.is_draft
    olga.changes(
        SLUG,
        why="As the committee decided.",
        **instant("opens_at", clock.noon(OPENS)),
        **instant("closes_at", clock.noon(CLOSES)),
        **instant("revealed_at", clock.noon(REVEALED)),
        requires_approval="yes",
    )
    assert_nobody_sees(challenge, [SLUG, NAME])


def people_preregister_and_register_when_it_opens(challenge: Challenge) -> None:
    olga, clock, someone = challenge.organiser, challenge.clock, Client()
    opens = clock.noon(2)
    words = {"opens_at_0": f"{opens:%Y-%m-%d}", "opens_at_1": f"{opens:%H:%M:%S}", "why": "With the call for entries."}
    assert olga.browser.post("/admin/leaderboard/registration/1/change/", words).status_code == 302
    someone.post("/pre-registration/", {"email": "alpha@example.org"})
    link = _link(challenge.last_mail("alpha@example.org"), "/pre-registration/")
    assert someone.post(link).status_code == 302
    _sign_up(someone)
    assert not User.objects.filter(name="Alpha").exists()

    challenge.passes_until(opens)
    assert "Registration is open" in challenge.told("alpha@example.org")[-1]
    _sign_up(someone)
    someone.post(_link(challenge.last_mail("alpha@example.org"), "/account/"))
    assert addresses.is_confirmed(User.objects.get(name="Alpha"))


def it_is_announced_and_teams_are_approved(challenge: Challenge) -> None:
    olga, clock = challenge.organiser, challenge.clock
    shown = olga.changes(SLUG, why="It is decided.", is_draft="no")
    assert "From now on everybody can see that the phase exists" in shown.text
    for name in SEES:
        person = User.objects.filter(name=name).first() or cast.person(name, accepts_rules=False)
        entrant = challenge.entrants[name] = Entrant(_signed_in(person), name)
        assert "opens" in entrant.reads(f"/leaderboard/{SLUG}/").text
        entrant.browser.post("/team/", {"name": name, "affiliation": ""})
        entrant.browser.post("/rules/", {"accept": "on"})
        entrant.browser.post(f"/team/approvals/{SLUG}/")
    waiting = list(TeamApproval.objects.filter(state="waiting").order_by("pk"))
    assert len(waiting) == len(SEES)
    for _ in waiting[1:]:
        olga.presses(olga.finds("approve-team"))
    by_command("approve-team", waiting[0].pk)
    assert "To approve" not in olga.reads().text
    assert "opens" in challenge.entrants["Alpha"].is_turned_away(SLUG, 0)

    challenge.passes_until(clock.noon(OPENS - 1) + SECONDS)
    [begin] = [one["href"] for one in olga.reads().all("a") if "messages/new/?template=" in (one.get("href") or "")]
    words = olga.browser.get(begin or "").context["form"].initial
    sent = {name: value for name, value in words.items() if value} | {"by_mail": "on"}
    assert olga.browser.post(begin or "", sent).status_code == 302
    olga.acts("announce", Announcement.objects.get().pk)
    challenge.workers.work()
    assert Announcement.objects.get().subject in " ".join(challenge.told("beta@example.org"))


def it_opens_by_itself(challenge: Challenge) -> None:
    olga = challenge.organiser
    olga.proves_who_it_is()
    for name in ("gpu-1", "gpu-2"):
        shown = page(olga.browser.post("/organisers/acts/add-host/?on=new", {"do": "1", "name": name}))
        [token] = re.findall(r"[\w-]{40,}", shown.text)
        challenge.workers.hosts.append(GpuHost(name, token))
    challenge.workers.hosts[1].is_up = False  # it is kept for later
    challenge.passes_until(challenge.clock.noon(OPENS))
    assert f"The {NAME} is open" in " ".join(challenge.told("gamma@example.org"))


def teams_are_scored_on_half_of_the_hidden_cases(challenge: Challenge) -> None:
    for team in SEES:
        challenge.hands_in(team)
    challenge.passes()
    for team, [run] in challenge.runs.items():
        assert cast.stage_of(run) == "scored", team
        assert _dice(run) == pytest.approx(cases.dice(SEES[team], cases.WRONG))
    challenge.passes()
    assert challenge.board() == ["Beta", "Gamma", "Alpha"]
    assert_nobody_sees(challenge, _numbers_of_all(cases.WRONG))


def a_limit_is_lowered_while_a_run_waits(challenge: Challenge) -> None:
    olga, host = challenge.organiser, challenge.workers.hosts[0]
    challenge.passes(timedelta(days=3))
    olga.acts("drain-host", host.name)
    challenge.hands_in("Alpha")
    challenge.passes()
    known = len(host.orders)
    before = challenge.phase.case_seconds
    shown = olga.changes(SLUG, why="No program needs more.", case_seconds="60 s")
    assert "Waiting" in shown.text
    assert "keep time per case 2 min" in shown.text
    challenge.hands_in("Beta")
    by_command("end-draining", host.name)
    challenge.passes()
    limits = {order["run"]: order["limits"]["case_seconds"] for order in host.orders[known:]}
    kept = {
        str(challenge.runs[team][1].runs.get().token): seconds for team, seconds in (("Alpha", before), ("Beta", 60))
    }
    assert limits == kept
    assert "60 s" in challenge.entrants["Gamma"].reads("/guidelines/").text


def wrong_references_are_mended_and_all_runs_scored_anew(challenge: Challenge) -> None:
    olga, alpha = challenge.organiser, challenge.entrants["Alpha"]
    why = "the first references lay four voxels off"
    _import(cases.write(challenge.files / "mended", start=cases.RIGHT), "test-4-mended", mends="test-4")
    told = _numbers()
    olga.acts("start-rescoring", SLUG, why=why, cases="test-4-mended", leave_out="")
    assert why in alpha.reads(f"/leaderboard/{SLUG}/").text
    challenge.passes()
    assert _numbers() == told
    assert challenge.board() == ["Beta", "Gamma", "Alpha"]
    assert "To be decided" in olga.reads().text
    previewed = olga.reads(f"rescoring/{Rescoring.objects.get().pk}/").text
    assert "Alpha" in previewed
    assert f"{cases.dice(SEES['Alpha'], cases.RIGHT):.4f}" in previewed
    assert_nobody_sees(challenge, _numbers_of_all(cases.RIGHT))
    olga.presses(olga.finds("apply-rescoring"), why="Looked at by two of us.", leave_out="")
    challenge.passes()
    assert challenge.board() == ["Alpha", "Gamma", "Beta"]
    for team, runs in challenge.runs.items():
        assert [_dice(one) for one in runs] == pytest.approx([cases.dice(SEES[team], cases.RIGHT)] * len(runs))


def a_run_is_disqualified_objected_to_and_reinstated(challenge: Challenge) -> None:
    olga, gamma, [run] = challenge.organiser, challenge.entrants["Gamma"], challenge.runs["Gamma"]
    olga.presses(olga.finds("disqualify-run", f"runs/{run.pk}/"), why=WHY_DISQUALIFIED)
    challenge.passes()
    assert challenge.board() == ["Alpha", "Beta"]
    assert WHY_DISQUALIFIED in challenge.last_mail("gamma@example.org")
    own = gamma.reads(f"/runs/{run.pk}/")
    assert WHY_DISQUALIFIED in own.text
    [form] = own.all("form", action=f"/runs/{run.pk}/decisions/{run.decisions.get().pk}/object/")
    gamma.browser.post(form["action"] or "", {"text": "It says tested on, not trained on."})
    assert "waits for an answer" in gamma.reads(f"/runs/{run.pk}/").text

    assert "Gamma objects" in olga.reads().text
    by_command("reinstate-run", run.pk, why="The method says tested on.")
    olga.presses(olga.finds("answer-objection"), answer="You are right. We misread it.")
    challenge.passes()
    assert "We misread it" in gamma.reads(f"/runs/{run.pk}/").text
    assert "We misread it" in challenge.last_mail("gamma@example.org")
    assert challenge.board() == ["Alpha", "Gamma", "Beta"]
    for other in ("Alpha", "Beta"):
        assert WHY_DISQUALIFIED not in challenge.entrants[other].reads(f"/leaderboard/{SLUG}/").text


def a_host_is_lost_on_the_last_evening(challenge: Challenge) -> None:
    olga, [first, second] = challenge.organiser, challenge.workers.hosts
    challenge.passes_until(challenge.clock.noon(LAST_EVENING) + timedelta(hours=8))
    assert f"The {NAME} closes on" in challenge.told("alpha@example.org")[-1]
    first.dies_with_batch = len(first.orders) + 2  # its canary is scored by then
    run = challenge.hands_in("Alpha")
    left = _quota(challenge, "Alpha")
    assert "1 of 2" in left
    challenge.passes()
    assert not first.is_up
    assert cast.stage_of(run) == "running"
    scored_before = set(RunCase.objects.filter(run__submission=run, result__isnull=False).values_list("pk", flat=True))
    assert scored_before

    second.is_up = True
    challenge.passes()
    assert "gpu-1 does not answer" in olga.reads().text
    olga.presses(olga.finds("revoke-host"), why="Its power supply is gone.")
    challenge.passes()
    assert cast.stage_of(run) == "scored"
    assert _dice(run) == pytest.approx(cases.dice(SEES["Alpha"], cases.RIGHT))
    assert not RunCase.objects.filter(pk__in=scored_before, tries__gt=1).exists()
    assert {*Attempt.objects.filter(batch__run__submission=run).values_list("host__name", flat=True)} == {
        "gpu-1",
        "gpu-2",
    }
    assert _quota(challenge, "Alpha") == left


def it_closes_by_itself(challenge: Challenge) -> None:
    olga, clock = challenge.organiser, challenge.clock
    why = "For the paper."
    olga.proves_who_it_is()
    said = olga.is_refused("make-cases-public", SLUG, why=why, confirmed=NAME)
    assert "nothing more can be handed in" in said, said
    assert "nothing more can be handed in" in is_refused_by_command("make-cases-public", SLUG, why=why)
    challenge.passes_until(clock.noon(CLOSES))
    assert "closed" in challenge.entrants["Gamma"].is_turned_away(SLUG, SEES["Gamma"])
    assert "Closed, not revealed" in olga.reads("phases/").text
    assert "does not stand yet" in olga.is_refused("archive-phase", SLUG, why=why, confirmed=NAME)
    assert not challenge.phase.cases_are_public


def it_is_revealed_at_its_time(challenge: Challenge) -> None:
    challenge.clock.set_to(challenge.clock.noon(REVEALED) - timedelta(minutes=5))
    assert_nobody_sees(challenge, _numbers_of_all(cases.RIGHT))
    challenge.passes_until(challenge.clock.noon(REVEALED))
    challenge.passes()
    shown = page(Client().get(f"/leaderboard/{SLUG}/")).text
    for number in _numbers_of_all(cases.RIGHT):
        assert number in shown
    assert challenge.board() == ["Alpha", "Gamma", "Beta"]
    assert f"The results of the {NAME} are out" in " ".join(challenge.told("beta@example.org"))


def it_is_archived_at_a_press_alone(challenge: Challenge) -> None:
    olga = challenge.organiser
    challenge.passes_until(challenge.clock.noon(ARCHIVED))
    masks, images = RunCase.objects.values("output").distinct().count(), len(SEES)
    assert _kept() == masks + images
    assert challenge.phase.archived_at is None
    told = challenge.board(), _numbers()
    olga.signs_in()  # sessions end after two weeks, and tidying up took hers away
    wrong = olga.is_refused("archive-phase", SLUG, why="It is over.", confirmed="Final")
    assert "Type exactly" in wrong
    olga.presses(olga.finds("archive-phase", f"phases/{SLUG}/"), why="It is over.", confirmed=NAME)
    assert _kept() == 0
    challenge.passes()
    assert (challenge.board(), _numbers()) == told


def the_record_has_every_act_and_is_whole(challenge: Challenge) -> None:
    found = [(one.by.partition(" (")[0], one.action) for one in AuditEntry.objects.order_by("pk")]
    assert found == RECORD
    said = StringIO()
    call_command("record", "verify", json=True, stdout=said)
    verified = json.loads(said.getvalue())
    assert (verified["entries"], verified["problems"]) == (len(RECORD), [])
    challenge.organiser.signs_in()
    assert WHY_DISQUALIFIED in challenge.organiser.reads("record/?action=disqualify").text


# --- small things -----------------------------------------------------------------------------------------------------


def assert_nobody_sees(challenge: Challenge, words: Sequence[str]) -> None:
    """None of these words is told to anybody outside the desk."""
    for path, text in challenge.outsiders_read():
        for one in words:
            assert one not in text, f"{one} at {path}"


def _read(reader: Client, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        answer = reader.get(path, follow=True)
        yield path, b"".join(answer).decode() if answer.status_code == 200 else ""


def _import(folder: Path, name: str, **options: str) -> None:
    where = {"dataset_json": folder / "dataset.json", "images": folder / "images", "masks": folder / "masks"}
    call_command("import_cases", name, split="test", **where, **options, stdout=StringIO(), stderr=StringIO())


def _sign_up(browser: Client) -> None:
    secret = "a long enough secret"
    browser.post(
        "/account/signup/",
        {"name": "Alpha", "email": "alpha@example.org", "password1": secret, "password2": secret},
    )


def _signed_in(person: User) -> Client:
    browser = Client()
    browser.force_login(person)
    return browser


def _link(text: str, below: str) -> str:
    """The address, on this site, that a mail leads to."""
    return re.findall(rf"https?://[^/\s]+({below}\S+)", text)[0]


def _numbers() -> list[float]:
    """The numbers of the board that everybody reads."""
    return [one["dice"] for one in Client().get(f"/api/v1/phases/{SLUG}/board").json()["items"]]


def _dice(run: Submission) -> float:
    """Over all cases, by the references that its phase has now."""
    return Standing.objects.filter(run__submission=run, scope=Standing.Scope.ALL).latest("pk").dice


def _numbers_of_all(reference: int) -> list[str]:
    """What nobody may read before the reveal: the Dice of each team over all cases."""
    return [f"{cases.dice(start, reference):.3f}" for start in SEES.values()]


def _quota(challenge: Challenge, team: str) -> list[str]:
    """What the form says of the runs that are left."""
    text = challenge.entrants[team].reads(f"/submit/{SLUG}/").text
    return re.findall(r"\d+ of \d+", text)


def _kept() -> int:
    """How many masks and images of runs are left, once what nothing needs is tidied up."""
    stores = blobs.outputs, blobs.images
    for path in [store.path(digest) for store in stores for digest in store.digests()]:
        os.utime(path, (0, 0))  # the clock of files is nobody's to set: they were stored months ago
    retention.tidy()
    return sum(1 for store in stores for _ in store.digests())
