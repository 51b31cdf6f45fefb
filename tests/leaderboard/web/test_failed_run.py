"""The page of a run that ended without a score: one story, the same in every place, and on hidden cases no more."""

import re
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from containers.intake.errors import ImageRejectionCode
from containers.protocol import verdicts
from leaderboard.journey import decisions, pipeline
from leaderboard.journey.failure_kinds import FailureKind
from leaderboard.journey.handed_in import MasksUnusable
from leaderboard.journey.reasons import DIFFERENT_ERRORS, FAILED_LATER, FAILURES, FAULTS, KINDS, REJECTIONS, in_words
from leaderboard.models import Host, Phase, Run, RunCase, StateChange, Submission
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.failing import WAYS, run_to_the_end
from tests.leaderboard.web.scene import Page, page

pytestmark = pytest.mark.django_db


def phase_of(cases: int, **policies: Any) -> Phase:
    phase = cast.phase(cast.case_set(cases), **{"runs_per_day": 90, "runs_total": 90} | policies)
    masks.give_references(masks.cube())
    return phase


def failed(people: SimpleNamespace, phase: Phase, *ways: str) -> Submission:
    """A run whose cases were lost in these ways, one after the other, a minute ago."""
    host = Host.objects.first() or cast.host()
    submission = cast.submit_checked(people.team, phase, user=people.alice)
    run_to_the_end(host, submission.runs.get(), lambda position: ways[position % len(ways)])
    cast.let_a_minute_pass()
    return submission


def started(people: SimpleNamespace, phase: Phase) -> Submission:
    """A run whose first batch waits for the host."""
    submission = cast.submit_checked(people.team, phase, user=people.alice)
    pipeline.fill_slots()  # otherwise done after a commit
    return submission


def seen(people: SimpleNamespace, submission: Submission, who: str = "Alice") -> Page:
    return page(people.browser[who].get(f"/runs/{submission.pk}/"))


def steps(found: Page) -> list[str]:
    looks = {"done", "cur", "todo", "bad", "never"}
    return [str(one["class"]) for one in found.all("li") if one.get("class") in looks]


def check_story(found: Page, *, section: str) -> None:
    """Everything that holds for each run that ended without a score, whoever reads it."""
    for head in ("What happened", "Whose fault", "What it costs", "What to do", "How far it came"):
        assert found.text.count(head) == 1, head
    [link] = [one for one in found.all("a") if str(one.get("href", "")).startswith("/guidelines/#")]
    assert link["href"] == f"/guidelines/#{section}"
    assert "see the mask format above" not in found.text
    assert "Dropped" not in found.text
    assert " waiting" not in found.text
    assert "Updates by itself" not in found.text
    assert "cur" not in steps(found)
    assert "todo" not in steps(found)
    # no sentence twice: within the story, that is before the steps
    story = found.text.split("How far it came")[0].split("What happened")[1]
    sentences = [one.strip() for one in re.split(r"[.:] ", story) if len(one) > 20]
    assert len(sentences) == len(set(sentences)), sentences


# On public cases the reason itself is told where it says more than its kind.
TELLING = {
    "out of memory": "out_of_memory",
    "killed": "killed",
    "full output": "output_full",
    "large file": "file_too_large",
    "link": "not_a_regular_file",
}


def check_story_of_all(found: Page, way: str, *, cases_are_public: bool) -> None:
    """A run that lost all of its two cases in this way."""
    telling = TELLING.get(way) if cases_are_public else None
    said, section = (FAILURES[telling].title, f"failure-{telling}") if telling else KINDS[WAYS[way]][::2]
    check_story(found, section=section)
    assert said in found.text, way
    assert ("on all 2 cases that were tried" in found.text) == cases_are_public, way
    assert ("on every case that was tried" in found.text) != cases_are_public, way
    assert steps(found) == ["done", "done", "done", "bad", "never", "never"]
    assert "One run of" in found.text
    runs = Submission.objects.count()
    assert f"Charged by now: {runs} of 90 today (UTC), {runs} of 90 in total." in found.text
    assert "Submit a new image" in found.text


def test_every_link_to_the_guidelines_leads_to_a_part_of_them(people):
    phase_of(1)
    ids = {one.get("id") for _, one in page(people.browser["Alice"].get("/guidelines/")).elements}
    sections = {why.section for why in (*KINDS.values(), DIFFERENT_ERRORS, FAILED_LATER)}
    assert sections | {"h-image", "h-states", "h-ours", "h-fail"} | {f"failure-{code}" for code in FAILURES} <= ids


@pytest.mark.parametrize("cases", [1, 4, 30])
def test_the_story_holds_in_phases_of_any_size(people, cases):
    submission = failed(people, phase_of(cases, cases_are_public=True, max_failures_in_row=5), "crash at once")
    found = seen(people, submission)
    check_story(found, section="h-how")
    tried = min(cases, 5)
    where = "the only case that was tried" if tried == 1 else f"all {tried} cases that were tried"
    assert f"within a second of its start, on {where}." in found.text
    assert "exit code 1." in found.text
    if cases > 5:
        assert f"so that {cases - 5} more do not fail the same way" in found.text
        assert f"{cases - 5} not run" in found.text
    else:
        assert "Every case of the phase was tried." in found.text


def test_on_public_cases_a_mixture_is_told_with_its_counts_and_what_the_evaluation_says(people):
    phase = phase_of(4, cases_are_public=True, max_failures_in_row=9)
    found = seen(people, failed(people, phase, "crash later", "no mask", "crash later", "fractions"))
    check_story(found, section=DIFFERENT_ERRORS.section)
    assert DIFFERENT_ERRORS.said in found.text
    assert "Your program ended with an error (2×)" in found.text
    assert "wrote no mask for a case (1×)" in found.text
    assert "Of the last mask the evaluation says: values are not integers" in found.text


def test_a_run_that_failed_after_a_good_start_says_where(people):
    phase = phase_of(8, cases_are_public=True, batch_size=2)
    found = seen(people, failed(people, phase, "mask", *["crash later"] * 7))
    assert "Too many cases in a row failed." in found.text
    assert found.text.count("Too many cases in a row failed") == 2  # the announcement to readers of text is the other
    assert steps(found) == ["done", "done", "done", "done", "bad", "never"]
    assert "2 not run" in found.text


def test_containers_say_how_each_ended(people):
    phase = phase_of(8, cases_are_public=True, batch_size=3)
    found = seen(people, failed(people, phase, "mask", *["segmentation fault"] * 7))
    assert "139 (SIGSEGV: segmentation fault)" in found.text
    assert "0 of 1" in found.text
    assert "Dropped" not in found.text


def test_what_our_clock_ended_is_not_told_as_killed_and_a_used_up_day_offers_no_new_run(people):
    found = seen(people, failed(people, phase_of(1, cases_are_public=True, runs_per_day=1), "slow"))
    story = found.text.split("How far it came")[0]
    assert "was ended by the time limit, 300.0 s after its start." in story
    assert "SIGKILL" not in story.split("What it printed")[0]
    assert "No run is left today" in story
    assert "Submit a new image" not in story


def test_a_container_that_was_at_work_when_the_run_ended_was_stopped_with_it(people):
    host = cast.host()
    submission = started(people, phase_of(2, cases_are_public=True))
    gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    decisions.cancel(submission, by=cast.OPERATOR)
    found = seen(people, submission)
    check_story(found, section="h-states")
    assert "This run was cancelled." in found.text
    assert "Stopped with the run" in found.text
    assert "One run of" in found.text
    assert steps(found) == ["done", "done", "done", "bad", "never", "never"]


def test_cancelled_before_anything_ran_costs_nothing(people):
    submission = cast.submit_checked(people.team, phase_of(2))
    decisions.cancel(submission, by=cast.OPERATOR)
    found = seen(people, submission)
    check_story(found, section="h-states")
    assert "Nothing: it was not charged." in found.text
    assert steps(found) == ["done", "done", "bad", "never", "never", "never"]


@pytest.mark.parametrize("cases_are_public", [True, False])
def test_an_image_that_an_engine_rejects_after_all_is_told_as_one(people, cases_are_public):
    host = cast.host()
    submission = started(people, phase_of(2, cases_are_public=cases_are_public))
    gpu_host.refuse_image(host, gpu_host.claim(host, gpu_host.waiting(submission.runs.get())))
    found = seen(people, submission)
    check_story(found, section="h-image")
    assert "The image cannot be used." in found.text
    assert "Rejected: the engine cannot unpack it" in found.text
    assert "Nothing: it was not charged." in found.text
    assert steps(found) == ["done", "bad", "never", "never", "never", "never"]


def test_an_interrupted_run_is_ours_and_goes_on(people):
    host = cast.host()
    submission = started(people, phase_of(2, cases_are_public=True))
    order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    untouched = [{**gpu_host.lost(order, 0), "status": "untouched", "reason": None, "seconds": None}]
    gpu_host.report(host, order, untouched, fault="disk_full")
    found = seen(people, submission)
    assert found.text.count("We had to interrupt this run") == 2  # one of them for readers of text
    assert "Interrupted, our fault: the host's disk is full" in found.text
    assert "Whose fault" not in found.text
    assert "never" not in steps(found)
    assert "bad" not in steps(found)


# --- hidden cases -----------------------------------------------------------------------------------------------------


def of_a_kind(people: SimpleNamespace, submission: Submission) -> str:
    """All that Alice can get of her run, without what names it: its number, digests and instants."""
    alice = people.browser["Alice"]
    parts = [alice.get(f"/runs/{submission.pk}/").content.decode()]
    parts.append(alice.get(f"/runs/{submission.pk}/panel/").content.decode())
    [line] = re.findall(
        rf"<tr[^>]*>(?:(?!</tr>).)*/runs/{submission.pk}/.*?</tr>", alice.get("/runs/").content.decode(), re.DOTALL
    )
    text = "\n".join([*parts, line])
    text = re.sub(r"<bdi>tmp\w+</bdi>", "", text)
    text = re.sub(r"csrfmiddlewaretoken[^>]*>", "", text)
    text = re.sub(
        rf"(/runs/|[Ss]ubmission |withdrawal-|base=|value=\"|(run|pick|note|of)-){submission.pk}\b", r"\1N", text
    )
    text = re.sub(r"<time-left.*?</time-left>|<during-time.*?>", "", text, flags=re.DOTALL)
    text = re.sub(r"T?\d\d:\d\d(:\d\dZ| UTC)|\d+ h \d+ min", "", text)
    text = re.sub(r"\b\d+\s+of\s+90\b", "", text)
    return re.sub(r"\s+", " ", re.sub(r'<i( class="u")?></i>|-[0-9a-f]{16}', "", text))


def test_a_run_that_failed_everywhere_tells_one_story_which_is_one_of_nine_and_nothing_else(people):
    """Whatever a program does on each case, by what it sees in it; on public cases the story is told in full."""
    phase = phase_of(2)
    pages: dict[str, set[str]] = {}
    mixed = [("crash at once", "no mask"), ("no mask", "crash at once"), ("crash at once", "crash later")]
    mixed += [("wrong shape", "fractions"), ("killed", "slow")]
    # two ways of one kind are that kind
    mixed += [("crash later", "large file"), ("killed", "out of memory"), ("link", "no mask")]
    for way in WAYS:
        submission = failed(people, phase, way)
        run = submission.runs.get()
        assert (run.state, run.reason) == ("failed", f"{KINDS[WAYS[way]].said}."), way
        pages.setdefault(WAYS[way], set()).add(of_a_kind(people, submission))
        check_story_of_all(seen(people, submission), way, cases_are_public=False)
        Phase.objects.update(cases_are_public=True)
        check_story_of_all(seen(people, submission), way, cases_are_public=True)
        Phase.objects.update(cases_are_public=False)
    for ways in mixed:
        kinds = {WAYS[way] for way in ways}
        name = kinds.pop() if len(kinds) == 1 else "different"
        pages.setdefault(name, set()).add(of_a_kind(people, failed(people, phase, *ways)))
    assert set(pages) == {*FailureKind, "different"}
    assert {name: len(texts) for name, texts in pages.items()} == dict.fromkeys(pages, 1)
    assert len({text for texts in pages.values() for text in texts}) == 9


def test_what_one_case_did_is_not_told_of_a_scored_run(people):
    phase = phase_of(4, max_failures_in_row=9)
    texts = [of_a_kind(people, failed(people, phase, "mask", "mask", "mask", way)) for way in ("slow", "no mask")]
    assert texts[0] == texts[1]
    assert "1 case lost" in texts[0]


def test_nor_of_a_run_that_failed_after_a_mask(people):
    phase = phase_of(8, batch_size=1)
    texts = [of_a_kind(people, failed(people, phase, "mask", *[way] * 7)) for way in ("crash at once", "no mask")]
    assert texts[0] == texts[1]
    for why in KINDS.values():
        assert why.said not in texts[0]


def test_before_it_has_ended_a_hidden_run_tells_nothing_of_its_failures(people):
    host = cast.host()
    submission = started(people, phase_of(4, max_failures_in_row=9))
    run = submission.runs.get()
    order = gpu_host.claim(host, gpu_host.waiting(run))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, reason="could_not_start")], exit_code=None)
    gpu_host.score_reported(run)
    cast.let_a_minute_pass()
    RunCase.objects.update(decided_at=None)
    text = seen(people, submission).text
    for why in KINDS.values():
        assert why.said not in text
    assert "could not be started" not in text


def test_that_the_last_case_of_a_failing_run_has_a_file_is_not_told_while_it_is_scored(people):
    host = cast.host()
    texts = []
    for last in ("fractions", "crash at once"):
        Submission.objects.all().delete()
        submission = started(people, phase_of(1) if not Phase.objects.exists() else Phase.objects.get())
        run = submission.runs.get()
        order = gpu_host.claim(host, gpu_host.waiting(run))
        if last == "fractions":
            gpu_host.report(host, order, [gpu_host.finished(order, 0, b"no mask")])
            assert Run.objects.get(pk=run.pk).state == "scoring"
        cast.let_a_minute_pass()
        texts.append(re.sub(r"\d+", "", of_a_kind(people, submission)))
    assert "Scoring" not in texts[0]
    assert texts[0].replace(" %", "") == texts[1].replace(" %", "")


# --- words ------------------------------------------------------------------------------------------------------------


def test_history_is_told_in_words(people):
    submission = failed(people, phase_of(1, cases_are_public=True), "crash later")
    run = submission.runs.get()
    for code in [*FAULTS, *REJECTIONS, "a_code_of_tomorrow"]:
        at = StateChange.objects.earliest("at").at
        StateChange.objects.create(
            submission=submission, run=run, from_state="running", to_state="halted", at=at, by="server", why=code
        )
    text = seen(people, submission).text
    assert not re.search(r"our fault: \w+_\w+", text)
    assert "a code of tomorrow" in text
    assert "the machine went silent" in text


def test_every_code_of_a_rejected_image_has_its_words():
    of_images = set(get_args(ImageRejectionCode)) | set(verdicts.REJECTIONS)
    assert set(REJECTIONS) == of_images | {MasksUnusable.code}
    assert set(FAULTS) > set(verdicts.FAULTS)
    assert all(" " in in_words(code) for code in {*REJECTIONS, *FAULTS})


def test_the_title_of_the_tab_tells_the_state_and_follows_it(people):
    submission = failed(people, phase_of(1, cases_are_public=True), "crash later")
    for address in ("", "panel/"):
        html = people.browser["Alice"].get(f"/runs/{submission.pk}/{address}").content.decode()
        [title] = re.findall("<title>(.*?)</title>", html, re.DOTALL)
        assert " ".join(title.split()) == "Failed: Grounder in the Phase test: ReXGrounding Challenge"


def test_a_disqualified_run_is_told_as_that(people):
    run = failed(people, phase_of(1), "crash later")
    decisions.disqualify(run, by=cast.OPERATOR, why="The weights are a rival's.")
    assert "The weights are a rival's." in seen(people, run).text


def test_an_older_failed_run_is_told_in_the_words_of_today(people):
    submission = failed(people, phase_of(2), "crash at once")
    Run.objects.update(reason="Too many cases in a row failed: 2.", reason_code="failures_in_row")
    assert KINDS[FailureKind.ENDED_AT_ONCE].said in seen(people, submission).text


# --- my runs ----------------------------------------------------------------------------------------------------------


def marks(people: SimpleNamespace) -> dict[int, str]:
    """By submission, how the list marks it."""
    html = people.browser["Alice"].get("/runs/").content.decode()
    rows = re.findall(r"<tr role=\"row\"[^>]*>.*?</tr>", html, re.DOTALL)
    found = {}
    for row in rows:
        if number := re.search(r"/runs/(\d+)/", row):
            mark = re.search(r'class="tag">([^<]*)<', row)
            found[int(number[1])] = mark[1] if mark else ""
    return found


def test_my_runs_marks_the_run_that_counts(people):
    phase = phase_of(1, cases_are_public=True)
    first, second, third = (failed(people, phase, way) for way in ("mask", "mask", "crash at once"))
    assert marks(people) == {first.pk: "", second.pk: "counts", third.pk: ""}


def test_it_marks_the_best_run_only_as_the_board_does(people):
    phase = phase_of(2, counting="best", publication="nothing")
    one = failed(people, phase, "mask")
    assert marks(people) == {one.pk: ""}
    Phase.objects.update(publication="everything")
    assert marks(people) == {one.pk: "counts"}


def test_a_run_of_the_overall_track_counts_there_alone(people):
    phase = phase_of(1, cases_are_public=True)
    main = failed(people, phase, "mask")
    host = Host.objects.get()
    overall = cast.submit_checked(people.team, phase, track="overall")
    run_to_the_end(host, overall.runs.get(), lambda _: "mask")
    assert marks(people) == {main.pk: "counts in Main", overall.pk: "counts in Overall"}
