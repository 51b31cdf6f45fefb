"""On hidden cases no address tells before the minute is over that anything happened: not in a body, a size or a header.

The server's whole site is asked, by strangers, rivals and the team itself, before and after a run that loses cases, is
interrupted by us, ends and lets the team's next run begin; and what has content, after each step of it.
"""

import re
import uuid
from collections.abc import Iterable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from leaderboard import urls
from leaderboard.api.site import described
from leaderboard.board import reading, versions
from leaderboard.board.case_exports import FILES
from leaderboard.core import clock
from leaderboard.journey import decisions, faults, objections, pipeline
from leaderboard.models import OutgoingMail, Phase, Run, Submission
from leaderboard.notices import decisions as of_decisions
from leaderboard.notices import runs
from leaderboard.people import tokens
from leaderboard.progress.listing import STATES
from leaderboard.web.boards import urls as boards
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"')
# Without content of their own: they only change something, or redirect, or answer nobody but organisers.
ELSEWHERE = {
    "refused",
    "api_refused",
    "theme",
    "team_join",
    "team_leave",
    "team_remove",
    "team_captain",
    "team_edit",
    "team_handover",
    "team_invite",
    "team_invite_again",
    "team_revoke",
    "team_invitation",
    "team_ask_approval",
    "cancel",
    "withdraw",
    "bring_back",
    "object_to",
    "note",
    "submit_again",
    "begin_draft",
    "draft",
    "send_draft",
    "take_back_draft",
    "delete_draft",
    "begin_upload",
    "draft_pdf",
    "preview",
    "accept_data_terms",
    "case_set",
    "data_list",
    "data_file",
    "upload",
    "metrics",
    "submission_events",
    "news_item",
    "question",
    "pre_registration_confirm",
    "pre_registration_unsubscribe",
}
API = "/api/v1"
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
OWN_COUNT = "RateLimit"  # of the requests of one's own token, and of nothing else

SAME_FOR_ALL = {
    "guidelines",
    "download",
    "examples",
    "data",
    "rules",
    "privacy",
    "healthz",
    "team",
    "submit",
    "submit_to",
    "leaderboard",
    "news",
    "faq",
    "pre_registration",
    "pre_registration_sent",
    "api_reference",
}


def addresses(submissions: list[Submission]) -> dict[str, list[str]]:
    """Every address of the site by its name."""
    paths = {
        name: [f"/{name}/"] for name in ("leaderboard", "guidelines", "privacy", "rules", "team", "submit", "runs")
    }
    paths["runs"] += [f"/runs/?state={state}" for state in STATES]
    side_by_side = "&".join(f"run={one.pk}" for one in submissions)
    paths |= {name: [f"/runs/{one.pk}/{name}/" for one in submissions] for name in ("findings", "cases", "logs")}
    orders = ("?sort=date", "?group=small&track=overall", "?open=alice-and-bob")
    return paths | {
        "home": ["/"],
        "board": ["/leaderboard/test/", *(f"/leaderboard/test/{order}" for order in orders)],
        "board_csv": ["/leaderboard/test/board.csv"],
        "board_versions": ["/leaderboard/test/main/versions/"],
        # Whether there is a next version yet `version_of` alone knows, whatever is asked of it.
        "board_version": [f"/leaderboard/test/main/versions/{number}/" for number in (1, 2)],
        "board_certainty": ["/leaderboard/test/main/certainty/"],
        "board_certainty_version": ["/leaderboard/test/main/versions/1/certainty/"],
        "board_categories": ["/leaderboard/test/main/categories/"],
        "board_categories_version": ["/leaderboard/test/main/versions/1/categories/"],
        "board_runs": [f"/leaderboard/test/{track}/runs/?sort=date" for track in ("main", "overall")],
        "board_runs_csv": [f"/leaderboard/test/{track}/runs/all.csv" for track in ("main", "overall")],
        "board_runs_csv_version": ["/leaderboard/test/main/versions/1/runs/all.csv"],
        "board_runs_version": ["/leaderboard/test/main/versions/1/runs/"],
        "board_file": [f"/leaderboard/test/main/versions/1/{name}" for name in FILES],
        "board_badge": [f"/leaderboard/test/main/badge/{team}.svg" for team in ("alice-and-bob", "rivals")],
        "board_compare": ["/leaderboard/test/main/compare/", "/leaderboard/test/main/compare/?with=rivals"],
        "board_compare_version": ["/leaderboard/test/main/versions/1/compare/"],
        "board_history": ["/leaderboard/test/main/history/"],
        "board_feed": ["/leaderboard/test/main/feed.atom"],
        "board_shake_up": ["/leaderboard/test/main/shake-up/"],
        "board_half": ["/leaderboard/test/half.txt"],
        "submit_to": ["/submit/test/"],
        "submission": [f"/runs/{one.pk}/" for one in submissions],
        "submission_panel": [f"/runs/{one.pk}/panel/" for one in submissions],
        "log": [f"/runs/{one.pk}/logs/1/1/" for one in submissions],
        "mask": [f"/runs/{one.pk}/masks/case_000.nii.gz" for one in submissions],
        "runs_csv": ["/runs/my-runs.csv", *(f"/runs/my-runs.csv?state={state}" for state in STATES)],
        "compare": ["/runs/compare/", f"/runs/compare/?{side_by_side}"],
        "results": [f"/runs/{one.pk}/results.json" for one in submissions],
        "pdf": [f"/runs/{one.pk}/method.pdf" for one in submissions],
        "download": ["/downloads/template.zip"],
        "examples": ["/downloads/examples.zip"],
        "data": ["/data/"],
        "server_clock": ["/clock"],
        "api_reference": ["/api/v1/reference/"],
        "healthz": ["/healthz"],
        "news": ["/news/"],
        "news_feed": ["/news/feed.atom"],
        "faq": ["/faq/"],
        "calendar": ["/dates.ics"],
        "pre_registration": ["/pre-registration/"],
        "pre_registration_sent": ["/pre-registration/sent/"],
    }


def api_addresses(submissions: list[Submission]) -> dict[str, list[str]]:
    """The same of the API: what it answers at each path of its description, by that path."""
    plain = (
        "/me",
        "/me/notices",
        "/team",
        "/team/invitations",
        "/team/approvals",
        "/phases",
        "/drafts",
        "/data",
        "/status",
    )
    of_one = ("", "/findings", "/cases", "/containers", "/results", "/method.pdf")
    named = {f"/submissions/{{pk}}{part}": [f"/submissions/{one.pk}{part}" for one in submissions] for part in of_one}
    return {
        **{path: [path] for path in plain},
        **{
            f"/phases/{{slug}}{part}": [f"/phases/test{part}"]
            for part in ("", "/quota", "/board", "/references", "/cases", "/findings")
        },
        **named,
        "/submissions": ["/submissions", *(f"/submissions?state={state}" for state in STATES)],
        "/submissions/{pk}/logs/{batch}/{attempt}": [f"/submissions/{one.pk}/logs/1/1" for one in submissions],
        "/submissions/{pk}/masks/{name}": [f"/submissions/{one.pk}/masks/case_000.nii.gz" for one in submissions],
        "/drafts/{key}": [f"/drafts/{uuid.UUID(int=1)}"],
        "/data/{name}": ["/data/public-cases"],
    }


def test_the_list_of_the_api_is_complete():
    told = described()["paths"]
    read = {
        path.removeprefix(API) for path, methods in told.items() if set(methods) - {each.lower() for each in CHANGING}
    }
    assert read == set(api_addresses([]))


def test_the_list_of_addresses_is_complete():
    patterns = (*urls.urlpatterns, *boards.urlpatterns)
    named = {name for pattern in patterns if (name := getattr(pattern, "name", None))}
    assert named == set(addresses([])) | ELSEWHERE


def answer(response: Any) -> tuple[Any, ...]:
    headers = {name: value for name, value in response.items() if name not in {"Set-Cookie", "Expires", OWN_COUNT}}
    return (
        response.status_code,
        headers,
        TOKEN.sub(b"", b"".join(response.streaming_content) if response.streaming else response.content),
    )


Where = tuple[str, str]  # who asks, and at which address


def everywhere(submissions: list[Submission]) -> list[Where]:
    """The public, the team and a rival, each at every address."""
    pages = [
        (who, path)
        for who in ("nobody", "Alice", "Charlie")
        for name, paths in addresses(submissions).items()
        for path in paths
        if who == "Alice" or name not in SAME_FOR_ALL
    ]
    of_api = [path for paths in api_addresses(submissions).values() for path in paths]
    return pages + [(who, API + path) for who in ("nobody", "Alice", "Charlie") for path in of_api]


def everything(people, submissions: list[Submission], at: Iterable[Where] = ()) -> dict[Where, tuple[Any, ...]]:
    """What is read there, or `at` some of it, what is told by mail, and what the public table has in JSON.

    Boards are made once for all of it, as by a worker: nothing changes meanwhile.
    """
    for phase in Phase.objects.all():
        versions.make(phase.pk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "latest", versions.latest)
        return _everything(people, at or everywhere(submissions))


def _everything(people, at: Iterable[Where]) -> dict[Where, tuple[Any, ...]]:
    nobody, found = Client(), {}
    for who, path in at:
        browser, headers = people.browser[who] if who != "nobody" else nobody, {}
        if path.startswith(API):
            browser, headers = Client(), {"Authorization": f"Bearer {people.tokens[who]}"} if who != "nobody" else {}
        found[who, path] = answer(browser.get(path, headers=headers))
    table = StringIO()
    call_command("standings", phase="test", json=True, stdout=table)
    runs.write_due()
    of_decisions.write_due()
    mails = OutgoingMail.objects.order_by("pk").values_list("to", "subject", "body")
    return {**found, ("the table", ""): (table.getvalue(),), ("the mails", ""): tuple(mails)}


def differing(one: dict[Where, Any], other: dict[Where, Any]) -> list[Where]:
    return [where for where in other if one[where] != other[where]]


@pytest.fixture
def at(monkeypatch):
    """Sets the clock; it stands still."""

    def set_to(instant) -> None:
        monkeypatch.setattr(clock, "now", lambda: instant)

    return set_to


def steps(host, run: Run):
    """The run, one thing after the other: a mask, a crash, an interruption by us, the end; then the next run begins.

    Each with whether it is the last.
    """
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    gpu_host.score_reported(run)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0), gpu_host.lost(order, 1, "untouched", None)], exit_code=1)
    gpu_host.score_reported(run)
    order = gpu_host.claim(host, gpu_host.waiting(run))
    pipeline.heartbeat(host, uuid.UUID(order["batch"]), fence=order["fence"], done=1)
    yield "a case is lost, and the next one done", False
    untouched = [gpu_host.lost(order, number, "untouched", None) for number in range(len(order["cases"]))]
    gpu_host.report(host, order, untouched, fault="internal")
    faults.resume(run)  # until then it is given back to the team: the count of runs tells of a fault of ours at once
    yield "we interrupted it", False
    with transaction.atomic():
        pipeline._start(run)  # its slot went to the next run meanwhile
    while run.batches.filter(state="waiting").exists():
        order = gpu_host.claim(host, gpu_host.waiting(run))
        cases = [gpu_host.finished(order, n, masks.nifti(masks.cube())) for n in range(len(order["cases"]))]
        gpu_host.report(host, order, cases)
        gpu_host.score_reported(run)
    yield "it went on and has ended", True


def test_within_a_minute_nothing_changes_for_anybody_but_organisers(people, at, settings):
    settings.API_REQUESTS_PER_MINUTE = 10_000
    minute = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    at(minute - timedelta(seconds=90))
    phase = cast.phase(cast.case_set(4), runs_per_day=9)
    masks.give_references(masks.cube())
    host = cast.host()
    submissions = [cast.submit_checked(people.team, phase, user=people.alice) for _ in range(2)]
    people.tokens = {
        one.name: tokens.issue(one, name="a program", scopes=["read"])[1] for one in (people.alice, people.charlie)
    }
    for one in submissions:  # what organisers decided stands on their pages
        decisions.disqualify(one, by=cast.OPERATOR, why="Two accounts.")
        objections.object_to(one.decisions.get(), "We are two.", user=people.alice)
        decisions.reinstate(one, by=cast.OPERATOR, why="They are.")
    run = submissions[0].runs.get()
    at(minute + timedelta(seconds=1))
    host.seen_at = clock.now()
    host.save()
    before = everything(people, submissions)
    # What is of a version that was made before says the same to all until the end, where it is asked again.
    with_content = [
        (who, path)
        for (who, path), (status, *_) in before.items()
        if status == 200 and (who == "Alice" or "/versions/" not in path)
    ]
    for step, is_last in steps(host, run):
        now = everything(people, submissions, () if is_last else with_content)
        assert differing(before, now) == [], step
    run.refresh_from_db()
    assert (run.state, submissions[1].runs.get().state) == ("scored", "canary")
    olga = people.browser["Olga"].get(f"/runs/{submissions[0].pk}/").content.decode()
    assert "Scored" in olga
    ways = [people.browser["Alice"].post(f"/runs/{one.pk}/withdraw/", follow=True) for one in submissions]
    assert all("it does not count." in way.content.decode() for way in ways), "whether it has ended is not told"
    for one in submissions:
        people.browser["Alice"].post(f"/runs/{one.pk}/bring-back/")

    at(minute + timedelta(seconds=61))
    own = (f"/runs/{submissions[0].pk}/", "/runs/", "/runs/?state=scored", "/runs/my-runs.csv?state=at-work")
    of_api = (f"{API}/submissions", f"{API}/submissions/{submissions[0].pk}", f"{API}/phases/test/board")
    told_now = [("nobody", "/leaderboard/test/"), *(("Alice", path) for path in (*own, "/runs/compare/", *of_api))]
    after = everything(people, submissions, told_now)
    assert set(told_now) <= set(differing(before, after))
    assert before["the table", ""] != after["the table", ""]
    told = [subject for _, subject, _ in after["the mails", ""] if "The organisers" not in subject]
    assert [subject.partition(": ")[2] for subject in told if "token" not in subject] == [
        f"Submission {submissions[0].pk} is scored"
    ] * 2
