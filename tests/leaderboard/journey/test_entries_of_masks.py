"""Masks that are handed in: every problem told before they count, then scored as those of a container are."""

import gzip
import struct
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from evaluation import TAKES_TOO_LONG, IsolatedScorer
from leaderboard.challenge.phases import save_phase
from leaderboard.core import blobs
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, faults, handed_in, pipeline, scheduling
from leaderboard.models import Attempt, Case, EqualEntry, Phase, Run, RunCase, Standing, Submission
from leaderboard.operations import retention
from leaderboard.processes import sweeper
from leaderboard.scores import scoring
from leaderboard.states import BatchState, RunState, SubmissionState
from leaderboard.submissions import admission, uploads
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)

CASES = 3
NAMES = [f"case_{number:03}.nii.gz" for number in range(CASES)]
MASK = masks.nifti(masks.cube(5))
GOOD = dict.fromkeys(NAMES, MASK)


@pytest.fixture
def phase() -> Phase:
    made = cast.phase(cast.case_set(CASES), slug="dev", cases_are_public=True, takes="both", runs_per_day=9)
    masks.give_references(masks.cube(4))
    return made


def hand_in(team, phase, files=GOOD, **fields: Any) -> Submission:
    """What a team's archive has become after its check."""
    content = files if isinstance(files, bytes) else masks.zipped(files)
    submission = cast.submit(team, phase, entry="masks", upload=cast.upload(content), **fields)
    pipeline.validate_image(submission.pk)
    submission.refresh_from_db()
    return submission


def score(submission: Submission) -> Run:
    run = submission.runs.latest("number")
    pipeline.score_batch(run.batches.get().pk)
    run.refresh_from_db()
    return run


class TestScores:
    def test_they_are_those_of_a_container_that_wrote_the_same_masks_which_organisers_see(self, team, host, phase):
        theirs = cast.submit_checked(cast.team_of(cast.person("Charlie")), phase).runs.get()
        gpu_host.finish_run(host, theirs, MASK)
        submission = hand_in(team, phase)
        assert (submission.state, submission.stage) == (SubmissionState.ACCEPTED, RunState.SCORING)
        assert not uploads.path(submission.upload_file).exists()
        run = score(submission)
        assert run.state == RunState.SCORED
        assert list(run.standings.values_list("scope", "summary", "groups")) == list(
            theirs.standings.values_list("scope", "summary", "groups")
        )
        by_name = {row.case.name: row.result for row in theirs.cases.all()}
        assert {row.case.name: row.result for row in run.cases.all()} == by_name
        assert submission.charged
        assert not Attempt.objects.filter(batch__run=run).exists()
        sweeper.sweep()
        equal = EqualEntry.objects.filter(equality__kind="masks").values_list("submission", "like", "equal_cases")
        pair = submission.pk, theirs.submission_id
        assert sorted(equal) == sorted([(*pair, CASES), (*pair[::-1], CASES)])

    def test_no_host_ever_hears_of_them(self, team, host, phase):
        submission = hand_in(team, phase)
        pipeline.fill_slots()
        assert scheduling.queue() == []
        assert submission.runs.get().batches.get().state == BatchState.REPORTED

    def test_a_repeated_check_and_a_repeated_score_change_nothing(self, team, phase):
        submission = hand_in(team, phase)
        pipeline.validate_image(submission.pk)
        run = score(submission)
        before = list(run.cases.values_list("result", "scored_at"))
        score(submission)
        sweeper.sweep()
        assert submission.runs.count() == 1
        assert list(run.cases.values_list("result", "scored_at")) == before
        assert Standing.objects.filter(run=run).count() == 2

    def test_they_are_kept_as_other_masks_are(self, team, phase):
        submission = hand_in(team, phase)
        run = submission.runs.get()
        digests = set(run.cases.values_list("output", flat=True))
        assert len(digests) == 1
        assert digests <= retention.needed_outputs()
        assert all(blobs.outputs.path(digest).read_bytes() == MASK for digest in digests)

    def test_an_organiser_has_them_scored_again(self, team, phase):
        submission = hand_in(team, phase)
        first = score(submission)
        second = decisions.run_again(submission, by=cast.OPERATOR)
        assert second.state == RunState.SCORING
        assert score(submission).state == RunState.SCORED
        assert [run.standings.get(scope="all").dice for run in (first, second)] == [pytest.approx(0.421875)] * 2

    def test_a_fault_of_ours_is_tried_again_and_not_charged(self, team, phase, monkeypatch):
        submission = hand_in(team, phase)
        run = submission.runs.get()
        with monkeypatch.context() as broken:
            broken.setattr(scoring, "score", lambda *_, **__: (_ for _ in ()).throw(OSError("no disk")))
            pipeline.score_batch(run.batches.get().pk)
        submission.refresh_from_db()
        assert (submission.stage, submission.charged) == (RunState.HALTED, False)
        assert faults.resume(Run.objects.get(pk=run.pk))
        assert score(submission).state == RunState.SCORED
        assert Submission.objects.get(pk=submission.pk).charged


class TestCancelling:
    def test_before_a_score_is_given_back(self, team, phase):
        submission = hand_in(team, phase)
        decisions.cancel(submission, by=Actor.command_line())
        assert cast.stage_of(submission) == RunState.CANCELLED
        assert quota_of(team, phase, submission.accepted_at).today_used == 0
        pipeline.score_batch(submission.runs.get().batches.get().pk)
        assert not RunCase.objects.filter(result__isnull=False).exists()

    def test_with_a_score_it_stays_charged(self, team, phase, monkeypatch):
        submission = hand_in(team, phase)
        monkeypatch.setattr(pipeline, "TURN_SECONDS", 0.0)  # one case a turn
        assert score(submission).state == RunState.SCORING
        decisions.cancel(submission, by=Actor.command_line())
        assert quota_of(team, phase, submission.accepted_at).today_used == 1


def header_with(**fields) -> bytes:
    """An uncompressed mask with other values in its header."""
    raw = bytearray(gzip.decompress(MASK))
    for name, value in fields.items():
        form, at = {"dims": ("<8h", 40), "slope": ("<f", 112), "inter": ("<f", 116), "type": ("<h", 70)}[name]
        struct.pack_into(form, raw, at, *(value if isinstance(value, tuple) else (value,)))
    return bytes(raw)


class TestEveryProblemBeforeItCounts:
    def test_all_of_them_are_in_one_answer_by_case(self, team, phase):
        """Of the archive and of the masks, in their order, and nothing is charged or kept."""
        submission = hand_in(
            team,
            phase,
            {
                NAMES[2]: masks.nifti(np.zeros((2, 16, 16, 16), np.uint8)),
                f"deep/er/{NAMES[0]}": MASK,
                "case_001.nii": MASK,
                "case_777.nii.gz": MASK,
                "__MACOSX/._x": b"",
            },
        )
        assert (submission.state, submission.charged) == (SubmissionState.REJECTED, False)
        assert submission.reason_code == "unusable_masks"
        summary, *lines = submission.reason.split("\n")
        assert summary.startswith("3 of 3 cases cannot be scored.")
        assert [line.split(":")[0] for line in lines[1:]] == NAMES
        assert lines[0] == "1 file is named like no case of this phase: 'case_777.nii.gz'"
        assert "lies in the folder 'deep/er'" in lines[1]
        assert "'case_001.nii' is there" in lines[2]
        assert "shape (2, 16, 16, 16), expected (1, 16, 16, 16)" in lines[3]
        assert not submission.runs.exists()
        assert not list(blobs.outputs.digests()) if blobs.outputs.root.exists() else True
        assert not uploads.path(submission.upload_file).exists()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "the file is empty"),
            (b"<html>", "not a NIfTI file"),
            (MASK[:-30], "truncated|no proper end"),
            (masks.nifti(np.full(masks.SHAPE, np.inf, np.float32)), "not finite"),
            (masks.nifti(np.full(masks.SHAPE, 0.5, np.float32)), "not integers"),
            (masks.nifti(np.full(masks.SHAPE, -1, np.int16)), "negative"),
            (masks.nifti(np.zeros((1, 16, 16, 16, 2), np.uint8)), "shape"),
            (masks.nifti(np.zeros((16, 16, 16, 1), np.uint8)), "shape"),
            (header_with(type=128), "RGB"),
            (header_with(slope=1.0, inter=float("nan")), "scl_inter"),
            (header_with(dims=(4, 1, 16, 16, 32767, 1, 1, 1)), "shape"),
            (header_with(dims=(0, 0, 0, 0, 0, 0, 0, 0)), "axes"),
            (MASK + MASK, "more bytes"),
        ],
    )
    def test_of_a_mask_it_is_what_scoring_says(self, team, phase, content, words):
        submission = hand_in(team, phase, {**GOOD, NAMES[1]: content})
        _, line = submission.reason.split("\n")
        assert line.startswith(NAMES[1])
        assert any(word in line for word in words.split("|")), line

    def test_a_bomb_costs_its_case_and_little_time(self, team, phase):
        bomb = gzip.compress(header_with() + bytes(30 << 20), 9)
        submission = hand_in(team, phase, {**GOOD, NAMES[0]: bomb})
        assert submission.reason.split("\n")[1].startswith(f"{NAMES[0]}: the file holds more bytes")

    def test_a_slope_that_is_no_number_means_none_as_it_does_of_containers(self, team, phase):
        assert score(hand_in(team, phase, {**GOOD, NAMES[0]: header_with(slope=float("nan"))})).state == RunState.SCORED

    def test_what_is_no_archive_is_said_in_one_sentence(self, team, phase):
        submission = hand_in(team, phase, b"https://drive.example.org/masks.zip")
        assert submission.reason.startswith("The file is no archive of masks.")

    def test_the_answer_is_bounded(self, team, phase, monkeypatch):
        monkeypatch.setattr(handed_in, "MAX_PROBLEMS", 1)
        submission = hand_in(team, phase, {"notes.txt": b""})
        assert submission.reason.split("\n")[1:] == [
            f"{NAMES[0]}: no file of this name is in the archive",
            "and 2 more",
        ]

    def test_masks_that_take_too_long_are_not_all_read(self, team, phase, monkeypatch):
        monkeypatch.setattr(handed_in, "MAX_SLOW", 1)
        monkeypatch.setattr(IsolatedScorer, "check", lambda *_: f"{TAKES_TOO_LONG}; is it noise?")
        lines = hand_in(team, phase).reason.split("\n")[1:]
        assert [TAKES_TOO_LONG in line for line in lines] == [True, False, False]
        assert "not looked at" in lines[2]

    def test_a_reference_that_is_gone_is_our_fault(self, team, phase):
        Case.objects.filter(name=NAMES[1]).update(reference="sha256:" + "9" * 64)
        submission = hand_in(team, phase)
        assert (submission.state, submission.charged) == (SubmissionState.HALTED, False)
        assert uploads.path(submission.upload_file).exists()


class TestWhatAPhaseTakes:
    @pytest.mark.parametrize(
        ("takes", "entry", "words"),
        [
            ("images", "masks", "takes images, not masks"),
            ("masks", "image", "takes archives of masks, not images"),
            ("both", "video", "Say what you hand in"),
        ],
    )
    def test_another_entry_is_refused(self, team, phase, takes, entry, words):
        Phase.objects.update(takes=takes)
        with pytest.raises(Refused, match=words):
            cast.submit(team, phase, entry=entry)

    @pytest.mark.parametrize(("takes", "entry"), [("images", "image"), ("masks", "masks"), ("both", "image")])
    def test_the_only_one_needs_no_saying_nor_does_an_image(self, team, phase, takes, entry):
        Phase.objects.update(takes=takes)
        assert cast.submit(team, phase).entry == entry

    def test_each_has_a_size_of_its_own(self, phase):
        phase.max_masks_bytes, phase.max_archive_bytes = 10, 100
        with pytest.raises(admission.TooLarge, match="of masks"):
            admission.check_upload(11, phase, Submission.Entry.MASKS)
        admission.check_upload(11, phase, Submission.Entry.IMAGE)
        admission.check_upload(11, phase)
        with pytest.raises(admission.TooLarge):
            admission.check_upload(101, phase)

    def test_by_its_first_bytes_a_file_is_refused_that_is_neither(self, phase):
        zipped = masks.zipped(GOOD)[:4096]
        admission.check_beginning(zipped, phase)
        with pytest.raises(Refused, match="an archive of masks"):
            admission.check_beginning(zipped, phase, Submission.Entry.IMAGE)
        phase.takes = "images"
        with pytest.raises(Refused, match="an archive of masks, not an image"):
            admission.check_beginning(zipped, phase)
        phase.takes = "masks"
        with pytest.raises(Refused, match="no archive of masks"):
            admission.check_beginning(b"text" * 2000, phase)

    def test_masks_of_hidden_cases_cannot_be_asked_for(self, team, phase):
        phase.cases_are_public = False
        with pytest.raises(ValidationError, match="only where the cases are public"):
            phase.full_clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            save_phase(phase, by=cast.OPERATOR)
        hand_in(team, phase)
        phase.takes = "images"
        with pytest.raises(ValidationError, match="cannot be hidden any more"):
            phase.full_clean()
