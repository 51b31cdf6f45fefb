"""A run case by case: on public cases its team can debug it, on hidden ones there is nothing at these addresses."""

import base64
import hashlib
import json
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from leaderboard.core import blobs, clock
from leaderboard.journey import looks, pipeline
from leaderboard.journey.selectors import MAX_LOOKS
from leaderboard.models import Attempt, Case, Finding, Phase, Run, RunCase
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.web.scene import HOSTILE, page

pytestmark = pytest.mark.django_db

FLIPPED = masks.nifti(np.roll(masks.cube(2), 1, axis=1)[:, ::-1])
LOG = "".join(f"line {number}\n" for number in range(9)) + f"{HOSTILE}\x1b[31mred\x1b[0m"
CONTAINER = {"oom_killed": False, "seconds": 2.0, "warnings": []}
PARTS = ("findings/", "cases/", "logs/", "logs/1/1/", "masks/case_000.nii.gz", "results.json")


@pytest.fixture
def finished(people):
    """finished(public) -> a run of Alice's team over three cases, which has ended with its masks flipped."""

    def make(*, public: bool = True) -> Run:
        phase = cast.phase(cast.case_set(3), slug="dev", cases_are_public=public)
        for case in Case.objects.all():
            masks.give_reference(case, masks.cube(2))
        run = cast.submit_checked(people.team, phase).runs.get()
        host = cast.host()
        pipeline.fill_slots()
        gpu_host.finish_run(host, run, FLIPPED, log=LOG)
        assert run.state == "scored"
        cast.let_a_minute_pass()
        return run

    return make


def address(run, part=""):
    return f"/runs/{run.submission_id}/{part}"


@pytest.mark.parametrize("public", [True, False])
def test_the_parts_of_a_run_are_for_its_team_on_public_cases_and_for_organisers(people, client, finished, public):
    run = finished(public=public)
    for part in PARTS:
        for name, status in {"Alice": 200, "Bob": 200, "Olga": 200, "Charlie": 404}.items():
            wanted = status if public or name == "Olga" else 404
            assert people.browser[name].get(address(run, part)).status_code == wanted, (name, part)
        assert client.get(address(run, part)).status_code == 302, part


def test_on_hidden_cases_no_page_of_a_team_names_a_case_a_finding_or_a_hint(people, finished):
    run = finished(public=False)
    Run.objects.filter(pk=run.pk).update(hints=[{"kind": "turned", "text": "flipped", "cases": 3}])
    html = people.browser["Alice"].get(address(run)).content.decode()
    for secret in ("case_00", "Nodule in the right upper lobe", "flipped", "line 8", *PARTS):
        assert secret not in html


def test_the_run_s_page_shows_what_stands_out_its_categories_and_the_worst_findings(people, finished):
    run = finished()
    waiting = page(people.browser["Alice"].get(address(run)))
    assert "We are looking at how the masks were saved" in waiting.text
    assert waiting.all("div", id="live")[0]["hx-get"]
    Run.objects.update(hints_tries=MAX_LOOKS)
    given_up = page(people.browser["Alice"].get(address(run)))
    assert "We are looking" not in given_up.text
    assert "hx-get" not in given_up.all("div", id="live")[0]
    Run.objects.update(hints_tries=0)
    looks.look_at_run(run.pk)
    found = page(people.browser["Alice"].get(address(run)))
    assert "flipped along H: 0.750 instead of 0.000" in found.text
    assert "hx-get" not in found.all("div", id="live")[0]
    assert "Nodules and masses" in found.text
    assert found.text.count("Nodule in the right upper lobe") == 3
    assert "line 8" in found.text
    assert "exit code 0" in found.text


def test_findings_stand_with_all_their_numbers_the_worst_first(people, finished):
    run = finished()
    names = [case.case.name for case in run.cases.order_by("case__name")]
    for name, dice in zip(names, (0.5, 0.0, 0.25), strict=True):
        case = run.cases.get(case__name=name)
        case.result["findings"][0] |= {"dice": dice, "dice_raw": 0.111, "hit": dice > 0.1, "tp": 2, "fp": 3, "fn": 4}
        case.result["findings"][0] |= {"distance_tp": 5, "n_reference": 6, "n_predicted": 7}
        RunCase.objects.filter(pk=case.pk).update(result=case.result)
    text = page(people.browser["Alice"].get(address(run, "findings/"))).text
    places = [text.index(name) for name in (names[1], names[2], names[0])]
    assert places == sorted(places)
    for words in (
        "0.000 as saved 0.111",
        "2d Nodules and masses",
        "0.06 mL",
        "2 of 6 found",
        "3 of 7 extra",
        "5 of 6 found",
    ):
        assert words in text, words


def test_findings_of_a_case_or_a_category_are_asked_for_by_the_address(people, finished):
    run = finished()
    Finding.objects.filter(case__name="case_001.nii.gz").update(text="An odd one")
    alice = people.browser["Alice"]
    one = page(alice.get(address(run, "findings/?case=case_001.nii.gz"))).text
    assert "An odd one" in one
    assert "case_002" not in one
    assert "An odd one" in page(alice.get(address(run, "findings/?category=2d"))).text
    assert "no such finding" in page(alice.get(address(run, "findings/?category=1a"))).text
    assert alice.get(address(run, "findings/?category=9z")).status_code == 404
    assert "no such finding" in page(alice.get(address(run, "findings/?case=%00'"))).text


def test_many_findings_come_by_the_page(people, finished):
    run = finished()
    for case in run.cases.all():
        [finding] = case.result["findings"]
        case.result["findings"] = [{**finding, "finding": str(key)} for key in range(30)]
        case.save(update_fields=["result"])
    alice = people.browser["Alice"]
    first = page(alice.get(address(run, "findings/")))
    assert len(first.all("tr")) == 1 + 25
    assert "Page 1 of 4" in first.text
    last = page(alice.get(address(run, "findings/?page=4&case=")))
    assert len(last.all("tr")) == 1 + 15
    kept = page(alice.get(address(run, "findings/?category=2d")))
    assert "?category=2d&page=2" in [link["href"] for link in kept.all("a")]


def test_a_mask_is_handed_out_byte_for_byte_as_a_file(people, finished):
    run = finished()
    answer = people.browser["Bob"].get(address(run, "masks/case_001.nii.gz"))
    content = b"".join(answer.streaming_content)
    assert content == FLIPPED
    assert answer["Content-Type"] == "application/gzip"
    assert answer["Content-Disposition"] == 'attachment; filename="case_001.nii.gz"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Length"] == str(len(FLIPPED))
    assert "Content-Encoding" not in answer
    digest = hashlib.sha256(content)
    assert answer["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert "no-store" in answer["Cache-Control"]
    assert "ETag" not in answer, "nobody may keep what it would be compared with"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("part", ["masks/case_001.nii.gz", "results.json", "logs/1/1/"])
def test_a_download_holds_no_connection_to_the_database_while_it_goes_out(people, finished, part):
    """However slowly somebody reads: there are more readers than connections."""
    run = finished()
    assert connection.connection is not None
    answer = people.browser["Bob"].get(address(run, part))
    assert answer.status_code == 200
    assert connection.connection is None
    assert b"".join(answer)


@pytest.mark.parametrize("name", ["case_009.nii.gz", "..", "..%2f..%2fetc%2fpasswd"])
def test_there_is_no_other_mask(people, finished, name):
    assert people.browser["Alice"].get(address(finished(), f"masks/{name}")).status_code == 404


def test_masks_that_are_not_kept_any_more_are_said_to_be_gone(people, finished):
    run = finished()
    alice = people.browser["Alice"]
    assert "Download" in page(alice.get(address(run, "cases/"))).text
    Phase.objects.update(archived_at=clock.now(), closes_at=clock.now() - timedelta(hours=1))
    for digest in list(blobs.outputs.digests()):
        blobs.outputs.path(digest).unlink()
    listed = page(alice.get(address(run, "cases/")))
    assert "its masks are not kept any more" in listed.text
    assert "removed" in listed.text
    assert "Download" not in listed.text
    gone = alice.get(address(run, "masks/case_001.nii.gz"))
    assert gone.status_code == 410
    assert "was archived on" in page(gone).text
    assert alice.get(address(run, "logs/1/1/")).status_code == 200


def test_every_container_has_its_log_and_its_exit_code(people, finished):
    run = finished()
    last = run.batches.latest("number")
    Attempt.objects.filter(batch=last).update(
        log="the second container",
        container={"exit_code": 139, "oom_killed": False, "seconds": 2.0, "warnings": ["one", "two"]},
    )
    alice = people.browser["Alice"]
    listed = page(alice.get(address(run, "logs/")))
    assert "139 (SIGSEGV: segmentation fault)" in listed.text
    assert "the second container" in listed.text
    assert "line 8" not in listed.text
    opened = page(alice.get(address(run, "logs/?open=1-1")))
    assert "line 8" in opened.text
    assert opened.all("div", id="log-1-1")
    assert "There is no such container" in page(alice.get(address(run, "logs/?open=7-1"))).text
    for name in ("%00", "1-1-1", "-", "9" * 30 + "-1", "²-1"):
        assert "There is no such container" in page(alice.get(address(run, f"logs/?open={name}"))).text, name


def test_from_a_lost_case_the_log_of_its_container_is_one_step_away(people, finished):
    run = finished()
    lost = run.cases.get(batch__number=1)
    lost.result |= {"status": "failed", "reason": "Your program ended with an error"}
    lost.save(update_fields=["result"])
    Attempt.objects.filter(batch__number=1).update(container={**CONTAINER, "exit_code": 1})
    Attempt.objects.exclude(batch__number=1).update(log="another container", container={**CONTAINER, "exit_code": 0})
    alice = people.browser["Alice"]
    for part in ("", "cases/"):
        links = [one["href"] for one in page(alice.get(address(run, part))).all("a") if "?open=" in str(one["href"])]
        assert links == [f"{address(run, 'logs/')}?open=1-1#log"], part
    for part in ("", "logs/"):
        shown = page(alice.get(address(run, part))).text
        assert "Log of the last container that failed" in shown
        assert "line 8" in shown
        assert "another container" not in shown


def test_a_log_is_downloaded_as_it_was_kept_and_shown_as_words(people, finished):
    run = finished()
    alice = people.browser["Alice"]
    answer = alice.get(address(run, "logs/1/1/"))
    assert answer.content.decode() == LOG
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="submission-{run.submission_id}-log-1-1.txt"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    html = alice.get(address(run, "logs/?open=1-1")).content.decode()
    assert "<script>alert" not in html
    assert "\x1b" not in html


def test_a_long_log_is_shown_from_its_end_and_downloaded_whole(people, finished):
    run = finished()
    Attempt.objects.filter(batch__number=1).update(log="first words\n" + "x" * 200_000 + "\nlast words")
    alice = people.browser["Alice"]
    shown = page(alice.get(address(run, "logs/?open=1-1"))).text
    assert "last words" in shown
    assert "first words" not in shown
    assert "the last 65,536 of 200,023 characters" in shown
    assert len(alice.get(address(run, "logs/1/1/")).content) == 200_023


def test_all_numbers_come_as_json(people, finished):
    run = finished()
    looks.look_at_run(run.pk)
    found = json.loads(people.browser["Alice"].get(address(run, "results.json")).content)
    assert found["summary"]["dice"] == pytest.approx(run.standings.get(scope="all").dice)
    assert found["groups"]["2d"]["n"] == 3
    assert found["hints"][0]["corrected_dice"] == pytest.approx(0.75, abs=1e-6)
    assert [case["name"] for case in found["cases"]] == [f"case_00{number}.nii.gz" for number in range(3)]
    case = found["cases"][0]
    assert case["findings"][0]["dice"] < 0.01
    assert case["mask"]["digest"] == "sha256:" + hashlib.sha256(FLIPPED).hexdigest()
    assert case["seen_as"] == run.cases.get(case__name=case["name"]).file_name


def test_a_page_about_a_run_that_has_nothing_yet_says_so(people):
    run = cast.submit_checked(people.team, cast.phase(cases_are_public=True)).runs.get()
    alice = people.browser["Alice"]
    assert "Nothing is scored yet" in page(alice.get(address(run, "findings/"))).text
    assert "No container has ended yet" in page(alice.get(address(run, "logs/"))).text
    assert page(alice.get(address(run, "cases/"))).text.count("Not run") == 3
    assert json.loads(alice.get(address(run, "results.json")).content)["summary"] is None
